"""Quantiles, the median, and the spreads that are made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, BuiltIn, label_of, positive_zero
from riverrun.stats.lists import GROUP
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial
from riverrun.stats.value_counts import ValueCounts


class OfCounts(BuiltIn):
    """An aggregate that reads values with their counts."""

    x: Input
    error: float

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x,)

    def _partial(self) -> ValueCounts:
        return ValueCounts(self.x, f"quantiles_{self.x.short}_{self.error!r}", self.error)

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        partial = self._partial()
        groups, parts = partial.told_apart(tables[partial.name], by)
        return groups.keyed(pl.concat([self.of_counts(counts, [GROUP]) for counts in parts]), by)

    def of_counts(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """The column ``value`` for each group of a table with ``value`` and ``count``."""
        del table, by
        raise AssertionError("an aggregate reads its counts")


@dataclass(frozen=True, slots=True)
class Quantile(OfCounts):
    x: Input
    written: str
    q: float
    error: float

    def of_counts(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        return quantiles_of_counts(table, by, [self.q]).rename({"q0": "value"})


@dataclass(frozen=True, slots=True)
class Quantiles(OfCounts):
    x: Input
    written: str
    qs: tuple[float, ...]
    error: float

    def of_counts(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        found = quantiles_of_counts(table, by, self.qs)
        return found.select(*by, pl.concat_list(f"q{at}" for at in range(len(self.qs))).alias("value"))


@dataclass(frozen=True, slots=True)
class InterquartileRange(OfCounts):
    x: Input
    written: str
    error: float

    def of_counts(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        found = quantiles_of_counts(table, by, [0.25, 0.75])
        return found.select(*by, (pl.col("q1") - pl.col("q0")).alias("value"))


@dataclass(frozen=True, slots=True)
class MedianDeviation(OfCounts):
    x: Input
    written: str
    error: float

    def of_counts(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        medians = quantiles_of_counts(table, by, [0.5]).rename({"q0": "median"})
        joined = table.join(medians, on=by, how="left", nulls_equal=True)
        off = joined.with_columns((pl.col("value") - pl.col("median")).abs().alias("value")).drop("median")
        return quantiles_of_counts(off, by, [0.5]).rename({"q0": "value"})


def quantiles_of_counts(table: pl.DataFrame, by: Sequence[str], qs: Sequence[float]) -> pl.DataFrame:
    """The quantiles ``q0``, ``q1``, … of each group of a table with ``value`` and ``count``.

    Type 7 of Hyndman and Fan (1996), "Sample quantiles in statistical packages".
    """
    once = table["count"].min() == table["count"].max() == 1
    found = _selected(table, by, qs) if once else _counted(table, by, qs)
    return found.select(*by, *(_between(at, q).alias(f"q{at}") for at, q in enumerate(qs)))


def _selected(table: pl.DataFrame, by: Sequence[str], qs: Sequence[float]) -> pl.DataFrame:
    """The values next to each quantile, where each occurs once: nothing needs to be sorted."""
    if len(by) == 1 and table[by[0]].is_sorted():
        table = table.with_columns(pl.col(by[0]).set_sorted())
    value = pl.col("value")
    picked = [pl.len().cast(pl.Int64).alias("n"), value.is_nan().any().alias("nan")]
    for at, q in enumerate(qs):
        picked += [value.quantile(q, "lower").alias(f"low{at}"), value.quantile(q, "higher").alias(f"high{at}")]
    return table.group_by(by, maintain_order=True).agg(picked)


def _counted(table: pl.DataFrame, by: Sequence[str], qs: Sequence[float]) -> pl.DataFrame:
    """The values next to each quantile."""
    n, upto = pl.col("n"), pl.col("upto")
    ranked = table.sort("value").with_columns(
        pl.col("count").cum_sum().over(by).alias("upto"), pl.col("count").sum().over(by).alias("n")
    )
    picked = [n.first(), pl.col("value").is_nan().any().alias("nan")]
    for at, q in enumerate(qs):
        rank = (n - 1) * q
        for side, place in (("low", rank.floor()), ("high", rank.ceil())):
            picked.append(pl.col("value").filter(upto > place).first().alias(f"{side}{at}"))
    return ranked.group_by(by, maintain_order=True).agg(picked)


def _between(at: int, q: float) -> pl.Expr:
    low, high, rank = pl.col(f"low{at}"), pl.col(f"high{at}"), (pl.col("n") - 1) * q
    share, apart = rank - rank.floor(), high - low
    # Finite values may lie further apart than the largest double.
    far = apart.is_infinite() & low.is_finite() & high.is_finite()
    mixed = pl.when(far).then(low * (1 - share) + high * share).otherwise(low + apart * share)
    straight = pl.when(low == high).then(low).otherwise(mixed)
    # Which of 0.0 and -0.0 comes first is not said.
    return pl.when(pl.col("nan")).then(math.nan).otherwise(positive_zero(straight))


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
    return Quantile(
        Input.of(x, nan=nan, read="number"),
        label_of("quantile", x, q),
        _share(q, "quantile"),
        _relative(error, "quantile"),
    )


def median(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """The middle value: ``quantile(x, 0.5)``. Accuracy, memory and parameters as for `quantile`.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 100.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(m=rr.median("x")).collect()["m"].to_list()
    [2.5]
    """
    return Quantile(Input.of(x, nan=nan, read="number"), label_of("median", x), 0.5, _relative(error, "median"))


def quantiles(x: ColumnLike, qs: Sequence[float], error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """Several quantiles at once, as a list in the order of `qs`.

    Accuracy, memory and the other parameters as for `quantile`, whose partial is shared.

    Parameters
    ----------
    qs : shares from 0 to 1, at least one.

    Returns
    -------
    A list of Float64; null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 4.0, 5.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(q=rr.quantiles("x", [0.25, 0.5, 1])).collect()["q"].to_list()
    [[2.0, 3.0, 5.0]]
    """
    if isinstance(qs, (str, bytes)) or not isinstance(qs, Sequence) or not qs:
        raise PlanError(f"qs must be a list of shares, got {qs!r}", where="quantiles", hint="[0.5, 0.9, 0.99]")
    shares = tuple(_share(q, "quantiles") for q in qs)
    item = Input.of(x, nan=nan, read="number")
    return Quantiles(item, label_of("quantiles", x, list(qs)), shares, _relative(error, "quantiles"))


def iqr(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """The interquartile range: ``quantile(x, 0.75) - quantile(x, 0.25)``.

    Exact up to 1,000 values a window; beyond, within ``error * (|q25| + |q75|)``. Memory and parameters as for
    `quantile`, whose partial is shared.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 4.0, 100.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(r=rr.iqr("x")).collect()["r"].to_list()
    [2.0]
    """
    item = Input.of(x, nan=nan, read="number")
    return InterquartileRange(item, label_of("iqr", x), _relative(error, "iqr"))


def mad(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """The median absolute deviation, median(|xᵢ − median(x)|): a spread that outliers do not move.

    Exact up to 1,000 values a window; beyond, within ``error * (2 * |median| + mad)``: around a median far from
    0 ask for a smaller `error`, or subtract a constant first. Multiply by 1.4826 to estimate the standard
    deviation of normal values. Memory and parameters as for `quantile`, whose partial is shared.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 4.0, 100.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(d=rr.mad("x")).collect()["d"].to_list()
    [1.0]
    """
    item = Input.of(x, nan=nan, read="number")
    return MedianDeviation(item, label_of("mad", x), _relative(error, "mad"))


def _share(q: float, where: str) -> float:
    if not _number(q) or not 0 <= q <= 1:
        raise PlanError(f"q must be from 0 to 1, got {q!r}", where=where, hint="0.99 for the 99th percentile")
    return float(q)


def _relative(error: float, where: str) -> float:
    if not _number(error) or not 0.0001 <= error <= 0.5:
        raise PlanError(
            f"error must be from 0.0001 to 0.5, got {error!r}", where=where, hint="error=0.01 is 1 %"
        )
    return float(error)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
