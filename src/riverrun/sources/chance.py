"""Numbers that look random and follow from (seed, row) alone, for whole columns at a time.

SplitMix64 (Steele, Lea & Flood, 2014) over the row number: row 17 is the same however rows are cut into
frames, and no state is carried. Columns, not expressions: for the small frames of a paced source, planning
a query would cost more than running it.
"""

from __future__ import annotations

import polars as pl

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB

#: Standard deviation of the sum that `bell` hands out: four uniform numbers of 16 bits.
BELL_SD = 65_536 * (4 / 12) ** 0.5


def bits(row: pl.Series, seed: int, draw: int) -> pl.Series:
    """64 random bits for each row (UInt64); `draw` tells independent draws of one row apart.

    >>> (bits(pl.int_range(3, dtype=pl.UInt64, eager=True), seed=0, draw=0) % 100).to_list()
    [90, 98, 43]
    """
    origin = _mixed((seed * _STEP + (draw + 1) * _SECOND) & _MASK)
    mixed = row * _word(_STEP) + _word((origin + _STEP) & _MASK)
    mixed = (mixed ^ _shifted(mixed, 30)) * _word(_FIRST)
    mixed = (mixed ^ _shifted(mixed, 27)) * _word(_SECOND)
    return mixed ^ _shifted(mixed, 31)


def uniform(row: pl.Series, seed: int, draw: int) -> pl.Series:
    """Floats from 0 (included) to 1 (not)."""
    return _shifted(bits(row, seed, draw), 11).cast(pl.Float64) * 2.0**-53


def bell(row: pl.Series, seed: int, draw: int) -> pl.Series:
    """Bell-shaped integers around 0 with standard deviation `BELL_SD`: exact, so that sums of them are too."""
    drawn = bits(row, seed, draw)
    total = drawn % _word(65_536)
    for index in (1, 2, 3):
        total = total + _shifted(drawn, 16 * index) % _word(65_536)
    return total.cast(pl.Int64) - 2 * 65_535


def _word(value: int) -> pl.Series:
    return pl.Series([value], dtype=pl.UInt64)


def _shifted(value: pl.Series, count: int) -> pl.Series:
    return value // _word(1 << count)


def _mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * _FIRST) & _MASK
    word = ((word ^ (word >> 27)) * _SECOND) & _MASK
    return word ^ (word >> 31)
