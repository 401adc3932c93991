"""riverrun: live analytics for Python people.

>>> import riverrun as rr
>>> trades = rr.read({"symbol": ["A", "A", "B"], "price": [1.0, 3.0, 5.0]})
>>> stats = trades.group_by("symbol").window(rr.tumbling("1h")).agg(mean=rr.mean("price"))
>>> stats.collect().select("symbol", "mean").rows()
[('A', 2.0), ('B', 5.0)]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from riverrun.errors import (
    ConfigError,
    FormatError,
    MissingExtraError,
    PlanError,
    RiverrunError,
    SchemaError,
    SinkError,
    SourceError,
    StateError,
)
from riverrun.limits import Limits
from riverrun.plan.joining import union
from riverrun.plan.pipeline import Pipeline, run
from riverrun.plan.read import read
from riverrun.plan.stream import Stream
from riverrun.schema import Schema, Timestamp
from riverrun.state.describe import State
from riverrun.stats.aggregate import Aggregate
from riverrun.stats.autocorrelation import autocorr
from riverrun.stats.counting import count, null_count, rate, sum, weighted_mean
from riverrun.stats.decayed import ewm_mean, ewm_std
from riverrun.stats.distinct import n_unique, n_unique_exact
from riverrun.stats.extremes import max, min, range
from riverrun.stats.frequencies import mode, top_k
from riverrun.stats.geometric import geometric_mean
from riverrun.stats.histograms import histogram
from riverrun.stats.matrices import corr_matrix, cov_matrix
from riverrun.stats.moments import corr, cov, mean, sem, std, var
from riverrun.stats.ordered import collect, first, last, ohlc
from riverrun.stats.quantiles import iqr, mad, median, quantile, quantiles
from riverrun.stats.regression import regression
from riverrun.stats.shape import kurtosis, skew
from riverrun.windows.describe import counting, cumulating, hopping, session, tumbling

if TYPE_CHECKING:
    from riverrun.formats.csv import Csv
    from riverrun.formats.json import Json
    from riverrun.formats.lines import Lines
    from riverrun.runtime.summary import Summary

__all__ = [
    "Aggregate",
    "ConfigError",
    "Csv",
    "FormatError",
    "Json",
    "Limits",
    "Lines",
    "MissingExtraError",
    "Pipeline",
    "PlanError",
    "RiverrunError",
    "Schema",
    "SchemaError",
    "SinkError",
    "SourceError",
    "State",
    "StateError",
    "Stream",
    "Summary",
    "Timestamp",
    "autocorr",
    "collect",
    "corr",
    "corr_matrix",
    "count",
    "counting",
    "cov",
    "cov_matrix",
    "cumulating",
    "ewm_mean",
    "ewm_std",
    "first",
    "geometric_mean",
    "histogram",
    "hopping",
    "iqr",
    "kurtosis",
    "last",
    "mad",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "n_unique",
    "n_unique_exact",
    "null_count",
    "ohlc",
    "quantile",
    "quantiles",
    "range",
    "rate",
    "read",
    "regression",
    "run",
    "sem",
    "session",
    "skew",
    "std",
    "sum",
    "top_k",
    "tumbling",
    "union",
    "var",
    "weighted_mean",
]

__version__ = "0.1.0"

#: Public names whose modules are loaded when first asked for: importing riverrun imports no connector.
_LAZY = {
    "Csv": "riverrun.formats.csv",
    "Json": "riverrun.formats.json",
    "Lines": "riverrun.formats.lines",
    "Summary": "riverrun.runtime.summary",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'riverrun' has no attribute {name!r}")
