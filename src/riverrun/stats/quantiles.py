"""Quantiles and the median, exact for small groups and with a guaranteed relative error for large ones.

What is remembered are values with their counts. Once a group holds more than `EXACT_VALUES` values, each
value is replaced by the representative of its bucket: those of DDSketch (Masson, Rim and Lee, 2019, "DDSketch:
a fast and fully-mergeable quantile sketch with relative-error guarantees"), with zero and either sign apart.
Whether the result is exact depends only on how many values the window holds, never on how they arrived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows

#: Up to so many values in a group the result is exact.
EXACT_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class ValueCounts(LongOfOne):
    """Values, or the representatives of their buckets, with counts."""

    error: float

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        table = frame.select(*by, rows.expr(self.x).alias("value")).filter(pl.col("value").is_not_null())
        size = pl.len().over(by) if by else pl.len()
        return _counted(self._compressed(table, size), by, pl.len().cast(pl.Int64))

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        total = pl.col("count").sum()
        size = total.over(by) if by else total
        return _counted(self._compressed(frame, size), by, pl.col("count").sum())

    def _compressed(self, table: pl.DataFrame, size: pl.Expr) -> pl.DataFrame:
        if table.height == 0:
            return table
        large = table.select(size.alias("size") > EXACT_VALUES).to_series()
        if not large.any():
            return table
        value = pl.col("value")
        return table.with_columns(pl.when(large).then(representative(value, self.error)).otherwise(value))


def _counted(table: pl.DataFrame, by: Sequence[str], count: pl.Expr) -> pl.DataFrame:
    return table.group_by([*by, "value"], maintain_order=False).agg(count.alias("count"))


def representative(value: pl.Expr, error: float) -> pl.Expr:
    """The middle of the bucket that a value falls into: within `error` of it, relative, and its own middle."""
    gamma = (1 + error) / (1 - error)
    log_gamma = math.log(gamma)
    bucket = (value.abs().log() / log_gamma).ceil()
    middle = (bucket * log_gamma + math.log(2 / (gamma + 1))).exp()
    kept_as_is = (value == 0) | ~value.is_finite() | middle.is_infinite()
    return pl.when(kept_as_is).then(value).otherwise(middle * value.sign())


@dataclass(frozen=True, slots=True)
class Quantile(OfOne):
    q: float
    error: float

    def _partial(self) -> ValueCounts:
        return ValueCounts(self.x, f"quantiles_{self.x.short}_{self.error!r}", self.error)

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        return quantile_of_counts(tables[self._partial().name], by, self.q)


def quantile_of_counts(table: pl.DataFrame, by: Sequence[str], q: float) -> pl.DataFrame:
    """The quantile of each group of a table with ``value`` and ``count``; type 7 of Hyndman and Fan (1996)."""
    ranked = table.sort("value", nulls_last=True).with_columns(
        upto=pl.col("count").cum_sum().over(by), n=pl.col("count").sum().over(by)
    )
    rank = (pl.col("n") - 1) * q
    at = []
    for name, position in (("low", rank.floor()), ("high", rank.ceil())):
        reached = ranked.filter(pl.col("upto") > position)
        at.append(
            reached.unique(by, keep="first", maintain_order=True).select(*by, pl.col("value").alias(name), "n")
        )
    both = at[0].join(at[1].drop("n"), on=by, how="left", nulls_equal=True)
    undefined = ranked.group_by(by).agg(pl.col("value").is_nan().any().alias("nan"))
    low, high, fraction = pl.col("low"), pl.col("high"), rank - rank.floor()
    between = pl.when(low == high).then(low).otherwise(low + (high - low) * fraction)
    value = pl.when(pl.col("nan")).then(float("nan")).otherwise(between)
    return both.join(undefined, on=by, how="left", nulls_equal=True).select(*by, value.alias("value"))


def quantile(x: ColumnLike, q: float, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """The value below which a share `q` of all values lies.

    Exact, with linear interpolation (type 7 of Hyndman and Fan, as NumPy and pandas), while the window holds
    at most 1,000 values; beyond that each order statistic is within `error` relative of the true one (DDSketch,
    2019). Memory: at most 1,000 values and counts a group, or one for each bucket that occurs: about
    ln(largest/smallest)/(2 · error).

    Parameters
    ----------
    x : a numeric column name or Polars expression. Nulls are left out.
    q : from 0 to 1.
    error : relative error of large groups, from 0.0001 to 0.5.
    nan : as for `mean`.

    Returns
    -------
    Float64; null when there are no values.

    Raises
    ------
    PlanError : when `q` or `error` is out of range.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 4.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(p=rr.quantile("x", 0.9)).collect()["p"].to_list()
    [3.7]
    """
    if not 0 <= q <= 1:
        raise PlanError(
            f"q must be from 0 to 1, got {q!r}", where="quantile", hint="0.99 for the 99th percentile"
        )
    if not 0.0001 <= error <= 0.5:
        raise PlanError(
            f"error must be from 0.0001 to 0.5, got {error!r}", where="quantile", hint="error=0.01 is 1 %"
        )
    return Quantile(Input.of(x, nan=nan, read="number"), label_of("quantile", x, q), float(q), float(error))


def median(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """The middle value: ``quantile(x, 0.5)``. Accuracy, memory and parameters as for `quantile`.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 100.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(m=rr.median("x")).collect()["m"].to_list()
    [2.5]
    """
    made = quantile(x, 0.5, error, nan=nan)
    assert isinstance(made, Quantile)
    return Quantile(made.x, label_of("median", x), made.q, made.error)
