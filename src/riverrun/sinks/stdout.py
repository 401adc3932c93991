"""Results on standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError, did_you_mean
from riverrun.sinks.cells import check_nested_bytes
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.csv import csv_text, header_names, header_text
from riverrun.sinks.failures import closed_error
from riverrun.sinks.jsonl import jsonl_text
from riverrun.sinks.mode import check_mode
from riverrun.sinks.table import TextTable, escaped
from riverrun.world import World

_LAYOUTS = ("table", "csv", "jsonl")


@dataclass(frozen=True, slots=True)
class StdoutSink:
    """Print results: as an aligned table for people, or as CSV or JSON lines for the next program in a pipe.

    The table shows numbers with six digits, cuts long text, and escapes control characters, so that no
    key can steer the terminal. CSV and JSON lines are exact (as `CsvSink` without ``'`` and `JsonlSink`);
    only when CSV goes to a terminal are control characters escaped.

    >>> StdoutSink(format="jsonl").url
    'stdout:'
    """

    format: Literal["table", "csv", "jsonl"] = setting(
        "table", help='"table" for people, "csv" or "jsonl" for programs', example="jsonl"
    )
    mode: Literal["append", "upsert"] = setting("append", help="only append: what is printed is printed")
    separator: str = setting(",", help="one ASCII character between the cells of CSV", example=";")
    header: bool = setting(True, help="whether CSV begins with the names of the columns")

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=False)
        if self.format not in _LAYOUTS:
            raise ConfigError(
                f"there is no format {self.format!r}",
                where=self.url,
                hint=did_you_mean(self.format, _LAYOUTS),
            )

    @property
    def url(self) -> str:
        return "stdout:"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> StdoutWriter:  # noqa: ARG002 - as ports.Sink says
        """Begin to print; `keys` are not used."""
        # Python's own stream, not the file descriptor: in a notebook they are not the same.
        return StdoutWriter(self, schema, sys.stdout)


class StdoutWriter:
    """Results on their way to a stream of text."""

    def __init__(self, sink: StdoutSink, schema: Mapping[str, pl.DataType], stream: TextIO) -> None:
        check_types(schema, where=sink.url)
        check_nested_bytes(schema, where=sink.url)
        self._sink = sink
        self._schema = dict(schema)
        self._stream = stream
        self._table = TextTable(schema)
        self._open = True
        if sink.format == "csv" and sink.header:
            self._print(header_text(header_names(schema, escape_formulas=False), sink.separator))

    def write(self, frame: pl.DataFrame) -> None:
        if not self._open:
            raise closed_error(self._sink.url)
        rows = conform(frame, self._schema, where=self._sink.url)
        if rows.height:
            self._print(self._text(rows))

    def flush(self) -> None:
        """Nothing to do: every `write` is passed on at once."""

    def close(self) -> None:
        self._open = False

    def _text(self, rows: pl.DataFrame) -> str:
        if self._sink.format == "table":
            return self._table.lines(rows)
        if self._sink.format == "jsonl":
            return jsonl_text(rows)
        text = csv_text(rows, self._sink.separator, escape_formulas=False)
        return escaped(text, keep="\n\t") if self._stream.isatty() else text

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError as error:
            raise SinkError("the program that reads standard output has ended", where=self._sink.url) from error
        except OSError as error:
            problem = f"cannot write: {error.strerror or error}"
            raise SinkError(problem, where=self._sink.url) from error
