"""The errors that sketches promise, on values made to break them, in any order of merging."""

from __future__ import annotations

import math
import random
from collections import Counter

import polars as pl
import pytest

import riverrun as rr
from riverrun.stats.frequencies import Frequencies, ranked
from riverrun.stats.partials import EVENT_TIME, Input
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES
from riverrun.stats.value_counts import buckets, representative
from tests.laws.splitting import merged_anyhow

BY = ["group"]
QS = [0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 1.0]


def distributions() -> dict[str, list[float]]:
    chance = random.Random(7)
    return {
        "uniform": [chance.uniform(1, 2) for _ in range(5000)],
        "normal about 0": [chance.gauss(0, 1) for _ in range(5000)],
        "Pareto": [chance.paretovariate(0.5) for _ in range(5000)],
        "every scale of doubles": [
            chance.choice([-1, 1]) * 10.0 ** chance.uniform(-300, 300) for _ in range(5000)
        ],
        "negative": [-chance.expovariate(1e-9) for _ in range(3000)],
        "two heaps": [1.0] * 2500 + [1e9] * 2500,
        "zeros": [0.0] * 3000 + [1e-300] * 10 + [-1e-300] * 10,
        "bounds of buckets": [(1.01 / 0.99) ** chance.randint(-900, 900) for _ in range(5000)],
        "near the largest double": [1.7e308 * chance.uniform(0.9, 1.05) for _ in range(2000)],
        "sorted": [float(at) for at in range(1, 4000)],
    }


def order_statistics(xs: list[float], q: float) -> tuple[float, float]:
    rank = (len(xs) - 1) * q
    return xs[math.floor(rank)], xs[math.ceil(rank)]


def cut(frame: pl.DataFrame, chance: random.Random) -> list[pl.DataFrame]:
    """In up to eleven pieces."""
    cuts = sorted(chance.sample(range(1, frame.height), chance.randint(0, 10)))
    return [frame[a:b] for a, b in zip([0, *cuts], [*cuts, frame.height], strict=True)]


@pytest.mark.parametrize("error", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("name", distributions())
def test_quantiles_lie_within_their_error(name: str, error: float) -> None:
    xs = distributions()[name]
    program = Program({"q": rr.quantiles("x", QS, error), "m": rr.mad("x", error)}, {"x": pl.Float64()})
    rows = pl.DataFrame({"group": ["a"] * len(xs), EVENT_TIME: range(len(xs)), "x": xs})
    ordered, chance = sorted(xs), random.Random(name)
    median = sum(value / 2 for value in order_statistics(ordered, 0.5))
    off = sorted(abs(x - median) for x in xs)
    for _ in range(3):
        parts = [program.of_rows(part, BY, NO_REFERENCES)[0] for part in cut(rows, chance)]
        got = program.results(merged_anyhow(program, parts, chance), BY, pl.lit(0), pl.lit(1))
        for q, value in zip(QS, got["q"].item(), strict=True):
            low, high = order_statistics(ordered, q)
            slack = 1 + 1e-9
            assert low - error * abs(low) * slack <= value <= high + error * abs(high) * slack, q
        low, high = order_statistics(off, 0.5)
        bound = error * (2 * abs(median) + high) * (1 + 1e-9)
        assert low - bound <= got["m"].item() <= high + bound


@pytest.mark.parametrize("error", [0.0001, 0.01, 0.5])
def test_a_bucket_holds_its_own_middle(error: float) -> None:
    chance = random.Random(1)
    values = [0.0, 5e-324, 1e-310, 2.3e-308, 1.7976931348623157e308, math.inf, math.nan]
    values += [10.0 ** chance.uniform(-307, 308) for _ in range(2000)]
    frame = pl.DataFrame({"x": values + [-value for value in values]})
    codes = buckets(frame["x"], error).to_frame("code")
    middles = codes.select(representative(pl.col("code"), error).alias("x"))
    assert buckets(middles["x"], error).to_list() == codes["code"].to_list()
    normal = frame["x"].is_finite() & (frame["x"].abs() > 2.3e-308)
    off = ((middles["x"] - frame["x"]).abs() / frame["x"].abs()).filter(normal)
    assert off.max() <= error * (1 + 1e-9)


def test_one_row_a_batch_gives_the_same_sketch() -> None:
    chance = random.Random(2)
    xs = [chance.lognormvariate(0, 3) for _ in range(1500)]
    program = Program({"q": rr.quantiles("x", QS)}, {"x": pl.Float64()})
    rows = pl.DataFrame({"group": ["a"] * len(xs), EVENT_TIME: range(len(xs)), "x": xs})
    whole = program.of_rows(rows, BY, NO_REFERENCES)[0]
    single = [program.of_rows(rows[at : at + 1], BY, NO_REFERENCES)[0] for at in range(len(xs))]
    parts = merged_anyhow(program, single, chance)
    results = [program.results(p, BY, pl.lit(0), pl.lit(1))["q"].to_list() for p in (whole, parts)]
    assert results[0] == results[1]


@pytest.mark.parametrize("error", [0.005, 0.01, 0.05, 0.2])
def test_distinct_counts_have_their_standard_error(error: float) -> None:
    """Over 40 groups of 20,000 different values each: the root of the mean square, and no bias."""
    groups, each = 40, 20_000
    rows = pl.DataFrame({"x": pl.int_range(groups * each, eager=True) * 2_654_435_761 % 2**40})
    rows = rows.with_columns((pl.int_range(pl.len()) % groups).alias("group"))
    rows = rows.with_columns(pl.lit(0, pl.Int64).alias(EVENT_TIME))
    program = Program({"n": rr.n_unique("x", error)}, rows.schema)
    halves = [program.of_rows(half, BY, NO_REFERENCES)[0] for half in (rows[: 3 * each], rows[2 * each :])]
    got = program.results(program.merge(halves, BY), BY, pl.lit(0), pl.lit(1))["n"].cast(pl.Float64)
    off = (got / each - 1).to_list()
    # Of 40 estimates the root of the mean square lies within 1 ± 0.35 of the standard error, three deviations.
    assert math.sqrt(sum(o * o for o in off) / groups) <= error * 1.35
    assert abs(sum(off) / groups) <= 3 * error / math.sqrt(groups)


def streams_of_values() -> dict[str, list[int]]:
    chance = random.Random(9)
    zipf = [int(chance.paretovariate(0.8)) for _ in range(20_000)]
    heavy_late = [*range(10_000), *([1] * 300), *range(10_000, 19_000), *([2] * 400)]
    return {"Zipf": zipf, "heavy values late": heavy_late, "all different": list(range(20_000))}


@pytest.mark.parametrize("capacity", [10, 100, 1000])
@pytest.mark.parametrize("name", streams_of_values())
def test_frequent_values_keep_their_guarantee(name: str, capacity: int) -> None:
    xs = streams_of_values()[name]
    partial = Frequencies(Input.of("x"), "f", capacity)
    true, chance = Counter(xs), random.Random(capacity)
    table = pl.DataFrame({"group": ["a"] * len(xs), "value": xs, "count": [1] * len(xs)})
    for _ in range(3):
        parts = [partial.merge(part, BY) for part in cut(table, chance)]
        while len(parts) > 1:
            chance.shuffle(parts)
            parts = [partial.merge(pl.concat(parts[:3]), BY), *parts[3:]]
        (kept,) = parts
        assert kept.height <= capacity
        counts = dict(kept.select("value", "count").iter_rows())
        allowed = len(xs) / (capacity + 1)
        assert all(true[value] - allowed <= counts.get(value, 0) <= true[value] for value in true)


def test_ranks_of_equal_counts_go_by_value() -> None:
    table = pl.DataFrame({"group": ["a", "b", "a", "a"], "value": [3, 1, 2, 9], "count": [5, 1, 5, 7]})
    assert ranked(table, BY, 2).sort("group", maintain_order=True)["value"].to_list() == [9, 2, 1]


def test_more_different_values_than_are_counted_exactly() -> None:
    """12,000 different values of which three are frequent: they are found, within n/10,001."""
    xs = [*range(12_000), *([7] * 50), *([8] * 40), *([11_999] * 30)]
    random.Random(1).shuffle(xs)
    frames = [pl.DataFrame({"x": xs})[at : at + 1000] for at in range(0, len(xs), 1000)]
    stats = rr.read(iter(frames)).group_by().window(rr.tumbling("1w")).agg(t=rr.top_k("x", 3), m=rr.mode("x"))
    row = stats.collect().row(0, named=True)
    assert row["m"] == 7
    assert [item["value"] for item in row["t"]] == [7, 8, 11_999]
    assert all(0 <= true - item["count"] <= 2 for true, item in zip([51, 41, 31], row["t"], strict=True))
