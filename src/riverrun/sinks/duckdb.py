"""Results as a table in a DuckDB file."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import duckdb
import polars as pl

from riverrun.errors import MissingExtraError, SinkError, SinkUnavailable
from riverrun.sinks.columns import conform
from riverrun.sinks.tables import (
    DELIVERED_TABLE,
    DatabaseFileSink,
    Token,
    check_distinct_names,
    quoted,
)

#: The name under which frames are shown to DuckDB; rows never become text inside a statement.
_ROWS = "__riverrun_rows"


@dataclass(frozen=True, slots=True)
class DuckdbSink(DatabaseFileSink):
    """Write results to a table in a DuckDB file; the table is made when it does not exist.

    With ``mode="upsert"`` a result replaces the earlier one with the same keys and window, in one
    transaction; null keys are equal to each other. Rows become visible at a flush.

    While a pipeline runs, DuckDB lets no other process open the file; other connections of the same
    process may read it. Folders on the way are made. Opening raises `SinkError` when the table has other
    columns or the file is locked, damaged, or may not be written.

    >>> DuckdbSink("stats.duckdb", table="per_symbol").url
    'duckdb:stats.duckdb'
    """

    scheme = "duckdb"

    def connect(
        self,
        path: str,
        schema: Mapping[str, pl.DataType],
        keys: tuple[str, ...],
        *,
        durable: bool,  # noqa: ARG002 - every commit of DuckDB is
    ) -> DuckdbTable:
        if importlib.util.find_spec("pyarrow") is None:  # DuckDB reads Polars frames through it
            raise MissingExtraError("the sink 'duckdb'", "pyarrow", "duckdb")
        return DuckdbTable(self, path, schema, keys)


class DuckdbTable:
    """A table in a DuckDB file that is open: see `riverrun.sinks.tables.Table`."""

    def __init__(
        self, sink: DuckdbSink, path: str, schema: Mapping[str, pl.DataType], keys: tuple[str, ...]
    ) -> None:
        self._where = sink.place
        self._schema = {name: _stored_type(dtype) for name, dtype in schema.items()}
        self._keys = keys
        self._table = quoted(sink.table)
        check_distinct_names(schema, "DuckDB", where=self._where)
        with _duckdb_failures(sink.url):
            self._connection = duckdb.connect(path)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        return conform(frame, self._schema, where=self._where)

    def delivered(self, stream: str) -> int | None:
        with _duckdb_failures(self._where):
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {DELIVERED_TABLE} "
                "(stream VARCHAR PRIMARY KEY, unit BIGINT NOT NULL)"
            )
            # A commit of a killed process may be in the memory of the system only: put all of them on the disk.
            with suppress(duckdb.TransactionException):  # others of this process are in the middle of something
                self._connection.execute("CHECKPOINT")
            found = self._connection.execute(
                f"SELECT unit FROM {DELIVERED_TABLE} WHERE stream = ?",  # noqa: S608 - a name of ours
                [stream],
            ).fetchall()
        return int(found[0][0]) if found else None

    def store(self, rows: pl.DataFrame, token: Token | None) -> None:
        shown = _registered(self._connection, rows) if rows.height else nullcontext()
        with _duckdb_failures(self._where), shown, _transaction(self._connection):
            if rows.height:
                self._put_shown()
            if token is not None:
                self._connection.execute(
                    f"INSERT OR REPLACE INTO {DELIVERED_TABLE} VALUES (?, ?)",  # noqa: S608 - a name of ours
                    [token.stream, token.unit],
                )

    def close(self) -> None:
        self._connection.close()

    def _put_shown(self) -> None:
        if self._keys:
            self._forget_earlier()
        self._connection.execute(f"INSERT INTO {self._table} BY NAME SELECT * FROM {_ROWS}")  # noqa: S608 - quoted name

    def _prepare(self) -> None:
        empty = pl.DataFrame(schema=self._schema)
        with _duckdb_failures(self._where), _registered(self._connection, empty):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} AS SELECT * FROM {_ROWS}")  # noqa: S608 - quoted name
            wanted = _described(self._connection, _ROWS)
            found = _described(self._connection, self._table)
        difference = _difference(found, wanted)
        if difference:
            raise SinkError(
                f"the table has other columns than the results: {difference}",
                where=self._where,
                hint='another table="...", or another file',
            )

    def _forget_earlier(self) -> None:
        same = " AND ".join(f"new.{quoted(key)} IS NOT DISTINCT FROM old.{quoted(key)}" for key in self._keys)
        self._connection.execute(
            f"DELETE FROM {self._table} AS old WHERE EXISTS (SELECT 1 FROM {_ROWS} AS new WHERE {same})"  # noqa: S608 - quoted names
        )


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> Iterator[None]:
    connection.register(_ROWS, rows)
    try:
        yield
    finally:
        connection.unregister(_ROWS)


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a COMMIT that failed has rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _duckdb_failures(where: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        lowered = text.lower()
        for sign, (kind, problem, hint) in _KNOWN_FAILURES.items():
            if sign in lowered:
                raise kind(problem + _holder(text), where=where, hint=hint) from error
        raise SinkError(text.split("\n")[0], where=where) from error


#: What DuckDB says (in lower case), whether it may pass, and how we say it.
_KNOWN_FAILURES: Mapping[str, tuple[type[SinkError], str, str | None]] = {
    "could not set lock": (
        SinkUnavailable,
        "the database is locked by another process",
        "close the program that has it open, or write to another file",
    ),
    "different configuration": (
        SinkError,
        "this process has the database open already, with other settings",
        "close that connection, or open it without read_only and config",
    ),
    "conflict on": (
        SinkUnavailable,
        "another connection has changed the same rows at the same time",
        "let one program at a time write to this table",
    ),
    "no space left": (
        SinkUnavailable,
        "no space left for the database",
        "free some space, or write to another disk",
    ),
    "database has been invalidated": (
        SinkUnavailable,
        "DuckDB has given the database up after an earlier error",
        "it has to be opened again",
    ),
    "permission denied": (
        SinkError,
        "no permission to write the database",
        "make it writable for this user, or write somewhere else",
    ),
    "not a valid duckdb database": (
        SinkError,
        "the file exists, but is not a DuckDB database",
        "name another file",
    ),
    "is a directory": (SinkError, "this is a folder, a file was expected", "name a file inside it"),
}


def _holder(text: str) -> str:
    process = re.search(r"\(PID \d+\)", text)
    return f" {process[0]}" if process else ""


def _described(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()  # noqa: S608 - quoted name
    return {str(row[0]): str(row[1]) for row in rows}


def _difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    have = {
        name.lower(): kind for name, kind in found.items()
    }  # names differ in DuckDB by more than their case
    need = {name.lower(): kind for name, kind in wanted.items()}
    parts = [f"{name!r} is missing in the table" for name in wanted if name.lower() not in have]
    parts += [f"{name!r} is only in the table" for name in found if name.lower() not in need]
    parts += [
        f"{name!r} is {have[name.lower()]} in the table and {kind} in the results"
        for name, kind in wanted.items()
        if have.get(name.lower(), kind) != kind
    ]
    return "; ".join(parts)


def _stored_type(dtype: pl.DataType) -> pl.DataType:
    # A category would become an ENUM of the words seen so far, and refuse the next new one.
    return pl.String() if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)) else dtype
