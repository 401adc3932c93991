"""Grids agree with a search through all rows for each instant, on any input and however it is cut."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.cleaning_reference import resample
from tests.kernel.streams import examples, feed, played, seconds
from tests.reference import Event

EVENTS = st.lists(
    st.builds(
        Event,
        t=st.integers(-10, 60),
        key=st.sampled_from(["a", "b", None]),
        x=st.one_of(st.none(), st.floats(-5, 5)),
        partition=st.sampled_from(["p", "p", "p", "q"]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 30), max_size=15)
DELAYS = st.sampled_from([0, 2, 15, None])
FILLS = st.sampled_from(["forward", "linear", "null"])


def grid_of(frame):
    return frame.select(pl.col("t").dt.epoch("s"), "key", "x").rows()


@examples(100)
@given(EVENTS, st.sampled_from([1, 3, 7]), CUTS, DELAYS, FILLS, st.integers(1, 4))
def test_agrees_with_a_search(events, every, cuts, delay, fill, gaps):
    max_gap = every * gaps + (gaps % 2)
    stream = feed(delay).resample(seconds(every), by="key", fill=fill, columns="x", max_gap=seconds(max_gap))
    transcript = played(stream, events, cuts)
    expected, late = resample(events, every, delay, fill, max_gap)
    got = grid_of(transcript.results)
    assert [row[:2] for row in got] == [row[:2] for row in expected]
    assert all(_close(a[2], b[2]) for a, b in zip(got, expected, strict=True))
    assert transcript.late["row"].to_list() == late
    assert transcript.counts.late == len(late)


def _close(a, b):
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("declared", "given_as"),
    [(pl.Datetime("ms"), "ms"), (pl.Datetime("us", "Europe/Vienna"), "us"), (pl.Datetime("ns"), "ns")],
    ids=str,
)
def test_the_event_time_keeps_its_type(declared, given_as):
    scale = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[given_as]
    data = pl.DataFrame({"t": [1 * scale, 4 * scale], "x": [1, 2]}).with_columns(
        pl.col("t").cast(pl.Datetime(given_as, "UTC"))
    )
    source = rr.read(data, schema={"t": declared, "x": pl.Int64}, time="t")
    made = source.resample("1s", max_gap="1m").collect()
    assert made.schema == {"t": declared, "x": pl.Int64()}
    assert made["t"].dt.epoch("s").to_list() == [1, 2, 3, 4]
    assert made["x"].to_list() == [1, 1, 1, 2]


def test_results_of_windows_stand_on_the_grid_at_the_end_of_their_window():
    means = feed(0).group_by("key").window(rr.tumbling("10s")).agg(mean=rr.mean("x"))
    stream = means.drop("window_start").resample("10s", by="key", fill="linear", max_gap="1m")
    transcript = play(stream, [rows((1, "a", 1, 0), (31, "a", 4, 1), (41, "b", 9, 2)), end()])
    got = transcript.results.select("key", pl.col("window_end").dt.epoch("s"), "mean").rows()
    assert got == [("a", 10, 1.0), ("a", 20, 2.0), ("a", 30, 3.0), ("a", 40, 4.0), ("b", 50, 9.0)]


def test_a_window_behind_linear_values_waits_for_them():
    grid = feed(0).resample("5s", by="key", fill="linear", columns="x", max_gap="20s")
    stream = grid.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), mean=rr.mean("x"))
    steps = [rows((0, "a", 0, 0)), rows((15, "a", 3, 1)), rows((31, "b", 0, 2)), rows((45, "b", 0, 3)), end()]
    transcript = play(stream, steps)
    got = [
        transcript.after(step).select("key", pl.col("window_start").dt.epoch("s"), "n", "mean").rows()
        for step in range(5)
    ]
    assert got[:4] == [[], [], [("a", 0, 2, 0.5)], [("a", 10, 2, 2.5)]]
    assert transcript.counts.late == 0


def test_state_holds_one_row_of_each_key_behind_the_watermark():
    seen = []
    data = {"t": list(range(10_000)), "key": ["a", "b"] * 5_000, "x": [1.0] * 10_000}
    source = rr.read(
        [{name: values[at : at + 100] for name, values in data.items()} for at in range(0, 10_000, 100)],
        schema={"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64},
        time="t",
    )
    rr.run(source.resample("10s", by="key", max_gap="1m").write("memory:"), watcher=seen.append)
    assert all(step.state_rows <= 120 for health in seen for step in health.steps)
