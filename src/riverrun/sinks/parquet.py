"""Results as a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.ports import Remembered
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.failures import closed_error
from riverrun.sinks.mode import check_mode
from riverrun.sinks.parquet_durable import DurableParquetWriter
from riverrun.sinks.parquet_parts import PartFolder
from riverrun.world import Files, World


@dataclass(frozen=True, slots=True)
class ParquetSink:
    """Write results as files ``part-000000.parquet``, ``part-000001.parquet``, … of one folder.

    Readers see whole files only: each is written aside under a hidden name and then renamed. A flush
    writes the newest file again with what has come, until it has `rows_per_file` rows; then the next is begun.
    A new run never touches the files of an earlier one. One pipeline writes to a folder at a time.
    Memory: the rows of the newest file.

    The folder is made. Opening raises `SinkError` when its files have other columns, or it may not be
    written.

    >>> ParquetSink("out/stats").url
    'parquet:out/stats'
    """

    path: str = setting(help="the folder", example="out/stats")
    mode: Literal["append", "upsert"] = setting("append", help="only append: a Parquet file cannot be changed")
    rows_per_file: int = setting(100_000, help="most rows of one file", example="1_000_000")

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=False)
        if not self.path:
            raise ConfigError("the name of the folder is missing", where="parquet:", hint="parquet:out/")
        if self.rows_per_file < 1:
            raise ConfigError(f"rows_per_file must be at least 1, got {self.rows_per_file}", where=self.url)

    @property
    def url(self) -> str:
        return f"parquet:{self.path}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> ParquetWriter:  # noqa: ARG002 - as ports.Sink says
        """Make the folder and begin behind its newest file; `keys` are not used."""
        check_types(schema, where=self.url)
        return ParquetWriter(self, world.files, schema)

    def open_durable(
        self,
        world: World,
        schema: Mapping[str, pl.DataType],
        keys: Sequence[str],  # noqa: ARG002 - as ports.DurableSink says
        *,
        stream: str,
        mark: Remembered | None,
    ) -> DurableParquetWriter:
        """Make the folder, undo what is not whole, and go on in the newest file; `keys` are not used."""
        check_types(schema, where=self.url)
        folder = PartFolder(world.files, self.path, schema, where=self.url)
        return DurableParquetWriter(
            folder, schema, rows_per_file=self.rows_per_file, where=self.url, stream=stream, mark=mark
        )


class ParquetWriter:
    """A folder of Parquet files that is being written."""

    def __init__(self, sink: ParquetSink, files: Files, schema: Mapping[str, pl.DataType]) -> None:
        self._sink = sink
        self._schema = dict(schema)
        self._pending: list[pl.DataFrame] = []
        self._rows = 0
        self._changed = False
        self._open = True
        self._folder = PartFolder(files, sink.path, schema, where=sink.url)
        numbers = self._folder.prepare()
        self._number = numbers[-1] + 1 if numbers else 0

    def write(self, frame: pl.DataFrame) -> None:
        if not self._open:
            raise closed_error(self._sink.url)
        rest = conform(frame, self._schema, where=self._sink.url)
        while rest.height:
            room = self._sink.rows_per_file - self._rows
            self._add(rest.head(room))
            rest = rest.slice(room)
            if self._rows == self._sink.rows_per_file:
                self._publish()
                self._begin_next()

    def flush(self) -> None:
        """Write the newest file again with everything that has come."""
        if self._changed:
            self._publish()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._number == 0 and self._rows == 0:
            self._changed = True  # an empty file shows readers the columns of a run without results
        self.flush()

    def _add(self, frame: pl.DataFrame) -> None:
        self._pending.append(frame)
        self._rows += frame.height
        self._changed = True

    def _publish(self) -> None:
        whole = pl.concat(self._pending) if self._pending else pl.DataFrame(schema=self._schema)
        self._folder.publish(self._number, whole)
        self._pending = [whole]
        self._changed = False

    def _begin_next(self) -> None:
        self._number += 1
        self._pending = []
        self._rows = 0
        self._changed = False
