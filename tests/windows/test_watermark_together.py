"""Rows of many partitions looked at in one go: as if each partition had been looked at by itself."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from riverrun.batch import ROW_WATERMARK
from riverrun.windows.watermark import Stretch, WatermarkTracker

times = st.lists(st.integers(-5, 20), max_size=5)
arrived = st.lists(st.tuples(st.sampled_from("abc"), times, st.booleans()), min_size=1, max_size=6)


@given(st.lists(arrived, min_size=1, max_size=4), st.sampled_from([None, 0, 3]), st.integers(-6, 12))
def test_together_is_one_by_one(rounds, delay_us, floor_us):
    one_by_one, together = WatermarkTracker(delay_us, None), WatermarkTracker(delay_us, None)
    for number, arrivals in enumerate(rounds):
        pieces = [(name, sorted(own) if tidy else own) for name, own, tidy in arrivals]
        marks: list[int | None] = []
        for name, own in pieces:
            found = one_by_one.observe(name, pl.Series(own, dtype=pl.Int64), number)
            marks += [None] * len(own) if found is None else found.to_list()
        stretches = [Stretch(name, len(own), number) for name, own in pieces]
        joined = pl.Series([time for _, own in pieces for time in own], dtype=pl.Int64)
        found = together.observe_all(stretches, joined)
        assert together.partitions == one_by_one.partitions
        assert marks == ([None] * len(marks) if found is None else found.to_list())
        # A batch without a row that is behind has no column, and pays for none.
        assert found is None or (found.name == ROW_WATERMARK and any(mark is not None for mark in marks))
        for tracker in (one_by_one, together):
            tracker.raise_to(floor_us + number)
