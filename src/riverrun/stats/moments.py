"""Mean, variance, standard deviation, standard error, covariance and correlation.

What is remembered is the count n, a reference value r near the data, the mean of x − r, and central sums
(M2 = Σ(x − x̄)², C = Σ(x − x̄)(y − ȳ)). Partials are merged with the formulas of Chan, Golub and LeVeque
(1979, "Updating formulae and a pairwise algorithm for computing sample variances") and, for the co-moment,
Pébay (2008, SAND2008-6212), about a centre close to the merged mean. Nothing is ever subtracted from a
partial again, so that an outlier that has left a window leaves no trace. Because means are kept relative
to r, values around 1e9 lose no digits when partials are merged.

Accuracy: 1e-13 relative to exact arithmetic on the doubles, for any split and any order of merging.
Memory: 32 bytes for each group and input, 64 for each pair of inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, BuiltIn, Finished, OfOne, label_of, positive_zero
from riverrun.stats.pairs import Between, added, alone, no_spread
from riverrun.stats.partials import (
    ColumnLike,
    Input,
    Nan,
    Partial,
    Rows,
    Side,
    Spread,
    WideOfOne,
    WidePartial,
)
from riverrun.stats.windowed import Needs, axis, cross, moments

#: What is left of a difference after total cancellation, relative to what was subtracted.
ROUNDING_NOISE = 1e-14


#: Sums of squares outside have lost digits, as parts that are too small or too large for doubles.
SMALLEST_SQUARES, LARGEST_SQUARES = 1e-290, 1e307


def centre(n: pl.Expr, weighted_mean: pl.Expr) -> pl.Expr:
    """A finite double near the mean of a whole group."""
    weighted = weighted_mean.sum() / n.sum()
    return pl.when(weighted.is_finite()).then(weighted).otherwise(0.0)


def offset(ref: pl.Expr, mean: pl.Expr, at: pl.Expr) -> pl.Expr:
    """``(ref + mean) - at`` for a mean that is kept relative to a reference.

    What is rounded is the smaller one of the two sums: a reference may be far from both other numbers, and then
    its sum with the mean is small, or near the centre, and then their difference is.
    """
    moved, value = ref - at, ref + mean
    return pl.when(moved.abs() <= value.abs()).then(moved + mean).otherwise(value - at)


def central_sum(total: pl.Expr, weighted: pl.Expr, mean: pl.Expr) -> pl.Expr:
    """``total - weighted * mean`` for sums of squares, without the noise that is left when nothing should be.

    What is not finite stays so: NaN, an infinite value, or squares beyond the largest double.
    """
    moved = weighted * mean
    rest = total - moved
    # Polars holds NaN for larger than all numbers, so that it must be asked for by name.
    noise = rest.is_finite() & total.is_finite() & (rest <= ROUNDING_NOISE * total)
    beyond = total.is_infinite() & moved.is_infinite() & mean.is_finite()
    return pl.when(noise).then(0.0).when(beyond).then(total).otherwise(rest)


def spread_of(x: pl.Expr, n: pl.Expr) -> pl.Expr:
    """Σ(x − x̄)² of a group: of a single value 0, but NaN if it is not finite, for which Polars has 0."""
    return pl.when(n > 1).then(x.var(ddof=0) * n).otherwise(no_spread(x.mean()))


def ratio(total: pl.Expr, n: pl.Expr) -> pl.Expr:
    return pl.when(n > 0).then(total / n).otherwise(0.0)


@dataclass(frozen=True, slots=True)
class Moments(WideOfOne):
    """n, r, mean of x − r, and M2 of one input."""

    @property
    def shifted(self) -> tuple[Input, ...]:
        return (self.x,)

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        x = rows.expr(self.x)
        n = pl.len() if self.x in rows.complete else x.count()
        return {
            "n": n.cast(pl.Float64),
            "ref": pl.col(rows.reference[self.x]).first(),
            "mean": x.mean(),
            "m2": spread_of(x, n),
        }

    def weigh(self) -> dict[str, pl.Expr]:
        return {"w": self.col("n") * (self.col("ref") + self.col("mean"))}

    def centre(self) -> dict[str, pl.Expr]:
        return {"at": centre(self.col("n"), self.col("w"))}

    def derive(self, common: bool) -> dict[str, pl.Expr]:
        n, mean = self.col("n"), self.col("mean")
        e = mean if common else offset(self.col("ref"), mean, self.col("at"))
        return {"ne": n * e, "total": self.col("m2") + n * e * e}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        return {
            "n": self.col("n").sum(),
            "ref": self.col("ref" if common else "at").first(),
            "ne": self.col("ne").sum(),
            "total": self.col("total").sum(),
        }

    def finish(self) -> dict[str, pl.Expr]:
        e = ratio(self.col("ne"), self.col("n"))
        return {"mean": e, "m2": central_sum(self.col("total"), self.col("ne"), e)}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        return {"n": rows.expr(self.x).is_not_null().cast(pl.Float64), **alone(rows.expr(self.x))}

    def between(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        return Between(self.column, earlier, later).columns()

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        return Between(self.column, earlier, later).moments()

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        name = rows.column[self.x]
        parts = {"n": pl.col(axis(name, "n")), **moments(name)}
        return Needs(axes={name: rows.expr(self.x)}, parts=self.named(parts))

    def references(self) -> tuple[str, ...]:
        return (self.column("ref"),)

    def spreads(self) -> tuple[Spread, ...]:
        return (Spread(self.column("n"), self.column("mean"), self.column("m2")),)


@dataclass(frozen=True, slots=True)
class CoMoments(WidePartial):
    """n, references, means, both M2 and the co-moment C over the rows in which neither input is null."""

    x: Input
    y: Input
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x, self.y)

    @property
    def shifted(self) -> tuple[Input, ...]:
        return (self.x, self.y)

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        x, y = rows.expr(self.x), rows.expr(self.y)
        n = pl.len()
        if not {self.x, self.y} <= rows.complete:
            both = x.is_not_null() & y.is_not_null()
            x, y, n = pl.when(both).then(x), pl.when(both).then(y), both.sum()
        return {
            "n": n.cast(pl.Float64),
            "xref": pl.col(rows.reference[self.x]).first(),
            "yref": pl.col(rows.reference[self.y]).first(),
            "xmean": x.mean(),
            "ymean": y.mean(),
            "xm2": spread_of(x, n),
            "ym2": spread_of(y, n),
            "c": pl.when(n > 1)
            .then(positive_zero(pl.cov(x, y, ddof=0) * n))
            .otherwise(no_spread(x.mean()) + no_spread(y.mean())),
        }

    def weigh(self) -> dict[str, pl.Expr]:
        return {f"{v}w": self.col("n") * (self.col(f"{v}ref") + self.col(f"{v}mean")) for v in "xy"}

    def centre(self) -> dict[str, pl.Expr]:
        return {f"{v}at": centre(self.col("n"), self.col(f"{v}w")) for v in "xy"}

    def derive(self, common: bool) -> dict[str, pl.Expr]:
        n = self.col("n")
        dx, dy = (
            self.col(f"{v}mean")
            if common
            else offset(self.col(f"{v}ref"), self.col(f"{v}mean"), self.col(f"{v}at"))
            for v in "xy"
        )
        return {
            "nx": n * dx,
            "ny": n * dy,
            "xtotal": self.col("xm2") + n * dx * dx,
            "ytotal": self.col("ym2") + n * dy * dy,
            "ctotal": self.col("c") + n * dx * dy,
        }

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        sums = ("n", "nx", "ny", "xtotal", "ytotal", "ctotal")
        refs = ("xref", "yref") if common else ("xat", "yat")
        return {part: self.col(part).sum() for part in sums} | {
            "xref": self.col(refs[0]).first(),
            "yref": self.col(refs[1]).first(),
        }

    def finish(self) -> dict[str, pl.Expr]:
        dx, dy = (ratio(self.col(part), self.col("n")) for part in ("nx", "ny"))
        return {
            "xmean": dx,
            "ymean": dy,
            "xm2": central_sum(self.col("xtotal"), self.col("nx"), dx),
            "ym2": central_sum(self.col("ytotal"), self.col("ny"), dy),
            "c": self.col("ctotal") - self.col("nx") * dy,
        }

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        x, y = rows.expr(self.x), rows.expr(self.y)
        both = x.is_not_null() & y.is_not_null()
        x, y = pl.when(both).then(x), pl.when(both).then(y)
        moments = {f"{v}{part}": expr for v, e in (("x", x), ("y", y)) for part, expr in alone(e).items()}
        return {"n": both.cast(pl.Float64), **moments, "c": moments["xm2"] + moments["ym2"]}

    def between(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        return Between(self.column, earlier, later, ("x", "y")).columns()

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        between = Between(self.column, earlier, later, ("x", "y"))
        c = added(between.a("c"), between.b("c")) + between.product("x", "y")
        return {**between.moments(), "c": c}

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        x, y = rows.expr(self.x), rows.expr(self.y)
        if {self.x, self.y} <= rows.complete:
            a, b = rows.column[self.x], rows.column[self.y]
        else:
            a, b = self.column("x"), self.column("y")
            both = x.is_not_null() & y.is_not_null()
            x, y = pl.when(both).then(x), pl.when(both).then(y)
        parts = {"n": pl.col(axis(a, "n")), **moments(a, "x"), **moments(b, "y"), "c": pl.col(cross(a, b))}
        return Needs(axes={a: x, b: y}, crossed=frozenset({(a, b)}), parts=self.named(parts))

    def references(self) -> tuple[str, ...]:
        return (self.column("xref"), self.column("yref"))

    def spreads(self) -> tuple[Spread, ...]:
        return tuple(Spread(self.column("n"), self.column(f"{v}mean"), self.column(f"{v}m2")) for v in "xy")


def moments_of(x: Input) -> Moments:
    return Moments(x, f"moments_{x.short}")


def comoments_of(x: Input, y: Input) -> CoMoments:
    return CoMoments(x, y, f"comoments_{x.short}_{y.short}")


def divided(total: pl.Expr, n: pl.Expr, ddof: int) -> pl.Expr:
    """Null when there are not more values than `ddof`; NaN for a sum that is beyond the largest double."""
    return pl.when(n > ddof).then(only_finite(total) / (n - ddof))


def only_finite(total: pl.Expr) -> pl.Expr:
    """NaN where a sum of products is infinite: which way it left the range of doubles is chance."""
    return pl.when(total.is_infinite()).then(math.nan).otherwise(total)


def in_range(m2: pl.Expr) -> pl.Expr:
    """A sum of squares to divide by: NaN where it is so small or so large that it has lost digits.

    0, which is no spread, stays so.
    """
    return (
        pl.when((m2 == 0) | m2.is_between(SMALLEST_SQUARES, LARGEST_SQUARES)).then(m2).otherwise(m2 * math.nan)
    )


@dataclass(frozen=True, slots=True)
class Mean(OfOne):
    def partials(self) -> tuple[Partial, ...]:
        return (moments_of(self.x),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = moments_of(self.x)
        return pl.when(m.col("n") > 0).then(positive_zero(m.col("ref") + m.col("mean")))


@dataclass(frozen=True, slots=True)
class Variance(OfOne):
    ddof: int
    root: bool

    def partials(self) -> tuple[Partial, ...]:
        return (moments_of(self.x),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = moments_of(self.x)
        variance = divided(m.col("m2"), m.col("n"), self.ddof)
        return variance.sqrt() if self.root else variance


@dataclass(frozen=True, slots=True)
class StandardError(OfOne):
    ddof: int

    def partials(self) -> tuple[Partial, ...]:
        return (moments_of(self.x),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = moments_of(self.x)
        return (divided(m.col("m2"), m.col("n"), self.ddof) / m.col("n")).sqrt()


@dataclass(frozen=True, slots=True)
class Covariance(BuiltIn):
    x: Input
    y: Input
    ddof: int
    written: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x, self.y)

    def partials(self) -> tuple[Partial, ...]:
        return (comoments_of(self.x, self.y),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = comoments_of(self.x, self.y)
        return positive_zero(divided(m.col("c"), m.col("n"), self.ddof))


@dataclass(frozen=True, slots=True)
class Correlation(BuiltIn):
    x: Input
    y: Input
    written: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x, self.y)

    def partials(self) -> tuple[Partial, ...]:
        return (comoments_of(self.x, self.y),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        m = comoments_of(self.x, self.y)
        r = m.col("c") / (in_range(m.col("xm2")).sqrt() * in_range(m.col("ym2")).sqrt())
        defined = (m.col("xm2") != 0) & (m.col("ym2") != 0)
        return pl.when(defined).then(pl.when(r.is_nan()).then(r).otherwise(r.clip(-1.0, 1.0)))


def mean(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The arithmetic mean, x̄ = Σxᵢ/n.

    Accuracy: 1e-15 of the largest value, 1e-13 of it in rolling windows; memory: 32 bytes a group.

    Parameters
    ----------
    x : a numeric column name or Polars expression. Nulls are left out.
    nan : ``"propagate"``: one NaN makes the result NaN; ``"ignore"``: NaN counts as null.

    Returns
    -------
    Float64; null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"t": [1, 2, 3], "x": [1.0, 2.0, 6.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(m=rr.mean("x")).collect()["m"].to_list()
    [3.0]
    """
    item = Input.of(x, nan=nan, read="number")
    return Mean(item, label_of("mean", x))


def var(x: ColumnLike, ddof: int = 0, *, nan: Nan = "propagate") -> Aggregate:
    """The variance, σ² = Σ(xᵢ − x̄)²/(n − ddof).

    The default is the variance of the population (``ddof=0``); ``ddof=1`` is that of a sample. Merged after
    Chan, Golub and LeVeque (1979). Accuracy: 1e-13 relative; memory: 32 bytes a group.

    Parameters
    ----------
    x : a numeric column name or Polars expression. Nulls are left out.
    ddof : what is taken from n in the divisor.
    nan : as for `mean`.

    Returns
    -------
    Float64, never negative; null when there are not more than `ddof` values.

    >>> import riverrun as rr
    >>> rows = {"x": [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(v=rr.var("x")).collect()["v"].to_list()
    [22.5]
    """
    return Variance(Input.of(x, nan=nan, read="number"), label_of("var", x, **unless_zero(ddof)), ddof, False)


def std(x: ColumnLike, ddof: int = 0, *, nan: Nan = "propagate") -> Aggregate:
    """The standard deviation, σ = √var(x, ddof).

    Accuracy, memory and parameters as for `var`.

    >>> import riverrun as rr
    >>> rows = {"x": [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(sd=rr.std("x")).collect()["sd"].to_list()
    [2.0]
    """
    return Variance(Input.of(x, nan=nan, read="number"), label_of("std", x, **unless_zero(ddof)), ddof, True)


def sem(x: ColumnLike, ddof: int = 0, *, nan: Nan = "propagate") -> Aggregate:
    """The standard error of the mean, std(x, ddof)/√n.

    Accuracy and memory as for `var`, whose partial it shares. The default is ``ddof=0``, as everywhere here;
    ``ddof=1`` is the usual estimate from a sample (SciPy, pandas, R).

    Returns
    -------
    Float64; null when there are not more than `ddof` values.

    >>> import riverrun as rr
    >>> rows = {"x": [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0, 5.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(e=rr.sem("x", ddof=1)).collect()["e"].round(4).to_list()
    [0.6667]
    """
    return StandardError(Input.of(x, nan=nan, read="number"), label_of("sem", x, **unless_zero(ddof)), ddof)


def cov(x: ColumnLike, y: ColumnLike, ddof: int = 0, *, nan: Nan = "propagate") -> Aggregate:
    """The covariance, Σ(xᵢ − x̄)(yᵢ − ȳ)/(n − ddof), over the rows in which neither is null.

    The co-moment is merged after Pébay (2008). Accuracy: 1e-13 of σₓσᵧ; memory: 64 bytes a group.

    Parameters
    ----------
    x, y : numeric column names or Polars expressions.
    ddof : what is taken from n in the divisor.
    nan : as for `mean`.

    Returns
    -------
    Float64; null when there are not more than `ddof` pairs.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 9.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(c=rr.cov("x", "y", ddof=1)).collect()["c"].to_list()
    [3.5]
    """
    items = [Input.of(item, nan=nan, read="number") for item in (x, y)]
    return Covariance(items[0], items[1], ddof, label_of("cov", x, y, **unless_zero(ddof)))


def corr(x: ColumnLike, y: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The correlation of Pearson, r = Cov(x, y)/(σₓσᵧ), over the rows in which neither is null.

    Accuracy and memory as for `cov`.

    Parameters
    ----------
    x, y : numeric column names or Polars expressions.
    nan : as for `mean`.

    Returns
    -------
    Float64 within [-1, 1]; null when x or y is constant.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 1.0, 3.0, 3.0], "y": [4.0, 4.0, 2.0, 2.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(r=rr.corr("x", "y")).collect()["r"].to_list()
    [-1.0]
    """
    items = [Input.of(item, nan=nan, read="number") for item in (x, y)]
    return Correlation(items[0], items[1], label_of("corr", x, y))


def unless_zero(ddof: int) -> dict[str, object]:
    """As an option of a label. Raises `PlanError` for what cannot be taken from a number of values."""
    if not isinstance(ddof, int) or isinstance(ddof, bool) or not 0 <= ddof <= 1_000_000:
        raise PlanError(
            f"ddof must be a whole number from 0 to 1,000,000, got {ddof!r}", where="agg, ddof=", hint="ddof=1"
        )
    return {"ddof": ddof} if ddof else {}
