"""Results as lines of comma (or otherwise) separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError
from riverrun.ports import Remembered
from riverrun.sinks.append import AppendedFile, look
from riverrun.sinks.cells import check_nested_bytes, nested_as_json, plain_cells, without_formulas
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.committed import CommittedFile, DurableLines
from riverrun.sinks.failures import sink_failures
from riverrun.sinks.mode import check_mode
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class CsvSink:
    """Append results to a CSV file (RFC 4180, UTF-8), with a header line when the file is new.

    Instants are ISO 8601 in UTC, nested values JSON, bytes hexadecimal; null is an empty cell, an empty text
    is ``""``; non-finite numbers are ``NaN``, ``inf``, ``-inf``. A text that begins with ``=``, ``+``, ``-``,
    ``@``, tab or carriage return gets ``'`` before it, because spreadsheets run such cells as formulas;
    ``escape_formulas=False`` writes it as it is.

    Folders on the way are made. Opening raises `SinkError` when the file has other columns, or may not be
    written.

    >>> CsvSink("out/stats.csv", separator=";").url
    'csv:out/stats.csv'
    """

    path: str = setting(help="the file", example="out/stats.csv")
    mode: Literal["append", "upsert"] = setting(
        "append", help="only append: a CSV file has no way to replace a line"
    )
    separator: str = setting(",", help="one ASCII character between the cells", example=";")
    header: bool = setting(True, help="whether the first line of a new file names the columns")
    escape_formulas: bool = setting(True, help="write ' before text that a spreadsheet would run as a formula")

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=False)
        if not self.path:
            raise ConfigError("the name of the file is missing", where="csv:", hint="csv:out.csv")
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '"\r\n\0':
            raise ConfigError(
                f"the separator must be one ASCII character, not a quote or a line end, got {self.separator!r}",
                where=self.url,
                hint='separator=";" or separator="\\t"',
            )

    @property
    def url(self) -> str:
        return f"csv:{self.path}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> CsvWriter:  # noqa: ARG002 - as ports.Sink says
        """Open the file at its end; `keys` are not used."""
        return CsvWriter(self, world, schema)

    def open_durable(
        self,
        world: World,
        schema: Mapping[str, pl.DataType],
        keys: Sequence[str],  # noqa: ARG002 - as ports.DurableSink says
        *,
        stream: str,  # noqa: ARG002 - the mark is kept with the state, nothing in the file tells streams apart
        mark: Remembered | None,
    ) -> DurableLines:
        """Cut the file to what `mark` knows of; `keys` and `stream` are not used."""
        _check_schema(self, schema)
        beginning = _beginning(self, schema)
        with sink_failures(self.url, self.path):
            head, _ = look(world.files, self.path)
        if not beginning.startswith(head):  # a part of our own header is what a crash left of it
            _check_header(self, schema, head)
        file = CommittedFile(world.files, self.path, where=self.url, beginning=beginning, mark=mark)
        return DurableLines(file, lambda frame: _lines(self, schema, frame))


class CsvWriter:
    """A CSV file that is open."""

    def __init__(self, sink: CsvSink, world: World, schema: Mapping[str, pl.DataType]) -> None:
        _check_schema(sink, schema)
        self._sink = sink
        self._schema = dict(schema)
        self._file = AppendedFile(world.files, sink.path, where=sink.url)
        try:
            if self._file.head:
                _check_header(sink, schema, self._file.head)
            else:
                self._file.write(_beginning(sink, schema))
        except BaseException:
            self._file.close()
            raise

    def write(self, frame: pl.DataFrame) -> None:
        self._file.write(_lines(self._sink, self._schema, frame))

    def flush(self) -> None:
        """Nothing to do: every `write` is visible at once."""

    def close(self) -> None:
        self._file.close()


def csv_text(frame: pl.DataFrame, separator: str, escape_formulas: bool) -> str:
    """The rows of `frame` as CSV, without a header."""
    if frame.height == 0:
        return ""
    safe = without_formulas(frame) if escape_formulas else frame
    cells = nested_as_json(plain_cells(safe))
    return cells.write_csv(include_header=False, separator=separator)


def header_names(schema: Mapping[str, pl.DataType], escape_formulas: bool) -> list[str]:
    """The column names as the header line has them."""
    names = pl.DataFrame({"name": list(schema)}, schema={"name": pl.String})
    return (without_formulas(names) if escape_formulas else names)["name"].to_list()


def header_text(names: Sequence[str], separator: str) -> str:
    """The header line."""
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv(separator=separator)


def _check_schema(sink: CsvSink, schema: Mapping[str, pl.DataType]) -> None:
    check_types(schema, where=sink.url)
    check_nested_bytes(schema, where=sink.url)


def _beginning(sink: CsvSink, schema: Mapping[str, pl.DataType]) -> bytes:
    """What a new file begins with."""
    if not sink.header:
        return b""
    return header_text(header_names(schema, sink.escape_formulas), sink.separator).encode()


def _check_header(sink: CsvSink, schema: Mapping[str, pl.DataType], head: bytes) -> None:
    """Raise `SinkError` when the file, whose first bytes are `head`, has other columns."""
    if not sink.header:
        return
    names = header_names(schema, sink.escape_formulas)
    found = _first_record(head, sink.separator)
    if found != names:
        raise SinkError(
            f"the file has other columns: its header is {sink.separator.join(found)!r}, "
            f"the results have {sink.separator.join(names)!r}",
            where=sink.url,
            hint="write to a new file, or move the old one away",
        )


def _lines(sink: CsvSink, schema: Mapping[str, pl.DataType], frame: pl.DataFrame) -> bytes:
    rows = conform(frame, schema, where=sink.url)
    return csv_text(rows, sink.separator, sink.escape_formulas).encode()


def _first_record(head: bytes, separator: str) -> list[str]:
    text = head.decode("utf-8-sig", errors="replace")
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:  # a first cell of more than 128 KiB: whatever it is, it is no header of ours
        return [text[:80] + "…"]
