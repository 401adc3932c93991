"""The column-wise generator against SplitMix64 written out row by row."""

from __future__ import annotations

import polars as pl

from riverrun.sources.chance import BELL_SD, bell, bits, uniform

MASK = (1 << 64) - 1


def mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


ROWS = pl.int_range(100_000, dtype=pl.UInt64, eager=True)


def test_against_the_plain_version():
    origin = mixed((7 * 0x9E3779B97F4A7C15 + 3 * 0x94D049BB133111EB) & MASK)
    plain = [mixed((origin + (row + 1) * 0x9E3779B97F4A7C15) & MASK) for row in range(1_000)]
    assert bits(ROWS[:1_000], seed=7, draw=2).to_list() == plain


def test_uniform_numbers_fill_their_range():
    values = uniform(ROWS, seed=1, draw=0)
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 0.005
    assert values.hist(bin_count=10)["count"].min() > 9_500


def test_bell_shaped_numbers():
    values = bell(ROWS, seed=1, draw=0)
    assert values.dtype == pl.Int64
    assert abs(values.mean()) < BELL_SD * 0.01
    assert abs(values.std() / BELL_SD - 1) < 0.01


def test_draws_and_seeds_are_independent():
    frame = pl.DataFrame({"a": uniform(ROWS, 1, 0), "b": uniform(ROWS, 1, 1), "c": uniform(ROWS, 2, 0)})
    assert abs(frame.select(pl.corr("a", "b")).item()) < 0.01
    assert abs(frame.select(pl.corr("a", "c")).item()) < 0.01
