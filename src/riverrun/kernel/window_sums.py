"""The partials of all windows that end with some rows, told at once by running sums of whole numbers.

Rows stand by key and then by time, so that a window is a stretch of them, from `FIRST` to `LAST`. Its sums are
differences of two running sums, and exact, since the numbers are whole (`riverrun.stats.grid`). With S₁ = Σx
and S₂ = Σx² in steps of the grid, and m a whole number near the mean, the moments about m are exact as well:
Σ(x − m) = S₁ − nm and Σ(x − m)² = S₂ − m(S₁ + Σ(x − m)). What is left, M₂ = Σ(x − m)² − (Σ(x − m))²/n, takes
away next to nothing, so that it has the digits of a double: the corrected two-pass algorithm of Chan, Golub and
LeVeque (1983, "Algorithms for computing the sample variance").

Where values had to be rounded to the grid, or lie so close together that m is too far off, digits may be
missing. Such windows are found, and named as doubtful.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.grid import TRUSTED_STEPS, Grid
from riverrun.stats.windowed import FIRST, INDEX, LAST, LENGTH, Needs, axis, cross, picked, tally

#: Σ(x − m)² may be this much larger than M₂, which costs 6 of 53 bits.
CANCELLED = 64.0

#: What a double may be that is not finite, as parts of an axis.
SPECIAL = ("nan", "inf", "minus_inf")


@dataclass(frozen=True, slots=True)
class Axis:
    """Doubles of every row, and how they stand on a grid.

    Parameters
    ----------
    values : null where there is none, or none that is finite.
    steps : the whole numbers that values stand for, 0 where there is none.
    exact : whether no value had to be rounded.
    special : tallies of what is not finite, if anything is.
    """

    name: str
    values: pl.Series
    steps: pl.Series
    grid: Grid
    exact: bool
    special: Sequence[pl.Series]

    def column(self, part: str) -> str:
        return axis(self.name, part)

    def col(self, part: str) -> pl.Expr:
        return pl.col(self.column(part))


def with_stretches(series: pl.DataFrame, period: str) -> pl.DataFrame:
    """Rows in the order of `INDEX`, with the bounds of the window that ends with each.

    Rows of one instant are in each other's windows.
    """
    at = pl.int_range(pl.len(), dtype=pl.Int64)
    length = pl.len().rolling(INDEX, period=period).cast(pl.Int64)
    closes = (pl.col(INDEX) != pl.col(INDEX).shift(-1)).fill_null(value=True)
    alone = series.select(closes.all()).item()
    last = at if alone else pl.when(closes).then(at).backward_fill()
    bounds = series.select(length.alias(LENGTH), last.alias(LAST))
    return series.hstack(bounds.with_columns((pl.col(LAST) - pl.col(LENGTH) + 1).alias(FIRST)))


def window_parts(needs: Needs, series: pl.DataFrame, places: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """The columns of `needs.parts` for the windows that end with some rows, and which of them are doubtful.

    Parameters
    ----------
    series : rows by key and time, with their stretches.
    places : the places of the rows whose windows are wanted.
    """
    windows = series.select(FIRST, LAST, LENGTH)[places]
    axes = _axes(needs, series, windows)
    windows = windows.hstack(_sums(_addends(needs, series, axes), windows))
    if needs.picked:
        chosen = series.select(expr.alias(picked(name)) for name, expr in needs.picked.items())
        windows = windows.hstack(chosen[places])
    windows = _with_moments(windows, axes)
    doubtful = pl.repeat(value=False, n=windows.height, eager=True)
    for at in axes:
        unclear = windows.select(_unclear(at)).to_series()
        if unclear.any():
            windows, unclear = _with_constants(windows, at, unclear)
        if at.special:
            windows = _with_special(windows, at)
            unclear &= windows[at.column("m2")].is_finite()
        doubtful |= unclear
    windows = windows.with_columns(_co_moments(needs, axes))
    return windows.select(expr.alias(name) for name, expr in needs.parts.items()), doubtful


# -- rows to whole numbers ------------------------------------------------------------------------------


def _axes(needs: Needs, series: pl.DataFrame, windows: pl.DataFrame) -> list[Axis]:
    longest = windows[LENGTH].max()
    assert isinstance(longest, int)
    values = series.select(expr.cast(pl.Float64).alias(name) for name, expr in needs.axes.items())
    return [_axis(values[name], longest) for name in needs.axes]


def _axis(values: pl.Series, longest: int) -> Axis:
    special: list[pl.Series] = []
    if not values.is_finite().all():
        kinds = (values.is_nan(), values == math.inf, values == -math.inf)
        names = (axis(values.name, part) for part in SPECIAL)
        special = [kind.fill_null(value=False).alias(name) for kind, name in zip(kinds, names, strict=True)]
        values = pl.select(pl.when(values.is_finite()).then(values).alias(values.name)).to_series()
    low, high = values.min(), values.max()
    grid = Grid.fitting(low, high, longest) if isinstance(low, float) and isinstance(high, float) else Grid(0)
    scaled = values * grid.scale
    rounded = scaled.round()
    steps = rounded.cast(pl.Int64).cast(pl.Int128)
    steps = steps.fill_null(0) if steps.null_count() else steps
    return Axis(values.name, values, steps, grid, bool((scaled == rounded).all()), special)


def _addends(needs: Needs, series: pl.DataFrame, axes: Sequence[Axis]) -> list[pl.Series]:
    """Whole numbers of every row, whose sums over windows are wanted."""
    found = [
        series.select(expr.cast(pl.Int128).alias(tally(name))).to_series()
        for name, expr in needs.tallies.items()
    ]
    for at in axes:
        found += [at.steps.alias(at.column("s1")), (at.steps * at.steps).alias(at.column("s2"))]
        found += [kind.cast(pl.Int64) for kind in at.special]
        if at.values.null_count():
            there = series.select(needs.axes[at.name].is_not_null().cast(pl.Int64).alias(at.column("count")))
            found.append(there.to_series())
    steps = {at.name: at.steps for at in axes}
    return found + [(steps[x] * steps[y]).alias(cross(x, y)) for x, y in needs.crossed]


def _sums(addends: Sequence[pl.Series], windows: pl.DataFrame) -> pl.DataFrame:
    """The sums from `FIRST` to `LAST`: modulo 2¹²⁸, so that running sums may overflow."""
    upto = pl.DataFrame(addends).select(pl.all().cum_sum())
    first, last = pl.lit(windows[FIRST]), pl.lit(windows[LAST])
    if not upto.width:
        return upto
    return upto.select(pl.all().gather(last) - pl.all().shift(1, fill_value=0).gather(first))


# -- sums to moments ------------------------------------------------------------------------------------


def _with_moments(windows: pl.DataFrame, axes: Sequence[Axis]) -> pl.DataFrame:
    """With the moments of each axis, in steps of its grid: about a whole number m, and then central ones."""
    counted = {at.column("n"): _count(at, windows).cast(pl.Float64) for at in axes}
    total = {at.column("total"): at.col("s1").cast(pl.Float64) for at in axes}
    near = {
        at.column("m"): (at.col("total") / at.col("n").clip(lower_bound=1.0))
        .round()
        .cast(pl.Int64)
        .cast(pl.Int128)
        for at in axes
    }
    # As whole numbers, still without any rounding.
    off = {at.column("off"): at.col("s1") - at.col("m") * _count(at, windows).cast(pl.Int128) for at in axes}
    about = {
        at.column("about"): (at.col("s2") - at.col("m") * (at.col("s1") + at.col("off"))).cast(pl.Float64)
        for at in axes
    }
    above = {at.column("above_m"): at.col("off").cast(pl.Int64).cast(pl.Float64) for at in axes}
    central = {
        at.column("central"): at.col("about")
        - at.col("above_m") * at.col("above_m") / at.col("n").clip(lower_bound=1.0)
        for at in axes
    }
    for stage in (counted | total, near, off, about | above, central):
        windows = windows.with_columns(expr.alias(name) for name, expr in stage.items())
    return windows.with_columns(expr.alias(name) for at in axes for name, expr in _in_units(at).items())


def _count(at: Axis, windows: pl.DataFrame) -> pl.Expr:
    return at.col("count") if at.column("count") in windows.columns else pl.col(LENGTH)


def _in_units(at: Axis) -> dict[str, pl.Expr]:
    value = at.grid.value
    return {
        # m is a rounded double, and so is what it stands for.
        at.column("ref"): value(at.col("m").cast(pl.Int64).cast(pl.Float64)),
        at.column("mean"): value(at.col("above_m") / at.col("n").clip(lower_bound=1.0)),
        at.column("m2"): at.grid.square(at.col("central"), at.grid),
        at.column("sum"): value(at.col("total")),
    }


def _co_moments(needs: Needs, axes: Sequence[Axis]) -> list[pl.Expr]:
    """Σ(x − mₓ)(y − mᵧ) in whole numbers, then about the means, as Pébay (2008) has it."""
    named = {at.name: at for at in axes}
    found = []
    for a, b in needs.crossed:
        x, y = named[a], named[b]
        about = pl.col(cross(a, b)) - x.col("m") * y.col("s1") - y.col("m") * x.col("off")
        n = x.col("n").clip(lower_bound=1.0)
        central = about.cast(pl.Float64) - x.col("above_m") * y.col("above_m") / n
        # 0 · M₂ is NaN where something is not finite, else 0.
        undefined = 0.0 * x.col("m2") + 0.0 * y.col("m2")
        constant = (x.col("m2") == 0) | (y.col("m2") == 0)
        value = x.grid.square(central, y.grid)
        found.append((pl.when(constant).then(0.0).otherwise(value) + undefined).alias(cross(a, b)))
    return found


# -- windows that need more than sums -------------------------------------------------------------------


def _unclear(at: Axis) -> pl.Expr:
    """Where digits may be missing."""
    central = at.col("central")
    unclear = at.col("about") > CANCELLED * central
    if not at.exact:
        unclear |= central < TRUSTED_STEPS * TRUSTED_STEPS * at.col("n")
    return unclear & (at.col("n") > 0)


def _with_constants(windows: pl.DataFrame, at: Axis, unclear: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Windows in which all values are the same need no sums; gives also what is unclear still."""
    filled = at.values.forward_fill()
    stretch = (filled != filled.shift(1)).fill_null(value=False).cum_sum()
    constant = unclear & (stretch[windows[FIRST]] == stretch[windows[LAST]])
    value = filled[windows[LAST]]
    told = {
        "ref": pl.lit(value),
        "mean": pl.lit(0.0),
        "m2": pl.lit(0.0),
        "sum": at.col("n") * pl.lit(value),
    }
    return windows.with_columns(
        pl.when(pl.lit(constant)).then(expr).otherwise(at.col(part)).alias(at.column(part))
        for part, expr in told.items()
    ), unclear & ~constant


def _with_special(windows: pl.DataFrame, at: Axis) -> pl.DataFrame:
    """Windows that hold what is not finite have the moments that IEEE 754 gives them."""
    nan, above, below = (at.col(kind) > 0 for kind in SPECIAL)
    mean = pl.when(nan | (above & below)).then(math.nan).when(above).then(math.inf).when(below).then(-math.inf)
    told = {"ref": pl.lit(0.0), "mean": mean, "sum": mean, "m2": pl.lit(math.nan)}
    return windows.with_columns(
        pl.when(nan | above | below).then(expr).otherwise(at.col(part)).alias(at.column(part))
        for part, expr in told.items()
    )
