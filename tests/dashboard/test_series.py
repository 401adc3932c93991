"""The points of one key: ordered, replaced by instant, bounded. Checked against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from riverrun.dashboard.series import Series

batches = st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(-9, 9)), max_size=12), max_size=12)


def put(series, points):
    series.upsert(
        np.array([at for at, _ in points], np.int64), np.array([[float(v)] for _, v in points]).reshape(-1, 1)
    )


@given(batches)
def test_it_is_a_sorted_dictionary(some):
    series, expected = Series(1, 1_000), {}
    for points in some:
        put(series, points)
        expected.update(points)
    assert series.times.tolist() == sorted(expected)
    assert series.values[:, 0].tolist() == [expected[at] for at in sorted(expected)]


@given(st.integers(1, 400), st.integers(1, 50))
def test_the_oldest_give_way(count, size):
    series = Series(1, 50)
    for start in range(0, count, size):
        put(series, [(at, at) for at in range(start, min(count, start + size))])
    assert len(series) <= 62
    assert series.times.tolist() == list(range(count - len(series), count))
    assert len(series) >= min(count, 50)


def test_shrinking_keeps_the_newest():
    series = Series(1, 100)
    put(series, [(at, at) for at in range(80)])
    series.shrink(10)
    assert series.times.tolist() == list(range(70, 80))
