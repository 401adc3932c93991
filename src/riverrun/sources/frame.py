"""Tables that are in memory already: Polars, pandas, Arrow, NumPy, rows as dicts, or an iterable of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.defaults import Defaults
from riverrun.sources.tables import is_table, table_name, to_polars
from riverrun.world import World

#: Rows handed out at a time, at most.
SLICE_ROWS = 100_000
#: Single rows (dicts) of an iterable that are put into one frame, and how long to gather them.
GATHERED_ROWS, GATHERED_US = 1_000, 5_000

#: The one partition.
PARTITION = "frame"


@dataclass(frozen=True, slots=True, eq=False)
class Frame(Defaults):
    """Rows of a table in memory, or of an iterable of tables that is pulled as it is needed.

    A table is a Polars DataFrame or LazyFrame, a pandas DataFrame (an index that has a name or holds
    instants becomes a column), an Arrow table or record batch, a dict of columns (NumPy arrays, lists), or a
    list of rows as dicts. An iterable may also hand out single rows as dicts. All items must have the
    columns of the first. An iterable that waits for its next item holds up its own source only.

    Raises `ConfigError` for anything else, and `SourceError` while reading for an item that does not fit.

    >>> Frame({"x": [1, 2, 3]}).url
    'frame: dict of columns'
    """

    data: object = setting(help="the table, or an iterable of tables", example='pl.read_csv("x.csv")')

    def __post_init__(self) -> None:
        readable = is_table(self.data) or hasattr(self.data, "__iter__")
        if not readable or isinstance(self.data, (str, bytes)):
            raise ConfigError(
                f"cannot read rows from {table_name(self.data)}",
                where="frame",
                hint="a Polars, pandas or Arrow table, a dict of columns, a list of dicts, "
                "an iterable of these, or a URL",
            )

    @property
    def url(self) -> str:
        return f"frame: {table_name(self.data)}"

    @property
    def bounded(self) -> bool:
        """An iterable is taken to end some time."""
        return True

    @property
    def replayable(self) -> bool:
        """After a restart it is handed in again, and what was read of it is passed over."""
        return True

    @property
    def format_hint(self) -> str | None:
        return "frame"

    def open(self, world: World, limits: Limits) -> FrameReader:  # noqa: ARG002
        return FrameReader(world, self.data)


class FrameReader:
    """Cuts tables into slices."""

    def __init__(self, world: World, data: object) -> None:
        self._world = world
        self._items: Iterator[object] = iter([data] if is_table(data) else data)  # type: ignore[call-overload]
        self._pulled = 0
        self._first_rows = 0
        self._current: pl.DataFrame | None = None
        self._offset = 0
        self._position = 0
        self._schema: pl.Schema | None = None
        self._finished = False
        self._held: list[object] = []

    def poll(self, max_bytes: int) -> Sequence[FrameChunk]:  # noqa: ARG002
        if self._finished:
            return ()
        if self._current is None or self._offset >= self._current.height:
            until_us = self._world.clock.monotonic_us() + GATHERED_US
            self._current, self._offset = self._next_table(GATHERED_ROWS, until_us), 0
        if self._current is None:
            self._finished = True
            empty = pl.DataFrame(schema=self._schema)
            return (FrameChunk(PARTITION, empty, self._position, self._world.clock.now_us(), end=True),)
        piece = self._current.slice(self._offset, SLICE_ROWS)
        chunk = FrameChunk(PARTITION, piece, self._position, self._world.clock.now_us())
        self._offset += piece.height
        self._position += piece.height
        return (chunk,)

    def wait(self) -> Wait:
        return Wait(until_us=self._world.clock.monotonic_us())

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def status(self) -> str:
        done = "read" if self._finished else "reading,"
        return f"{done} {self._position:,} rows"

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def bookmark(self) -> Remembered:
        return {"rows": self._position, "first_rows": self._first_rows, "finished": self._finished}

    def resume(self, bookmark: Remembered) -> None:
        """Pass over what was read. The first rows are gathered as before: they tell the types of all."""
        self._first_rows = bookmark["first_rows"]
        self._finished = bookmark["finished"]
        if self._finished:
            self._position = bookmark["rows"]
        while self._position < bookmark["rows"]:
            self._exactly(min(SLICE_ROWS, bookmark["rows"] - self._position))

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> FrameChunk:
        note = chunk if isinstance(chunk, ChunkNote) else ChunkNote.of(chunk)
        assert note.position == self._position
        rows = self._exactly(note.length)
        self._finished = note.end
        return note.with_rows(rows)

    def close(self) -> None:
        self._finished = True
        self._current = None
        closing = getattr(self._items, "close", None)
        if closing is not None:
            closing()

    def _exactly(self, count: int) -> pl.DataFrame:
        """So many rows, whatever tables they come in. Raises `SourceError` when there are not as many."""
        pieces: list[pl.DataFrame] = []
        left = count
        while left:
            if self._current is None or self._offset >= self._current.height:
                most = left if self._schema is not None or not self._first_rows else self._first_rows
                self._current, self._offset = self._next_table(min(most, GATHERED_ROWS), None), 0
            if self._current is None:
                raise self._shorter(left)
            piece = self._current.slice(self._offset, left)
            self._offset += piece.height
            self._position += piece.height
            left -= piece.height
            pieces.append(piece)
        return pl.concat(pieces) if pieces else pl.DataFrame(schema=self._schema)

    def _shorter(self, missing: int) -> SourceError:
        return SourceError(
            f"cannot go on where the last run stood: expected at least {self._position + missing:,} rows, "
            f"found {self._position:,}",
            where="frame",
            hint="hand in the same table or iterable as before, from its beginning",
        )

    def _next_table(self, most_rows: int, until_us: int | None) -> pl.DataFrame | None:
        item = self._next_item(most_rows, until_us)
        if item is None:
            return None
        self._pulled += 1
        try:
            return self._fitted(to_polars(item))
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise self._failed(f"cannot read it as a table: {error}") from None

    def _next_item(self, most_rows: int, until_us: int | None) -> object | None:
        """The next table, single rows gathered into one."""
        item = self._held.pop() if self._held else self._pull()
        if not _is_row(item):
            return item
        rows = [item]
        while len(rows) < most_rows and (until_us is None or self._world.clock.monotonic_us() < until_us):
            item = self._pull()
            if not _is_row(item):
                self._held = [] if item is None else [item]
                break
            rows.append(item)
        return rows

    def _pull(self) -> object | None:
        try:
            return next(self._items, None)
        except Exception as error:
            # Whatever the user's own code raises ends this source, and says whose it was.
            self._pulled += 1
            raise self._failed(f"the iterable failed with {type(error).__name__}: {error}") from error

    def _fitted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns of the first table, in their order and types."""
        if self._schema is None:
            self._schema = frame.schema
            self._first_rows = frame.height
        if frame.schema == self._schema:
            return frame
        if set(frame.columns) != set(self._schema):
            raise self._failed(
                f"its columns are {', '.join(frame.columns)}; the first one had {', '.join(self._schema)}"
            )
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self._schema.items())

    def _failed(self, problem: str) -> SourceError:
        self._finished = True
        return SourceError(problem, where=f"frame, item {self._pulled}")


def _is_row(item: object) -> bool:
    return isinstance(item, Mapping) and not is_table(item)
