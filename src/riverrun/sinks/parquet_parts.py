"""A folder of numbered Parquet files, each of which appears whole."""

from __future__ import annotations

import glob
import io
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from riverrun.errors import SinkError
from riverrun.sinks.failures import sink_failures
from riverrun.sinks.folders import make_lasting
from riverrun.world import Files

_PART = re.compile(r"part-(\d{6,})\.parquet")
#: Under which key the token is in the metadata of a file.
_METADATA_KEY = "riverrun"
#: Length of the footer, and the magic number: how every Parquet file ends.
_END_BYTES = 8


@dataclass(frozen=True, slots=True)
class PartToken:
    """How far a part goes, written into it.

    Parameters
    ----------
    stream : whose units these are.
    unit : the last unit that is whole with this part and those before it.
    rows : how many rows of this part belong to units up to that one; rows behind are of a unit that goes on in
        the next part.
    """

    stream: str
    unit: int
    rows: int


class PartFolder:
    """The files ``part-000000.parquet``, … of one folder: found, checked, written, cut, taken away."""

    def __init__(self, files: Files, path: str, schema: Mapping[str, pl.DataType], *, where: str) -> None:
        self._files = files
        self._path = path
        self._schema = dict(schema)
        self._where = where

    def prepare(self) -> list[int]:
        """Make the folder, take away what a crash left unfinished; the numbers of its parts in order."""
        with sink_failures(self._where, self._path):
            self._make()
            for left_over in self._files.glob(self._pattern(".part-*.tmp")):
                self._files.remove(left_over)
            numbers = _numbers(self._files.glob(self._pattern("part-*.parquet")))
        if numbers:
            self._check_columns(self._target(numbers[-1]))
        return numbers

    def publish(self, number: int, rows: pl.DataFrame, token: PartToken | None = None) -> None:
        """Write a part aside and then give it its name, in place of what has it."""
        metadata = {} if token is None else {_METADATA_KEY: json.dumps(asdict(token))}
        buffer = io.BytesIO()
        rows.write_parquet(buffer, metadata=metadata)
        target = self._target(number)
        aside = posixpath.join(self._path, f".{_name(number)}.tmp")
        with sink_failures(self._where, target):
            file = self._files.open_write(aside, append=False)
            try:
                file.write(buffer.getvalue())
                file.sync()  # else a power cut could leave the new name with an empty file behind it
            finally:
                file.close()
            self._files.replace(aside, target)

    def remove(self, number: int) -> None:
        target = self._target(number)
        with sink_failures(self._where, target):
            self._files.remove(target)

    def sync(self) -> None:
        """Do not return before the names of all parts are on the disk."""
        with sink_failures(self._where, self._path):
            self._files.sync_folder(self._path)

    def rows(self, number: int) -> pl.DataFrame:
        """All rows of a part."""
        path = self._target(number)
        with sink_failures(self._where, path):
            data = self._tail(path, None)
        try:
            return pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as error:
            raise self._damaged(path) from error

    def token(self, number: int) -> PartToken | None:
        """What was written into a part; ``None`` for one of a run without tokens."""
        path = self._target(number)
        footer = self._footer(path)
        try:
            text = pl.read_parquet_metadata(io.BytesIO(footer)).get(_METADATA_KEY)
        except pl.exceptions.PolarsError as error:
            raise self._damaged(path) from error
        return None if text is None else PartToken(**json.loads(text))

    def _make(self) -> None:
        status = self._files.status(self._path)
        if status is None:
            make_lasting(self._files, self._path)
        elif not status.is_dir:
            raise SinkError(
                f"{self._path!r} is a file, a folder was expected",
                where=self._where,
                hint="results become a folder of files: name a new folder",
            )

    def _check_columns(self, path: str) -> None:
        try:
            found = dict(pl.read_parquet_schema(io.BytesIO(self._footer(path))))
        except pl.exceptions.PolarsError as error:
            raise self._damaged(path) from error
        if found != self._schema:
            raise SinkError(
                f"the folder has other columns: {path!r} has {_columns(found)}; "
                f"the results have {_columns(self._schema)}",
                where=self._where,
                hint="write to a new folder",
            )

    def _footer(self, path: str) -> bytes:
        """The end of a file, which says everything about it but the values."""
        with sink_failures(self._where, path):
            end = self._tail(path, _END_BYTES)
            return self._tail(path, _END_BYTES + int.from_bytes(end[:4], "little"))

    def _tail(self, path: str, size: int | None) -> bytes:
        file = self._files.open_read(path)
        try:
            length = file.status().size
            start = 0 if size is None else max(0, length - size)
            return file.read_at(start, length - start)
        finally:
            file.close()

    def _damaged(self, path: str) -> SinkError:
        return SinkError(
            f"{path!r} is not a Parquet file",
            where=self._where,
            hint="write to a new folder, or move the file away",
        )

    def _target(self, number: int) -> str:
        return posixpath.join(self._path, f"{_name(number)}.parquet")

    def _pattern(self, name: str) -> str:
        return posixpath.join(glob.escape(self._path), name)


def _name(number: int) -> str:
    return f"part-{number:06d}"


def _numbers(paths: Sequence[str]) -> list[int]:
    matches = (_PART.fullmatch(posixpath.basename(path)) for path in paths)
    return sorted(int(match[1]) for match in matches if match)


def _columns(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())
