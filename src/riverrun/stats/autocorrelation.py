"""How alike a series is to itself some values earlier.

Which values are neighbours is known only when all have come, since rows may arrive out of order and batches may
overlap in time: a partial of sums and seams would pair wrong values. So the values are kept, as in `collect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.ordered import collected_of
from riverrun.stats.partials import ColumnLike, Input, Nan, Partial


@dataclass(frozen=True, slots=True)
class Autocorrelation(OfOne):
    lag: int

    def partials(self) -> tuple[Partial, ...]:
        return (collected_of(self.x),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        # By the keys, too: Polars adds up sorted groups in another order than unsorted ones.
        table = tables[collected_of(self.x).name].sort([*by, "time"], maintain_order=True)
        value, off = pl.col("value"), pl.col("off")
        # Twice: the mean of values around 1e9 is itself rounded, that of what is left is not.
        centred = table.with_columns(off=value - value.mean().over(by)).with_columns(
            off=off - off.mean().over(by)
        )
        products = centred.with_columns(product=off * off.shift(self.lag).over(by), square=off * off)
        sums = products.group_by(by, maintain_order=True).agg(
            pl.col("product").sum(),
            pl.col("square").sum(),
            ((value.min() != value.max()) | value.is_nan().any()).alias("varies"),
            pl.len().alias("n"),
        )
        r = pl.col("product") / pl.col("square")
        defined = pl.col("varies") & (pl.col("square") != 0) & (pl.col("n") > self.lag)
        return sums.select(*by, pl.when(defined).then(r).alias("value"))


def autocorr(x: ColumnLike, lag: int = 1, *, nan: Nan = "propagate") -> Aggregate:
    """The autocorrelation at a lag, Σᵢ(xᵢ − x̄)(xᵢ₋ₗ − x̄)/Σᵢ(xᵢ − x̄)², in the order of event time.

    x̄ and the lower sum are over all n values, the upper sum over the n − lag pairs: the definition of Box and
    Jenkins (1976), of NIST and of R's ``acf``. (pandas correlates the two shifted halves, each about its own
    mean.) Accuracy: 1e-13; rows may arrive in any order. Memory: 16 bytes and the keys for every value of the
    open windows, because neighbours are known only when all values have come.

    Parameters
    ----------
    x : a numeric column name or Polars expression. Nulls are left out, and do not count as places.
    lag : how many values earlier, from 1.
    nan : as for `mean`.

    Returns
    -------
    Float64 within [-1, 1]; null for a constant, or when there are not more than `lag` values.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0, 4.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(r=rr.autocorr("x", 1)).collect()["r"].to_list()
    [0.25]
    """
    if not isinstance(lag, int) or isinstance(lag, bool) or lag < 1:
        raise PlanError(
            f"lag must be a whole number from 1, got {lag!r}",
            where="autocorr",
            hint="lag=1 compares each value with the one before",
        )
    return Autocorrelation(Input.of(x, nan=nan, read="number"), label_of("autocorr", x, lag), lag)
