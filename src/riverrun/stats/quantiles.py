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
from riverrun.stats.aggregate import Aggregate, BuiltIn, label_of
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows

#: Up to so many values in a group the result is exact.
EXACT_VALUES = 1_000

SMALLEST_DOUBLE, LARGEST_DOUBLE = 5e-324, 1.7976931348623157e308


@dataclass(frozen=True, slots=True)
class ValueCounts(LongOfOne):
    """Values with counts: each for itself in small groups, one for each bucket in large ones."""

    error: float

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        value, one = rows.expr(self.x).alias("value"), pl.lit(1, pl.Int64).alias("count")
        table = frame.select(*by, value, one)
        if self.x not in rows.complete:
            table = table.filter(pl.col("value").is_not_null())
        return self.merge(table, by)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        # Small groups stay as they are: finding equal values among them costs more than it saves.
        if int(frame["count"].sum()) <= EXACT_VALUES:
            return frame
        sizes = (
            frame.group_by(by).agg(pl.col("count").sum().alias("size")).filter(pl.col("size") > EXACT_VALUES)
        )
        if not sizes.height:
            return frame
        large = frame.join(sizes, on=by, how="semi", nulls_equal=True)
        small = frame.join(sizes, on=by, how="anti", nulls_equal=True)
        return pl.concat([small, self._bucketed(large, by)])

    def _bucketed(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        coded = table.select(*by, bucket(pl.col("value"), self.error).alias("bucket"), "count")
        counted = coded.group_by([*by, "bucket"]).agg(pl.col("count").sum())
        return counted.select(*by, representative(pl.col("bucket"), self.error).alias("value"), "count")


#: Buckets of positive values are these numbers and above, those of negative ones below their negation.
_ONE = 1 << 24
_INFINITE, _NAN = 1 << 29, 1 << 30


def bucket(value: pl.Expr, error: float) -> pl.Expr:
    """The number of the bucket that a value falls into; numbers rise with values."""
    log_gamma = math.log((1 + error) / (1 - error))
    place = (value.abs().log() / log_gamma).ceil() + _ONE
    code = pl.when(value.is_infinite()).then(float(_INFINITE)).when(value == 0).then(0.0).otherwise(place)
    return pl.when(value.is_nan()).then(_NAN).otherwise((code * value.sign()).cast(pl.Int32, strict=False))


def representative(code: pl.Expr, error: float) -> pl.Expr:
    """The middle of a bucket: within `error` of its values, relative, and in the same bucket."""
    gamma = (1 + error) / (1 - error)
    middle = ((code.abs() - _ONE) * math.log(gamma) + math.log(2 / (gamma + 1))).exp()
    finite = middle.clip(SMALLEST_DOUBLE, LARGEST_DOUBLE) * code.sign()
    odd = pl.when(code == _NAN).then(math.nan).when(code > 0).then(math.inf).otherwise(-math.inf)
    return pl.when(code.abs() >= _INFINITE).then(odd).when(code == 0).then(0.0).otherwise(finite)


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
        return self.of_counts(tables[self._partial().name], by)

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
    n, upto = pl.col("n"), pl.col("upto")
    ranked = table.sort("value").with_columns(
        pl.col("count").cum_sum().over(by).alias("upto"), pl.col("count").sum().over(by).alias("n")
    )
    picked = [n.first(), pl.col("value").is_nan().any().alias("nan")]
    for at, q in enumerate(qs):
        rank = (n - 1) * q
        for side, place in (("low", rank.floor()), ("high", rank.ceil())):
            picked.append(pl.col("value").filter(upto > place).first().alias(f"{side}{at}"))
    found = ranked.group_by(by, maintain_order=True).agg(picked)
    return found.select(*by, *(_between(at, q).alias(f"q{at}") for at, q in enumerate(qs)))


def _between(at: int, q: float) -> pl.Expr:
    low, high, rank = pl.col(f"low{at}"), pl.col(f"high{at}"), (pl.col("n") - 1) * q
    share, apart = rank - rank.floor(), high - low
    # Finite values may lie further apart than the largest double.
    far = apart.is_infinite() & low.is_finite() & high.is_finite()
    mixed = pl.when(far).then(low * (1 - share) + high * share).otherwise(low + apart * share)
    straight = pl.when(low == high).then(low).otherwise(mixed)
    return pl.when(pl.col("nan")).then(math.nan).otherwise(straight)


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
