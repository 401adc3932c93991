"""Minimum, maximum and their distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, OfOne, label_of, positive_zero
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial, Rows, Side, WideOfOne
from riverrun.stats.windowed import INDEX, Needs, picked, tally


@dataclass(frozen=True, slots=True)
class Extreme(WideOfOne):
    """The smallest or the largest value; NaN, once seen, stays."""

    side: Literal["min", "max"]

    def _pick(self, values: pl.Expr) -> pl.Expr:
        return values.nan_min() if self.side == "min" else values.nan_max()

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"value": self._pick(rows.expr(self.x))}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return {"value": self._pick(self.col("value"))}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"value": rows.expr(self.x)}

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        name = self.column("value")
        a, b = earlier(name), later(name)
        # Polars holds NaN for the largest number.
        first = a <= b if self.side == "min" else a >= b
        if self.side == "min":
            first = (first & ~later.is_nan(name)) | earlier.is_nan(name)
        return {"value": pl.when(first.fill_null(b.is_null())).then(a).otherwise(b)}

    def windowed(self, rows: Rows, period: str) -> Needs | None:
        x, dtype = rows.expr(self.x), rows.dtype[self.x]
        if not (dtype.is_integer() or dtype.is_float() or dtype.is_temporal()):
            return None
        values = x.fill_nan(None) if dtype.is_float() else x
        extreme = values.rolling_min_by if self.side == "min" else values.rolling_max_by
        found = pl.col(picked(self.name))
        if not dtype.is_float():
            return Needs(picked={self.name: extreme(INDEX, period)}, parts=self.named({"value": found}))
        # Polars takes NaN for the largest of all, and it has to stay, once seen.
        undefined = f"nan_{self.x.short}"
        value = pl.when(pl.col(tally(undefined)) > 0).then(math.nan).otherwise(found)
        return Needs(
            tallies={undefined: x.is_nan().fill_null(value=False)},
            picked={self.name: extreme(INDEX, period)},
            parts=self.named({"value": value}),
        )


def _extreme(x: Input, side: Literal["min", "max"]) -> Extreme:
    return Extreme(x, f"{side}_{x.short}", side)


@dataclass(frozen=True, slots=True)
class ExtremeValue(OfOne):
    side: Literal["min", "max"]

    accepts = "ordered"

    def partials(self) -> tuple[Partial, ...]:
        return (_extreme(self.x, self.side),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        return _extreme(self.x, self.side).col("value")


@dataclass(frozen=True, slots=True)
class Range(OfOne):
    def partials(self) -> tuple[Partial, ...]:
        return (_extreme(self.x, "min"), _extreme(self.x, "max"))

    def value(self, at: Finished) -> pl.Expr:
        high, low = (_extreme(self.x, side).col("value") for side in ("max", "min"))
        dtype = at.dtypes[self.x]
        if dtype.is_signed_integer() or dtype == pl.Boolean:
            return _whole_distance(high.cast(pl.Int128) - low.cast(pl.Int128), dtype)
        return positive_zero(high - low) if dtype.is_float() else high - low


def _whole_distance(distance: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Wider than the values: 127 and -128 are 255 apart. One beyond 128 bits has wrapped round, and is null."""
    fitting = pl.when(distance >= 0).then(distance)
    return fitting if dtype == pl.Int128 else fitting.cast(pl.Int64, strict=False)


def min(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The smallest value. Exact; memory: one value a group.

    Parameters
    ----------
    x : a column name or Polars expression of any type that has an order. Nulls are left out.
    nan : ``"propagate"``: one NaN makes the result NaN; ``"ignore"``: NaN counts as null.

    Returns
    -------
    The type of `x`; null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"x": [3.0, 1.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(low=rr.min("x")).collect()["low"].to_list()
    [1.0]
    """
    return ExtremeValue(Input.of(x, nan=nan), label_of("min", x), "min")


def max(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The largest value. Exact; memory: one value a group. Parameters as for `min`.

    >>> import riverrun as rr
    >>> rows = {"x": [3.0, 1.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(high=rr.max("x")).collect()["high"].to_list()
    [3.0]
    """
    return ExtremeValue(Input.of(x, nan=nan), label_of("max", x), "max")


def range(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The distance between the largest and the smallest value. Exact; memory: two values a group.

    Returns
    -------
    Int64 for true and false and for integers with a sign (Int128 for Int128), null for a distance beyond it;
    else the type of `x`. Null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"x": [3.0, 1.0, 7.5]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(r=rr.range("x")).collect()["r"].to_list()
    [6.5]
    """
    return Range(Input.of(x, nan=nan), label_of("range", x))
