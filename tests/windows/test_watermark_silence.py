"""A partition is silent only when nothing has arrived, not when we have been busy."""

from __future__ import annotations

import polars as pl

from riverrun.windows.watermark import WatermarkTracker

S = 1_000_000


def tracker() -> WatermarkTracker:
    made = WatermarkTracker(delay_us=0, idle_us=2 * S)
    made.observe("a", pl.Series([10 * S]), 0)
    made.observe("b", pl.Series([5 * S]), 0)
    return made


def test_a_silent_partition_is_left_out():
    made = tracker()
    made.observe("a", pl.Series([20 * S]), 3 * S)
    assert made.advance(3 * S) == 20 * S


def test_rows_that_wait_to_be_looked_at_are_no_silence():
    made = tracker()
    # Both have sent at second 3, and were received in one go; those of "a" are looked at first.
    made.arrives("a", 3 * S)
    made.arrives("b", 3 * S)
    made.observe("a", pl.Series([20 * S]), 3 * S)
    assert made.advance(3 * S) == 5 * S


def test_being_busy_is_no_silence_and_decides_no_row():
    made = tracker()
    made.heard("a", 3 * S)
    made.heard("b", 3 * S)
    assert made.by_silence(3 * S) == 5 * S
    # What is decided when rows are looked at follows from the rows before them alone.
    made.observe("a", pl.Series([20 * S]), 3 * S)
    assert made.advance(3 * S) == 20 * S


def test_hearing_of_an_unknown_partition_changes_nothing():
    made = tracker()
    made.heard("c", 3 * S)
    assert set(made.partitions) == {"a", "b"}
