"""Moments are within 1e-13 of exact rational arithmetic on the doubles, for any split and order of merging."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction

import polars as pl
import pytest

import riverrun as rr
from tests.laws.exact import DATA, error, moments, pairs, series
from tests.laws.splitting import worst_errors

GOAL = 1e-13
PAIRS = pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_any_split_and_any_order_of_merging(name):
    worst = worst_errors(*PAIRS[name], trials=15)
    assert {statistic: value for statistic, value in worst.items() if value > GOAL} == {}


def collected(columns, **aggregates):
    """Through the front door."""
    return rr.read(columns).group_by().window(rr.tumbling("1w")).agg(**aggregates).collect().row(0, named=True)


@pytest.mark.parametrize("name", PAIRS)
def test_through_collect(name):
    xs, ys = PAIRS[name]
    got = collected(
        {"x": list(xs), "y": list(ys)},
        mean=rr.mean("x"),
        var=rr.var("x"),
        cov=rr.cov("x", "y"),
        corr=rr.corr("x", "y"),
    )
    exact = moments(xs, ys)
    largest = max(map(abs, xs))
    assert all(error(s, got[s], exact[s], largest) <= GOAL for s in ("mean", "var", "cov", "corr"))


CERTIFIED = json.loads((DATA / "nist_certified.json").read_text())["datasets"]


@pytest.mark.parametrize("item", CERTIFIED, ids=[item["name"] for item in CERTIFIED])
def test_nist_certified_values(item):
    """Reading the decimals as doubles limits how close any method can come: see docs/accuracy.md."""
    xs = [float(text) for text in (DATA / item["file"]).read_text().split()]
    got = collected({"x": xs}, mean=rr.mean("x"), sd=rr.std("x", ddof=1))
    limit = {"NumAcc3": 1e-9, "Michelso": 1e-13}.get(item["name"], 1e-14)
    assert math.isclose(got["mean"], float(item["certified"]["mean"]), rel_tol=1e-14)
    assert math.isclose(got["sd"], float(item["certified"]["sample_sd"]), rel_tol=limit)


def test_the_correlation_matrix_of_the_swiss_data():
    data = json.loads((DATA / "swiss_correlation.json").read_text())
    names = data["columns"]
    rows = {name: [float(row[at]) for row in data["rows"]] for at, name in enumerate(names)}
    made = {f"{a}_{b}": rr.corr(a, b) for a in names for b in names}
    got = collected(rows, **made)
    for a in names:
        assert got[f"{a}_{a}"] == pytest.approx(1.0, rel=1e-15)
        for b in names:
            squared = moments(rows[a], rows[b])["corr"]
            assert abs(got[f"{a}_{b}"]) == pytest.approx(math.sqrt(squared), rel=1e-14)
            assert got[f"{a}_{b}"] == got[f"{b}_{a}"]


def test_quantiles_of_type_7():
    data = json.loads((DATA / "quantile_types.json").read_text())
    made = {f"q{at}": rr.quantile("x", q) for at, q in enumerate(data["probabilities"])}
    got = collected({"x": data["data"]}, **made)
    assert list(got.values())[2:] == pytest.approx(data["types"]["R7"]["values"], rel=1e-14)


def test_groups_on_levels_far_apart_in_one_batch():
    chance = random.Random(1)
    levels = {"tiny": 1e-3, "one": 1.0, "huge": 1e9, "below": -1e9}
    values = {
        key: [level + chance.gauss(0, 1e-4 * max(1.0, abs(level) * 1e-5)) for _ in range(60)]
        for key, level in levels.items()
    }
    rows = [{"k": key, "x": x} for at in range(60) for key in levels for x in [values[key][at]]]
    for size in (8, 40, 240):
        frames = [pl.DataFrame(rows[at : at + size]) for at in range(0, len(rows), size)]
        stats = rr.read(iter(frames)).group_by("k").window(rr.tumbling("1w")).agg(m=rr.mean("x"), v=rr.var("x"))
        for key, mean, var in stats.collect().select("k", "m", "v").iter_rows():
            exact = moments(values[key], values[key])
            assert error("mean", mean, exact["mean"], max(map(abs, values[key]))) <= GOAL
            assert error("var", var, exact["var"], 1.0) <= GOAL, (key, size)


@pytest.mark.parametrize("constant", [0.1, 1e9 + 0.1, -3e-7, 1e300, 5e-324])
def test_a_constant_has_no_variance_and_no_correlation(constant):
    rows = {"x": [constant] * 37, "y": [float(i) for i in range(37)]}
    got = collected(rows, v=rr.var("x"), s=rr.std("x"), c=rr.cov("x", "y"), r=rr.corr("x", "y"), m=rr.mean("x"))
    assert (got["v"], got["s"], got["c"], got["r"], got["m"]) == (0.0, 0.0, 0.0, None, constant)


@pytest.mark.parametrize("constant", [0.1, 1e9 + 0.1, -3e-7])
def test_a_constant_in_parts_has_no_variance(constant):
    frames = [pl.DataFrame({"x": [constant] * size, "y": [1.0 * size] * size}) for size in (1, 7, 30, 2)]
    stats = rr.read(iter(frames)).group_by().window(rr.tumbling("1w"))
    got = stats.agg(v=rr.var("x"), r=rr.corr("x", "y")).collect().row(0, named=True)
    assert (got["v"], got["r"]) == (0.0, None)


@pytest.mark.parametrize(
    ("odd", "mean"),
    [(math.nan, math.nan), (math.inf, math.inf), (-math.inf, -math.inf)],
    ids=["nan", "inf", "-inf"],
)
def test_nan_and_infinity_go_through_as_in_ieee_arithmetic(odd, mean):
    got = collected({"x": [1.0, odd, 3.0]}, m=rr.mean("x"), v=rr.var("x"), s=rr.sum("x"), n=rr.count("x"))
    assert repr((got["m"], got["s"], got["n"])) == repr((mean, mean, 3))
    assert math.isnan(got["v"])


def test_values_near_the_limits_of_doubles():
    got = collected({"x": [1e300, -1e300, 1e299]}, m=rr.mean("x"))
    assert got["m"] == pytest.approx(1e299 / 3, rel=1e-13)
    # What is larger may leave the range of doubles when it is added up, in some orders and not in others.
    beyond = collected({"x": [1e308, -1e308, 1e307]}, m=rr.mean("x"), low=rr.min("x"), high=rr.max("x"))
    assert math.isnan(beyond["m"])
    assert (beyond["low"], beyond["high"]) == (-1e308, 1e308)
    tiny = collected({"x": [5e-324, 1.5e-323, 1e-323]}, m=rr.mean("x"), s=rr.sum("x"))
    assert tiny["s"] == 3e-323
    assert tiny["m"] == pytest.approx(1e-323, abs=5e-324)


def test_sums_of_integers_are_exact_near_two_to_the_63():
    top = 2**63 - 1
    fits = collected({"x": [top, -5, 5, -top, top]}, s=rr.sum("x"))
    assert fits["s"] == top
    assert collected({"x": [top, 1]}, s=rr.sum("x"))["s"] is None
    assert collected({"x": [top, 1, -1]}, s=rr.sum("x"))["s"] == top


def test_an_outlier_that_has_left_a_window_leaves_no_trace():
    xs = [1.0, 2.0, 1e14, *([1.0, 2.0, 4.0] * 10)]
    rows = {"t": list(range(len(xs))), "x": xs}
    feed = rr.read(rows, schema={"t": rr.Timestamp("s"), "x": pl.Float64}, time="t")
    results = feed.group_by().window(rr.hopping("6s", "1s")).agg(v=rr.var("x")).collect()
    for start, var in results.select(pl.col("window_start").to_physical() // 1_000_000, "v").iter_rows():
        held = xs[max(start, 0) : start + 6]
        exact = moments(held, [*range(len(held))])["var"] if len(set(held)) > 1 else Fraction(0)
        assert error("var", var, exact, 1.0) <= GOAL


def test_the_series_are_there():
    assert len(series()) == 12
