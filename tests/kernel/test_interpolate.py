"""Lines between values agree with a search through all rows, on any input and however it is cut."""

from __future__ import annotations

import math
import random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.cleaning_reference import interpolate
from tests.kernel.streams import examples, feed, played, seconds
from tests.reference import Event

EVENTS = st.lists(
    st.builds(
        Event,
        t=st.integers(-10, 60),
        key=st.sampled_from(["a", "b", None]),
        x=st.one_of(st.none(), st.none(), st.floats(-5, 5)),
        partition=st.sampled_from(["p", "p", "p", "q"]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 30), max_size=15)


def told(frame):
    return frame.select(pl.col("t").dt.epoch("s"), "key", "x", "row").rows()


@examples(200)
@given(EVENTS, CUTS, st.sampled_from([0, 2, 15, None]), st.integers(0, 40))
def test_agrees_with_a_search(events, cuts, delay, within):
    transcript = played(feed(delay).interpolate("x", by="key", within=seconds(within)), events, cuts)
    expected, late = interpolate(events, within, delay)
    got = told(transcript.results)
    assert [(t, key, row) for t, key, _, row in got] == [(t, key, row) for t, key, _, row in expected]
    for found, wanted in zip(got, expected, strict=True):
        a, b = found[2], wanted[2]
        assert a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    assert transcript.late["row"].to_list() == late
    assert transcript.counts.late == len(late)


@examples(60)
@given(EVENTS, CUTS, st.integers(0, 40))
def test_filled_values_are_counted(events, cuts, within):
    stream = feed(None).interpolate("x", by="key", within=seconds(within))
    windows = stream.group_by().window(rr.tumbling("1d"), quality=True).agg(n=rr.count())
    expected, _ = interpolate(events, within, None)
    filled = sum(x is not None and events[row].x is None for _, _, x, row in expected)
    assert played(windows, events, cuts).results["imputed_values"].sum() == filled


def test_without_a_key_all_rows_belong_together():
    stream = feed(0).interpolate("x", within="10s")
    steps = [rows((0, "a", 0, 0), (2, "b", None, 1), (4, "c", 8, 2)), end()]
    assert told(play(stream, steps).results) == [(0, "a", 0.0, 0), (2, "b", 4.0, 1), (4, "c", 8.0, 2)]


def test_a_row_waits_until_no_value_can_be_near_enough():
    stream = feed(0).interpolate("x", by="key", within="10s")
    transcript = play(
        stream,
        [
            rows((0, "a", 0, 0), (2, "a", None, 1), (4, "a", 8, 2)),
            rows((12, "b", 1, 3)),
            rows((13, "b", None, 4), (13, "b", 3, 5)),
            rows((30, "b", 1, 6)),
            end(),
        ],
    )
    after = [told(transcript.after(step)) for step in range(5)]
    assert after == [
        [],
        [(0, "a", 0.0, 0)],
        [(2, "a", 4.0, 1)],
        [(4, "a", 8.0, 2), (12, "b", 1.0, 3), (13, "b", 3.0, 4), (13, "b", 3.0, 5)],
        [(30, "b", 1.0, 6)],
    ]


def test_several_columns_and_whole_numbers():
    data = {"t": [0, 1, 2, 4], "x": [1, None, 2, 3], "y": [None, 0.0, None, 3.0]}
    schema = {"t": rr.Timestamp("s"), "x": pl.Int64, "y": pl.Float64}
    made = rr.read(data, schema=schema, time="t").interpolate(["x", "y"], within="1m").collect()
    assert made.select("x", "y").rows() == [(1.0, None), (1.5, 0.0), (2.0, 1.0), (3.0, 3.0)]


def test_huge_values_are_joined():
    data = {"t": [0, 1, 2], "x": [-1.7e308, None, 1.7e308]}
    made = rr.read(data, schema={"t": rr.Timestamp("s"), "x": pl.Float64}, time="t")
    assert made.interpolate("x", within="1m").collect()["x"][1] == 0.0


def test_a_window_behind_waits_for_what_waits():
    stream = feed(0).interpolate("x", by="key", within="20s")
    windows = stream.group_by("key").window(rr.tumbling("10s")).agg(sum=rr.sum("x"))
    steps = [rows((0, "a", 0, 0), (9, "a", None, 1)), rows((15, "a", 5, 2)), rows((31, "b", 0, 3)), end()]
    transcript = play(windows, steps)
    assert [transcript.after(step)["sum"].to_list() for step in range(3)] == [[], [], [3.0]]
    assert transcript.counts.late == 0


def test_a_value_is_remembered_for_rows_that_the_watermark_jumps_over():
    stream = feed(0).interpolate("x", by="key", within="10s")
    steps = [rows((0, "a", 0, 0)), rows((11, "b", 1, 1)), rows((5, "b", 1, 2)), end()]
    late = play(stream, steps)
    assert told(late.late) == [(5, "b", 1.0, 2)]
    steps = [
        rows((0, "a", 0, 0)),
        rows((9, "a", None, 1), (10, "a", 10, 2)),
        rows((15, "b", 1, 3)),
        rows((90, "b", 1, 4)),
    ]
    assert told(play(stream, [*steps, end()]).results)[:3] == [
        (0, "a", 0.0, 0),
        (9, "a", 9.0, 1),
        (10, "a", 10.0, 2),
    ]


def test_no_cut_of_a_long_stream_shows():
    chance = random.Random(5)
    data = [
        (t + chance.choice([0, 0, -3]), "abc"[t % 3], chance.choice([None, 1.0 * t]), t) for t in range(300)
    ]
    stream = feed(3).interpolate("x", by="key", within="9s")
    cut = [
        told(play(stream, [*(rows(*data[at : at + size]) for at in range(0, 300, size)), end()]).results)
        for size in (1, 7, 300)
    ]
    assert cut[0] == cut[1] == cut[2]
    assert sum(x is None for _, _, x, _ in cut[0]) < 100
