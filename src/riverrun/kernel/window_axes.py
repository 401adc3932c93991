"""Doubles of rows as whole numbers, laid out in a way that holds for many batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.stats.grid import Grid
from riverrun.stats.references import are_too_large, bounded
from riverrun.stats.windowed import Needs, axis, cross, tally

#: What a double may be that is not finite, as parts of an axis.
SPECIAL = ("nan", "inf", "minus_inf")
#: A layout has room for windows of so many times the rows that the longest has.
ROOM = 4


@dataclass(frozen=True, slots=True)
class AxisLayout:
    """How an axis stands on its grid.

    Parameters
    ----------
    exponent : of the grid.
    low, high : no finite value is outside.
    exact : no value had to be rounded.
    counted : values are counted, since some are null.
    special : what is not finite is tallied.
    """

    name: str
    exponent: int
    low: float
    high: float
    exact: bool = True
    counted: bool = False
    special: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How all axes stand. Sums of rows in one layout may be added.

    Parameters
    ----------
    longest : no window has more rows.
    incomplete : the columns of inputs that hold nulls.
    """

    axes: tuple[AxisLayout, ...]
    longest: int
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of some rows.

    Parameters
    ----------
    steps : the whole number that each value stands for; 0 where there is none, or none that is finite.
    there : which values are not null.
    special : for each of `SPECIAL`, which values are such.
    """

    layout: AxisLayout
    steps: pl.Series
    there: pl.Series
    special: Sequence[pl.Series]

    @property
    def grid(self) -> Grid:
        return Grid(self.layout.exponent)

    def column(self, part: str) -> str:
        return axis(self.layout.name, part)

    def col(self, part: str) -> pl.Expr:
        return pl.col(self.column(part))


def laid_out(
    needs: Needs, rows: pl.DataFrame, longest: int, incomplete: tuple[str, ...], known: Layout | None = None
) -> tuple[Layout, list[Axis]] | None:
    """The axes of some rows, and how they stand: as `known` if they fit (else ``None``), or as suits best."""
    if known is None:
        known = Layout((), ROOM * longest, incomplete)
        before: Sequence[AxisLayout | None] = [None] * len(needs.axes)
    elif longest > known.longest or incomplete != known.incomplete:
        return None
    else:
        before = known.axes
    axes = []
    for (name, expr), old in zip(needs.axes.items(), before, strict=True):
        values = rows.select(expr.cast(pl.Float64).alias(name)).to_series()
        made = _axis(values, known.longest, old)
        if made is None:
            return None
        axes.append(made)
    return replace(known, axes=tuple(at.layout for at in axes)), axes


def _axis(values: pl.Series, longest: int, old: AxisLayout | None) -> Axis | None:
    there = values.is_not_null()
    if are_too_large(values):
        values = pl.select(bounded(pl.lit(values))).to_series().alias(values.name)
    finite = bool(values.is_finite().all())
    layout = AxisLayout(values.name, 0, math.inf, -math.inf, counted=not there.all(), special=not finite)
    special = (
        [values.is_nan(), values == math.inf, values == -math.inf]
        if not finite or (old and old.special)
        else []
    )
    if not finite:
        values = pl.select(pl.when(values.is_finite()).then(values)).to_series()
    low, high = values.min(), values.max()
    if isinstance(low, float) and isinstance(high, float):
        layout = replace(layout, low=low, high=high)
    if old is not None:
        if layout.counted > old.counted or layout.special > old.special:
            return None
        layout = replace(old, low=min(layout.low, old.low), high=max(layout.high, old.high))
    finest = Grid.fitting(layout.low, layout.high, longest) if layout.low <= layout.high else Grid(0)
    if old is None:
        layout = replace(layout, exponent=finest.exponent)
    elif finest.exponent < old.exponent:
        return None
    grid = Grid(layout.exponent)
    rounded = (values * grid.scale).round()
    # Told on the way back, since scaling alone turns what is very small beside the others into 0.
    exact = layout.exact and bool((grid.value(rounded) == values).all())
    steps = rounded.cast(pl.Int64).fill_null(0).cast(pl.Int128)
    return Axis(replace(layout, exact=exact), steps, there, special)


def addends(needs: Needs, rows: pl.DataFrame, axes: Sequence[Axis]) -> pl.DataFrame:
    """Whole numbers of every row, whose sums over windows are wanted."""
    found = [
        rows.select(expr.cast(pl.Int128).alias(tally(name))).to_series() for name, expr in needs.tallies.items()
    ]
    for at in axes:
        found += [at.steps.alias(at.column("s1")), (at.steps * at.steps).alias(at.column("s2"))]
        if at.layout.counted:
            found.append(at.there.cast(pl.Int64).alias(at.column("count")))
        names = [at.column(kind) for kind in SPECIAL]
        found += [
            kind.fill_null(value=False).cast(pl.Int64).alias(name)
            for kind, name in zip(at.special, names, strict=False)
        ]
    steps = {at.layout.name: at.steps for at in axes}
    return pl.DataFrame(found + [(steps[x] * steps[y]).alias(cross(x, y)) for x, y in sorted(needs.crossed)])
