"""Doubles as whole numbers on a common grid, whose sums are exact however many are added and taken away.

A value x stands for the whole number nearest to x · 2ᵏ. Whole numbers of 128 bits wrap around when they
overflow, which is arithmetic modulo 2¹²⁸: a difference of two running sums is right whenever it fits itself,
whatever the running sums have been through. So a sum over a window is one subtraction, and an outlier that has
left it is gone to the last bit. (Kulisch, 2013, "Computer arithmetic and validity", adds doubles in fixed point
for the same reason.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

#: |x| · 2ᵏ stays below two to this power, so that it is an Int64.
WHOLE_BITS = 62
#: The squares of a window about its mean add up to less than two to this power, so that they are an Int128.
SQUARES_BITS = 126
#: More is never needed, and 2ᵏ has to be a double.
LARGEST_EXPONENT = 1_000

#: What is rounded to the grid is trusted where the deviation in a window is so many steps of the grid, or more:
#: rounding each value by half a step moves a variance by less than 1 / TRUSTED_STEPS, 3e-14.
TRUSTED_STEPS = 2.0**45

Numbers = TypeVar("Numbers", pl.Expr, pl.Series)


@dataclass(frozen=True, slots=True)
class Grid:
    """x stands for the whole number nearest to x · 2^exponent."""

    exponent: int

    @staticmethod
    def fitting(low: float, high: float, longest: int) -> Grid:
        """The finest grid for finite values of which at most `longest` are in a window.

        The squares about the mean add up to at most n · ((high − low)/2)² (Popoviciu, 1935).
        """
        largest = max(abs(low), abs(high))
        if largest == 0.0:
            return Grid(0)
        half = high / 2 - low / 2
        exponent = min(WHOLE_BITS - _bits(largest), LARGEST_EXPONENT)
        if half > 0.0:
            exponent = min(exponent, (SQUARES_BITS - longest.bit_length()) // 2 - _bits(half))
        return Grid(exponent)

    @property
    def scale(self) -> float:
        """How many steps 1 is."""
        return 2.0**self.exponent

    def value(self, steps: Numbers) -> Numbers:
        """What so many steps are."""
        return steps * (1.0 / self.scale)

    def square(self, steps: pl.Expr, other: Grid) -> pl.Expr:
        """What so many products of steps of two grids are."""
        # In two halves: the scale of one grid alone may leave the range of doubles, and both together be 1.
        both = -(self.exponent + other.exponent)
        return steps * 2.0 ** (both // 2) * 2.0 ** (both - both // 2)


def _bits(value: float) -> int:
    """The power of two that is above a value."""
    return math.frexp(value)[1]
