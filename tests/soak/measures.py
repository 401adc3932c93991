"""What is read off a long run: does something grow, and is the end as good as the beginning?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median

#: A value and when it was measured, in seconds.
Point = tuple[float, float]


def slope(points: Sequence[Point]) -> float:
    """How much a value grows per second: the median over all pairs of points.

    Up to 29 % of the points may be anything without moving it far (Theil 1950, Sen 1968), so a few peaks do
    not look like growth, which they do to least squares.
    """
    pairs = combinations(points, 2)
    return median((value - before) / (at - earlier) for (earlier, before), (at, value) in pairs if at > earlier)


def thinned(points: Sequence[Point], most: int = 600) -> list[Point]:
    """Every so many of the points, so that there are no more than `most`: there are a lot of pairs."""
    return list(points[:: -(-len(points) // most) or 1])


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def thirds(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """The values of the first and of the last third of the time."""
    first, last = min(at for at, _ in points), max(at for at, _ in points)
    third = (last - first) / 3
    return (
        [value for at, value in points if at <= first + third],
        [value for at, value in points if at >= last - third],
    )
