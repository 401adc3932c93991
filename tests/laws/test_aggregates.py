"""Every aggregate keeps the laws of merging, and agrees with a slow reference."""

from __future__ import annotations

import math
import statistics

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import check_aggregate_laws
from tests.kernel.streams import examples

NAN, INF = math.nan, math.inf


def values(rows, name="x"):
    return [value for value in rows[name].to_list() if value is not None]


def or_null(function):
    return lambda rows, *names: function(values(rows)) if values(rows) else None


def pairs(rows):
    return [(x, y) for x, y in rows.select("x", "y").iter_rows() if x is not None and y is not None]


def covariance(rows):
    both = pairs(rows)
    if not both:
        return None
    mx, my = (math.fsum(column) / len(both) for column in zip(*both, strict=True))
    return math.fsum((x - mx) * (y - my) for x, y in both) / len(both)


def correlation(rows):
    both = pairs(rows)
    xs, ys = ([item[at] for item in both] for at in (0, 1))
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    return statistics.correlation(xs, ys)


def weighted(rows):
    both = pairs(rows)
    total = math.fsum(w for _, w in both)
    return math.fsum(x * w for x, w in both) / total if total else None


def quantile(q):
    def reference(rows):
        ordered = sorted(values(rows))
        if not ordered:
            return None
        rank = (len(ordered) - 1) * q
        low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        return low + (high - low) * (rank - math.floor(rank))

    return reference


def open_high_low_close(rows):
    xs = values(rows)
    parts = (xs[0], max(xs), min(xs), xs[-1]) if xs else (None,) * 4
    return dict(zip(("open", "high", "low", "close"), parts, strict=True))


NUMBERS = [3.0, -1.5, None, 1e9, 7.25, 7.25, 0.0, 1e-7, None, -2e4, 13.0, 4.0]
OTHERS = [1.0, 2.0, 5.0, None, 0.5, 3.0, 8.0, 1.0, 2.0, 0.25, 4.0, 6.0]
X = {"x": NUMBERS}
XY = {"x": NUMBERS, "y": OTHERS}
INTEGERS = {"x": [2**62, 2**61, None, -5, 7, 2**60]}
TEXT = {"x": ["b", "a", None, "b", "ä", ""]}

#: name, aggregate, values, reference, and what does not hold for it
CASES = [
    ("count rows", rr.count(), X, lambda rows: rows.height, {"ignores_nulls": False}),
    ("count values", rr.count("x"), X, lambda rows: len(values(rows)), {}),
    ("sum of floats", rr.sum("x"), X, lambda rows: math.fsum(values(rows)), {}),
    ("sum of integers", rr.sum("x"), INTEGERS, lambda rows: sum(values(rows)), {}),
    ("sum of booleans", rr.sum("x"), {"x": [True, None, False, True]}, lambda rows: sum(values(rows)), {}),
    ("mean", rr.mean("x"), X, or_null(lambda xs: math.fsum(xs) / len(xs)), {}),
    ("mean of integers", rr.mean("x"), {"x": [1, 2, 4]}, or_null(lambda xs: sum(xs) / len(xs)), {}),
    ("var", rr.var("x"), X, or_null(statistics.pvariance), {}),
    (
        "sample var",
        rr.var("x", ddof=1),
        X,
        lambda r: statistics.variance(v) if len(v := values(r)) > 1 else None,
        {},
    ),
    ("std", rr.std("x"), X, or_null(statistics.pstdev), {}),
    ("cov", rr.cov("x", "y"), XY, covariance, {}),
    ("corr", rr.corr("x", "y"), XY, correlation, {}),
    ("min", rr.min("x"), X, or_null(min), {}),
    ("max", rr.max("x"), X, or_null(max), {}),
    ("range", rr.range("x"), X, or_null(lambda xs: max(xs) - min(xs)), {}),
    ("min of text", rr.min("x"), TEXT, or_null(min), {}),
    ("first", rr.first("x"), X, or_null(lambda xs: xs[0]), {}),
    ("last", rr.last("x"), TEXT, or_null(lambda xs: xs[-1]), {}),
    ("ohlc", rr.ohlc("x"), X, open_high_low_close, {}),
    ("collect", rr.collect("x"), TEXT, or_null(list), {}),
    ("quantile", rr.quantile("x", 0.3), X, quantile(0.3), {}),
    ("median", rr.median("x"), X, quantile(0.5), {}),
    ("n_unique", rr.n_unique("x"), X, lambda rows: len(set(values(rows))), {}),
    ("n_unique_exact", rr.n_unique_exact("x"), TEXT, lambda rows: len(set(values(rows))), {}),
    ("weighted_mean", rr.weighted_mean("x", "y"), XY, weighted, {}),
    ("rate", rr.rate("1s"), X, lambda rows: float(rows.height), {"ignores_nulls": False}),
    ("an expression", rr.mean(pl.col("x") * pl.col("y")), XY, None, {}),
]
every_aggregate = pytest.mark.parametrize(
    ("aggregate", "rows", "reference", "apart"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


@every_aggregate
def test_keeps_the_laws(aggregate, rows, reference, apart):
    check_aggregate_laws(aggregate, rows, reference=reference, **apart)


@every_aggregate
def test_keeps_the_laws_on_nulls_alone(aggregate, rows, reference, apart):
    schema = pl.DataFrame(rows, strict=False).schema
    nothing = pl.DataFrame({name: [None] * 3 for name in schema}, schema=schema)
    check_aggregate_laws(aggregate, nothing, **apart)


FLOATS = [
    "sum of floats",
    "mean",
    "var",
    "std",
    "min",
    "max",
    "range",
    "quantile",
    "first",
    "ohlc",
    "cov",
    "corr",
]


@pytest.mark.parametrize("odd", [NAN, INF, -INF, 1e308, 5e-324], ids=str)
@pytest.mark.parametrize("name", FLOATS)
def test_keeps_the_laws_with_odd_values(name, odd):
    aggregate = next(case[1] for case in CASES if case[0] == name)
    rows = {"x": [1.0, 2.0, odd, 4.0, None], "y": [2.0, 1.0, 5.0, 3.0, 1.0]}
    check_aggregate_laws(aggregate, rows)


@pytest.mark.parametrize("name", ["mean", "var", "min", "max", "sum of floats", "quantile"])
def test_nan_can_be_ignored(name):
    made = {
        "mean": rr.mean,
        "var": rr.var,
        "min": rr.min,
        "max": rr.max,
        "sum of floats": rr.sum,
        "quantile": lambda x, nan: rr.quantile(x, 0.3, nan=nan),
    }[name]("x", nan="ignore")
    reference = next(case[3] for case in CASES if case[0] == name)
    rows = {"x": [1.0, NAN, 2.5, NAN, 7.0]}
    check_aggregate_laws(made, rows, reference=lambda r: reference(r.with_columns(pl.all().fill_nan(None))))


@examples(25)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30), st.data())
def test_the_laws_hold_for_random_values(xs, data):
    name = data.draw(st.sampled_from(["mean", "var", "cov", "quantile", "first", "n_unique", "weighted_mean"]))
    aggregate, reference = next((case[1], case[3]) for case in CASES if case[0] == name)
    ys = [1.0 + (i % 7) for i in range(len(xs))]
    rows = pl.DataFrame({"x": xs, "y": ys}, schema={"x": pl.Float64, "y": pl.Float64})
    check_aggregate_laws(aggregate, rows, reference=reference, relative=1e-9, absolute=1e-9)


def test_a_large_group_of_quantiles_stays_within_the_error_however_it_is_split():
    xs = [((i * 7919) % 5003) * 1.5 + 1 for i in range(5000)]
    error = 0.01
    check_aggregate_laws(
        rr.quantile("x", 0.9, error=error), {"x": xs}, reference=quantile(0.9), relative=2.1 * error
    )


def test_a_broken_aggregate_is_found():
    class Broken(type(rr.count())):
        __slots__ = ()

        def result(self, at):
            return super().result(at) % 2

    check_aggregate_laws(Broken(None, "odd()"), {"x": [1, 2, 3]}, ignores_nulls=False)
    with pytest.raises(AssertionError, match="the reference 2"):
        check_aggregate_laws(
            Broken(None, "odd()"), {"x": [1, 2, 3]}, ignores_nulls=False, reference=lambda rows: rows.height
        )
