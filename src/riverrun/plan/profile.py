"""What the values of each column are like: every row becomes one for each column, which a window counts.

A composition of other steps: an expression, `explode`, and aggregates.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.stats.aggregate import Aggregate
from riverrun.stats.counting import count, null_count
from riverrun.stats.counting import sum as sum_of
from riverrun.stats.distinct import n_unique
from riverrun.stats.extremes import max as largest
from riverrun.stats.extremes import min as least
from riverrun.stats.moments import mean

#: The column that holds a name and a value while rows are on their way to the window.
CELL = "profiled"

COLUMN = pl.col(CELL).struct.field("column")
_TEXT = pl.col(CELL).struct.field("text")
_NUMBER = pl.col(CELL).struct.field("number")


def cells(columns: Sequence[str]) -> pl.Expr:
    """A list of name, text and number of each column."""
    made = [
        pl.struct(
            pl.lit(name).alias("column"),
            pl.col(name).cast(pl.String, strict=False).alias("text"),
            pl.col(name).cast(pl.Float64, strict=False).alias("number"),
        )
        for name in columns
    ]
    return pl.concat_list(made).alias(CELL)


def profile_aggregates(error: float) -> dict[str, Aggregate]:
    number = _NUMBER.fill_nan(None)
    return {
        "rows": count(),
        "nulls": null_count(_TEXT),
        "nans": sum_of(_NUMBER.is_nan().fill_null(value=False).cast(pl.UInt64)),
        "distinct": n_unique(_TEXT, error),
        "minimum": least(number),
        "maximum": largest(number),
        "mean": mean(number),
    }
