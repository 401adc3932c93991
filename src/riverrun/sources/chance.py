"""Numbers that look random and follow from (seed, row) alone, for whole columns at a time.

SplitMix64 (Steele, Lea & Flood, 2014) over the row number: row 17 is the same however rows are cut into
frames, and no state is carried.
"""

from __future__ import annotations

import polars as pl

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB

#: Standard deviation of the sum that `bell` hands out: four uniform numbers of 16 bits.
BELL_SD = 65_536 * (4 / 12) ** 0.5


def bits(row: pl.Expr, seed: int, draw: int) -> pl.Expr:
    """64 random bits for each row; `draw` tells independent draws of one row apart.

    >>> pl.select(bits(pl.int_range(3, dtype=pl.UInt64), seed=0, draw=0) % 100).to_series().to_list()
    [90, 98, 43]
    """
    origin = _mixed((seed * _STEP + (draw + 1) * _SECOND) & _MASK)
    mixed = (row + 1) * _word(_STEP) + _word(origin)
    mixed = (mixed ^ _shifted(mixed, 30)) * _word(_FIRST)
    mixed = (mixed ^ _shifted(mixed, 27)) * _word(_SECOND)
    return mixed ^ _shifted(mixed, 31)


def uniform(row: pl.Expr, seed: int, draw: int) -> pl.Expr:
    """Floats from 0 (included) to 1 (not)."""
    return _shifted(bits(row, seed, draw), 11).cast(pl.Float64) * 2.0**-53


def bell(row: pl.Expr, seed: int, draw: int) -> pl.Expr:
    """Bell-shaped integers around 0 with standard deviation `BELL_SD`: exact, so that sums of them are too."""
    drawn = bits(row, seed, draw)
    quarters = [_shifted(drawn, 16 * index) % _word(65_536) for index in range(4)]
    return sum(quarters[1:], quarters[0]).cast(pl.Int64) - 2 * 65_535


def _word(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)


def _shifted(value: pl.Expr, count: int) -> pl.Expr:
    return value // _word(1 << count)


def _mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * _FIRST) & _MASK
    word = ((word ^ (word >> 27)) * _SECOND) & _MASK
    return word ^ (word >> 31)
