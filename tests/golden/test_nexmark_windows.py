"""The queries of the Nexmark benchmark that need windows only, over its data in small."""

from __future__ import annotations

import json

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.shared_data import shared_data

SCHEMA = {"auction": pl.Int64, "bidder": pl.Int64, "price": pl.Int64, "date_time": rr.Timestamp("ms")}


@pytest.fixture(scope="module")
def folder():
    return shared_data("windows/nexmark")


@pytest.fixture(scope="module")
def bids(folder):
    frame = pl.read_ndjson(folder / "bid.jsonl.gz").select(SCHEMA.keys())
    return frame.with_columns(pl.col("date_time").str.to_datetime(time_unit="ms", time_zone="UTC"))


@pytest.fixture(params=[1, 7, 1000])
def batches(request, bids):
    return [*(rows(bids[at : at + request.param]) for at in range(0, bids.height, request.param)), end()]


def expected(folder, query):
    queries = json.loads((folder / "expected.json").read_text())["queries"]
    return next([tuple(row) for row in item["expected"]] for item in queries if item["id"] == query)


def feed():
    return rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="date_time", delay="10s")


def those_with_most(windowed, columns, value):
    """The rows of each window whose value is the largest: they are collected, and taken apart again."""
    stats = windowed.agg(most=rr.max(value), items=rr.collect(pl.struct(*columns)))
    fields = [pl.col("items").struct.field(name).alias(name) for name in columns]
    most = pl.col("items").struct.field(value) == pl.col("most")
    return stats.explode("items").filter(most).select("window_end", *fields)


def test_q5_hot_items(folder, batches):
    """The auctions with most bids: the counts of a window are aggregated again, window by window."""
    counts = feed().group_by("auction").window(rr.hopping("10s", "2s")).agg(n=rr.count())
    again = counts.group_by(pl.col("window_start").alias("start")).window(rr.tumbling("2s"))
    results = play(those_with_most(again, ["window_start", "auction", "n"], "n"), batches).results
    text = pl.col("window_start").dt.strftime("%Y-%m-%dT%H:%M:%S")
    assert results.select(text, "auction", "n").rows() == expected(folder, "q5")


def test_q7_highest_bid(folder, batches):
    """Of each window of ten seconds."""
    columns = ["auction", "price", "bidder", "date_time"]
    results = play(
        those_with_most(feed().group_by().window(rr.tumbling("10s")), columns, "price"), batches
    ).results
    text = pl.col("date_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f")
    got = results.select("auction", "price", "bidder", text).rows()
    assert sorted(got) == sorted(expected(folder, "q7"))
