"""Results as a table in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SinkError, SinkUnavailable
from riverrun.sinks.cells import check_nested_bytes
from riverrun.sinks.columns import conform
from riverrun.sinks.sqlite_cells import fits, sqlite_columns, storage_class
from riverrun.sinks.tables import (
    DELIVERED_TABLE,
    DatabaseFileSink,
    Token,
    check_distinct_names,
    quoted,
)

_BUSY_TIMEOUT_MAX_S = 3_600
#: Rows of one statement, where SQLite allows so many values in it.
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SqliteSink(DatabaseFileSink):
    """Write results to a table in a SQLite file; the table is made when it does not exist.

    With ``mode="upsert"`` a result replaces the earlier one with the same keys and window, in one
    transaction; null keys are equal to each other, and an index over them is made. Rows become visible at a
    flush. Other programs may read the file all the time (it is put into WAL mode), and write to it between
    our transactions; for longer than `busy_timeout_s` nobody is waited for.

    Integers and booleans become ``INTEGER`` (a `SinkError` beyond 64 bits with a sign), floats ``REAL``, bytes
    ``BLOB``, all else ``TEXT``: instants as SQLite's own date functions write them, in UTC, to the
    microsecond (``2024-01-01 09:30:00.000000``), so that they sort and compare as text; decimals digit by
    digit, durations in ISO 8601, nested values as JSON. SQLite has no NaN: it becomes null; infinities stay.
    A text with a NUL character is kept whole, but SQLite's text functions and its shell stop there.

    Folders on the way are made. Opening raises `SinkError` when the table has other columns, or the file
    is damaged or may not be written, and `SinkUnavailable` while it is locked.

    >>> SqliteSink("stats.db", table="per_symbol").url
    'sqlite:stats.db'
    """

    scheme = "sqlite"

    busy_timeout_s: float = setting(5.0, help="how long to wait while another program writes", example="30")

    def __post_init__(self) -> None:
        DatabaseFileSink.__post_init__(self)
        if not 0 <= self.busy_timeout_s <= _BUSY_TIMEOUT_MAX_S:
            raise ConfigError(
                f"busy_timeout_s must be from 0 to {_BUSY_TIMEOUT_MAX_S}, got {self.busy_timeout_s}",
                where=self.url,
            )
        if self.path == ":memory:":
            raise ConfigError(
                "a database in memory would be gone at the end", where=self.url, hint='"memory:", or a file'
            )
        if self.table.lower().startswith("sqlite_"):
            raise ConfigError(f"not a name of a table: {self.table!r}", where=self.url)

    def connect(
        self, path: str, schema: Mapping[str, pl.DataType], keys: tuple[str, ...], *, durable: bool
    ) -> SqliteTable:
        check_nested_bytes(schema, where=self.url)
        # Without durability a power cut may lose the rows since: without state= they are gone anyway.
        return SqliteTable(self, path, schema, keys, synchronous="FULL" if durable else "NORMAL")


class SqliteTable:
    """A table in a SQLite file that is open: see `riverrun.sinks.tables.Table`."""

    def __init__(
        self,
        sink: SqliteSink,
        path: str,
        schema: Mapping[str, pl.DataType],
        keys: tuple[str, ...],
        *,
        synchronous: str,
    ) -> None:
        self._where = sink.place
        self._schema = dict(schema)
        self._keys = keys
        self._table = quoted(sink.table)
        check_distinct_names(schema, "SQLite", where=self._where)
        with _sqlite_failures(sink.url):
            self._connection = sqlite3.connect(
                path,
                timeout=sink.busy_timeout_s,
                isolation_level=None,  # transactions begin and end where we say
                check_same_thread=False,  # it is opened in one thread and used in another, never in two at once
            )
        places = self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._rows_at_once = max(1, min(_ROWS_AT_ONCE, places // max(1, len(schema))))
        try:
            self._prepare(sink, synchronous)
        except BaseException:
            self.close()
            raise

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        return conform(frame, self._schema, where=self._where)

    def delivered(self, stream: str) -> int | None:
        with _sqlite_failures(self._where):
            self._execute(
                f"CREATE TABLE IF NOT EXISTS {DELIVERED_TABLE} (stream TEXT PRIMARY KEY, unit BIGINT NOT NULL)"
            )
            # A commit of a killed process may be in the memory of the system only: put all of them on the disk.
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")
            found = self._execute(
                f"SELECT unit FROM {DELIVERED_TABLE} WHERE stream = ?",  # noqa: S608 - a name of ours
                (stream,),
            ).fetchall()
        return int(found[0][0]) if found else None

    def store(self, rows: pl.DataFrame, token: Token | None) -> None:
        columns = sqlite_columns(rows, where=self._where) if rows.height else []
        with _sqlite_failures(self._where), self._transaction():
            if columns:
                self._put(dict(zip(rows.columns, columns, strict=True)), rows.height)
            if token is not None:
                self._execute(
                    f"INSERT OR REPLACE INTO {DELIVERED_TABLE} VALUES (?, ?)",  # noqa: S608 - a name of ours
                    (token.stream, token.unit),
                )

    def close(self) -> None:
        self._connection.close()

    def _put(self, columns: Mapping[str, Sequence[Any]], height: int) -> None:
        if self._keys:
            self._forget_earlier(columns)
        # Many rows in one statement take half the time of one each.
        names = ", ".join(map(quoted, columns))
        places = f"({', '.join('?' * len(columns))})"
        begin = 0
        for size in sizes_of(height, self._rows_at_once):
            values = [column[begin : begin + size] for column in columns.values()]
            begin += size
            rows = ", ".join([places] * size)
            self._execute(
                f"INSERT INTO {self._table} ({names}) VALUES {rows}",  # noqa: S608 - quoted names
                list(chain.from_iterable(zip(*values, strict=True))),
            )

    def _forget_earlier(self, columns: Mapping[str, Sequence[Any]]) -> None:
        same = " AND ".join(f"{quoted(key)} IS ?" for key in self._keys)
        self._connection.executemany(
            f"DELETE FROM {self._table} WHERE {same}",  # noqa: S608 - quoted names
            zip(*(columns[key] for key in self._keys), strict=True),
        )

    def _prepare(self, sink: SqliteSink, synchronous: str) -> None:
        with _sqlite_failures(self._where):
            # Where the file system cannot do it, SQLite stays with its rollback journal, which is as safe.
            self._execute("PRAGMA journal_mode = WAL")
            self._execute(f"PRAGMA synchronous = {synchronous}")
            columns = [f"{quoted(name)} {storage_class(dtype)}" for name, dtype in self._schema.items()]
            self._execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(columns)})")
            found = self._execute(f"PRAGMA table_info({self._table})").fetchall()
        self._check_columns({str(name): str(declared) for _, name, declared, *_ in found})
        if self._keys:
            index = quoted(f"__riverrun_keys_{sink.table}")
            names = ", ".join(map(quoted, self._keys))
            with _sqlite_failures(self._where):
                self._execute(f"CREATE INDEX IF NOT EXISTS {index} ON {self._table} ({names})")

    def _check_columns(self, declared: Mapping[str, str]) -> None:
        have = {name.lower(): kind for name, kind in declared.items()}
        need = {name.lower() for name in self._schema}
        problems = [f"{name!r} is missing in the table" for name in self._schema if name.lower() not in have]
        problems += [f"{name!r} is only in the table" for name in declared if name.lower() not in need]
        problems += [
            f"{name!r} is {have[name.lower()]} in the table, and {dtype} would not stay as it is there"
            for name, dtype in self._schema.items()
            if name.lower() in have and not fits(dtype, have[name.lower()])
        ]
        if problems:
            raise SinkError(
                f"the table has other columns than the results: {'; '.join(problems)}",
                where=self._where,
                hint='another table="...", or another file',
            )

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")  # the lock is waited for here, and nowhere in the middle
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some errors have rolled back by themselves
                self._execute("ROLLBACK")
            raise


def sizes_of(height: int, most: int) -> Iterator[int]:
    """How many rows go into each statement: as many as possible, then powers of two.

    A connection keeps its last 128 statements, and a long one needs a megabyte: of every number of rows there
    is, these would be what grows over the first hours of a run.
    """
    while height:
        size = most if height >= most else 1 << height.bit_length() - 1
        height -= size
        yield size


@contextmanager
def _sqlite_failures(where: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise SinkError(str(error), where=where) from error
    except sqlite3.Error as error:
        # The lower eight bits are the kind, the others say more.
        known = _KNOWN_FAILURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if known is None:
            raise SinkError(str(error), where=where) from error
        kind, problem, hint = known
        raise kind(problem, where=where, hint=hint) from error


_NOT_WRITABLE = "make the file and its folder writable for this user, or write somewhere else"

#: The code that SQLite gives, whether the trouble may pass, and how we say it.
_KNOWN_FAILURES: Mapping[int, tuple[type[SinkError], str, str]] = {
    sqlite3.SQLITE_BUSY: (
        SinkUnavailable,
        "the database is locked by another connection",
        "let the other program end its transaction, or set a larger busy_timeout_s",
    ),
    sqlite3.SQLITE_LOCKED: (
        SinkUnavailable,
        "the table is locked by another connection",
        "let the other program end its transaction",
    ),
    sqlite3.SQLITE_FULL: (
        SinkUnavailable,
        "no space left for the database",
        "free some space, or write to another disk",
    ),
    sqlite3.SQLITE_NOMEM: (SinkUnavailable, "SQLite got no memory", "free some memory"),
    sqlite3.SQLITE_READONLY: (SinkError, "no permission to write the database", _NOT_WRITABLE),
    sqlite3.SQLITE_PERM: (SinkError, "no permission to write the database", _NOT_WRITABLE),
    sqlite3.SQLITE_CANTOPEN: (SinkError, "the database cannot be opened", _NOT_WRITABLE),
    sqlite3.SQLITE_NOTADB: (SinkError, "the file exists, but is not a SQLite database", "name another file"),
    sqlite3.SQLITE_CORRUPT: (
        SinkError,
        "the database is damaged",
        "bring back a good copy; `sqlite3 FILE .recover` may save what is in it",
    ),
}
