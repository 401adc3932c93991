"""Results kept in memory, for notebooks and tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.failures import closed_error
from riverrun.sinks.mode import check_keys, check_mode
from riverrun.world import World

#: Upserts are folded together once this many rows, or as many as there are results, have come.
_FOLD_ROWS = 10_000


class _Kept:
    """The rows that one `MemorySink` holds; safe to read while a pipeline writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: list[pl.DataFrame] = []
        self._height = 0
        self._folded_height = 0
        self.schema: dict[str, pl.DataType] | None = None

    def add(self, frame: pl.DataFrame, keys: Sequence[str], max_rows: int) -> None:
        with self._lock:
            self._frames.append(frame)
            self._height += frame.height
            beyond = self._height - min(self._folded_height, max_rows)
            if beyond > max(_FOLD_ROWS, self._folded_height) or (self._height > max_rows and not keys):
                self._fold(keys, max_rows)

    def rows(self, keys: Sequence[str], max_rows: int) -> pl.DataFrame:
        with self._lock:
            return self._fold(keys, max_rows)

    def clear(self) -> None:
        with self._lock:
            self._frames.clear()
            self._height = self._folded_height = 0
            self.schema = None

    def _fold(self, keys: Sequence[str], max_rows: int) -> pl.DataFrame:
        if not self._frames:
            return pl.DataFrame(schema=self.schema)
        whole = self._frames[0] if len(self._frames) == 1 else pl.concat(self._frames)
        if keys:
            whole = whole.unique(subset=list(keys), keep="last", maintain_order=True)
        whole = whole.tail(max_rows)
        self._frames = [whole]
        self._height = self._folded_height = whole.height
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class MemorySink:
    """Keep results in memory; `rows` gives them as one Polars frame, also while the pipeline runs.

    With ``mode="append"`` every revision is kept, in the order of arrival; with ``mode="upsert"`` the last
    revision of every result. Beyond `max_rows` the oldest rows are forgotten. Two sinks are equal only when
    they are the same object.

    >>> sink = MemorySink(max_rows=1_000)
    >>> sink.rows().height
    0
    """

    mode: Literal["append", "upsert"] = setting(
        "append", help='"append" keeps every revision, "upsert" the last of each result'
    )
    max_rows: int = setting(1_000_000, help="rows kept; beyond, the oldest are forgotten", example="10_000")
    _kept: _Kept = field(default_factory=_Kept, init=False, repr=False)
    _keys: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=True)
        if self.max_rows < 1:
            raise ConfigError(f"max_rows must be at least 1, got {self.max_rows}", where=self.url)

    @property
    def url(self) -> str:
        return "memory:"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> MemoryWriter:  # noqa: ARG002 - as ports.Sink says
        """Go on behind what is kept. Raises `SinkError` when that has other columns."""
        check_types(schema, where=self.url)
        if self._kept.schema is not None and self._kept.schema != dict(schema):
            raise SinkError(
                f"it holds rows with other columns: {', '.join(self._kept.schema)}; "
                f"the results have {', '.join(schema)}",
                where=self.url,
                hint="one MemorySink for each output, or clear() before the next run",
            )
        self._kept.schema = dict(schema)
        if self.mode == "upsert":
            self._keys[:] = check_keys(keys, schema, where=self.url)
        return MemoryWriter(self, self._kept, schema, tuple(self._keys))

    def rows(self) -> pl.DataFrame:
        """What has been written so far."""
        return self._kept.rows(self._keys, self.max_rows)

    def clear(self) -> None:
        """Forget everything, the columns as well."""
        self._kept.clear()


class MemoryWriter:
    """A `MemorySink` that is open."""

    def __init__(
        self, sink: MemorySink, kept: _Kept, schema: Mapping[str, pl.DataType], keys: tuple[str, ...]
    ) -> None:
        self._kept = kept
        self._where = sink.url
        self._max_rows = sink.max_rows
        self._schema = dict(schema)
        self._keys = keys
        self._open = True

    def write(self, frame: pl.DataFrame) -> None:
        if not self._open:
            raise closed_error(self._where)
        if frame.height:
            self._kept.add(conform(frame, self._schema, where=self._where), self._keys, self._max_rows)

    def flush(self) -> None:
        """Nothing to do: every `write` is visible at once."""

    def close(self) -> None:
        self._open = False
