"""Joins agree with comparing every row with every other, however rows are cut and whichever side is quicker."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.kernel.flow import flow_of
from riverrun.plan.nodes import Output, sources_of
from riverrun.runtime.engine import Engine
from riverrun.schema import INSTANT
from riverrun.testing import Script, end, play, rows
from tests.kernel.streams import examples, results_of, seconds
from tests.reference import Event, Fixed
from tests.reference_joins import Reference, Row, session_pairs, window_pairs

SIDES = ("left", "right")
SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "place": pl.Int64}

ROWS = st.lists(
    st.builds(
        Row,
        side=st.integers(0, 1),
        t=st.integers(-10, 25),
        key=st.sampled_from(["a", "a", "b", None]),
        partition=st.sampled_from(["p", "p", "q"]),
    ),
    max_size=40,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)
DELAYS = st.tuples(st.sampled_from([0, 2, 8, None]), st.sampled_from([0, 3, 8, None]))
BOUNDS = st.sampled_from([(-3, 3), (0, 5), (-4, -1), (2, 6), (-20, 20), (0, 0)])


def feed(side: int, delay: int | None) -> rr.Stream:
    made = None if delay is None else seconds(delay)
    return rr.read(
        f"tcp://localhost:{side + 1}", format="csv", schema=SCHEMA, time="t", delay=made, name=SIDES[side]
    )


def steps(events: list[Row], cuts: list[int]) -> list[Any]:
    """The rows in order, cut at `cuts` and where source or partition change; all partitions are told first."""
    made: list[Any] = []
    for side, name in enumerate(SIDES):
        own = sorted({event.partition for event in events if event.side == side})
        made += [rows(partition=partition, source=name) for partition in own]
    group: list[tuple[Any, ...]] = []
    for place, event in enumerate(events):
        before = events[place - 1]
        if group and (place in cuts or (event.side, event.partition) != (before.side, before.partition)):
            made.append(rows(*group, partition=before.partition, source=SIDES[before.side]))
            group = []
        group.append((event.t, event.key, place))
    if group:
        made.append(rows(*group, partition=events[-1].partition, source=SIDES[events[-1].side]))
    return made


def played(stream: rr.Stream, events: list[Row], cuts: list[int]):
    return play(stream, Script([*steps(events, cuts), end()]))


def found(transcript, *names):
    return transcript.results.select(*names, "place", "place_right").rows()


def assert_agrees(transcript, reference):
    assert transcript.late["place"].to_list() == reference.late
    assert transcript.counts_of("left").late == len(reference.late)
    assert transcript.counts_of("right").late == reference.refused
    times = transcript.results["t"]
    assert times.is_sorted()


@examples(150)
@given(ROWS, CUTS, DELAYS, st.sampled_from([None, 0, 1, 4, 12]), st.booleans())
def test_backward(events, cuts, delays, tolerance, exact):
    if tolerance == 0 and not exact:
        exact = True
    join = feed(0, delays[0]).join_asof(
        feed(1, delays[1]),
        by="key",
        tolerance=None if tolerance is None else seconds(tolerance),
        allow_exact_matches=exact,
    )
    transcript = played(join, events, cuts)
    reference = Reference(events, delays, None if tolerance is None else -tolerance, 0)
    assert found(transcript) == reference.asof("backward", exact=exact)
    assert_agrees(transcript, reference)


@examples(150)
@given(ROWS, CUTS, DELAYS, st.sampled_from([1, 4, 12]), st.booleans(), st.sampled_from(["forward", "nearest"]))
def test_forward_and_nearest(events, cuts, delays, tolerance, exact, direction):
    join = feed(0, delays[0]).join_asof(
        feed(1, delays[1]),
        by="key",
        tolerance=seconds(tolerance),
        direction=direction,
        allow_exact_matches=exact,
    )
    transcript = played(join, events, cuts)
    reference = Reference(events, delays, 0 if direction == "forward" else -tolerance, tolerance)
    assert found(transcript) == reference.asof(direction, exact=exact)
    assert transcript.late["place"].to_list() == reference.late


@examples(150)
@given(ROWS, CUTS, DELAYS, BOUNDS, st.booleans())
def test_interval(events, cuts, delays, bounds, outer):
    lower, upper = bounds
    join = feed(0, delays[0]).join_interval(
        feed(1, delays[1]),
        on="key",
        lower=seconds(lower),
        upper=seconds(upper),
        how="left" if outer else "inner",
    )
    transcript = played(join, events, cuts)
    reference = Reference(events, delays, lower, upper)
    assert found(transcript) == reference.pairs(outer=outer)
    assert_agrees(transcript, reference)


@examples(100)
@given(ROWS, CUTS, DELAYS, st.sampled_from([(10, 10), (6, 2), (3, 5)]), st.booleans())
def test_windows(events, cuts, delays, window, outer):
    size, every = window
    join = feed(0, delays[0]).join_window(
        feed(1, delays[1]),
        on="key",
        window=rr.hopping(seconds(size), seconds(every)),
        how="left" if outer else "inner",
    )
    transcript = played(join, events, cuts)
    starts = pl.col("window_start").to_physical() // 1_000_000
    expected = window_pairs(events, delays, size, every, outer=outer)
    assert found(transcript, starts) == expected
    assert transcript.results["window_end"].is_sorted()


@examples(100)
@given(ROWS, CUTS, DELAYS, st.sampled_from([2, 5]), st.booleans())
def test_sessions(events, cuts, delays, gap, outer):
    events = [Row(e.side, e.t, e.key or "c", e.partition) for e in events]
    join = feed(0, delays[0]).join_window(
        feed(1, delays[1]), on="key", window=rr.session(seconds(gap)), how="left" if outer else "inner"
    )
    transcript = played(join, events, cuts)
    starts = pl.col("window_start").to_physical() // 1_000_000
    assert found(transcript, starts) == session_pairs(events, delays, gap, outer=outer)


def many(seed: int) -> list[Row]:
    """Two feeds that go on for long, with rows out of order, some of them late."""
    chance = random.Random(seed)
    return [
        Row(place // 250 % 2, place // 100 + chance.randint(-3, 3), f"k{chance.randint(0, 300)}")
        for place in range(16_000)
    ]


@pytest.mark.parametrize(
    ("direction", "tolerance"), [("backward", None), ("backward", 5), ("forward", 5), ("nearest", 5)]
)
def test_what_is_forgotten_is_not_missed(direction, tolerance):
    """The right rows that cannot match any more are taken out now and then."""
    events = many(len(direction))
    join = feed(0, 2).join_asof(
        feed(1, 2),
        by="key",
        direction=direction,
        tolerance=None if tolerance is None else seconds(tolerance),
    )
    transcript = played(join, events, [])
    back = None if tolerance is None else -tolerance
    reference = Reference(
        events,
        (2, 2),
        0 if direction == "forward" else back,
        0 if direction == "backward" or tolerance is None else tolerance,
    )
    assert found(transcript) == reference.asof(direction, exact=True)
    assert transcript.counts_of("right").late == reference.refused


def test_what_intervals_forget_is_not_missed():
    events = many(9)
    join = feed(0, 2).join_interval(feed(1, 2), on="key", lower="-20s", upper="10s")
    transcript = played(join, events, [])
    reference = Reference(events, (2, 2), -20, 10)
    assert found(transcript) == reference.pairs(outer=False)
    assert_agrees(transcript, reference)


@pytest.mark.parametrize("quicker", [0, 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda left, right: left.join_asof(right, by="key"),
        lambda left, right: left.join_asof(right, by="key", tolerance="3s", direction="nearest"),
        lambda left, right: left.join_interval(right, on="key", lower="-3s", upper="3s"),
        lambda left, right: left.join_window(right, on="key", window=rr.tumbling("5s")),
        lambda left, right: left.join_window(right, on="key", window=rr.session("100ms")),
    ],
    ids=["asof", "nearest", "interval", "tumbling", "session"],
)
def test_the_state_stays_small(make, quicker):
    """A hundred thousand rows on each side, of 500 keys, 1,000 rows a second; one side is 2 s ahead."""
    left, right = feed(0, 1), feed(1, 1)
    schemas = {read: read.schema for read in sources_of(left.node, right.node)}
    engine = Engine(flow_of([Output(make(left, right).node, None)], schemas, partitioned=lambda read: False))
    most = 0
    for second in range(100):
        for at, read in enumerate(schemas):
            now = second + 2 * (at == quicker)
            frame = batch(now)
            engine.feed(read, frame, (now - 1) * 1_000_000)
        most = max(most, engine.state_rows(len(engine.flow.steps) - 1))
    assert 0 < most < 30_000


def batch(second: int) -> pl.DataFrame:
    moments = pl.Series("t", [second * 1_000_000 + n * 1_000 for n in range(1_000)]).cast(INSTANT)
    places = pl.int_range(second * 1_000, (second + 1) * 1_000, eager=True)
    keys = (places * 7 % 500).cast(pl.String)
    return pl.DataFrame([moments, keys.alias("key"), places.alias("place")])


def test_a_stream_can_be_joined_with_itself():
    rows_of = feed(0, 0)
    join = rows_of.join_interval(rows_of, on="key", lower="-2s", upper="-1s")
    script = [rows((1, "a", 0), (2, "b", 1), (3, "a", 2)), rows((4, "a", 3), (9, "b", 4)), end()]
    assert found(play(join, script)) == [(2, 0), (3, 2)]


@examples(80)
@given(ROWS, CUTS)
def test_without_keys_every_row_counts(events, cuts):
    join = feed(0, 2).join_asof(feed(1, 2))
    keyless = [Row(e.side, e.t, "all", e.partition) for e in events]
    reference = Reference(keyless, (2, 2), None, 0)
    assert found(played(join, events, cuts)) == reference.asof("backward", exact=True)


@examples(80)
@given(ROWS, CUTS, st.sampled_from([0, 2, None]), st.sampled_from([0, 4]))
def test_windows_behind_a_union_are_those_of_one_stream(events, cuts, delay, lateness):
    """A union has the partitions of all its inputs, and rows keep the watermark of their own."""
    both = feed(0, delay).union(feed(1, delay))
    windows = both.group_by("key").window(rr.tumbling("10s"), lateness=seconds(lateness))
    one = [Event(e.t, e.key, 1.0, f"{e.side}{e.partition}") for e in events]
    partitions = sorted({event.partition for event in one})
    expected = Fixed(10, 10, delay=delay, lateness=lateness, partitions=partitions).run(one)
    # A source without rows, which has no partition here, would hold the windows open to the end.
    if len({event.side for event in events}) < 2:
        return
    transcript = played(windows.agg(rows=rr.collect("place")), events, cuts)
    by_end = sorted(results_of(transcript), key=lambda result: result.end)
    assert by_end == sorted(expected.results, key=lambda result: result.end)
    assert transcript.late["place"].to_list() == [late.row for late in expected.late]


@examples(60)
@given(ROWS, CUTS, DELAYS)
def test_joins_of_results(events, cuts, delays):
    """What two streams of windows make is joined as rows of the last instant of their window."""

    def counted(side: int, name: str) -> rr.Stream:
        return feed(side, delays[side]).group_by("key").window(rr.tumbling("5s")).agg(**{name: rr.count()})

    join = counted(0, "n").join_asof(counted(1, "m"), by="key")
    results = played(join, events, cuts).results
    left, right = (played_alone(side, delays[side], events) for side in (0, 1))
    expected = []
    for key, stop, n in left.select("key", "window_end", "n").rows():
        of_key = [(e, m) for k, e, m in right.select("key", "window_end", "n").rows() if k == key and e <= stop]
        expected.append((key, stop, n, of_key[-1][1] if of_key and key is not None else None))
    assert sorted(results.select("key", "window_end", "n", "m").rows(), key=repr) == sorted(expected, key=repr)


def played_alone(side: int, delay: int | None, events: list[Row]) -> pl.DataFrame:
    alone = [event for event in events if event.side == side]
    stream = feed(side, delay).group_by("key").window(rr.tumbling("5s")).agg(n=rr.count())
    made = [step for step in steps(alone, []) if step.source == SIDES[side]]
    return play(stream, Script([*made, end()])).results
