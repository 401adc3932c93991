"""Counting windows and sessions of limited length agree with a row-by-row engine, however input is cut."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.streams import examples, feed, late_of, played, results_of, seconds
from tests.reference import BoundedSessions, Counting, Event

X = st.one_of(st.none(), st.floats(-1e6, 1e6))
EVENTS = st.lists(
    st.builds(Event, t=st.integers(-30, 60), key=st.sampled_from(["a", "b", None]), x=X), max_size=40
)
TWO_PARTITIONS = st.lists(
    st.builds(
        Event,
        t=st.integers(-30, 60),
        key=st.sampled_from(["a", "b"]),
        x=st.just(1.0),
        partition=st.sampled_from(["p", "q"]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)
SIZES = st.sampled_from([(1, 1), (3, 3), (4, 2), (5, 3), (6, 1), (100, 7)])
SESSIONS = st.sampled_from([(3, 3), (5, 8), (10, 20), (4, 100)])
DELAYS = st.sampled_from([0, 2, 15, None])


def aggregated(window, delay, keyed=True):
    grouped = feed(delay).group_by(*(["key"] if keyed else []))
    return grouped.window(window).agg(rows=rr.collect("row"), n=rr.count(), s=rr.sum("x"))


def agrees(expected, transcript):
    assert results_of(transcript) == expected.results
    assert transcript.late["row"].to_list() == expected.late
    assert all(n == len(items) for n, items in transcript.results.select("n", "rows").iter_rows())


def without_keys(events):
    return [replace(event, key=None) for event in events]


@examples(80)
@given(EVENTS, SIZES, CUTS, DELAYS, st.booleans())
def test_counting_agrees(events, sizes, cuts, delay, keyed):
    events = events if keyed else without_keys(events)
    expected = Counting(delay, size=sizes[0], every=sizes[1]).run(events)
    agrees(expected, played(aggregated(rr.counting(*sizes), delay, keyed), events, cuts))


@examples(40)
@given(TWO_PARTITIONS, SIZES, CUTS, st.sampled_from([0, 3]))
def test_counting_agrees_with_two_partitions(events, sizes, cuts, delay):
    partitions = sorted({event.partition for event in events})
    expected = Counting(delay, partitions, size=sizes[0], every=sizes[1]).run(events)
    agrees(expected, played(aggregated(rr.counting(*sizes), delay), events, cuts))


def bounded(sizes):
    return rr.session(seconds(sizes[0]), maximum=seconds(sizes[1]))


@examples(80)
@given(EVENTS, SESSIONS, CUTS, DELAYS, st.booleans())
def test_bounded_sessions_agree(events, sizes, cuts, delay, keyed):
    events = events if keyed else without_keys(events)
    expected = BoundedSessions(delay, gap=sizes[0], maximum=sizes[1]).run(events)
    agrees(expected, played(aggregated(bounded(sizes), delay, keyed), events, cuts))


@examples(40)
@given(TWO_PARTITIONS, SESSIONS, CUTS, st.sampled_from([0, 3]))
def test_bounded_sessions_agree_with_two_partitions(events, sizes, cuts, delay):
    partitions = sorted({event.partition for event in events})
    expected = BoundedSessions(delay, partitions, gap=sizes[0], maximum=sizes[1]).run(events)
    agrees(expected, played(aggregated(bounded(sizes), delay), events, cuts))


@examples(40)
@given(EVENTS, st.sampled_from([3, 10]), CUTS)
def test_a_maximum_that_is_never_reached_changes_nothing(events, gap, cuts):
    """As long as no row is late."""
    plain = played(aggregated(rr.session(seconds(gap)), None), events, cuts)
    limited = played(aggregated(rr.session(seconds(gap), maximum="1d"), None), events, cuts)
    assert limited.results.equals(plain.results)


def test_a_counting_window_comes_out_when_its_last_row_is_final():
    stream = aggregated(rr.counting(2), 0)
    transcript = play(stream, [rows((2, "a", 1.0, 0), (4, "a", 4.0, 1)), rows((12, "a", 2.0, 2)), end()])
    assert [transcript.after(step)["rows"].to_list() for step in range(3)] == [[], [[0, 1]], [[2]]]
    bounds = transcript.results.select(pl.col("window_start", "window_end").to_physical()).rows()
    assert bounds == [(2_000_000, 4_000_001), (12_000_000, 12_000_001)]


def test_a_late_row_is_not_counted():
    transcript = play(aggregated(rr.counting(2), 0), [rows((9, "a", 1.0, 0)), rows((4, "a", 4.0, 1)), end()])
    assert transcript.results["rows"].to_list() == [[0]]
    assert late_of(transcript)[0].row == 1
    assert transcript.counts.late == 1


def test_results_can_be_aggregated_again():
    """Their event time is that of their last row, which the watermark has passed when they come out."""
    stream = (
        aggregated(rr.counting(2), 0).group_by().window(rr.tumbling("10s")).agg(n=rr.count(), s=rr.sum("n"))
    )
    times = [1, 2, 8, 9, 12, 13, 30]
    transcript = play(stream, [rows(*((t, "a", 1.0, t) for t in times)), end()])
    assert transcript.results.select("n", "s").rows() == [(2, 4), (1, 2), (1, 1)]
