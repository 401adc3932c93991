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
from riverrun.plan.pipeline import Pipeline, run
from riverrun.plan.read import read
from riverrun.plan.stream import Stream
from riverrun.schema import Schema, Timestamp
from riverrun.stats.counting import count, rate, sum, weighted_mean
from riverrun.stats.distinct import n_unique, n_unique_exact
from riverrun.stats.extremes import max, min, range
from riverrun.stats.moments import corr, cov, mean, std, var
from riverrun.stats.ordered import collect, first, last, ohlc
from riverrun.stats.quantiles import median, quantile
from riverrun.windows.describe import hopping, session, tumbling

if TYPE_CHECKING:
    from riverrun.formats.csv import Csv
    from riverrun.formats.json import Json
    from riverrun.formats.lines import Lines
    from riverrun.runtime.summary import Summary

__all__ = [
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
    "StateError",
    "Stream",
    "Summary",
    "Timestamp",
    "collect",
    "corr",
    "count",
    "cov",
    "first",
    "hopping",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "n_unique",
    "n_unique_exact",
    "ohlc",
    "quantile",
    "range",
    "rate",
    "read",
    "run",
    "session",
    "std",
    "sum",
    "tumbling",
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
