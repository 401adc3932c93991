"""Unique rows agree with a loop over the rows, on any input and however it is cut."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.kernel.timed import Timeline
from riverrun.kernel.unique import Unique
from riverrun.sinks.memory import MemorySink
from riverrun.testing import end, play, rows
from tests.kernel.cleaning_reference import unique
from tests.kernel.streams import examples, feed, played, seconds
from tests.reference import Event

KEYS = st.sampled_from(["a", "b", None])
SHUFFLED = st.lists(st.builds(Event, t=st.integers(-10, 60), key=KEYS, x=st.just(1.0)), max_size=40)
ONE_KEY = st.lists(st.builds(Event, t=st.integers(0, 120), key=st.just("a"), x=st.just(1.0)), max_size=50)
TWO_PARTITIONS = st.lists(
    st.builds(Event, t=st.integers(0, 40), key=KEYS, x=st.just(1.0), partition=st.sampled_from(["p", "q"])),
    max_size=40,
)
CUTS = st.lists(st.integers(1, 50), max_size=15)
DELAYS = st.sampled_from([0, 2, 15, None])
WITHIN = st.sampled_from([0, 1, 3, 10, 40])


def check(events, within, cuts, delay):
    expected = unique(events, within, delay)
    transcript = played(feed(delay).unique("key", within=seconds(within)), events, cuts)
    assert transcript.results["row"].to_list() == expected.passed
    assert transcript.late["row"].to_list() == expected.late
    counts = transcript.counts
    assert (counts.applied, counts.late) == (len(expected.passed), len(expected.late))
    assert counts.duplicate == len(expected.duplicate)


@examples(100)
@given(SHUFFLED, WITHIN, CUTS, DELAYS)
def test_agrees_with_a_loop(events, within, cuts, delay):
    check(events, within, cuts, delay)


@examples(100)
@given(ONE_KEY, WITHIN, CUTS, DELAYS)
def test_chains_of_one_key(events, within, cuts, delay):
    check(events, within, cuts, delay)


@examples(100)
@given(ONE_KEY, WITHIN, CUTS)
def test_rows_in_order(events, within, cuts):
    check(sorted(events, key=lambda event: event.t), within, cuts, 0)


@examples(100)
@given(TWO_PARTITIONS, WITHIN, CUTS, DELAYS)
def test_partitions_that_take_turns(events, within, cuts, delay):
    check(events, within, cuts, delay)


def test_what_no_row_can_repeat_any_more_is_forgotten():
    operator = Unique(["id"], 10_000_000, Timeline("t"))
    state, largest = operator.empty(), 0
    for minute in range(20):
        times = pl.Series("t", range(minute * 60, minute * 60 + 60)).cast(pl.Int64) * 1_000_000
        frame = pl.DataFrame([times.cast(pl.Datetime("us", "UTC")), times.alias("id")])
        state, out = operator.step(state, frame)
        assert sum(part.height for part in out.frames) == 60
        state, _ = operator.advance(state, (minute * 60 + 59) * 1_000_000)
        largest = max(largest, operator.rows(state))
    assert largest == 21


def test_a_row_without_a_time_repeats_nothing():
    timeless = feed(0).with_columns(t=pl.when(pl.col("x") > 0).then(pl.col("t")))
    transcript = play(
        timeless.unique("key", within="1m"),
        [rows((1, "a", -1, 0), (1, "a", -1, 1), (1, "a", 1, 2), (2, "a", 1, 3)), end()],
    )
    assert transcript.results["row"].to_list() == [0, 1, 2]


def test_two_keys_are_compared_together():
    stream = feed(0).unique(["key", "x"], within="1m")
    transcript = play(
        stream, [rows((1, "a", 1, 0), (1, "a", 2, 1), (1, None, None, 2), (2, None, None, 3)), end()]
    )
    assert transcript.results["row"].to_list() == [0, 1, 2]


def test_a_row_that_is_dropped_twice_is_counted_once():
    data = {"ts": [1, 2, 30, 3], "id": [7, 7, 8, 7]}
    source = rr.read(data, schema={"ts": rr.Timestamp("s"), "id": pl.Int64}, time="ts", delay="0s")
    few = source.unique("id", within="1m")
    windows = source.group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    summary = rr.run(
        few.write(MemorySink()),
        source.unique("id", within="2m").write(MemorySink()),
        windows.write(MemorySink()),
    )
    (counts,) = summary.sources
    assert (counts.received, counts.applied, counts.late, counts.duplicate) == (4, 2, 0, 2)


def test_results_of_windows_are_no_rows_of_a_source():
    windows = feed(0).group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    transcript = play(
        windows.unique("key", within="1h"), [rows((1, "a", 1, 0), (11, "a", 1, 1), (21, "b", 1, 2)), end()]
    )
    assert transcript.results["key"].to_list() == ["a", "b"]
    assert (transcript.counts.applied, transcript.counts.duplicate) == (3, 0)
