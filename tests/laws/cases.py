"""Every aggregate with values and a reference, for the law suite and for the tests of hard values."""

from __future__ import annotations

import math
import statistics

import polars as pl

import riverrun as rr
from tests.laws.references import (
    autocorrelation,
    between_quartiles,
    binned,
    correlation,
    correlations,
    covariance,
    covariances,
    decayed,
    line,
    median_deviation,
    most_frequent,
    open_high_low_close,
    or_null,
    quantile,
    several,
    shape,
    values,
    weighted,
)


def _geometric(xs):
    return math.exp(math.fsum(map(math.log, xs)) / len(xs)) if xs else None


NUMBERS = [3.0, -1.5, None, 1e9, 7.25, 7.25, 0.0, 1e-7, None, -2e4, 13.0, 4.0]
OTHERS = [1.0, 2.0, 5.0, None, 0.5, 3.0, 8.0, 1.0, 2.0, 0.25, 4.0, 6.0]
X = {"x": NUMBERS}
XY = {"x": NUMBERS, "y": OTHERS}
XYZ = XY | {"z": [2.0, 2.0, 3.0, 1.0, None, 3.5, 1.0, 2.0, 0.5, 3.0, -1.0, 2.0]}
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
    ("sem", rr.sem("x"), X, or_null(lambda xs: statistics.pstdev(xs) / math.sqrt(len(xs))), {}),
    ("skew", rr.skew("x"), X, shape(3), {}),
    ("sample skew", rr.skew("x", bias=False), X, shape(3, bias=False), {}),
    ("kurtosis", rr.kurtosis("x"), X, shape(4), {}),
    ("sample kurtosis", rr.kurtosis("x", bias=False), X, shape(4, bias=False), {}),
    ("regression", rr.regression("x", "y"), XY, line, {}),
    ("autocorr", rr.autocorr("x"), X, autocorrelation(1), {}),
    ("autocorr at lag 3", rr.autocorr("x", 3), X, autocorrelation(3), {}),
    ("geometric_mean", rr.geometric_mean("y"), XY, lambda r: _geometric(values(r, "y")), {}),
    ("null_count", rr.null_count("x"), X, lambda rows: rows["x"].null_count(), {"ignores_nulls": False}),
    ("ewm_mean", rr.ewm_mean("x", "3s"), X, decayed(3), {}),
    ("ewm_std", rr.ewm_std("x", "3s"), X, decayed(3, deviation=True), {}),
    ("quantiles", rr.quantiles("x", [0.1, 0.5, 1]), X, several(0.1, 0.5, 1), {}),
    ("iqr", rr.iqr("x"), X, between_quartiles, {}),
    ("mad", rr.mad("x"), X, median_deviation, {}),
    ("top_k", rr.top_k("x", 2), TEXT, most_frequent(2), {}),
    ("top_k of numbers", rr.top_k("x", 3), X, most_frequent(3), {}),
    ("mode", rr.mode("x"), TEXT, lambda r: v[0]["value"] if (v := most_frequent(1)(r)) else None, {}),
    ("histogram", rr.histogram("x", [-2, 0, 4, 13]), X, binned([-2, 0, 4, 13]), {}),
    ("histogram of bins", rr.histogram("x", 4, between=(0, 8)), X, binned([0, 2, 4, 6, 8]), {}),
    ("cov_matrix", rr.cov_matrix(["x", "y", "z"]), XYZ, covariances, {}),
    ("corr_matrix", rr.corr_matrix(["x", "y", "z"]), XYZ, correlations, {}),
]
