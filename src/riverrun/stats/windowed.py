"""What trailing windows need of a partial, so that it can be told by sums of whole numbers.

A partial that says what it needs (`WidePartial.windowed`) is not merged row by row: all windows of a batch are
told at once by `riverrun.kernel.window_sums`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

#: The prefix is that of `riverrun.stats.partials`.
_PREFIX = "__p_window_"
#: The places of rows in the order of keys and times: on it Polars rolls over all keys at once.
INDEX = f"{_PREFIX}index"
#: The places of the first and of the last row of a window, and how many rows it has.
FIRST, LAST, LENGTH = f"{_PREFIX}first", f"{_PREFIX}last", f"{_PREFIX}length"


@dataclass(frozen=True, slots=True)
class Needs:
    """What one or several partials need.

    Parameters
    ----------
    tallies : whole numbers of every row, to be added up.
    axes : doubles of every row, null where they do not count: their moments are wanted.
    crossed : pairs of axes, null in the same rows, whose co-moment is wanted.
    picked : values of the window that ends with each row, over all rows in their order.
    parts : the columns of the partials, made of `tally`, `axis`, `cross`, `picked` and `LENGTH`.
    """

    tallies: Mapping[str, pl.Expr] = field(default_factory=dict)
    axes: Mapping[str, pl.Expr] = field(default_factory=dict)
    crossed: frozenset[tuple[str, str]] = frozenset()
    picked: Mapping[str, pl.Expr] = field(default_factory=dict)
    parts: Mapping[str, pl.Expr] = field(default_factory=dict)

    def also(self, other: Needs) -> Needs:
        """Both; what has the same name is the same."""
        return Needs(
            {**self.tallies, **other.tallies},
            {**self.axes, **other.axes},
            self.crossed | other.crossed,
            {**self.picked, **other.picked},
            {**self.parts, **other.parts},
        )


def tally(name: str) -> str:
    """The column of the sum of a tally."""
    return f"{_PREFIX}tally_{name}"


def axis(name: str, part: str) -> str:
    """The column of a moment of an axis: ``n``, ``ref``, ``mean``, ``m2`` or ``sum``."""
    return f"{_PREFIX}{part}_{name}"


def moments(name: str, before: str = "") -> dict[str, pl.Expr]:
    """Reference, mean of what is above it, and central sum of an axis, by what partials call them."""
    return {f"{before}{part}": pl.col(axis(name, part)) for part in ("ref", "mean", "m2")}


def cross(x: str, y: str) -> str:
    """The column of the co-moment of two axes."""
    return f"{_PREFIX}cross_{len(x)}_{x}_{y}"


def picked(name: str) -> str:
    """The column of a value that was picked."""
    return f"{_PREFIX}picked_{name}"
