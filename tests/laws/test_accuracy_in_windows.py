"""Moments in every kind of window are within 1e-13 of exact rational arithmetic on the rows that it holds.

Rows come out of order and are cut into batches anyhow; where windows are revised, every revision counts. The
series are those that break running updates: large offsets, spikes that come and leave again, steps.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import random
from fractions import Fraction

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.laws.exact import DATA, error, moments, pairs

GOAL = 1e-13
ROWS = 100
FEED = {"t": rr.Timestamp("s"), "k": pl.String, "x": pl.Float64, "y": pl.Float64, "row": pl.Int64}
STATISTICS = {
    "mean": rr.mean("x"),
    "var": rr.var("x"),
    "cov": rr.cov("x", "y"),
    "corr": rr.corr("x", "y"),
}
KINDS = {
    "tumbling": lambda grouped: grouped.window(rr.tumbling("50s")),
    "tumbling, revised": lambda grouped: grouped.window(rr.tumbling("50s"), lateness="1d"),
    "hopping": lambda grouped: grouped.window(rr.hopping("60s", "7s")),
    "hopping, revised": lambda grouped: grouped.window(rr.hopping("60s", "20s"), lateness="1d"),
    "cumulating": lambda grouped: grouped.window(rr.cumulating("90s", "10s")),
    "cumulating, revised": lambda grouped: grouped.window(rr.cumulating("90s", "30s"), lateness="1d"),
    "session": lambda grouped: grouped.window(rr.session("2s")),
    "session, revised": lambda grouped: grouped.window(rr.session("2s"), lateness="1d"),
    "limited session": lambda grouped: grouped.window(rr.session("2s", maximum="37s")),
    "counting": lambda grouped: grouped.window(rr.counting(37, every=5)),
    "rolling": lambda grouped: grouped.rolling("20s"),
    "running": lambda grouped: grouped.running(),
}
#: The ones that cost other methods most digits.
HARD = ("stress", "1e9", "1e12", "NIST NumAcc3", "NIST Norris")
PAIRS = {name: pair for name, pair in pairs().items() if name.startswith(HARD)}


def windows(kind):
    """By key; where windows are revised, rows are late ones."""
    delay = "0s" if "revised" in kind else "6s"
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t", delay=delay)
    return KINDS[kind](feed.group_by("k"))


def script(xs, ys, chance, disorder):
    places = sorted(range(len(xs)), key=lambda at: at + chance.randint(0, disorder))
    events = [(at, "a", xs[at], ys[at], at) for at in places]
    cuts = sorted(chance.sample(range(1, len(events)), min(8, len(events) - 1)))
    bounds = zip([0, *cuts], [*cuts, len(events)], strict=True)
    return [*(rows(*events[a:b]) for a, b in bounds), end()]


def worst(result, xs, ys):
    """The worst error of each statistic over all results."""
    found = dict.fromkeys(STATISTICS, 0.0)
    largest = max(map(abs, xs))
    for row in result.iter_rows(named=True):
        held = row["rows"]
        own = [xs[at] for at in held], [ys[at] for at in held]
        if len(set(own[0])) < 2 or len(set(own[1])) < 2:
            # Constant: no spread, exactly, and no correlation.
            assert row["corr"] is None
            assert len(set(own[0])) > 1 or row["var"] == 0
            continue
        exact = moments(*own)
        # A correlation lies in [-1, 1], and its covariance may cancel, so that its error is absolute.
        corr = exact["corr"]
        off = float(abs(Fraction(row["corr"]) ** 2 - corr)) / (abs(row["corr"]) + math.sqrt(corr))
        found["corr"] = max(found["corr"], off)
        for name in ("mean", "var"):
            found[name] = max(found[name], error(name, row[name], exact[name], largest))
        spread = math.sqrt(exact["var"] * moments(own[1], own[0])["var"])
        found["cov"] = max(found["cov"], float(abs(Fraction(row["cov"]) - exact["cov"]) / Fraction(spread)))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_moments_in_every_kind_of_window(kind, name):
    xs, ys = (list(values[:ROWS]) for values in PAIRS[name])
    chance = random.Random(f"{kind} {name}")
    windowed = windows(kind)
    steps = script(xs, ys, chance, disorder=5)
    # Apart, since a list cannot be merged row by row.
    transcript, lists = (
        play(windowed.agg(**STATISTICS), steps),
        play(windowed.agg(rows=rr.collect("row")), steps),
    )
    assert transcript.counts.late == 0
    assert transcript.results.height == lists.results.height > 0
    errors = worst(transcript.results.with_columns(lists.results["rows"]), xs, ys)
    assert {n: value for n, value in errors.items() if value > GOAL} == {}


NOTHING = {
    "var": rr.var("x"),
    "std": rr.std("x"),
    "sem": rr.sem("x"),
    "cov": rr.cov("x", "y"),
    "range": rr.range("x"),
    "sum": rr.sum(pl.col("x") * 0.0),
    "mean": rr.mean(pl.col("x") * 0.0),
    "weighted": rr.weighted_mean(pl.col("x") * 0.0, "row"),
}
#: One of these makes rolling windows merge row by row, the other in groups.
WAYS = {
    "sums": {},
    "merged": {"skew": rr.skew("x")},
    "grouped": {"decayed": rr.ewm_mean(pl.col("x") * 0.0, "3s")},
}


LEVELS = [((9.0,), (10.0,)), ((-9.0,), (-10.0,)), ((1e9 + 0.1,), (-0.1,)), ((0.0, -0.0), (-0.0, -0.0, 0.0))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("levels", LEVELS)
def test_nothing_has_no_sign(kind, way, levels):
    """Of constants, each key on a level of its own, and of zeros of both signs: 0, and never −0."""
    xs = [itertools.cycle(level) for level in levels]
    times = [*range(12), 20, 21, 31, 32]
    events = [(at, "ab"[at % 2], next(xs[at % 2]), -3.0 - at, at + 1) for at in times]
    steps = [rows(*events[:1]), rows(*events[1:9]), rows(*events[9:]), end()]
    results = play(windows(kind).agg(**NOTHING, **WAYS[way]), steps).results
    found = results.select(*NOTHING, *set(WAYS[way]) & {"decayed"}).unpivot()["value"].to_list()
    assert {(value, math.copysign(1.0, value)) for value in found} == {(0.0, 1.0)}


STRESS = json.loads((DATA / "rolling_stress.json").read_text())


@pytest.mark.parametrize("item", STRESS, ids=[item["name"] for item in STRESS])
@pytest.mark.parametrize("batch", [1000, 17])
def test_a_spike_that_has_left_a_rolling_window_leaves_nothing(item, batch):
    """Against the means and variances of the data set, computed exactly from its decimals as doubles."""
    xs = [float(text) for text in item["values"]]
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t")
    stream = feed.group_by().rolling(f"{item['window']}s").agg(mean=rr.mean("x"), var=rr.var("x", ddof=1))
    events = [(at, "a", x, 0.0, at) for at, x in enumerate(xs)]
    batches = [rows(*events[at : at + batch]) for at in range(0, len(events), batch)]
    results = play(stream, [*batches, end()]).results
    largest = max(map(abs, xs))
    for at, (mean, var) in enumerate(item["expected_mean_and_sample_variance"]):
        if mean is None:
            continue
        held = [Fraction(x) for x in xs[at + 1 - item["window"] : at + 1]]
        centre = sum(held) / len(held)
        exact = sum((x - centre) ** 2 for x in held) / (len(held) - 1)
        assert float(exact) == pytest.approx(float(var), rel=1e-12)
        own = max(map(abs, xs[at + 1 - item["window"] : at + 1]))
        assert error("mean", results["mean"][at], centre, own or largest) <= GOAL
        assert error("var", results["var"][at], exact, largest) <= GOAL


def test_a_spike_leaves_nothing_in_other_statistics():
    """Of a thousand ones and an outlier in their midst every window without it has exactly their moments."""
    xs = [1.0] * 500 + [1e300] + [1.0] * 500
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t")
    stream = feed.group_by().rolling("20s").agg(s=rr.sum("x"), m=rr.mean("x"), sd=rr.std("x"), high=rr.max("x"))
    results = play(stream, [rows(*((at, "a", x, 0.0, at) for at, x in enumerate(xs))), end()]).results
    after = results[520:].select("s", "m", "sd", "high").unique()
    assert after.rows() == [(20.0, 1.0, 0.0, 1.0)]


def test_rolling_and_running_agree_with_pandas():
    """Twenty trading days, and all since the first, of two shares; computed by pandas 3.1.1."""
    with gzip.open(DATA / "rolling_reference_ibm_msft.csv.gz") as file:
        data = pl.read_csv(file.read(), infer_schema_length=None)
    times = pl.int_range(data.height, eager=True)
    ibm, msft = data["ibm"].to_list(), data["msft"].to_list()
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t")
    events = [(t, "a", x, y, t) for t, x, y in zip(times, ibm, msft, strict=True)]
    batches = [rows(*events[at : at + 50]) for at in range(0, len(events), 50)]
    rolling = {
        "mean_20": rr.mean("x"),
        "var_20": rr.var("x", ddof=1),
        "std_20": rr.std("x", ddof=1),
        "min_20": rr.min("x"),
        "max_20": rr.max("x"),
        "median_20": rr.median("x"),
        "q05_20": rr.quantile("x", 0.05),
        "q95_20": rr.quantile("x", 0.95),
        "cov_20": rr.cov("x", "y", ddof=1),
        "corr_20": rr.corr("x", "y"),
    }
    running = {
        "exp_mean": rr.mean("x"),
        "exp_var": rr.var("x", ddof=1),
        "exp_cov": rr.cov("x", "y", ddof=1),
        "exp_corr": rr.corr("x", "y"),
    }
    for grouped, statistics in (
        (feed.group_by().rolling("20s"), rolling),
        (feed.group_by().running(), running),
    ):
        results = play(grouped.agg(**statistics), [*batches, end()]).results
        for name in statistics:
            pairs_ = zip(results[name], data[name], strict=True)
            assert all(got == pytest.approx(float(want), rel=1e-9) for got, want in pairs_ if want is not None)


#: Prices of one feed: what is subtracted from all of them must not cost the small ones their digits.
LEVELS = {"b": (6e4, 10.0), "e": (2500.3, 0.7), "z": (0.0, 1e-3), "s": (1e-5, 1e-8)}


@pytest.mark.parametrize("at_once", [1, 2, 5, 40, 80, 160])
@pytest.mark.parametrize("order", ["bezs", "sezb"])
def test_keys_on_levels_far_apart_whatever_batches_hold(at_once, order):
    chance = random.Random(at_once)
    events = []
    for at in range(40):
        for key in order:
            level, spread = LEVELS[key]
            events.append((at, key, chance.gauss(level, spread), chance.gauss(-level, spread), len(events)))
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t", delay="0s")
    windowed = feed.group_by("k").window(rr.tumbling("1m"), emit="batch")
    batches = [rows(*events[at : at + at_once]) for at in range(0, len(events), at_once)]
    results = play(windowed.agg(**STATISTICS), [*batches, end()]).results.filter("final")
    xs, ys = ([event[place] for event in events] for place in (2, 3))
    held = {key: [event[4] for event in events if event[1] == key] for key in order}
    assert results["k"].to_list() == list(order)
    for result in results.partition_by("k"):
        own = result.with_columns(pl.Series("rows", [held[result["k"][0]]]))
        off = worst(own, xs, ys)
        assert {name: value for name, value in off.items() if value > GOAL} == {}, result["k"][0]


@pytest.mark.parametrize(
    "each", [(1,), (2, 2), (5,), (11, 11), (13, 13), (40,), (2, 40, 5), (40, 1, 13, 2)], ids=str
)
def test_few_rows_of_many_keys_lose_no_digits(each):
    """Keys with few rows in a batch lie close together by chance; others come before and behind."""
    chance = random.Random(f"few {each}")
    keys = [f"key{at}" for at in range(30)]
    batches, events = [], []
    for count in each:
        batch = []
        for key in keys * count:
            level = 50.0 + 5 * keys.index(key)
            x, y = (round(chance.gauss(level, 1.0), 4) for _ in "xy")
            batch.append((len(events), key, x, y, len(events)))
            events.append(batch[-1])
        batches.append(batch)
    feed = rr.read("tcp://localhost:9", format="csv", schema=FEED, time="t", delay="0s")
    windowed = feed.group_by("k").window(rr.tumbling("1h"), emit="batch")
    results = play(windowed.agg(**STATISTICS), [*(rows(*batch) for batch in batches), end()]).results
    xs, ys = ([event[place] for event in events] for place in (2, 3))
    held = [[event[4] for event in events if event[1] == key] for key in keys]
    last = results.filter("final")
    assert last["k"].to_list() == keys
    off = worst(last.with_columns(pl.Series("rows", held)), xs, ys)
    assert {name: value for name, value in off.items() if value > GOAL} == {}
