"""What steps that remember something for each key have in common."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

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


def first_of_keys(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Each key once, in the order in which it first appears."""
    return rows.select(keys).unique(keep="first", maintain_order=True)
