"""Cleaning steps, each rule as a short conversation with a stream."""

from __future__ import annotations

import riverrun as rr
from riverrun.testing import advance_clock, end, play, rows, watermark
from tests.transcripts.conversation import feed, told


def says(stream, *steps):
    transcript = play(stream, list(steps))
    return [told(transcript.after(step)) for step in range(len(steps))]


# -- unique ------------------------------------------------------------------------------------------


def test_a_row_that_comes_again_is_dropped_and_counted():
    transcript = play(
        feed().unique("key", within="5s"),
        [rows((0, "a", 1), (0, "a", 1)), rows((3, "b", 1), (5, "a", 2)), end()],
    )
    assert told(transcript.results) == [(0, "a", 1.0), (3, "b", 1.0)]
    assert (transcript.counts.applied, transcript.counts.duplicate) == (2, 2)


def test_only_rows_that_passed_have_repetitions():
    """5 repeats 0 and is dropped, so that 6, which is near to 5, passes."""
    stream = feed().unique("key", within="5s")
    assert says(stream, rows((0, "a", 1)), rows((5, "a", 2)), rows((6, "a", 3)), end()) == [
        [(0, "a", 1.0)],
        [],
        [(6, "a", 3.0)],
        [],
    ]


def test_a_repetition_may_come_out_of_order():
    stream = feed(delay="10s").unique("key", within="2s")
    assert says(stream, rows((20, "a", 1)), rows((18, "a", 2)), rows((17, "a", 3)), rows((15, "a", 4))) == [
        [(20, "a", 1.0)],
        [],
        [(17, "a", 3.0)],
        [],
    ]


def test_a_row_too_far_behind_to_be_compared_is_late():
    """At 20 a row of 15 can still be compared with all that it might repeat, a row of 14 cannot."""
    transcript = play(
        feed().unique("key", within="5s"),
        [rows((20, "a", 1)), rows((15, "b", 2), (14, "b", 3), (15, "a", 4)), end()],
    )
    assert told(transcript.results) == [(20, "a", 1.0), (15, "b", 2.0)]
    assert told(transcript.late) == [(14, "b", 3.0)]
    assert (transcript.counts.applied, transcript.counts.late, transcript.counts.duplicate) == (2, 1, 1)


def test_a_feed_that_is_received_twice():
    """Two connections send the same; what comes first passes, wherever it comes from."""
    steps = [
        rows((1, "a", 1), partition="p"),
        rows((1, "a", 1), (2, "b", 1), partition="q"),
        rows((2, "b", 1), (3, "c", 1), partition="p"),
        end(),
    ]
    assert says(feed().unique("key", within="1m"), *steps) == [
        [(1, "a", 1.0)],
        [(2, "b", 1.0)],
        [(3, "c", 1.0)],
        [],
    ]


def test_a_window_behind_does_not_see_repetitions():
    stream = feed().unique("key", within="1m").group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    assert says(stream, rows((1, "a", 1), (1, "a", 1), (2, "b", 1)), watermark(10)) == [[], [(0, 10, 2)]]


# -- forward_fill ------------------------------------------------------------------------------------


def test_a_null_takes_the_last_value_of_its_key():
    stream = feed().forward_fill("x", by="key")
    assert says(
        stream, rows((0, "a", 1), (1, "b", None)), rows((2, "a", None), (3, "b", 5), (4, "b", None))
    ) == [
        [(0, "a", 1.0), (1, "b", None)],
        [(2, "a", 1.0), (3, "b", 5.0), (4, "b", 5.0)],
    ]


def test_old_values_are_not_carried():
    stream = feed().forward_fill("x", by="key", max_age="5s")
    assert says(stream, rows((0, "a", 1)), rows((5, "a", None)), rows((6, "a", None))) == [
        [(0, "a", 1.0)],
        [(5, "a", 1.0)],
        [(6, "a", None)],
    ]


def test_the_order_of_arrival_counts():
    stream = feed(delay="10s").forward_fill("x", by="key")
    assert says(stream, rows((9, "a", 9)), rows((3, "a", None), (2, "a", 2)), rows((10, "a", None))) == [
        [(9, "a", 9.0)],
        [(3, "a", 9.0), (2, "a", 2.0)],
        [(10, "a", 2.0)],
    ]


def test_filled_values_do_not_show_in_rows():
    transcript = play(feed().forward_fill("x"), [rows((0, "a", 1), (1, "a", None)), end()])
    assert transcript.results.columns == ["t", "key", "x"]


# -- resample ----------------------------------------------------------------------------------------


def test_an_instant_comes_out_when_the_watermark_is_past_it():
    stream = feed().resample("10s", by="key", max_gap="30s")
    assert says(stream, rows((3, "a", 1)), rows((10, "b", 2)), rows((11, "a", 3)), end()) == [
        [],
        [],
        [(10, "a", 1.0), (10, "b", 2.0)],
        [(20, "a", 3.0), (20, "b", 2.0)],
    ]


def test_a_silent_key_leaves_the_grid_and_comes_back():
    stream = feed().resample("10s", by="key", max_gap="20s")
    steps = [rows((0, "a", 1)), watermark(45), rows((50, "a", 2)), end()]
    assert says(stream, *steps) == [[], [(0, "a", 1.0), (10, "a", 1.0), (20, "a", 1.0)], [], [(50, "a", 2.0)]]


def test_gaps_may_be_left_empty():
    stream = feed().resample("10s", by="key", fill="null", max_gap="30s")
    assert says(stream, rows((0, "a", 1), (25, "a", 2)), end())[1] == [(30, "a", 2.0)]
    assert says(stream, rows((0, "a", 1), (31, "a", 2)))[0] == [
        (0, "a", 1.0),
        (10, "a", None),
        (20, "a", None),
        (30, "a", None),
    ]


def test_values_between_two_rows_lie_on_the_line():
    stream = feed().resample("10s", by="key", fill="linear", max_gap="30s")
    assert says(stream, rows((5, "a", 0), (25, "a", 2)), rows((90, "b", 7)), rows((130, "a", 1)), end()) == [
        [],
        [(10, "a", 0.5), (20, "a", 1.5)],
        [(90, "b", 7.0)],
        [(130, "a", 1.0)],
    ]


def test_rows_out_of_order_count_while_their_instant_is_open():
    stream = feed(delay="5s").resample("10s", by="key", max_gap="30s")
    transcript = play(
        stream,
        [rows((12, "a", 1)), rows((8, "a", 2), (9, "a", 3)), rows((17, "a", 4)), rows((4, "a", 5)), end()],
    )
    assert told(transcript.results) == [(10, "a", 3.0), (20, "a", 4.0)]
    assert told(transcript.late) == [(4, "a", 5.0)]
    assert transcript.counts.late == 1


def test_the_clock_moves_the_grid_when_all_is_silent():
    stream = feed(idle="1s").resample("5s", by="key", max_gap="10s")
    assert says(stream, rows((2, "a", 1)), advance_clock("5s"), advance_clock("5s"), advance_clock("1m")) == [
        [],
        [(5, "a", 1.0)],
        [(10, "a", 1.0)],
        [],
    ]
