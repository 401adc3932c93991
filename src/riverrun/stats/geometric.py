"""The geometric mean."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, OfOne, label_of
from riverrun.stats.moments import moments_of
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial


@dataclass(frozen=True, slots=True)
class GeometricMean(OfOne):
    logarithm: Input

    def partials(self) -> tuple[Partial, ...]:
        return (moments_of(self.logarithm),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = moments_of(self.logarithm)
        return pl.when(m.col("n") > 0).then((m.col("ref") + m.col("mean")).exp())


def geometric_mean(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The geometric mean, (x₁·x₂·…·xₙ)^(1/n) = exp(Σ ln xᵢ / n): the average of growth factors and ratios.

    Accuracy: 1e-15 · (1 + the largest |ln x|), so 1e-13 or better; no product is formed, so nothing overflows.
    Memory: 32 bytes a group.

    Parameters
    ----------
    x : a numeric column name or Polars expression, of values that are not negative. Nulls are left out.
    nan : as for `mean`. A negative value counts as NaN.

    Returns
    -------
    Float64; 0 when some value is 0, NaN when some value is negative, null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"growth": [2.0, 8.0]}
    >>> stats = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> stats.agg(g=rr.geometric_mean("growth")).collect()["g"].round(9).to_list()
    [4.0]
    """
    item = Input.of(x, nan=nan, read="number")
    logarithm = Input.of(item.expr.cast(pl.Float64).log(), nan=nan, read="number")
    return GeometricMean(item, label_of("geometric_mean", x), logarithm)
