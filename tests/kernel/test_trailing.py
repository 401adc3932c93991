"""Rolling and running aggregates agree with a row-by-row engine, on any input and however it is cut."""

from __future__ import annotations

import math

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows, watermark
from tests.kernel.streams import examples, feed, played, seconds
from tests.reference import Event, Trailing

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
PERIODS = st.sampled_from([1, 7, 20, 1000, None])


def stream_of(period, delay, *, keyed=True):
    grouped = feed(delay).group_by(*(["key"] if keyed else []))
    windowed = grouped.running() if period is None else grouped.rolling(seconds(period))
    return windowed.agg(rows=rr.collect("row"), n=rr.count(), s=rr.sum("x"), low=rr.min("x"))


def held(transcript):
    pairs = transcript.results.select("row", "rows").iter_rows()
    return [(row, tuple(sorted(items))) for row, items in pairs]


def agrees(expected, transcript):
    assert held(transcript) == expected.results
    assert transcript.late["row"].to_list() == expected.late
    assert all(n == len(items) for n, items in transcript.results.select("n", "rows").iter_rows())


@examples(100)
@given(EVENTS, PERIODS, CUTS, st.sampled_from([0, 2, 15, None]), st.booleans())
def test_agrees_with_the_row_by_row_engine(events, period, cuts, delay, keyed):
    if not keyed:
        events = [Event(e.t, None, e.x) for e in events]
    agrees(
        Trailing(delay, period=period).run(events), played(stream_of(period, delay, keyed=keyed), events, cuts)
    )


@examples(40)
@given(TWO_PARTITIONS, PERIODS, CUTS, st.sampled_from([0, 3]))
def test_agrees_with_two_partitions(events, period, cuts, delay):
    partitions = sorted({event.partition for event in events})
    agrees(
        Trailing(delay, partitions, period=period).run(events), played(stream_of(period, delay), events, cuts)
    )


@examples(40)
@given(TWO_PARTITIONS, st.sampled_from([7, None]), st.randoms(use_true_random=False))
def test_how_partitions_take_turns_does_not_show(events, period, chance):
    """The rows of each partition in their own order, the partitions mixed anew."""
    queues = {name: [e for e in events if e.partition == name] for name in ("p", "q")}
    mixed = []
    while any(queues.values()):
        mixed.append(queues[chance.choice([name for name, queue in queues.items() if queue])].pop(0))
    stream = (feed(2).group_by("key").rolling(seconds(7)) if period else feed(2).group_by("key").running()).agg(
        n=rr.count(), s=rr.sum("x")
    )
    columns = ["t", "key", "n", "s"]
    both = [played(stream, order, []).results.select(columns) for order in (events, mixed)]
    assert both[0].equals(both[1])


def test_rows_come_out_when_the_watermark_has_passed_them():
    stream = feed(5).group_by("key").rolling("10s").agg(n=rr.count())
    transcript = play(stream, [rows((3, "a", 1.0, 0), (1, "a", 1.0, 1), (7, "a", 1.0, 2)), watermark(4), end()])
    assert transcript.after(0).select("row", "n").rows() == [(1, 1)]
    assert transcript.after(1).select("row", "n").rows() == [(0, 2)]
    assert transcript.after(2).select("row", "n").rows() == [(2, 3)]


def test_columns_are_keys_event_time_the_rest_of_the_row_and_aggregates():
    stream = feed(0).group_by("key", (pl.col("x") > 0).alias("up")).rolling("1s").agg(n=rr.count())
    frame = play(stream, [rows((3, "a", 1.0, 0)), end()]).results
    assert frame.columns == ["key", "up", "t", "x", "row", "n"]


def test_a_late_row_is_put_out_with_the_window_that_it_missed():
    stream = feed(0).group_by("key").rolling("10s").agg(n=rr.count())
    transcript = play(stream, [rows((30, "a", 1.0, 0), (20, "a", 1.0, 1)), end()])
    late = transcript.late.select("row", pl.col("window_start", "window_end").to_physical() // 1_000_000)
    assert late.rows() == [(1, 10, 20)]
    assert transcript.counts.late == 1


VALUES = st.one_of(
    st.none(), st.floats(-1e6, 1e6), st.sampled_from([1e9, 1e9 + 1, math.nan, math.inf, -math.inf])
)
NUMBERS = st.lists(
    st.builds(Event, t=st.integers(-30, 60), key=st.sampled_from(["a", "b", None]), x=VALUES), max_size=90
)
EXACT = {
    "n": rr.count(),
    "nx": rr.count("x"),
    "nulls": rr.null_count("x"),
    "low": rr.min("x"),
    "high": rr.max("x"),
    "low_key": rr.min("key"),
    "first": rr.first("x"),
    "last": rr.last("x"),
    "total": rr.sum("row"),
}
CLOSE = {
    "s": rr.sum("x"),
    "m": rr.mean("x"),
    "v": rr.var("x"),
    "c": rr.cov("x", "row"),
    "w": rr.weighted_mean("x", "row"),
    "skew": rr.skew("x"),
    "kurtosis": rr.kurtosis("x"),
}


@examples(100)
@given(NUMBERS, PERIODS, CUTS, st.booleans())
def test_merging_row_by_row_gives_what_grouping_gives(events, period, cuts, keyed):
    """An aggregate that has to be grouped makes all of them go that way."""
    grouped = feed(2).group_by(*(["key"] if keyed else []))
    windowed = grouped.running() if period is None else grouped.rolling(seconds(period))
    paired = played(windowed.agg(**EXACT, **CLOSE), events, cuts).results
    by_groups = played(windowed.agg(**EXACT, **CLOSE, rows=rr.collect("row")), events, cuts).results
    assert paired.select(pl.exclude(*CLOSE)).equals(by_groups.select(pl.exclude(*CLOSE, "rows")))
    scale = max((abs(e.x) for e in events if e.x is not None and math.isfinite(e.x)), default=0.0) + 100
    for name, tolerance in {
        "s": 1e-12 * scale * 100,
        "m": 1e-12 * scale,
        "v": 1e-12 * scale**2,
        "c": 1e-10 * scale,
        "w": 1e-12 * scale,
    }.items():
        for a, b in zip(paired[name], by_groups[name], strict=True):
            assert close(a, b, tolerance), (name, a, b)


def close(a, b, tolerance):
    if a is None or b is None or not math.isfinite(a):
        return a == b or (a is not None and b is not None and math.isnan(a) and math.isnan(b))
    return abs(a - b) <= tolerance
