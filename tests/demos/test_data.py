"""The data that the demos ship with is what its LICENSES.md says, and fits into the package."""

from __future__ import annotations

import gzip
from importlib.resources import files

import polars as pl
import pytest

DATA = files("riverrun.demos") / "data"
PRICES = ["open", "high", "low", "close"]


def read(name: str) -> pl.DataFrame:
    return pl.read_csv(gzip.decompress((DATA / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "rows", "kilobytes_max"), [("stocks", 11_958, 300), ("returns", 2_147, 300), ("ward", 27_872, 400)]
)
def test_each_file_is_small_and_its_source_is_named(name, rows, kilobytes_max):
    assert len((DATA / f"{name}.csv.gz").read_bytes()) < kilobytes_max * 1_000
    assert read(f"{name}.csv.gz").height == rows
    assert f"## {name}.csv.gz\n" in (DATA / "LICENSES.md").read_text()
    assert f"{rows:,} rows" in (DATA / "LICENSES.md").read_text()


def test_stocks_are_in_order_and_whole():
    stocks = read("stocks.csv.gz")
    assert stocks.columns == ["date", "symbol", *PRICES, "prev_close", "volume"]
    assert stocks.select("date", "symbol").equals(
        stocks.select("date", "symbol").unique().sort("date", "symbol")
    )
    assert stocks.filter(
        (pl.col("low") > pl.min_horizontal(PRICES)) | (pl.col("high") < pl.max_horizontal(PRICES))
    ).is_empty()
    assert stocks.group_by("symbol").agg(pl.col("prev_close").null_count())["prev_close"].to_list() == [1] * 4


def test_the_previous_close_is_that_of_the_day_before_and_no_split_is_a_fall():
    stocks = read("stocks.csv.gz").with_columns(before=pl.col("close").shift(1).over("symbol"))
    assert stocks["prev_close"].equals(stocks["before"], check_names=False)
    change = stocks["close"] / stocks["prev_close"]
    # Apple fell by 52 % on 2000-09-29, that is real; its split of 2005-02-28 would be another one.
    assert stocks.filter(change < 0.8).select("date", "symbol").rows() == [("2000-09-29", "AAPL")]
    assert stocks.filter(change > 1.25).is_empty()


def test_returns_are_those_of_the_stocks():
    stocks, returns = read("stocks.csv.gz"), read("returns.csv.gz")
    long = returns.unpivot(index="date", variable_name="symbol", value_name="percent")
    both = long.join(stocks, on=["date", "symbol"])
    assert both.height == long.height
    percent = (both["close"] / both["prev_close"] - 1) * 100
    assert (percent - both["percent"]).abs().max() < 1.5e-3  # the prices are rounded to six digits
    assert returns["date"].is_sorted()


def test_heart_recordings_have_their_true_rate():
    ward = read("ward.csv.gz")
    assert ward["t_ms"].is_sorted()
    assert ward["signal"].is_between(0, 1023).all()
    beds = ward.group_by("patient").agg(
        per_second=pl.len() / (pl.col("t_ms").max() - pl.col("t_ms").min()) * 1_000
    )
    rates = dict(beds.iter_rows())
    assert rates == {"bed-1": pytest.approx(117.0, abs=0.1), "bed-2": pytest.approx(100.4, abs=0.1)}
