"""References: values near the data that are subtracted before anything is summed, for precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

#: References have so few binary digits that they can mostly be subtracted without rounding.
REFERENCE_BITS = 26


#: Numbers beyond (2⁹⁹⁷, about 1.3e300) count as infinite where they are added up: whether their sums leave the
#: range of doubles on the way, to come back or not, depends on the order of rows and on the cut into batches.
LARGEST = math.ldexp(1.0, 997)


@dataclass(frozen=True, slots=True)
class References:
    """What is subtracted from each shifted input before it is summed.

    `values` are common to all groups and chosen once; `by_group` says that the data turned out to be so
    far from them, in some group, that each batch subtracts its own group means instead.
    """

    values: Mapping[str, float]
    by_group: bool = False


NO_REFERENCES = References({})


def rounded(value: float, bits: int) -> float:
    """The nearest double with so few binary digits.

    >>> rounded(1000.7, 10), rounded(-0.3, 2)
    (1001.0, -0.25)
    """
    fraction, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(fraction, bits)), exponent - bits)


def are_too_large(values: pl.Series) -> bool:
    """Whether some of the numbers are beyond `LARGEST`, or infinite.

    >>> are_too_large(pl.Series([1.0, None, -1e301])), are_too_large(pl.Series([1e300, float("nan")]))
    (True, False)
    """
    if not values.dtype.is_float():
        return False
    low, high = values.min(), values.max()
    return isinstance(low, float) and isinstance(high, float) and (low < -LARGEST or high > LARGEST)


def bounded(x: pl.Expr) -> pl.Expr:
    """Numbers beyond `LARGEST` as infinite ones."""
    return pl.when(x.abs() <= LARGEST).then(x).otherwise(x * math.inf)


def is_rounded(x: pl.Series, r: float) -> pl.Series:
    """Where x − r is not exact, by the error term of Knuth's TwoSum; false where it is null or not finite.

    >>> is_rounded(pl.Series([1.5, 1e-20, None]), 1.0).to_list()
    [False, True, False]
    """
    d = x - r
    there = d - x
    error = (x - (d - there)) - (there + r)
    return ((error != 0) & error.is_finite()).fill_null(value=False)
