"""Results as a folder of Parquet files."""

from __future__ import annotations

import glob
import io
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.failures import closed_error, sink_failures
from riverrun.sinks.mode import check_mode
from riverrun.world import Files, World

_PART = re.compile(r"part-(\d{6,})\.parquet")


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
        return ParquetWriter(self, world.files, schema)


class ParquetWriter:
    """A folder of Parquet files that is being written."""

    def __init__(self, sink: ParquetSink, files: Files, schema: Mapping[str, pl.DataType]) -> None:
        check_types(schema, where=sink.url)
        self._sink = sink
        self._files = files
        self._schema = dict(schema)
        self._pending: list[pl.DataFrame] = []
        self._rows = 0
        self._changed = False
        self._open = True
        with sink_failures(sink.url, sink.path):
            self._number = self._prepare()

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

    def _prepare(self) -> int:
        self._make_folder()
        for left_over in self._files.glob(self._pattern(".part-*.tmp")):
            self._files.remove(left_over)
        parts = _parts(self._files.glob(self._pattern("part-*.parquet")))
        if not parts:
            return 0
        newest = max(parts)
        self._check_columns(parts[newest])
        return newest + 1

    def _make_folder(self) -> None:
        status = self._files.status(self._sink.path)
        if status is None:
            self._files.make_dirs(self._sink.path)
        elif not status.is_dir:
            raise SinkError(
                f"{self._sink.path!r} is a file, a folder was expected",
                where=self._sink.url,
                hint="results become a folder of files: name a new folder",
            )

    def _check_columns(self, path: str) -> None:
        found = _read_schema(self._files, path, where=self._sink.url)
        if found != self._schema:
            raise SinkError(
                f"the folder has other columns: {path!r} has {_columns(found)}; "
                f"the results have {_columns(self._schema)}",
                where=self._sink.url,
                hint="write to a new folder",
            )

    def _add(self, frame: pl.DataFrame) -> None:
        self._pending.append(frame)
        self._rows += frame.height
        self._changed = True

    def _publish(self) -> None:
        whole = pl.concat(self._pending) if self._pending else pl.DataFrame(schema=self._schema)
        buffer = io.BytesIO()
        whole.write_parquet(buffer)
        name = f"part-{self._number:06d}"
        target = posixpath.join(self._sink.path, f"{name}.parquet")
        with sink_failures(self._sink.url, target):
            self._replace(posixpath.join(self._sink.path, f".{name}.tmp"), target, buffer.getvalue())
        self._pending = [whole]
        self._changed = False

    def _replace(self, aside: str, target: str, data: bytes) -> None:
        file = self._files.open_write(aside, append=False)
        try:
            file.write(data)
            file.sync()  # else a power cut could leave the new name with an empty file behind it
        finally:
            file.close()
        self._files.replace(aside, target)

    def _begin_next(self) -> None:
        self._number += 1
        self._pending = []
        self._rows = 0
        self._changed = False

    def _pattern(self, name: str) -> str:
        return posixpath.join(glob.escape(self._sink.path), name)


def _parts(paths: Sequence[str]) -> dict[int, str]:
    matches = ((_PART.fullmatch(posixpath.basename(path)), path) for path in paths)
    return {int(match[1]): path for match, path in matches if match}


def _read_schema(files: Files, path: str, *, where: str) -> dict[str, pl.DataType]:
    status = files.status(path)
    file = files.open_read(path)
    try:
        data = file.read_at(0, status.size if status else 0)
    finally:
        file.close()
    try:
        return dict(pl.read_parquet_schema(io.BytesIO(data)))
    except pl.exceptions.PolarsError as error:
        raise SinkError(
            f"{path!r} is not a Parquet file", where=where, hint="write to a new folder, or move the file away"
        ) from error


def _columns(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())
