"""Sums by the number of a key: frames in which row i is that of key i, with `LENGTH`, the rows added up."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from riverrun.kernel.in_order import KEY
from riverrun.stats.windowed import LENGTH


def sums_by_key(addends: pl.DataFrame, keys: pl.Series, chosen: pl.Series) -> pl.DataFrame:
    """The sums over the chosen rows, one row for each `KEY` that has any."""
    rows = pl.DataFrame([keys, *addends]).filter(chosen)
    return rows.group_by(KEY).agg(pl.len().cast(pl.Int64).alias(LENGTH), pl.all().sum())


def none_by_key(addends: pl.DataFrame) -> pl.DataFrame:
    """No key has any rows."""
    return pl.DataFrame(schema={LENGTH: pl.Int64, **addends.schema})


def grown(sums: pl.DataFrame, keys: int) -> pl.DataFrame:
    """For so many keys; new ones have no rows yet."""
    fresh = keys - sums.height
    if not fresh:
        return sums
    zeros = pl.DataFrame(
        [pl.zeros(fresh, dtype, eager=True).alias(name) for name, dtype in sums.schema.items()]
    )
    return pl.concat([sums, zeros])


def more(sums: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The sums of some keys put to those of all."""
    return _changed(sums, groups, lambda all_of, some: all_of + some)


def less(sums: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The sums of some keys taken from those of all: exact, since they are whole numbers."""
    return _changed(sums, groups, lambda all_of, some: all_of - some)


def _changed(
    sums: pl.DataFrame, groups: pl.DataFrame, change: Callable[[pl.Series, pl.Series], pl.Series]
) -> pl.DataFrame:
    if not groups.height:
        return sums
    at = groups[KEY]
    return pl.DataFrame(
        [column.clone().scatter(at, change(column[at], groups[column.name])) for column in sums.iter_columns()]
    )
