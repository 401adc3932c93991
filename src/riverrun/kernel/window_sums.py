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

import polars as pl

from riverrun.kernel.in_order import KEY
from riverrun.kernel.window_axes import SPECIAL, Axis
from riverrun.stats.grid import TRUSTED_STEPS
from riverrun.stats.windowed import FIRST, INDEX, LAST, LENGTH, Needs, cross

#: Σ(x − m)² may be this much larger than M₂, which costs 6 of 53 bits.
CANCELLED = 64.0


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


def window_sums(
    addends: pl.DataFrame, series: pl.DataFrame, places: pl.Series, between: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The sums over the windows that end with some rows, beside their bounds and lengths.

    All is modulo 2¹²⁸, so that running sums may overflow.

    Parameters
    ----------
    series : rows by key and time, with their stretches.
    places : the places of the rows whose windows are wanted.
    between : by the number of a key, sums over rows that are in all its windows, and not in `series`.
    """
    windows = series.select(FIRST, LAST, LENGTH, KEY)[places]
    if addends.width:
        first, last = pl.lit(windows[FIRST]), pl.lit(windows[LAST])
        upto = addends.select(pl.all().cum_sum())
        sums = upto.select(pl.all().gather(last) - pl.all().shift(1, fill_value=0).gather(first))
        windows = windows.hstack(sums)
    if between is None:
        return windows
    at = pl.lit(windows[KEY])
    more = between.select(pl.col(LENGTH, *addends.columns).gather(at))
    return windows.with_columns(windows[name] + more[name] for name in more.columns)


def parts_of(
    needs: Needs, windows: pl.DataFrame, axes: Sequence[Axis], series: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.Series]:
    """The columns of `needs.parts`, made of the sums of windows, and which windows may lack digits.

    With the whole `series` of rows, windows of equal values do not.
    """
    windows = _with_moments(windows, axes)
    doubtful = pl.repeat(value=False, n=windows.height, eager=True)
    for at in axes:
        unclear = windows.select(_unclear(at)).to_series()
        if series is not None and unclear.any():
            values = series.select(needs.axes[at.layout.name].cast(pl.Float64)).to_series()
            windows, unclear = _with_constants(windows, at, values, unclear)
        doubtful |= unclear
        windows = _with_special(windows, at) if at.special else windows
    windows = windows.with_columns(_co_moments(needs, axes))
    return windows.select(expr.alias(name) for name, expr in needs.parts.items()), doubtful


# -- sums to moments ------------------------------------------------------------------------------------


def _with_moments(windows: pl.DataFrame, axes: Sequence[Axis]) -> pl.DataFrame:
    """With the moments of each axis, in steps of its grid: about a whole number m, and then central ones."""
    for stage in (_counted, _near, _off, _about, _central):
        made = {name: expr for at in axes for name, expr in stage(at).items()}
        windows = windows.with_columns(expr.alias(name) for name, expr in made.items())
    return windows


def _count(at: Axis) -> pl.Expr:
    return at.col("count") if at.layout.counted else pl.col(LENGTH)


def _counted(at: Axis) -> dict[str, pl.Expr]:
    return {
        at.column("n"): _count(at).cast(pl.Float64),
        at.column("several"): _count(at).clip(lower_bound=1).cast(pl.Float64),
        at.column("total"): at.col("s1").cast(pl.Float64),
    }


def _near(at: Axis) -> dict[str, pl.Expr]:
    """A double near the mean that is a whole number."""
    return {at.column("near"): (at.col("total") / at.col("several")).round()}


def _off(at: Axis) -> dict[str, pl.Expr]:
    m = at.col("near").cast(pl.Int64).cast(pl.Int128)
    return {at.column("m"): m, at.column("off"): at.col("s1") - m * _count(at).cast(pl.Int128)}


def _about(at: Axis) -> dict[str, pl.Expr]:
    """Still whole numbers, and cast once all is exact."""
    about = at.col("s2") - at.col("m") * (at.col("s1") + at.col("off"))
    return {
        at.column("about"): about.cast(pl.Float64),
        at.column("above"): at.col("off").cast(pl.Int64).cast(pl.Float64),
    }


def _central(at: Axis) -> dict[str, pl.Expr]:
    above = at.col("above") / at.col("several")
    central = at.col("about") - at.col("above") * above
    return {
        at.column("central"): central,
        at.column("ref"): at.grid.value(at.col("near")),
        at.column("mean"): at.grid.value(above),
        at.column("m2"): at.grid.square(central, at.grid),
        at.column("sum"): at.grid.value(at.col("total")),
    }


def _co_moments(needs: Needs, axes: Sequence[Axis]) -> list[pl.Expr]:
    """Σ(x − mₓ)(y − mᵧ) in whole numbers, then about the means, as Pébay (2008) has it."""
    named = {at.layout.name: at for at in axes}
    found = []
    for a, b in sorted(needs.crossed):
        x, y = named[a], named[b]
        about = pl.col(cross(a, b)) - x.col("m") * y.col("s1") - y.col("m") * x.col("off")
        central = about.cast(pl.Float64) - x.col("above") * y.col("above") / x.col("several")
        # Not by whether M₂ is infinite or 0, which it is of large and of small values, too.
        undefined = x.col("m2").is_nan() | y.col("m2").is_nan()
        constant = (x.col("central") == 0) | (y.col("central") == 0)
        value = pl.when(constant).then(0.0).otherwise(x.grid.square(central, y.grid))
        found.append(pl.when(undefined).then(math.nan).otherwise(value).alias(cross(a, b)))
    return found


# -- windows that need more than sums -------------------------------------------------------------------


def _unclear(at: Axis) -> pl.Expr:
    """Where digits may be missing."""
    central = at.col("central")
    unclear = at.col("about") > CANCELLED * central
    if not at.layout.exact:
        unclear |= central < TRUSTED_STEPS * TRUSTED_STEPS * at.col("n")
    unclear &= at.col("n") > 0
    return unclear & ~_is_special(at) if at.special else unclear


def _is_special(at: Axis) -> pl.Expr:
    return pl.any_horizontal(at.col(kind) > 0 for kind in SPECIAL)


def _with_constants(
    windows: pl.DataFrame, at: Axis, values: pl.Series, unclear: pl.Series
) -> tuple[pl.DataFrame, pl.Series]:
    """Windows in which all values are the same need no sums; gives also what is unclear still."""
    filled = values.forward_fill()
    stretch = (filled != filled.shift(1)).fill_null(value=False).cum_sum()
    constant = unclear & (stretch[windows[FIRST]] == stretch[windows[LAST]])
    value = filled[windows[LAST]]
    zero = pl.lit(0.0)
    told = {"ref": pl.lit(value), "mean": zero, "m2": zero, "sum": at.col("n") * pl.lit(value)}
    windows = windows.with_columns(
        pl.when(pl.lit(constant)).then(expr).otherwise(at.col(part)).alias(at.column(part))
        for part, expr in told.items()
    )
    return windows, unclear & ~constant


def _with_special(windows: pl.DataFrame, at: Axis) -> pl.DataFrame:
    """Windows that hold what is not finite have the moments that IEEE 754 gives them."""
    nan, above, below = (at.col(kind) > 0 for kind in SPECIAL)
    mean = pl.when(nan | (above & below)).then(math.nan).when(above).then(math.inf).when(below).then(-math.inf)
    told = {"ref": pl.lit(0.0), "mean": mean, "sum": mean, "m2": pl.lit(math.nan)}
    return windows.with_columns(
        pl.when(_is_special(at)).then(expr).otherwise(at.col(part)).alias(at.column(part))
        for part, expr in told.items()
    )
