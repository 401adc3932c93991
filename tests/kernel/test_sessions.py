"""Session windows agree with a row-by-row engine, on any input and however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from tests.kernel.streams import examples, feed, late_of, played, results_of, seconds
from tests.reference import Event, Sessions

X = st.one_of(st.none(), st.floats(-1e6, 1e6))
EVENTS = st.lists(
    st.builds(Event, t=st.integers(-10, 50), key=st.sampled_from(["a", "b", None]), x=X), max_size=40
)
TWO_PARTITIONS = st.lists(
    st.builds(
        Event,
        t=st.integers(-10, 50),
        key=st.sampled_from(["a", "b"]),
        x=st.just(1.0),
        partition=st.sampled_from(["p", "q"]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)
DELAYS = st.sampled_from([0, 2, 15, None])


def stream_of(gap, delay, lateness, *, keyed=True):
    keys = ["key"] if keyed else []
    return (
        feed(delay)
        .group_by(*keys)
        .window(rr.session(seconds(gap)), lateness=seconds(lateness))
        .agg(rows=rr.collect("row"), n=rr.count(), s=rr.sum("x"))
    )


def by_key(results):
    """Only keys are apart here: how rows are cut decides the order of results of different keys."""
    return sorted(results, key=lambda result: str(result.key))


@examples(100)
@given(EVENTS, st.sampled_from([3, 5, 10]), CUTS, DELAYS, st.sampled_from([0, 0, 4, 25]), st.booleans())
def test_agrees_with_the_row_by_row_engine(events, gap, cuts, delay, lateness, keyed):
    if not keyed:
        events = [Event(e.t, None, e.x) for e in events]
    expected = Sessions(gap, delay, lateness).run(events)
    transcript = played(stream_of(gap, delay, lateness, keyed=keyed), events, cuts)
    assert by_key(results_of(transcript)) == by_key(expected.results)
    if lateness == 0:
        assert results_of(transcript) == expected.results
    assert late_of(transcript) == expected.late
    assert all(n == len(held) for n, held in transcript.results.select("n", "rows").iter_rows())


def last_of_each_row(results):
    return {row: (r.key, r.start, r.end, r.rows) for r in results for row in r.rows}


@examples(30)
@given(TWO_PARTITIONS, st.sampled_from([3, 10]), CUTS, st.sampled_from([0, 5]))
def test_agrees_with_two_partitions(events, gap, cuts, lateness):
    """With a delay that covers the disorder within each partition.

    A row behind the watermark of its own partition may find a session open or closed, according to how far
    the other partition has come: there results depend on how partitions take turns.
    """
    partitions = sorted({event.partition for event in events})
    expected = Sessions(gap, 60, lateness, partitions).run(events)
    transcript = played(stream_of(gap, 60, lateness), events, cuts)
    assert last_of_each_row(results_of(transcript)) == last_of_each_row(expected.results)
    assert late_of(transcript) == expected.late


def test_a_session_that_no_row_can_revise_any_more_takes_none():
    """Found by thinking: it was forgotten only when the next session closed, which depends on the cut."""
    events = [Event(t, "a", 1.0) for t in (0, 11, 16, 9)]
    for cuts in ([], [1, 2, 3], [2], [3]):
        transcript = played(stream_of(5, 0, 4), events, cuts)
        assert late_of(transcript) == Sessions(5, 0, 4).run(events).late
        assert by_key(results_of(transcript)) == by_key(Sessions(5, 0, 4).run(events).results)
