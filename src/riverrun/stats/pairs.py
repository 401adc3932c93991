"""Two partials that stand in one row, merged row by row: the formulas that several partials share.

Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for computing sample variances") and
Pébay (2008, SAND2008-6212). The merged reference is that of the earlier side, and the distance of the two
means is told from references and means apart, so that no digit is lost by values around 1e9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from riverrun.stats.partials import Side
from riverrun.stats.references import LARGEST


def added(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """The sum, in which null counts as nothing."""
    return a.fill_null(0) + b.fill_null(0)


def no_spread(x: pl.Expr) -> pl.Expr:
    """What a single value adds to central sums: 0, never a negative one, but NaN for what is not finite."""
    return 0.0 * x.abs()


def alone(x: pl.Expr) -> dict[str, pl.Expr]:
    """The reference, the mean and the central sum of single values."""
    fits = x.abs() <= LARGEST
    ref, mean = pl.when(fits).then(x).otherwise(0.0), pl.when(fits).then(0.0).otherwise(x * math.inf)
    return {"ref": ref, "mean": mean, "m2": no_spread(mean)}


@dataclass(frozen=True, slots=True)
class Between:
    """What lies between two groups, as columns that are computed before they are merged.

    Parameters
    ----------
    column : the name of the column of a part.
    earlier, later : the two sides.
    axes : what stands before the names of reference, mean and central sum, for each input.
    """

    column: Callable[[str], str]
    earlier: Side
    later: Side
    axes: tuple[str, ...] = ("",)

    def columns(self) -> dict[str, pl.Expr]:
        """The shares of the two sides, and for each input the distance of the means."""
        before, after = self.a("n").fill_null(0.0), self.b("n").fill_null(0.0)
        several = (before + after).clip(lower_bound=1.0)
        both = (before > 0) & (after > 0)
        found = {"there": before > 0, "weight": before * after / several, "share": after / several}
        for axis in self.axes:
            apart = (self.b(f"{axis}ref") - self.a(f"{axis}ref")) + (
                self.b(f"{axis}mean") - self.a(f"{axis}mean")
            )
            found[f"{axis}distance"] = pl.when(both).then(apart).otherwise(0.0)
        return found

    def a(self, part: str) -> pl.Expr:
        """A part of the earlier side."""
        return self.earlier(self.column(part))

    def b(self, part: str) -> pl.Expr:
        return self.later(self.column(part))

    def at(self, name: str) -> pl.Expr:
        """One of `columns`."""
        return pl.col(self.column(name))

    def moments(self) -> dict[str, pl.Expr]:
        """Merged: the count, and for each input reference, mean and central sum."""
        parts = {"n": added(self.a("n"), self.b("n"))}
        for axis in self.axes:
            ref, mean, m2 = (f"{axis}{part}" for part in ("ref", "mean", "m2"))
            moved = self.a(mean) + self.at(f"{axis}distance") * self.at("share")
            # The distance from infinity is infinite, and would make the mean undefined. A side may be absent.
            finite = self.a(mean).is_finite() & self.b(mean).is_finite()
            moved = (
                pl.when((~finite).fill_null(value=False))
                .then(added(self.a(mean), self.b(mean)))
                .otherwise(moved)
            )
            parts[ref] = pl.when(self.at("there")).then(self.a(ref)).otherwise(self.b(ref))
            parts[mean] = pl.when(self.at("there")).then(moved).otherwise(self.b(mean))
            parts[m2] = added(self.a(m2), self.b(m2)) + self.product(axis, axis)
        return parts

    def product(self, x: str, y: str) -> pl.Expr:
        """What the distances of the means add to a central sum of products."""
        dx, dy = self.at(f"{x}distance"), self.at(f"{y}distance")
        # Of infinite values, and not of squares beyond the largest double.
        infinite = dx.is_infinite() if x == y else dx.is_infinite() | dy.is_infinite()
        return pl.when(infinite).then(math.nan).otherwise(dx * dy * self.at("weight"))
