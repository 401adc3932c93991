"""However many keys there are, windows hold so many and fold the rest into one; totals stay exact."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

KINDS = {
    "tumbling": rr.tumbling("10s"),
    "session": rr.session("5s"),
    "limited session": rr.session("5s", maximum="12s"),
    "counting": rr.counting(3),
}
EVENTS = st.lists(
    st.builds(
        Event, t=st.integers(0, 40), key=st.sampled_from([*"abcdef", None]), x=st.integers(0, 9).map(float)
    ),
    max_size=40,
)


@pytest.mark.parametrize("kind", KINDS)
@examples(20)
@given(events=EVENTS, cuts=st.lists(st.integers(1, 39), max_size=6), delay=st.sampled_from([0, 60]))
def test_totals_stay_exact(kind, events, cuts, delay):
    stream = feed(delay, limits=rr.Limits(max_keys=2)).group_by("key").window(KINDS[kind])
    transcript = played(stream.agg(n=rr.count(), total=rr.sum("x")), events, cuts)
    results = transcript.results
    late = 0 if not transcript.late.height else transcript.late["row"].n_unique()
    assert results["n"].sum() + late == len(events)
    assert set(transcript.late["key"]) <= {event.key for event in events}
    held = {event.key for event in events}
    if len(held) > 3 and delay == 60 and kind != "tumbling":
        assert results["key"].n_unique() <= 3
        assert "__other__" in results["key"]
        assert results["total"].sum() == sum(event.x for event in events)


def test_numbers_beyond_the_limit_become_null():
    stream = feed(60, limits=rr.Limits(max_keys=1)).with_columns(key=pl.col("row"))
    counted = stream.group_by("key").window(rr.counting(5)).agg(n=rr.count())
    results = played(counted, [Event(t, "a", 1.0) for t in range(3)], []).results
    assert results.select("key", "n").rows() == [(0, 1), (None, 2)]
