"""Counts, sums, rates, and the weighted mean: what is simply added up."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.clock import Duration, format_duration, parse_duration
from riverrun.stats.aggregate import Aggregate, BuiltIn, Finished, OfOne, label_of, positive_zero
from riverrun.stats.pairs import added
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial, Rows, Side, WideOfOne, WidePartial
from riverrun.stats.references import bounded
from riverrun.stats.windowed import LENGTH, Needs, axis, tally


@dataclass(frozen=True, slots=True)
class RowCount(WidePartial):
    """How many rows."""

    name: str = "rows"

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        del rows
        return {"n": pl.len().cast(pl.Int64)}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"n": self.col("n").sum()}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        del rows
        return {"n": pl.lit(1, pl.Int64)}

    def windowed(self, rows: Rows, period: str) -> Needs:
        del rows, period
        return Needs(parts=self.named({"n": pl.col(LENGTH)}))

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        name = self.column("n")
        return {"n": added(earlier(name), later(name))}


@dataclass(frozen=True, slots=True)
class ValueCount(WideOfOne):
    """How many values that are not null."""

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        n = pl.len() if self.x in rows.complete else rows.expr(self.x).count()
        return {"n": n.cast(pl.Int64)}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"n": self.col("n").sum()}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"n": rows.expr(self.x).is_not_null().cast(pl.Int64)}

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        if self.x in rows.complete:
            return Needs(parts=self.named({"n": pl.col(LENGTH)}))
        there = {self.name: rows.expr(self.x).is_not_null()}
        return Needs(tallies=there, parts=self.named({"n": pl.col(tally(self.name))}))

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        name = self.column("n")
        return {"n": added(earlier(name), later(name))}


@dataclass(frozen=True, slots=True)
class NullTally(WideOfOne):
    """How many nulls."""

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"n": rows.expr(self.x).null_count().cast(pl.Int64)}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"n": self.col("n").sum()}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"n": rows.expr(self.x).is_null().cast(pl.Int64)}

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        absent = {self.name: rows.expr(self.x).is_null()}
        return Needs(tallies=absent, parts=self.named({"n": pl.col(tally(self.name))}))

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        name = self.column("n")
        return {"n": added(earlier(name), later(name))}


@dataclass(frozen=True, slots=True)
class Total(WideOfOne):
    """The sum in the widest type of its kind: Int128 for integers, the same decimals for decimals."""

    @property
    def summed(self) -> tuple[Input, ...]:
        return (self.x,)

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"sum": rows.number(self.x).sum()}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"sum": self.col("sum").sum()}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"sum": rows.number(self.x).fill_null(0)}

    def windowed(self, rows: Rows, period: str) -> Needs | None:
        del period
        dtype = rows.dtype[self.x]
        if dtype == pl.Float64:
            name = rows.column[self.x]
            return Needs(axes={name: rows.expr(self.x)}, parts=self.named({"sum": pl.col(axis(name, "sum"))}))
        if not dtype.is_integer() and dtype != pl.Boolean:
            return None
        parts = self.named({"sum": pl.col(tally(self.name))})
        return Needs(tallies={self.name: rows.expr(self.x).fill_null(0)}, parts=parts)

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        name = self.column("sum")
        return {"sum": added(earlier(name), later(name))}


@dataclass(frozen=True, slots=True)
class WeightedTotals(WidePartial):
    """Σw and Σw(x − r) over the rows in which neither is null."""

    x: Input
    weight: Input
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x, self.weight)

    @property
    def summed(self) -> tuple[Input, ...]:
        return (self.weight,)

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        x, w = rows.expr(self.x), rows.number(self.weight)
        if self.x not in rows.complete:
            w = pl.when(x.is_not_null()).then(w)
        return {"w": w.sum(), "wx": bounded(x * w).sum()}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"w": self.col("w").sum(), "wx": self.col("wx").sum()}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        x, w = rows.expr(self.x), rows.number(self.weight)
        return {"w": pl.when(x.is_not_null()).then(w).fill_null(0), "wx": bounded(x * w).fill_null(0)}

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        x, w = rows.expr(self.x), rows.number(self.weight)
        w = w if self.x in rows.complete else pl.when(x.is_not_null()).then(w)
        axes = self.named({"w": w, "wx": x * w})
        sums = {part: pl.col(axis(self.column(part), "sum")) for part in ("w", "wx")}
        return Needs(axes=axes, parts=self.named(sums))

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        return {part: added(earlier(self.column(part)), later(self.column(part))) for part in ("w", "wx")}


@dataclass(frozen=True, slots=True)
class Count(BuiltIn):
    x: Input | None
    written: str

    accepts = "anything"

    @property
    def inputs(self) -> tuple[Input, ...]:
        return () if self.x is None else (self.x,)

    def _partial(self) -> WidePartial:
        return RowCount() if self.x is None else ValueCount(self.x, f"count_{self.x.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        return self._partial().col("n").cast(pl.UInt64)


@dataclass(frozen=True, slots=True)
class NullCount(OfOne):
    accepts = "anything"

    def _partial(self) -> NullTally:
        return NullTally(self.x, f"nulls_{self.x.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        return self._partial().col("n").cast(pl.UInt64)


@dataclass(frozen=True, slots=True)
class Sum(OfOne):
    def _partial(self) -> Total:
        return Total(self.x, f"sum_{self.x.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def value(self, at: Finished) -> pl.Expr:
        dtype = at.dtypes[self.x]
        total = self._partial().col("sum")
        if dtype.is_integer() or dtype == pl.Boolean:
            return total.cast(pl.Int64, strict=False)
        return positive_zero(total) if dtype.is_float() else total


@dataclass(frozen=True, slots=True)
class Rate(BuiltIn):
    per_us: int
    written: str

    def partials(self) -> tuple[Partial, ...]:
        return (RowCount(),)

    def value(self, at: Finished) -> pl.Expr:
        return RowCount().col("n") * float(self.per_us) / (at.end - at.start)


@dataclass(frozen=True, slots=True)
class WeightedMean(BuiltIn):
    x: Input
    weight: Input
    written: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x, self.weight)

    def _partial(self) -> WeightedTotals:
        return WeightedTotals(self.x, self.weight, f"weighted_{self.x.short}_{self.weight.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        total = self._partial()
        return pl.when(total.col("w") != 0).then(positive_zero(total.col("wx") / total.col("w")))


def count(x: ColumnLike | None = None) -> Aggregate:
    """How many rows, or, with a column, how many of its values are not null.

    Exact; memory: 8 bytes a group.

    Returns
    -------
    UInt64; 0 when there are none.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, None, 3.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(n=rr.count(), nx=rr.count("x")).collect().select(
    ...     "n", "nx").row(0)
    (3, 2)
    """
    if x is None:
        return Count(None, "count()")
    return Count(Input.of(x), label_of("count", x))


def null_count(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """How many values are null. Exact; memory: 8 bytes a group.

    Parameters
    ----------
    x : a column name or Polars expression of any type.
    nan : ``"ignore"`` counts NaN as null, too.

    Returns
    -------
    UInt64; 0 when there are none.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, None, 3.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(n=rr.null_count("x")).collect()["n"].to_list()
    [1]
    """
    return NullCount(Input.of(x, nan=nan), label_of("null_count", x))


def sum(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The sum Σxᵢ.

    Integers are added in 128 bits and are null beyond 64; decimals are exact; floats are exact to about
    1e-15 of Σ|xᵢ|, those of rolling windows to 1e-13 of it. Memory: 8 or 16 bytes a group.

    Returns
    -------
    Int64 for integers, the input's type for decimals and Float32, else Float64; 0 when there are no values.

    >>> import riverrun as rr
    >>> rows = {"x": [1, 2, None]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(s=rr.sum("x")).collect()["s"].to_list()
    [3]
    """
    return Sum(Input.of(x, nan=nan, read="total"), label_of("sum", x))


def rate(per: Duration = "1s") -> Aggregate:
    """How many rows for each `per` of event time: n · per / (window_end − window_start).

    Exact to 1e-15; memory: 8 bytes a group, shared with `count`.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1m")).agg(r=rr.rate("20s")).collect()["r"].to_list()
    [1.0]
    """
    per_us = parse_duration(per, where="rate(per=)")
    return Rate(per_us, label_of("rate", format_duration(per_us)))


def weighted_mean(x: ColumnLike, weight: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The weighted mean Σwᵢxᵢ/Σwᵢ, over the rows in which neither is null.

    With a price and a size this is the volume-weighted average price. Accuracy: 1e-15 of Σ|wx|/Σw;
    memory: 16 bytes a group.

    Returns
    -------
    Float64; null when there are no values or the weights add up to 0.

    >>> import riverrun as rr
    >>> rows = {"price": [10.0, 20.0], "size": [3.0, 1.0]}
    >>> stats = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> stats.agg(vwap=rr.weighted_mean("price", "size")).collect()["vwap"].to_list()
    [12.5]
    """
    items = [Input.of(item, nan=nan, read="number") for item in (x, weight)]
    return WeightedMean(items[0], items[1], label_of("weighted_mean", x, weight))
