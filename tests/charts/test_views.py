"""What the dashboard is told to draw for a plan."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.charts.views import published_frame, views_of
from riverrun.kernel.flow import flow_of
from riverrun.plan.nodes import Output
from riverrun.schema import Schema

SCHEMA = {"ts": pl.Datetime("ms"), "symbol": pl.String, "price": pl.Float64, "size": pl.Float64}
ROWS = rr.read({name: [] for name in SCHEMA}, schema=SCHEMA, time="ts", name="trades")
GROUPED = ROWS.group_by("symbol")
TUMBLING = GROUPED.window(rr.tumbling("10s"))


def view_of(stream):
    flow = flow_of([Output(stream.node, None)], {ROWS.node: Schema.of(SCHEMA)}, partitioned=lambda read: False)
    (view,) = views_of(flow).values()
    return view


def test_a_view_of_results():
    view = view_of(TUMBLING.agg(n=rr.count(), mean=rr.mean("price"), r=rr.corr("price", "size")))
    assert view.title == "by symbol, windows of 10s"
    assert (view.time, view.keys, view.statistics) == ("window_end", ("symbol",), ("n", "mean"))
    assert [(cell.statistic, cell.x, cell.y) for cell in view.correlations] == [("r", "price", "size")]


@pytest.mark.parametrize(
    ("window", "every_us"),
    [
        (rr.tumbling("10s"), 10_000_000),
        (rr.hopping("1m", "5s"), 5_000_000),
        (rr.session("10s"), None),
    ],
    ids=str,
)
def test_windows_at_fixed_distances_say_how_far_apart_they_end(window, every_us):
    assert view_of(GROUPED.window(window).agg(n=rr.count())).every_us == every_us


def test_rows_that_are_no_results_have_no_distance():
    view = view_of(ROWS)
    assert (view.windowed, view.every_us, view.statistics) == (False, None, ("price", "size"))


def test_fields_of_structs_stand_beside_the_rest():
    frame = pl.DataFrame({"k": ["a"], "bar": [{"open": 1.0, "close": 2.0}], "n": [3]})
    shown = published_frame(frame)
    assert shown.select("k", "n", "bar_open", "bar_close").rows() == [("a", 3, 1.0, 2.0)]
    assert "bar" not in shown.columns
