"""Results as JSON lines: one object a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.ports import Remembered
from riverrun.sinks.append import AppendedFile
from riverrun.sinks.cells import check_nested_bytes, plain_cells
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.committed import CommittedFile, DurableLines
from riverrun.sinks.mode import check_mode
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class JsonlSink:
    """Append results to a file of JSON lines (UTF-8).

    Instants are ISO 8601 in UTC, bytes hexadecimal, decimals text. JSON has no NaN and no infinity:
    non-finite numbers are written as ``null``. Folders on the way are made. Opening raises `SinkError` when the
    file may not be written.

    >>> JsonlSink("stats.jsonl").url
    'jsonl:stats.jsonl'
    """

    path: str = setting(help="the file", example="out/stats.jsonl")
    mode: Literal["append", "upsert"] = setting(
        "append", help="only append: a text file has no way to replace a line"
    )

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=False)
        if not self.path:
            raise ConfigError("the name of the file is missing", where="jsonl:", hint="jsonl:out.jsonl")

    @property
    def url(self) -> str:
        return f"jsonl:{self.path}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> JsonlWriter:  # noqa: ARG002 - as ports.Sink says
        """Open the file at its end; `keys` are not used."""
        return JsonlWriter(self, world, schema)

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
        file = CommittedFile(world.files, self.path, where=self.url, beginning=b"", mark=mark)
        return DurableLines(file, lambda frame: _lines(self, schema, frame))


class JsonlWriter:
    """A file of JSON lines that is open."""

    def __init__(self, sink: JsonlSink, world: World, schema: Mapping[str, pl.DataType]) -> None:
        _check_schema(sink, schema)
        self._sink = sink
        self._schema = dict(schema)
        self._file = AppendedFile(world.files, sink.path, where=sink.url)

    def write(self, frame: pl.DataFrame) -> None:
        self._file.write(_lines(self._sink, self._schema, frame))

    def flush(self) -> None:
        """Nothing to do: every `write` is visible at once."""

    def close(self) -> None:
        self._file.close()


def jsonl_text(frame: pl.DataFrame) -> str:
    """The rows of `frame` as JSON lines.

    >>> jsonl_text(pl.DataFrame({"key": ["a"], "mean": [float("nan")]}))
    '{"key":"a","mean":null}\\n'
    """
    return plain_cells(frame).write_ndjson() if frame.height else ""


def _check_schema(sink: JsonlSink, schema: Mapping[str, pl.DataType]) -> None:
    check_types(schema, where=sink.url)
    check_nested_bytes(schema, where=sink.url)


def _lines(sink: JsonlSink, schema: Mapping[str, pl.DataType], frame: pl.DataFrame) -> bytes:
    return jsonl_text(conform(frame, schema, where=sink.url)).encode()
