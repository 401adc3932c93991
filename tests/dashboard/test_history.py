"""What the dashboard remembers of a view: upserts by key and time, bounded keys, any type of column."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from riverrun.charts.view import Correlation, View
from riverrun.dashboard.history import Bounds, History, value_columns

VIEW = View("v", "V", time="at", keys=("k",), statistics=("mean",))


def frame(rows, **extra):
    return pl.DataFrame(
        {"k": [r[0] for r in rows], "at": [r[1] for r in rows], "mean": [r[2] for r in rows], **extra},
        schema_overrides={"k": pl.String, "at": pl.Int64, "mean": pl.Float64},
    )


def shown(history):
    return {
        key: list(zip(series.times.tolist(), series.values[:, 0].tolist(), strict=True))
        for key, series in zip(history.keys, history.series, strict=True)
    }


def test_rows_are_put_in_by_key_and_time():
    history = History(VIEW)
    history.absorb(frame([("A", 1, 1.0), ("B", 1, 2.0)]))
    history.absorb(frame([("A", 2, 3.0), ("A", 1, 9.0)]))
    assert shown(history) == {("A",): [(1, 9.0), (2, 3.0)], ("B",): [(1, 2.0)]}


def test_a_change_names_new_keys_once():
    history = History(VIEW)
    first = history.absorb(frame([("A", 1, 1.0), (None, 1, 2.0)]))
    second = history.absorb(frame([("A", 2, 1.0), ("", 2, 2.0)]))
    assert (first.first_key, first.new_keys, first.keys.tolist()) == (0, (("A",), (None,)), [0, 1])
    assert (second.first_key, second.new_keys, second.keys.tolist()) == (2, (("",),), [0, 2])


def test_the_last_revision_of_one_update_wins():
    history = History(VIEW)
    change = history.absorb(frame([("A", 1, 1.0), ("A", 1, 2.0)], revision=[0, 1], final=[False, True]))
    assert change.values.tolist() == [[2.0, 1.0, 1.0]]


def test_without_keys_there_is_one_line():
    history = History(View("v", "V", time="at", keys=(), statistics=("mean",)))
    history.absorb(frame([("A", 1, 1.0)]).drop("k"))
    assert shown(history) == {(): [(1, 1.0)]}


def test_keys_beyond_the_bound_are_counted():
    history = History(VIEW, Bounds(keys=2))
    history.absorb(frame([("A", 1, 1.0), ("B", 1, 1.0), ("C", 1, 1.0), ("D", 1, 1.0)]))
    change = history.absorb(frame([("C", 2, 1.0), ("A", 2, 5.0)]))
    assert history.keys == [("A",), ("B",)]
    assert change.hidden_keys == history.hidden_keys == 2
    assert change.times.tolist() == [2]


def test_many_keys_share_the_room():
    history = History(VIEW, Bounds(points=1_000, values=6_000))
    for key in "ABCDEFGHIJ":
        history.absorb(frame([(key, at, 0.0) for at in range(1_000)]))
    assert sum(len(series) for series in history.series) <= 2_000 * 1.25


def test_rows_that_cannot_be_drawn_are_left_out():
    history = History(VIEW)
    assert history.absorb(frame([("A", None, 1.0)])) is None
    history.absorb(frame([("A", 1, None), ("A", 2, float("inf"))]))
    assert np.isnan(history.series[0].values[0, 0])


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pl.Series([datetime(1970, 1, 2, tzinfo=UTC)]), 86_400_000_000),
        (pl.Series([86_400_000]).cast(pl.Datetime("ms")), 86_400_000_000),
        (pl.Series([90_000_000]).cast(pl.Datetime("ms")).dt.replace_time_zone("Europe/Paris"), 86_400_000_000),
        (pl.Series([date(1970, 1, 2)]), 86_400_000_000),
        (pl.Series([7]), 7),
    ],
)
def test_times_of_any_type(times, expected):
    history = History(VIEW)
    history.absorb(pl.DataFrame({"k": ["A"], "at": times, "mean": [1.0]}))
    assert history.series[0].times.tolist() == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([3], dtype=pl.UInt64), 3.0),
        (pl.Series([True]), 1.0),
        (pl.Series(["x"]), None),
        (pl.Series([[1.0]]), None),
        (pl.Series(["1.50"]).cast(pl.Decimal(10, 2)), 1.5),
    ],
)
def test_values_of_any_type(values, expected):
    history = History(VIEW)
    history.absorb(pl.DataFrame({"k": ["A"], "at": [1], "mean": values}))
    got = history.series[0].values[0, 0]
    assert (None if np.isnan(got) else got) == expected


@pytest.mark.parametrize(
    "keys",
    [pl.Series([1.5]), pl.Series([7]), pl.Series([date(2026, 1, 1)]), pl.Series(["x"], dtype=pl.Categorical)],
)
def test_keys_of_any_type_become_text(keys):
    history = History(VIEW)
    history.absorb(pl.DataFrame({"k": keys, "at": [1], "mean": [1.0]}))
    assert history.keys == [(str(keys[0]),)]


def test_rows_without_windows_are_thinned_but_each_key_keeps_its_last():
    view = View("v", "V", time="at", keys=("k",), statistics=("mean",), windowed=False)
    history = History(view, Bounds(rows_per_tick=100))
    change = history.absorb(frame([("AB"[at % 2], at, 0.0) for at in range(5_000)]))
    assert len(change.times) <= 104
    assert [series.times[-1] for series in history.series] == [4_998, 4_999]
    assert history.thinned_rows == 5_000 - len(change.times)


def test_the_heatmap_brings_its_own_columns():
    view = View("v", "V", "at", ("k",), ("mean",), (Correlation("r", "x", "y"), Correlation("mean", "x", "z")))
    assert value_columns(view) == ("mean", "r")
