"""The straight line through pairs of values, by least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from riverrun.stats.aggregate import Aggregate, BuiltIn, Finished, label_of
from riverrun.stats.moments import comoments_of, in_range
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial


@dataclass(frozen=True, slots=True)
class Regression(BuiltIn):
    y: Input
    x: Input
    written: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.y, self.x)

    def partials(self) -> tuple[Partial, ...]:
        return (comoments_of(self.x, self.y),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = comoments_of(self.x, self.y)
        xm2, ym2, c = (m.col(part) for part in ("xm2", "ym2", "c"))
        # Squares beyond the largest double leave no line; nor does an infinite value.
        usable = ((c / in_range(xm2)) * in_range(ym2)).is_finite()
        slope = pl.when(usable).then(c / xm2).otherwise(math.nan)
        # The references are taken together first, so that what is near 0 is not lost beside them.
        intercept = (m.col("yref") - slope * m.col("xref")) + (m.col("ymean") - slope * m.col("xmean"))
        r2 = slope * (c / ym2)
        sloped = xm2 != 0
        return pl.struct(
            pl.when(sloped).then(slope).alias("slope"),
            pl.when(sloped).then(intercept).alias("intercept"),
            pl.when(sloped & (ym2 != 0))
            .then(pl.when(r2.is_nan()).then(r2).otherwise(r2.clip(0.0, 1.0)))
            .alias("r2"),
        )


def regression(y: ColumnLike, x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The line y = intercept + slope · x of least squares, and r², over the rows in which neither is null.

    slope = Cov(x, y)/Var(x), intercept = ȳ − slope · x̄, r² = Cov(x, y)²/(Var(x) Var(y)), from the co-moments of
    `cov` (Pébay 2008), whose partial it shares. Accuracy: slope 1e-13 of σᵧ/σₓ, intercept 1e-13 of
    |ȳ| + |slope · x̄| + σᵧ|x̄|/σₓ, r² 1e-13; memory: 64 bytes a group.

    Parameters
    ----------
    y, x : numeric column names or Polars expressions: what is explained, and by what.
    nan : as for `mean`.

    Returns
    -------
    A struct with the fields ``slope``, ``intercept``, ``r2``: null when x is constant; ``r2`` also when y is;
    NaN when a value is infinite or its square is not a double.

    >>> import riverrun as rr
    >>> rows = {"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(line=rr.regression("y", "x")).collect()["line"].to_list()
    [{'slope': 2.0, 'intercept': 1.0, 'r2': 1.0}]
    """
    items = [Input.of(item, nan=nan, read="number") for item in (y, x)]
    return Regression(items[0], items[1], label_of("regression", y, x))
