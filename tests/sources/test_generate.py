"""Made-up rows: the same for the same seed, however they are cut; paced by the clock."""

from __future__ import annotations

import polars as pl
import pytest

from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.sources.generate import Generate
from riverrun.sources.made_up import DATASETS
from riverrun.testing.simulated_world import START_US, SimulatedWorld
from tests.sources.pumping import pump


def rows(source: Generate, *, max_bytes: int = 1024 * 1024, lasting: str = "10s") -> pl.DataFrame:
    world = SimulatedWorld()
    chunks = pump(world, source.open(world, Limits()), max_bytes=max_bytes, lasting=lasting)
    return pl.concat([chunk.frame for chunk in chunks])


@pytest.mark.parametrize("name", DATASETS)
def test_the_columns_are_those_that_are_documented(name):
    frame = rows(Generate(name, rows=1_000))
    assert frame.columns == list(DATASETS[name].columns)
    assert frame.height == 1_000
    assert frame["ts"].dtype == pl.Datetime("us", "UTC")
    assert frame["ts"].is_sorted()


@pytest.mark.parametrize("name", DATASETS)
def test_how_rows_are_cut_into_frames_does_not_change_them(name):
    whole = rows(Generate(name, rows=3_000))
    assert rows(Generate(name, rows=3_000), max_bytes=64 * 7).equals(whole)


@pytest.mark.parametrize("name", DATASETS)
def test_another_seed_gives_other_rows(name):
    one, two = (rows(Generate(name, rows=500, seed=seed)).drop("ts") for seed in (1, 2))
    assert not one.equals(two)


def test_trades_look_like_trades():
    frame = rows(Generate("trades", rows=200_000))
    assert frame.null_count().sum_horizontal().item() == 0
    moves = frame.with_columns(move=pl.col("price").log().diff().over("symbol"))["move"]
    assert 0.00019 < moves.std() < 0.00023
    assert abs(moves.mean()) < 1e-5
    assert frame["size"].min() >= 1
    assert frame["symbol"].value_counts(sort=True)["symbol"][0] == "AAPL"


def test_sensors_have_gaps_and_spikes():
    frame = rows(Generate("sensors", rows=200_000))
    assert 250 < frame["temperature"].null_count() < 600
    assert 15 < (frame["temperature"] > 38).sum() < 80
    assert frame["humidity"].is_between(0, 100).all()


def test_only_purchases_have_an_amount():
    frame = rows(Generate("clicks", rows=50_000))
    assert (frame["amount"].is_not_null() == (frame["action"] == "buy")).all()
    assert 0.01 < (frame["action"] == "buy").mean() < 0.1


def test_rows_come_at_their_rate_and_carry_its_times():
    world = SimulatedWorld()
    reader = Generate("trades", rate=100).open(world, Limits())
    chunks = pump(world, reader, lasting="2s")
    frame = pl.concat([chunk.frame for chunk in chunks])
    assert 200 <= frame.height <= 201
    assert frame["ts"].cast(pl.Int64).to_list()[:3] == [START_US, START_US + 10_000, START_US + 20_000]
    assert [chunk.position for chunk in chunks[:3]] == [0, 1, 2]
    assert max(chunk.received_us - START_US for chunk in chunks) <= 2_000_000


def test_many_rows_a_second_come_in_few_frames():
    world = SimulatedWorld()
    chunks = pump(world, Generate("trades", rate=100_000).open(world, Limits()), lasting="1s")
    assert 99_000 < sum(chunk.frame.height for chunk in chunks) <= 100_001
    assert len(chunks) < 210


def test_the_last_chunk_is_marked():
    world = SimulatedWorld()
    chunks = pump(world, Generate("trades", rows=10, rate=100).open(world, Limits()))
    assert [chunk.end for chunk in chunks] == [False] * 9 + [True]
    none = pump(world, Generate("trades", rows=0).open(world, Limits()))
    assert [(chunk.frame.height, chunk.end) for chunk in none] == [(0, True)]


@pytest.mark.parametrize(
    ("source", "first"),
    [
        (Generate("trades", rows=1), "2025-01-01 00:00:00+00:00"),
        (Generate("trades", rows=1, rate=5), "2026-01-01 00:00:00+00:00"),
        (Generate("trades", rows=1, start="now"), "2026-01-01 00:00:00+00:00"),
        (Generate("trades", rows=1, start="2020-02-03T04:05:06"), "2020-02-03 04:05:06+00:00"),
        (Generate("trades", rows=1, start="2020-02-03T04:05:06+01:00"), "2020-02-03 03:05:06+00:00"),
    ],
)
def test_where_event_time_begins(source, first):
    assert str(rows(source)["ts"][0]) == first


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "trade"}, "generate:: there is no generator 'trade'\n  try: did you mean 'trades'?"),
        ({"name": "trades", "rows": -1}, "generate:trades?rows=-1: rows cannot be negative, got -1"),
        ({"name": "trades", "rate": 0}, "generate:trades?rate=0: a rate is positive, got 0\n  try: rate=1000"),
        (
            {"name": "trades", "start": "soon"},
            "generate:trades, start: not an instant: 'soon'\n  try: 2026-01-01T00:00:00Z",
        ),
    ],
)
def test_impossible_settings(options, problem):
    with pytest.raises(ConfigError) as raised:
        Generate(**options)
    assert str(raised.value) == problem
