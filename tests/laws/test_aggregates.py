"""Every aggregate keeps the laws of merging, and agrees with a slow reference."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import check_aggregate_laws
from tests.kernel.streams import examples
from tests.laws.cases import CASES
from tests.laws.references import quantile

NAN, INF = math.nan, math.inf

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
    "sem",
    "skew",
    "kurtosis",
    "regression",
    "autocorr",
    "geometric_mean",
    "ewm_mean",
    "ewm_std",
    "iqr",
    "mad",
    "mode",
    "top_k of numbers",
    "histogram",
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

        def value(self, at):
            return super().value(at) % 2

    check_aggregate_laws(Broken(None, "odd()"), {"x": [1, 2, 3]}, ignores_nulls=False)
    with pytest.raises(AssertionError, match="the reference 2"):
        check_aggregate_laws(
            Broken(None, "odd()"), {"x": [1, 2, 3]}, ignores_nulls=False, reference=lambda rows: rows.height
        )
