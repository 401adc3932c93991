"""Whole numbers for keys, which stay the same from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.kernel.in_order import KEY, numbered

#: Keys without rows are forgotten once they are more than those with rows, and so many.
FORGET_KEYS = 256


def with_numbers(
    rows: pl.DataFrame, keys: Sequence[str], known: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The rows with the number of their key (`KEY`), and the numbers of all keys, those `known` first."""
    if not keys:
        return numbered(rows, ())[0], None
    names = list(keys)
    table = rows.select(names).unique(maintain_order=True)
    count = 0
    if known is not None:
        table = table.join(known, on=names, how="anti", nulls_equal=True, maintain_order="left")
        count = known.height
    table = table.with_row_index(KEY, offset=count).select(*names, pl.col(KEY).cast(pl.Int64))
    table = table if known is None else pl.concat([known, table])
    return rows.join(table, on=names, how="left", nulls_equal=True, maintain_order="left"), table


def renumbered(known: pl.DataFrame, used: pl.Series) -> pl.DataFrame | None:
    """The keys whose numbers are used, numbered anew, with the `OLD` number; ``None``: not worth it."""
    used = used.unique().sort()
    if known.height <= 2 * used.len() + FORGET_KEYS:
        return None
    kept = known.filter(pl.col(KEY).is_in(used.implode())).rename({KEY: OLD})
    return kept.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(KEY))


#: The number that a key had.
OLD = f"{KEY}_old"
