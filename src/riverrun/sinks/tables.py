"""Writers of tables in databases: rows wait, and go over in one transaction, with the number of their unit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError
from riverrun.ports import Remembered
from riverrun.sinks.columns import check_types
from riverrun.sinks.failures import closed_error, lost_error, sink_failures
from riverrun.sinks.folders import make_parent
from riverrun.sinks.mode import check_keys, check_mode
from riverrun.world import World

#: The table in the target that says, for each stream, which units are in it.
DELIVERED_TABLE = "__riverrun_delivered"

#: Rows of a writer without tokens are handed over when so many wait, or at a flush.
WAITING_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Token:
    """All units of a stream up to this one are in the target."""

    stream: str
    unit: int


class Table(Protocol):
    """A table in a database that is open."""

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows as the table holds them. Raises `SinkError` when they do not fit."""
        ...

    def delivered(self, stream: str) -> int | None:
        """The last unit that the database knows of; makes `DELIVERED_TABLE` where it is missing."""
        ...

    def store(self, rows: pl.DataFrame, token: Token | None) -> None:
        """Put rows in, and the token with them, in one transaction: all of it or nothing."""
        ...

    def close(self) -> None:
        """Disconnect; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseFileSink(ABC):
    """A sink that writes to a table in a file of a database."""

    #: The scheme of the URL.
    scheme: ClassVar[str]

    path: str = setting(help="the database file", example="stats.db")
    table: str = setting("results", help="the table", example="per_symbol")
    mode: Literal["append", "upsert"] = setting(
        "append", help='"append" adds every revision, "upsert" replaces by keys and window'
    )

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=True)
        if not self.path:
            raise ConfigError(
                "the name of the file is missing",
                where=f"{self.scheme}:",
                hint=f"{self.scheme}:stats.{self.scheme}",
            )
        if not self.table or "\0" in self.table:
            raise ConfigError(f"not a name of a table: {self.table!r}", where=self.url)

    @property
    def url(self) -> str:
        return f"{self.scheme}:{self.path}"

    @property
    def place(self) -> str:
        """The file and the table, for messages."""
        return f"{self.url}, table {self.table!r}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> TableWriter:
        """Connect, and make or check the table."""
        used_keys = self._used_keys(schema, keys)
        table = self._opened(world, schema, used_keys, durable=False)
        return TableWriter(table, used_keys, where=self.place)

    def open_durable(
        self,
        world: World,
        schema: Mapping[str, pl.DataType],
        keys: Sequence[str],
        *,
        stream: str,
        mark: Remembered | None,
    ) -> DurableTableWriter:
        """Connect, make or check the table, and read what has been delivered."""
        used_keys = self._used_keys(schema, keys)
        table = self._opened(world, schema, used_keys, durable=True)
        return DurableTableWriter(table, used_keys, where=self.place, stream=stream, mark=mark)

    @abstractmethod
    def connect(
        self, path: str, schema: Mapping[str, pl.DataType], keys: tuple[str, ...], *, durable: bool
    ) -> Table:
        """The open table of a file whose folder exists; with `durable` a commit survives a power cut."""

    def _used_keys(self, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> tuple[str, ...]:
        return check_keys(keys, schema, where=self.url) if self.mode == "upsert" else ()

    def _opened(
        self, world: World, schema: Mapping[str, pl.DataType], keys: tuple[str, ...], *, durable: bool
    ) -> Table:
        check_types(schema, where=self.url)
        with sink_failures(self.url, self.path):
            make_parent(world.files, self.path)
        return self.connect(world.files.absolute(self.path), schema, keys, durable=durable)


class TableWriter:
    """A table that is being written. Rows become visible at a flush.

    Parameters
    ----------
    keys : of an upsert; of rows with equal keys that wait, the last is stored.
    where : for messages.
    """

    def __init__(self, table: Table, keys: Sequence[str], *, where: str) -> None:
        self._table = table
        self._waiting = WaitingRows(keys)
        self._where = where
        self._open = True

    def write(self, frame: pl.DataFrame) -> None:
        if not self._open:
            raise closed_error(self._where)
        self._waiting.add(self._table.conform(frame))
        if self._waiting.height >= WAITING_ROWS:
            self.flush()

    def flush(self) -> None:
        """Store everything that waits, in one transaction."""
        if self._open and self._waiting.height:
            self._table.store(self._waiting.rows(), None)
            self._waiting.clear()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._open = False
            self._table.close()


class DurableTableWriter:
    """A table that takes every unit exactly once: see `riverrun.ports.DurableWriter`.

    The number of the last unit is stored in the transaction of its rows, so the target itself knows what it
    has, whatever crashed in between.

    Parameters
    ----------
    stream : under which name the number is kept.
    mark : what `commit` returned; a target that knows of less is an older copy, which is refused.
    """

    def __init__(
        self, table: Table, keys: Sequence[str], *, where: str, stream: str, mark: Remembered | None
    ) -> None:
        self._table = table
        self._waiting = WaitingRows(keys)
        self._where = where
        self._stream = stream
        try:
            found = table.delivered(stream)
            _check_not_behind(found, mark, where=where)
        except BaseException:
            table.close()
            raise
        self.delivered = -1 if found is None else found
        self._unit = self._committed = self.delivered
        self._open = True

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        if not self._open:
            raise closed_error(self._where)
        self._waiting.add(self._table.conform(frame))
        self._unit = unit

    def flush(self) -> None:
        """Nothing to do: rows are seen when they are committed."""

    def commit(self) -> Remembered:
        if not self._open:
            raise closed_error(self._where)
        if self._unit > self._committed:
            self._store()
            self._committed = self._unit
        return {"unit": self._committed}

    def close(self) -> None:
        self._open = False
        self._table.close()

    def _store(self) -> None:
        try:
            self._table.store(self._waiting.rows(), Token(self._stream, self._unit))
        except SinkError:
            self.close()  # a commit that failed may be there all the same: only a new opening finds out
            raise
        self._waiting.clear()


class WaitingRows:
    """Rows that have not been stored yet."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._frames: list[pl.DataFrame] = []
        self.height = 0

    def add(self, frame: pl.DataFrame) -> None:
        # One empty frame is kept as well: it carries the columns.
        if frame.height or not self._frames:
            self._frames.append(frame)
            self.height += frame.height

    def rows(self) -> pl.DataFrame:
        """All of them in order; of those with equal keys the last."""
        rows = pl.concat(self._frames) if self._frames else pl.DataFrame()
        if not self._keys or not rows.height:
            return rows
        return rows.unique(subset=self._keys, keep="last", maintain_order=True)

    def clear(self) -> None:
        self._frames = []
        self.height = 0


def quoted(name: str) -> str:
    """A name as SQL has it, whatever characters are in it.

    >>> quoted('a"; DROP TABLE b')
    '"a""; DROP TABLE b"'
    """
    return '"' + name.replace('"', '""') + '"'


def check_distinct_names(names: Iterable[str], system: str, *, where: str) -> None:
    """Raise `SinkError` for two names that a database cannot tell apart."""
    seen: dict[str, str] = {}
    for name in names:
        earlier = seen.setdefault(name.lower(), name)
        if earlier != name:
            raise SinkError(
                f"{system} cannot tell the columns {earlier!r} and {name!r} apart: they differ by case only",
                where=where,
                hint=f"rename one of them with .rename({{{name!r}: ...}})",
            )


def _check_not_behind(found: int | None, mark: Remembered | None, *, where: str) -> None:
    if mark is None or mark["unit"] < 0 or (found is not None and found >= mark["unit"]):
        return
    known = "nothing of these results" if found is None else f"them up to unit {found} only"
    raise lost_error(
        f"the target knows {known}, but unit {mark['unit']} had been delivered: it is another or an older one",
        where=where,
    )
