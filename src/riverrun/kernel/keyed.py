"""What steps that remember something for each key have in common."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.kernel.runs import other_key

#: Stands in for the key where there is none: all rows have the same.
ALL = "__p_all"


def keyed(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The frame with a constant key, if it has no other."""
    return frame if by else frame.with_columns(pl.lit(value=True).alias(ALL))


def of_these_keys(held: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """What is held for the keys of some rows."""
    return held.join(rows.select(keys), on=keys, how="semi", nulls_equal=True, maintain_order="left")


def of_other_keys(held: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """What is held for keys that none of the rows has."""
    return held.join(rows.select(keys), on=keys, how="anti", nulls_equal=True, maintain_order="left")


def beyond_limit(
    held: pl.DataFrame | None, rows: pl.DataFrame, keys: Sequence[str], max_keys: int
) -> pl.Series | None:
    """Which rows have a key that cannot be remembered any more, since others came first; ``None``: no row."""
    known = 0 if held is None else held.height
    if known + rows.height <= max_keys:
        return None
    new = rows.select(keys).unique(keep="first", maintain_order=True)
    if held is not None:
        new = of_other_keys(new, held, keys)
    excess = new[max(0, max_keys - known) :]
    if not excess.height:
        return None
    found = rows.select(keys).join(
        excess.with_columns(pl.lit(value=True).alias("__p_excess")),
        on=keys,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    return found["__p_excess"].fill_null(value=False)


def folded(held: pl.DataFrame | None, rows: pl.DataFrame, keys: Sequence[str], max_keys: int) -> pl.DataFrame:
    """The rows, those of keys beyond the limit with one key in common, so that totals stay exact.

    `held` has the keys that are known, in any number of rows.
    """
    known = 0 if held is None else held.height
    if not keys or known + rows.height <= max_keys:
        return rows
    distinct = None if held is None else held.select(keys).unique(maintain_order=True)
    excess = beyond_limit(distinct, rows, keys, max_keys)
    if excess is None:
        return rows
    others = [
        pl.when(excess).then(other_key(rows.schema[key])).otherwise(pl.col(key)).alias(key) for key in keys
    ]
    return rows.with_columns(others)
