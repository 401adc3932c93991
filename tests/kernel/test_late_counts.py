"""A row that is too late is counted once, at its step and at the source that it came from."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.batch import PARTITION_ROWS, SOURCE_PARTITIONS, sources_of_rows
from riverrun.testing import Script, end, play, rows
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

SOURCES = ("a", "b")
WINDOWS = {
    "hopping": rr.hopping("6s", every="2s"),
    "session": rr.session("3s"),
    "counting": rr.counting(2),
}


def of(name: str, delay: int) -> rr.Stream:
    schema = {"t": rr.Timestamp("s"), "name": pl.String, "place": pl.Int64}
    url = f"tcp://localhost:{1 + SOURCES.index(name)}"
    return rr.read(url, format="csv", schema=schema, time="t", delay=f"{delay}s", name=name)


@pytest.mark.parametrize("kind", WINDOWS)
@examples(50)
@given(
    events=st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, 25)), max_size=30),
    delays=st.tuples(st.sampled_from([0, 4]), st.sampled_from([0, 4])),
)
def test_late_rows_behind_a_union_are_charged_to_their_source(kind, events, delays):
    both = [of(name, delay) for name, delay in zip(SOURCES, delays, strict=True)]
    stream = both[0].union(both[1]).group_by("name").window(WINDOWS[kind]).agg(rows=rr.collect("place"))
    script = [rows((t, name, place), source=name) for place, (name, t) in enumerate(events)]
    transcript = play(stream, Script([*script, end()]))
    counted = {place for held in transcript.results["rows"] for place in held}
    for name in SOURCES:
        own = {place for place, (source, _) in enumerate(events) if source == name}
        assert transcript.counts_of(name).late == len(own - counted)
        assert transcript.counts_of(name).applied == len(own & counted)
    late = transcript.late
    assert sum(step.late for step in transcript.moments[-1].steps) == late["place"].n_unique()


def test_a_row_too_late_for_two_windows_counts_once():
    stream = feed(0).group_by("key").window(rr.hopping("10s", every="5s")).agg(n=rr.count())
    transcript = played(stream, [Event(t, "a", 1.0) for t in (1, 100, 2)], [])
    assert transcript.late["row"].to_list() == [2, 2]
    assert sum(step.late for step in transcript.moments[-1].steps) == transcript.counts.late == 1


def test_rows_that_steps_made_are_of_no_source():
    """A union marks them with negative places."""
    second = PARTITION_ROWS * SOURCE_PARTITIONS
    assert sources_of_rows(pl.Series([-5, 3, second + 7])).to_list() == [0, 1]
