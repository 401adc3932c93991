"""The queries of the Nexmark benchmark that need joins, over its data in small."""

from __future__ import annotations

import json

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import Script, end, play, rows
from tests.shared_data import shared_data

MOMENT = rr.Timestamp("ms")
SCHEMAS = {
    "person": {"id": pl.Int64, "name": pl.String, "city": pl.String, "state": pl.String, "date_time": MOMENT},
    "auction": {
        "id": pl.Int64,
        "seller": pl.Int64,
        "category": pl.Int64,
        "date_time": MOMENT,
        "expires": pl.Datetime("ms", "UTC"),
    },
    "bid": {"auction": pl.Int64, "bidder": pl.Int64, "price": pl.Int64, "date_time": MOMENT},
}
TEN = rr.tumbling("10s")


@pytest.fixture(scope="module")
def folder():
    return shared_data("windows/nexmark")


@pytest.fixture(params=[1, 7, 1000])
def batches(request, folder):
    """Batches of three sources by turns; those of a thousand rows are one source after the other."""
    made = []
    for name, schema in SCHEMAS.items():
        frame = pl.read_ndjson(folder / f"{name}.jsonl.gz").select(schema.keys())
        times = [column for column in ("date_time", "expires") if column in frame.columns]
        frame = frame.with_columns(pl.col(times).str.to_datetime(time_unit="ms", time_zone="UTC"))
        cuts = range(0, frame.height, request.param)
        made += [(at / frame.height, name, frame[at : at + request.param]) for at in cuts]
    return [(name, frame) for _, name, frame in sorted(made, key=lambda item: item[0])]


def feed(name):
    return rr.read(
        "tcp://localhost:9", format="csv", schema=SCHEMAS[name], time="date_time", delay="10s", name=name
    )


def results(stream, batches, *sources):
    brought = [rows(frame, source=name) for name, frame in batches if name in sources]
    return play(stream, Script([*brought, end()])).results


def expected(folder, query):
    queries = json.loads((folder / "expected.json").read_text())["queries"]
    return next([tuple(row) for row in item["expected"]] for item in queries if item["id"] == query)


def test_q3_local_item_suggestion(folder, batches):
    """Who sells in some states: the original keeps all people and auctions for ever, here a day is enough."""
    people = feed("person").filter(pl.col("state").is_in(["or", "id", "ca"])).rename({"id": "seller"})
    auctions = feed("auction").filter(pl.col("category") == 10)
    found = auctions.join_interval(people, on="seller", lower="-1d", upper="1d")
    got = results(found, batches, "person", "auction").select("name", "city", "state", "id").rows()
    assert sorted(got) == sorted(expected(folder, "q3"))


def test_q4_average_price_for_a_category(folder, batches):
    """The highest bid while an auction was open, then the mean over auctions."""
    bids = feed("bid").rename({"auction": "id"})
    open_ = feed("auction").join_interval(bids, on="id", lower="0s", upper="1h")
    open_ = open_.filter(pl.col("date_time_right") <= pl.col("expires"))
    day = rr.tumbling("1d")
    highest = open_.group_by("id", "category").window(day).agg(price=rr.max("price"))
    means = highest.group_by("category").window(day).agg(mean=rr.mean("price"))
    got = results(means, batches, "auction", "bid").select("category", "mean").rows()
    assert sorted(got) == expected(folder, "q4")


def test_q5_hot_items(folder, batches):
    """The counts of each window beside the highest of them: a stream is joined with what is made of it."""
    counts = feed("bid").group_by("auction").window(rr.hopping("10s", "2s")).agg(n=rr.count())
    most = counts.group_by().window(rr.tumbling("2s")).agg(n=rr.max("n"))
    plain = counts.rename({"window_start": "begins", "window_end": "ends"})
    most = most.drop("window_start")
    hot = plain.join_window(most.rename({"window_end": "of"}), on="n", window=rr.tumbling("2s"))
    text = pl.col("begins").dt.strftime("%Y-%m-%dT%H:%M:%S")
    assert results(hot, batches, "bid").select(text, "auction", "n").rows() == expected(folder, "q5")


def test_q7_highest_bid(folder, batches):
    """The bids of each window joined with its highest price, which counts as of the same window."""
    bids = feed("bid")
    highest = bids.group_by().window(TEN).agg(price=rr.max("price")).drop("window_start")
    best = bids.join_window(highest.rename({"window_end": "closed"}), on="price", window=TEN)
    text = pl.col("date_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f")
    got = results(best, batches, "bid").select("auction", "price", "bidder", text).rows()
    assert sorted(got) == sorted(expected(folder, "q7"))


def test_q8_monitor_new_users(folder, batches):
    """People who registered and opened an auction in the same window."""
    auctions = feed("auction").select(pl.col("seller").alias("id"), "date_time")
    new = feed("person").join_window(auctions, on="id", window=TEN)
    text = pl.col("window_start").dt.strftime("%Y-%m-%dT%H:%M:%S")
    got = results(new, batches, "person", "auction").select("id", "name", text).unique().rows()
    assert sorted(got) == expected(folder, "q8")
