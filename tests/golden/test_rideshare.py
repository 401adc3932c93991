"""Pickups and dropoffs of 101 drivers over 25 hours, a little out of order: the counts of another engine."""

from __future__ import annotations

import itertools
import json

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.shared_data import shared_data

SCHEMA = {"timestamp": rr.Timestamp("s"), "driver_id": pl.Int64, "event_type": pl.String, "location": pl.String}


@pytest.fixture(scope="module")
def folder():
    return shared_data("windows/rideshare")


@pytest.fixture(scope="module")
def rides(folder):
    return pl.read_csv(folder / "rides.csv.gz").with_columns(
        pl.col("timestamp").str.to_datetime(time_zone="UTC")
    )


def expected(folder, query):
    queries = json.loads((folder / "expected.json").read_text())["queries"]
    return next(item["expected"] for item in queries if item["id"] == query)


def feed(delay):
    return rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="timestamp", delay=delay)


def instant(column):
    return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias(column.removeprefix("window_"))


@pytest.mark.parametrize("cut", [1, 100, 3000, 10_000])
def test_events_an_hour(folder, rides, cut):
    """The oldest row is 23 seconds behind: that much delay loses none, however rows are cut."""
    part = rides[:400] if cut == 1 else rides
    batches = [rows(part[at : at + cut]) for at in range(0, part.height, cut)]
    hourly = feed("23s").group_by().window(rr.tumbling("1h")).agg(count=rr.count())
    transcript = play(hourly, [*batches, end()])
    got = transcript.results.select(instant("window_end"), "count").to_dicts()
    if part is rides:
        assert got == expected(folder, "hourly_count")
    else:
        assert got == [expected(folder, "hourly_count")[0], {"end": "2023-09-18T16:00:00Z", "count": 186}]
    assert transcript.counts.late == 0


def test_events_an_hour_by_type(folder, rides):
    by_type = feed("23s").group_by("event_type").window(rr.tumbling("1h")).agg(count=rr.count())
    transcript = play(by_type, [rows(rides), end()])
    got = transcript.results.select(instant("window_start"), "event_type", "count")
    assert got.sort("start", "event_type").to_dicts() == expected(folder, "hourly_by_type")


def test_all_kinds_of_windows_count_the_same_events(folder, rides):
    """Hours of a cumulating day, of hopping windows, and of a running count, against the same figures."""
    hours = expected(folder, "hourly_count")
    grouped = feed("23s").group_by()

    growing = play(grouped.window(rr.cumulating("1d", "1h")).agg(n=rr.count()), [rows(rides), end()]).results
    since_midnight, total = {}, 0
    for hour in hours:
        total = hour["count"] if hour["end"].endswith("T01:00:00Z") else total + hour["count"]
        since_midnight[hour["end"]] = total
    got = growing.select(instant("window_end"), "n")
    assert {end: n for end, n in got.iter_rows() if end in since_midnight} == since_midnight

    hopping = play(grouped.window(rr.hopping("2h", "1h")).agg(n=rr.count()), [rows(rides), end()]).results
    pairs = {b["end"]: a["count"] + b["count"] for a, b in itertools.pairwise(hours)}
    got = hopping.select(instant("window_end"), "n")
    assert {end: n for end, n in got.iter_rows() if end in pairs} == pairs

    running = play(grouped.running().agg(n=rr.count()), [rows(rides), end()]).results
    assert running["n"].to_list() == list(range(1, rides.height + 1))
    counted = play(grouped.window(rr.counting(1000)).agg(n=rr.count()), [rows(rides), end()]).results
    assert counted["n"].to_list() == [1000] * 7 + [932]


def test_rolling_by_driver_is_that_of_polars(rides):
    rolled = (
        feed("23s").group_by("driver_id").rolling("2h").agg(n=rr.count(), places=rr.n_unique_exact("location"))
    )
    got = play(rolled, [*(rows(rides[at : at + 500]) for at in range(0, rides.height, 500)), end()]).results
    ordered = rides.sort("timestamp", maintain_order=True)
    by_polars = (
        ordered.sort("driver_id", "timestamp", maintain_order=True)
        .rolling("timestamp", period="2h", group_by="driver_id")
        .agg(n=pl.len(), places=pl.col("location").n_unique())
    )
    columns = ["driver_id", "timestamp", "n", "places"]
    left = got.select(pl.col(columns).cast(pl.Int64)).sort(columns)
    assert left.equals(by_polars.select(pl.col(columns).cast(pl.Int64)).sort(columns))
