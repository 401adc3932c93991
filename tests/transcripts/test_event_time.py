"""Watermarks, lateness, revisions and idle partitions, each as a short conversation with a stream."""

from __future__ import annotations

import pytest

import riverrun as rr
from riverrun.testing import advance_clock, end, malformed, play, rows, watermark
from tests.transcripts.conversation import counts, feed, told

TEN = rr.tumbling("10s")


def says(stream, *steps):
    """What each step put out."""
    transcript = play(stream, list(steps))
    return [told(transcript.after(step)) for step in range(len(steps))]


def test_a_window_closes_when_the_watermark_reaches_its_end():
    assert says(counts(feed(), TEN), rows((9, "a", 1)), rows((10, "a", 1)), end()) == [
        [],
        [("a", 0, 10, 1)],
        [("a", 10, 20, 1)],
    ]


def test_the_watermark_stays_behind_by_the_delay():
    stream = counts(feed(delay="2s"), TEN)
    assert says(stream, rows((9, "a", 1)), rows((11, "a", 1)), rows((8, "a", 1)), rows((12, "a", 1))) == [
        [],
        [],
        [],
        [("a", 0, 10, 2)],
    ]


def test_without_a_delay_windows_close_at_the_end_only():
    assert says(counts(feed(delay=None), TEN), rows((5, "a", 1), (500, "a", 1)), rows((1, "a", 1)), end()) == [
        [],
        [],
        [("a", 0, 10, 2), ("a", 500, 510, 1)],
    ]


def test_the_watermark_never_goes_back():
    transcript = play(feed(), [rows((50, "a", 1)), rows((3, "a", 1)), watermark(20), watermark(70)])
    assert [transcript.watermark_after(step) for step in range(4)] == [50_000_000] * 3 + [70_000_000]


def test_the_stream_follows_the_slowest_partition():
    transcript = play(
        counts(feed(), TEN),
        [
            rows(partition="p"),
            rows(partition="q"),
            rows((30, "a", 1), partition="p"),
            rows((5, "a", 1), partition="q"),
            rows((12, "b", 1), partition="q"),
            end("q"),
        ],
    )
    assert [told(transcript.after(step)) for step in range(2, 6)] == [
        [],
        [],
        [("a", 0, 10, 1)],
        [("b", 10, 20, 1)],
    ]


def test_a_row_is_late_by_the_watermark_of_its_own_partition():
    """q is at 30, the stream still at 0: a row of q at 5 is late, a row of p at 5 is not."""
    transcript = play(
        counts(feed(), TEN),
        [
            rows((0, "a", 1), partition="p"),
            rows((30, "a", 1), partition="q"),
            rows((5, "late", 1), partition="q"),
            rows((5, "fine", 1), partition="p"),
            end(),
        ],
    )
    assert transcript.late["key"].to_list() == ["late"]
    assert transcript.results["key"].to_list() == ["a", "fine", "a"]
    assert (transcript.counts.applied, transcript.counts.late) == (3, 1)


def test_lateness_makes_revisions():
    stream = counts(feed(), TEN, lateness="10s")
    assert says(
        stream,
        rows((1, "a", 1), (12, "a", 1)),
        rows((2, "a", 1), (3, "b", 1), (4, "a", 1)),
        rows((20, "a", 1)),
        rows((5, "a", 1)),
    ) == [
        [("a", 0, 10, 1, 0, True)],
        [("a", 0, 10, 2, 1, True), ("b", 0, 10, 1, 0, True), ("a", 0, 10, 3, 2, True)],
        [("a", 10, 20, 1, 0, True)],
        [],
    ]


def test_late_rows_come_with_the_bounds_of_the_window_they_missed():
    transcript = play(counts(feed(), TEN), [rows((15, "a", 1.5), (25, "a", 1)), rows((12, "a", 2.5)), end()])
    assert told(transcript.late) == [(12, "a", 2.5, 10, 20)]
    assert transcript.late_after(1).height == 1
    assert transcript.counts.late == 1


def test_a_row_may_be_late_for_some_windows_only():
    """At 12 the window 0-10 is over, the window 5-15 is not."""
    stream = counts(feed(), rr.hopping("10s", "5s"))
    transcript = play(stream, [rows((12, "a", 1)), rows((7, "a", 1)), end()])
    assert told(transcript.late) == [(7, "a", 1.0, 0, 10)]
    assert told(transcript.results) == [("a", 5, 15, 2), ("a", 10, 20, 1)]
    assert (transcript.counts.applied, transcript.counts.late) == (2, 0)


def test_an_idle_partition_holds_nothing_back():
    transcript = play(
        counts(feed(idle="5s"), TEN),
        [
            rows((1, "a", 1), partition="p"),
            rows((2, "a", 1), partition="q"),
            advance_clock("3s"),
            rows((14, "a", 1), partition="q"),
            advance_clock("3s"),
            rows((6, "back", 1), partition="p"),
        ],
    )
    assert [told(transcript.after(step)) for step in range(6)] == [[], [], [], [], [("a", 0, 10, 2)], []]
    # The window had gone on without p, so its row is late although p itself is only at 1.
    assert transcript.late["key"].to_list() == ["back"]


def test_when_all_are_idle_the_clock_closes_windows():
    steps = [rows((7, "a", 1)), advance_clock("2s"), advance_clock("999ms"), advance_clock("1ms")]
    assert says(counts(feed(idle="2s"), TEN), *steps) == [[], [], [], [("a", 0, 10, 1)]]


def test_without_idle_the_clock_closes_nothing():
    assert says(counts(feed(), TEN), rows((7, "a", 1)), advance_clock("1d")) == [[], []]


def test_a_row_of_the_far_future_is_refused_and_moves_nothing():
    """The clock of a script stands at 2026-01-01; a live source takes rows up to five minutes ahead of it."""
    now = 1_767_225_600
    transcript = play(
        counts(feed(), TEN), [rows((now, "a", 1)), rows((now + 301, "a", 1)), rows((now + 300, "a", 1)), end()]
    )
    assert transcript.reasons == ["future"]
    assert transcript.watermark_after(1) == now * 1_000_000
    assert transcript.watermark_after(2) == (now + 300) * 1_000_000
    assert "5m" in transcript.dead_letters[0].rejected.detail


def test_null_keys_are_a_group_and_null_times_are_dead_letters():
    transcript = play(
        counts(feed(), TEN), [rows((1, None, 1), (2, "a", 1), (None, "a", 1), (3, None, 1)), end()]
    )
    assert told(transcript.results) == [(None, 0, 10, 2), ("a", 0, 10, 1)]
    assert transcript.reasons == ["schema"]
    assert "'t' is missing or null" in transcript.dead_letters[0].rejected.detail


def test_windows_before_1970():
    assert says(counts(feed(), TEN), rows((-11, "a", 1), (-10, "a", 1), (-1, "a", 1)), end())[0] == [
        ("a", -20, -10, 1)
    ]


def test_results_come_by_window_end_then_by_first_appearance():
    stream = counts(feed(delay=None), TEN)
    steps = [rows((11, "z", 1), (1, "m", 1)), rows((2, "z", 1), (12, "a", 1)), end()]
    assert says(stream, *steps)[2] == [("m", 0, 10, 1), ("z", 0, 10, 1), ("z", 10, 20, 1), ("a", 10, 20, 1)]


def test_malformed_bytes_cost_no_neighbour():
    transcript = play(counts(feed(), TEN), [malformed(b"1,a,1.0\nnot,a number,x\n2,a,oops\n3,b,2.0"), end()])
    assert told(transcript.results) == [("a", 0, 10, 1), ("b", 0, 10, 1)]
    assert (transcript.counts.received, transcript.counts.dead_lettered) == (4, 2)


@pytest.mark.parametrize("early", ["batch", "1s"])
def test_early_results(early):
    stream = counts(feed(), TEN, emit=early)
    tell = says(
        stream,
        rows((1, "a", 1)),
        advance_clock("1s"),
        rows((2, "a", 1), (3, "b", 1)),
        advance_clock("1s"),
        advance_clock("10s"),
        rows((10, "c", 1)),
    )
    first, second = [("a", 0, 10, 1, 0, False)], [("a", 0, 10, 2, 1, False), ("b", 0, 10, 1, 0, False)]
    last = [("a", 0, 10, 2, 2, True), ("b", 0, 10, 1, 1, True)]
    if early == "batch":
        assert tell == [first, [], second, [], [], [*last, ("c", 10, 20, 1, 0, False)]]
    else:
        assert tell == [[], first, [], second, [], last]


def test_a_window_over_results_of_a_window():
    tens = feed().group_by("key").window(TEN).agg(total=rr.sum("x"))
    minutes = tens.group_by("key").window(rr.tumbling("20s")).agg(best=rr.max("total"), n=rr.count())
    assert says(minutes, rows((1, "a", 1), (2, "a", 2), (12, "a", 7)), rows((25, "a", 1)), end()) == [
        [],
        [("a", 0, 20, 7.0, 2)],
        [("a", 20, 40, 1.0, 1)],
    ]


def test_a_key_that_is_too_long_is_a_dead_letter():
    stream = counts(feed(limits=rr.Limits(key_bytes=4)), TEN)
    transcript = play(stream, [rows((1, "abcd", 1), (1, "abcde", 1), (1, "äöü", 1)), end()])
    assert told(transcript.results) == [("abcd", 0, 10, 1)]
    assert transcript.reasons == ["key-too-long", "key-too-long"]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_keys_beyond_the_limit_are_folded_and_totals_stay_exact(size):
    stream = (
        feed(limits=rr.Limits(max_keys=5))
        .group_by("key")
        .window(TEN)
        .agg(n=rr.count(), total=rr.sum("x"), held=rr.collect("x"))
    )
    items = [(i % 10, f"k{i % 12}", float(i)) for i in range(50)]
    items.sort(key=lambda item: item[0])
    steps = [rows(*items[at : at + size]) for at in range(0, 50, size)]
    results = play(stream, [*steps, end()]).results
    assert results["n"].sum() == 50
    assert results["total"].sum() == sum(range(50))
    assert sorted(results["held"].explode().to_list()) == [float(i) for i in range(50)]
    assert results["key"].to_list().count("__other__") == 1
    assert results.height <= 6
