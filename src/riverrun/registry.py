"""The one table of what can be named in a URL or a ``format=``: name to class, loaded when first used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riverrun.errors import ConfigError, MissingExtraError, did_you_mean


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a component is defined.

    Parameters
    ----------
    target : ``module:Class``.
    summary : one line for listings.
    extra, package : the extra that brings the package it needs, when it needs one.
    """

    target: str
    summary: str
    extra: str = ""
    package: str = ""

    def load(self, what: str) -> Any:
        """Import the class. Raises `MissingExtraError` when its package is not installed."""
        module, _, name = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if self.package and error.name and error.name.split(".")[0] == self.package:
                raise MissingExtraError(what, self.package, self.extra) from None
            raise


SOURCES: Mapping[str, Entry] = {
    "tcp": Entry("riverrun.sources.tcp:Tcp", "connect to a TCP server, again whenever the connection ends"),
    "tcp+listen": Entry("riverrun.sources.tcp:TcpListen", "let producers connect to us over TCP"),
    "unix": Entry("riverrun.sources.unix:Unix", "connect to a Unix socket"),
    "unix+listen": Entry("riverrun.sources.unix:UnixListen", "let producers connect to a Unix socket of ours"),
    "stdin": Entry("riverrun.sources.stdin:Stdin", "read what is piped into the process"),
    "file": Entry("riverrun.sources.file:File", "read files: once, following, or replayed at their own pace"),
    "generate": Entry("riverrun.sources.generate:Generate", "make rows up, the same for the same seed"),
    "frame": Entry(
        "riverrun.sources.frame:Frame", "a Polars, pandas, Arrow or NumPy table, or an iterable of them"
    ),
}

FORMATS: Mapping[str, Entry] = {
    "csv": Entry("riverrun.formats.csv:Csv", "comma (or otherwise) separated values, RFC 4180"),
    "json": Entry("riverrun.formats.json:Json", "JSON lines: one object a line"),
    "lines": Entry("riverrun.formats.lines:Lines", "text lines, whole or cut up by a regular expression"),
}

SINKS: Mapping[str, Entry] = {
    "csv": Entry("riverrun.sinks.csv:CsvSink", "append to a CSV file"),
    "jsonl": Entry("riverrun.sinks.jsonl:JsonlSink", "append to a file of JSON lines"),
    "parquet": Entry("riverrun.sinks.parquet:ParquetSink", "a folder of Parquet files"),
    "duckdb": Entry("riverrun.sinks.duckdb:DuckdbSink", "a table in a DuckDB file", "duckdb", "duckdb"),
    "sqlite": Entry("riverrun.sinks.sqlite:SqliteSink", "a table in a SQLite file"),
    "stdout": Entry("riverrun.sinks.stdout:StdoutSink", "print as a table, CSV or JSON lines"),
    "memory": Entry("riverrun.sinks.memory:MemorySink", "keep in memory, for notebooks and tests"),
}


def find(table: Mapping[str, Entry], name: str, *, kind: str) -> Any:
    """The class for a name. Raises `ConfigError` with the close or known names when there is none."""
    entry = table.get(name)
    if entry is None:
        raise ConfigError(f"there is no {kind} {name!r}", hint=did_you_mean(name, sorted(table)))
    return entry.load(f"the {kind} {name!r}")


#: Functions that a lower layer calls in a higher one, by name, so that imports point one way.
FUNCTIONS: Mapping[str, str] = {
    "source": "riverrun.sources.parse:source_of",
    "sink": "riverrun.sinks.parse:sink_of",
    "format": "riverrun.formats.parse:format_of",
    "table": "riverrun.sources.tables:to_polars",
    "lookup": "riverrun.lookups.parse:lookup_table_of",
    "world": "riverrun.runtime.real_world:RealWorld",
    "run": "riverrun.runtime.run:run_outputs",
    "collect": "riverrun.runtime.collect:collect_node",
    "dashboard": "riverrun.dashboard.dashboard:Dashboard",
}


def function(name: str) -> Any:
    """The function that stands for a name in `FUNCTIONS`."""
    return Entry(FUNCTIONS[name], name).load(name)
