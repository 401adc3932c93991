"""Sessions, each rule as a short conversation with a stream."""

from __future__ import annotations

import riverrun as rr
from riverrun.testing import advance_clock, end, play, rows
from tests.transcripts.conversation import counts, feed, told


def says(stream, *steps):
    transcript = play(stream, list(steps))
    return [told(transcript.after(step)) for step in range(len(steps))]


FIVE = rr.session("5s")


def test_less_than_the_gap_joins_and_the_gap_itself_does_not():
    assert says(counts(feed(), FIVE), rows((0, "a", 1), (4, "a", 1), (9, "a", 1)), end()) == [
        [("a", 0, 9, 2)],
        [("a", 9, 14, 1)],
    ]


def test_a_row_between_two_sessions_joins_them():
    stream = counts(feed(delay="10s"), FIVE)
    assert says(stream, rows((0, "a", 1), (8, "a", 1)), rows((4, "a", 1)), end()) == [[], [], [("a", 0, 13, 3)]]


def test_keys_have_their_own_sessions():
    assert says(counts(feed(delay=None), FIVE), rows((0, "a", 1), (3, None, 1), (4, "a", 1)), end())[1] == [
        (None, 3, 8, 1),
        ("a", 0, 9, 2),
    ]


def test_a_late_row_that_touches_an_open_session_counts():
    """At 12 a row of 1 is late for a session of its own, but 4 and 7 are open beside it."""
    stream = counts(feed(delay="2s"), FIVE)
    transcript = play(stream, [rows((4, "a", 1), (7, "a", 1), (12, "b", 1)), rows((1, "a", 1)), end()])
    assert transcript.late.height == 0
    assert told(transcript.results) == [("a", 1, 12, 3), ("b", 12, 17, 1)]


def test_a_row_that_touches_nothing_open_is_late():
    transcript = play(counts(feed(), FIVE), [rows((0, "a", 1), (20, "b", 1)), rows((3, "a", 2)), end()])
    assert told(transcript.late) == [(3, "a", 2.0, 3, 8)]
    assert told(transcript.results) == [("a", 0, 5, 1), ("b", 20, 25, 1)]


def test_lateness_revises_and_may_move_the_bounds():
    stream = counts(feed(), FIVE, lateness="20s")
    assert says(stream, rows((2, "a", 1), (9, "b", 1)), rows((0, "a", 1)), rows((4, "a", 1))) == [
        [("a", 2, 7, 1, 0, True)],
        [("a", 0, 7, 2, 1, True)],
        [("a", 0, 9, 3, 2, True)],
    ]


def test_the_clock_closes_a_session():
    stream = counts(feed(idle="1s"), FIVE)
    assert says(stream, rows((2, "a", 1)), advance_clock("4s"), advance_clock("1s")) == [
        [],
        [],
        [("a", 2, 7, 1)],
    ]


def test_early_results_of_a_growing_session():
    stream = counts(feed(), FIVE, emit="batch")
    assert says(stream, rows((0, "a", 1)), rows((3, "a", 1)), rows((9, "b", 1))) == [
        [("a", 0, 5, 1, 0, False)],
        [("a", 0, 8, 2, 1, False)],
        [("a", 0, 8, 2, 2, True), ("b", 9, 14, 1, 0, False)],
    ]
