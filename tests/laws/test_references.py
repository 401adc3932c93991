"""The values that NIST, pandas and SciPy give for the same data."""

from __future__ import annotations

import gzip
import io
import json
import math
import random

import pandas as pd
import polars as pl
import pytest

import riverrun as rr
from tests.laws.exact import DATA, moments, pairs

CERTIFIED = json.loads((DATA / "nist_certified.json").read_text())["datasets"]
SECONDS = {"ts": rr.Timestamp("s"), "x": pl.Float64}


def collected(rows, **aggregates):
    return rr.read(rows).group_by().window(rr.tumbling("1w")).agg(**aggregates).collect().row(0, named=True)


@pytest.mark.parametrize("item", CERTIFIED, ids=[item["name"] for item in CERTIFIED])
def test_nist_skewness_kurtosis_and_autocorrelation(item):
    xs = [float(text) for text in (DATA / item["file"]).read_text().split()]
    got = collected({"x": xs}, skew=rr.skew("x"), kurtosis=rr.kurtosis("x"), lag1=rr.autocorr("x"))
    exact = item["computed_exactly"]
    # The decimals of NumAcc3 are not doubles: see docs/accuracy.md.
    limit = 1e-7 if item["name"] == "NumAcc3" else 1e-12
    assert got["skew"] == pytest.approx(float(exact["skewness_population"]), rel=limit, abs=limit)
    assert got["kurtosis"] == pytest.approx(float(exact["kurtosis_population"]) - 3, rel=limit, abs=limit)
    assert got["lag1"] == pytest.approx(float(item["certified"]["lag1_autocorrelation"]), rel=limit, abs=limit)


def test_norris_regression():
    norris = json.loads((DATA / "norris.json").read_text())
    rows = {name: [float(text) for text in norris[name]] for name in ("x", "y")}
    line = collected(rows, line=rr.regression("y", "x"))["line"]
    # Certified by NIST.
    assert line["slope"] == pytest.approx(1.00211681802045, rel=1e-13)
    assert line["intercept"] == pytest.approx(-0.262323073774029, rel=1e-12)
    assert line["r2"] == pytest.approx(0.999993745883712, rel=1e-13)


def test_rolling_sample_skewness_and_kurtosis_of_pandas():
    table = pl.read_csv(gzip.decompress((DATA / "rolling_reference_ibm_msft.csv.gz").read_bytes()))
    rows = {"ts": list(range(table.height)), "x": table["ibm"].to_list()}
    feed = rr.read(rows, schema=SECONDS, time="ts")
    stats = feed.group_by().window(rr.hopping("20s", "1s"))
    got = stats.agg(s=rr.skew("x", bias=False), k=rr.kurtosis("x", bias=False), n=rr.count()).collect()
    whole = got.filter(pl.col("n") == 20)
    wanted = table.filter(pl.col("skew_20").is_not_null())
    assert whole.height == wanted.height == 484
    assert whole["s"].to_list() == pytest.approx(wanted["skew_20"].to_list(), rel=1e-8, abs=1e-9)
    assert whole["k"].to_list() == pytest.approx(wanted["kurt_20"].to_list(), rel=1e-8, abs=1e-9)


def decaying(count, chance):
    """Unevenly spaced seconds and a random walk from 1e6."""
    times, x, xs = [], 1e6, []
    at = 0
    for _ in range(count):
        at += chance.randint(1, 9)
        x += chance.gauss(0, 1)
        times.append(at)
        xs.append(x)
    return times, xs


def test_decayed_mean_of_pandas_with_uneven_times():
    times, xs = decaying(300, random.Random(3))
    wanted = pd.Series(xs).ewm(halflife="20s", times=pd.to_datetime(times, unit="s")).mean().iloc[-1]
    order = list(range(300))
    random.Random(4).shuffle(order)
    for arrival in (list(range(300)), order):
        rows = {"ts": [times[at] for at in arrival], "x": [xs[at] for at in arrival]}
        frames = [pl.DataFrame(rows)[at : at + 37] for at in range(0, 300, 37)]
        feed = rr.read(iter(frames), schema=SECONDS, time="ts", delay=None)
        got = feed.group_by().window(rr.tumbling("1d")).agg(m=rr.ewm_mean("x", "20s")).collect()
        assert got["m"].item() == pytest.approx(wanted, rel=1e-13)


def test_decayed_deviation_of_pandas_with_even_times():
    _, xs = decaying(300, random.Random(5))
    wanted = pd.Series(xs).ewm(halflife=20).std(bias=True).iloc[-1]
    feed = rr.read({"ts": list(range(300)), "x": xs}, schema=SECONDS, time="ts")
    got = feed.group_by().window(rr.tumbling("1d")).agg(s=rr.ewm_std("x", "20s")).collect()
    assert got["s"].item() == pytest.approx(wanted, rel=1e-8)  # pandas adds and removes


def test_decayed_weights_far_beyond_the_smallest_double():
    """10,000 half-lives between two groups of values: the old ones count for nothing, nothing is undefined."""
    rows = {"ts": [0, 1, 10_000, 10_001], "x": [5.0, 6.0, 1.0, 4.0]}
    frames = [pl.DataFrame(rows)[:2], pl.DataFrame(rows)[2:]]
    for parts in (frames, frames[::-1], [pl.DataFrame(rows)]):
        feed = rr.read(iter(parts), schema=SECONDS, time="ts", delay=None)
        got = feed.group_by().window(rr.tumbling("1d")).agg(m=rr.ewm_mean("x", "1s"), s=rr.ewm_std("x", "1s"))
        row = got.collect().row(0, named=True)
        assert row["m"] == pytest.approx(3.0, rel=1e-15)
        assert row["s"] == pytest.approx(math.sqrt(2), rel=1e-15)


@pytest.mark.parametrize("name", pairs())
def test_matrices_are_exact(name):
    xs, ys = pairs()[name]
    exact, other = moments(xs, ys), moments(ys, xs)
    rows = pl.DataFrame({"x": xs, "y": ys})
    whole = collected(rows, c=rr.cov_matrix(["x", "y"]), r=rr.corr_matrix(["x", "y"]))
    frames = iter([rows[at : at + 7] for at in range(0, rows.height, 7)])
    parts = collected(frames, c=rr.cov_matrix(["x", "y"]), r=rr.corr_matrix(["x", "y"]))
    scale = math.sqrt(exact["var"]) * math.sqrt(other["var"])
    for got in (whole, parts):
        (xx, xy), (yx, yy) = got["c"]
        assert xx == pytest.approx(float(exact["var"]), rel=1e-13)
        assert yy == pytest.approx(float(other["var"]), rel=1e-13)
        assert xy == yx == pytest.approx(float(exact["cov"]), abs=1e-13 * scale)
        assert got["r"][0][1] ** 2 == pytest.approx(float(exact["corr"]), abs=2e-13)
        assert got["r"][0][0] == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize(("sampled", "others"), [(1e9, 4.0), (4.0, 1e9), (0.1, math.nextafter(0.1, 1.0))])
def test_a_matrix_is_exact_when_a_sample_of_the_rows_misleads(sampled, others):
    """Of 704 rows each eleventh tells the reference; all rows but those lie elsewhere, or one digit apart."""
    xs = [sampled if at % 11 == 0 else others + (at % 13) * math.ulp(others) for at in range(704)]
    ys = [float(at % 17) for at in range(704)]
    exact = moments(xs, ys)
    (xx, xy), _ = collected(pl.DataFrame({"x": xs, "y": ys}), c=rr.cov_matrix(["x", "y"]))["c"]
    assert xx == pytest.approx(float(exact["var"]), rel=1e-13)
    scale = math.sqrt(exact["var"]) * math.sqrt(moments(ys, xs)["var"])
    assert xy == pytest.approx(float(exact["cov"]), abs=1e-13 * scale)


def test_the_correlation_matrix_that_r_prints():
    data = json.loads((DATA / "swiss_correlation.json").read_text())
    rows = {name: [float(row[at]) for row in data["rows"]] for at, name in enumerate(data["columns"])}
    got = collected(rows, r=rr.corr_matrix(data["columns"]))["r"]
    frame = pd.read_csv(io.StringIO(pl.DataFrame(rows).write_csv()))
    assert [value for row in got for value in row] == pytest.approx(frame.corr().to_numpy().ravel(), rel=1e-13)
