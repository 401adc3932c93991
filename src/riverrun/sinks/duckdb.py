"""Results as a table in a DuckDB file."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import duckdb
import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, MissingExtraError, SinkError
from riverrun.sinks.append import make_parent
from riverrun.sinks.columns import check_types, conform
from riverrun.sinks.failures import closed_error, sink_failures
from riverrun.sinks.mode import check_keys, check_mode
from riverrun.world import World

#: The name under which frames are shown to DuckDB; rows never become text inside a statement.
_ROWS = "__riverrun_rows"
#: Rows are handed over in one statement when so many wait, or at a flush.
_WAITING_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class DuckdbSink:
    """Write results to a table in a DuckDB file; the table is made when it does not exist.

    With ``mode="upsert"`` a result replaces the earlier one with the same keys and window, in one
    transaction; null keys are equal to each other. Rows become visible at a flush.

    While a pipeline runs, DuckDB lets no other process open the file; other connections of the same
    process may read it. Folders on the way are made. Opening raises `SinkError` when the table has other
    columns or the file is locked, damaged, or may not be written.

    >>> DuckdbSink("stats.duckdb", table="per_symbol").url
    'duckdb:stats.duckdb'
    """

    path: str = setting(help="the database file", example="stats.duckdb")
    table: str = setting("results", help="the table", example="per_symbol")
    mode: Literal["append", "upsert"] = setting(
        "append", help='"append" adds every revision, "upsert" replaces by keys and window'
    )

    def __post_init__(self) -> None:
        check_mode(self.mode, where=self.url, upsert=True)
        if not self.path:
            raise ConfigError("the name of the file is missing", where="duckdb:", hint="duckdb:stats.duckdb")
        if not self.table or "\0" in self.table:
            raise ConfigError(f"not a name of a table: {self.table!r}", where=self.url)

    @property
    def url(self) -> str:
        return f"duckdb:{self.path}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> DuckdbWriter:
        """Connect, and make or check the table."""
        if importlib.util.find_spec("pyarrow") is None:  # DuckDB reads Polars frames through it
            raise MissingExtraError("the sink 'duckdb'", "pyarrow", "duckdb")
        check_types(schema, where=self.url)
        used_keys = check_keys(keys, schema, where=self.url) if self.mode == "upsert" else ()
        with sink_failures(self.url, self.path):
            make_parent(world.files, self.path)
        return DuckdbWriter(self, world.files.absolute(self.path), schema, used_keys)


class DuckdbWriter:
    """A table that is being written."""

    def __init__(
        self, sink: DuckdbSink, path: str, schema: Mapping[str, pl.DataType], keys: tuple[str, ...]
    ) -> None:
        self._where = f"{sink.url}, table {sink.table!r}"
        self._schema = {name: _stored_type(dtype) for name, dtype in schema.items()}
        self._keys = keys
        self._table = quoted(sink.table)
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        _check_names(schema, where=self._where)
        with _duckdb_failures(sink.url):
            connection = duckdb.connect(path)
        self._connection: duckdb.DuckDBPyConnection | None = connection
        try:
            self._prepare(connection)
        except BaseException:
            self._disconnect()
            raise

    def write(self, frame: pl.DataFrame) -> None:
        if self._connection is None:
            raise closed_error(self._where)
        if frame.height:
            self._waiting.append(conform(frame, self._schema, where=self._where))
            self._waiting_rows += frame.height
        if self._waiting_rows >= _WAITING_ROWS:
            self.flush()

    def flush(self) -> None:
        """Commit everything that waits, in one transaction."""
        if self._connection is None or not self._waiting:
            return
        rows = pl.concat(self._waiting)
        if self._keys:
            rows = rows.unique(subset=list(self._keys), keep="last", maintain_order=True)
        connection = self._connection
        with _duckdb_failures(self._where), _registered(connection, rows), _transaction(connection):
            if self._keys:
                self._forget_earlier(connection)
            self._insert(connection)
        self._waiting = []
        self._waiting_rows = 0

    def close(self) -> None:
        if self._connection is None:
            return
        try:
            self.flush()
        finally:
            self._disconnect()

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        empty = pl.DataFrame(schema=self._schema)
        with _duckdb_failures(self._where), _registered(connection, empty):
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} AS SELECT * FROM {_ROWS}")  # noqa: S608 - quoted name
            wanted = _described(connection, _ROWS)
            found = _described(connection, self._table)
        difference = _difference(found, wanted)
        if difference:
            raise SinkError(
                f"the table has other columns than the results: {difference}",
                where=self._where,
                hint='another table="...", or another file',
            )

    def _forget_earlier(self, connection: duckdb.DuckDBPyConnection) -> None:
        same = " AND ".join(f"new.{quoted(key)} IS NOT DISTINCT FROM old.{quoted(key)}" for key in self._keys)
        connection.execute(
            f"DELETE FROM {self._table} AS old WHERE EXISTS (SELECT 1 FROM {_ROWS} AS new WHERE {same})"  # noqa: S608 - quoted names
        )

    def _insert(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"INSERT INTO {self._table} BY NAME SELECT * FROM {_ROWS}")  # noqa: S608 - quoted name

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def quoted(name: str) -> str:
    """A name as SQL has it, whatever characters are in it.

    >>> quoted('a"; DROP TABLE b')
    '"a""; DROP TABLE b"'
    """
    return '"' + name.replace('"', '""') + '"'


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
        for sign, (problem, hint) in _KNOWN_FAILURES.items():
            if sign in lowered:
                raise SinkError(problem + _holder(text), where=where, hint=hint) from error
        raise SinkError(text.split("\n")[0], where=where) from error


#: What DuckDB says (in lower case), and how we say it.
_KNOWN_FAILURES: Mapping[str, tuple[str, str | None]] = {
    "could not set lock": (
        "the database is locked by another process",
        "close the program that has it open, or write to another file",
    ),
    "different configuration": (
        "this process has the database open already, with other settings",
        "close that connection, or open it without read_only and config",
    ),
    "permission denied": (
        "no permission to write the database",
        "make it writable for this user, or write somewhere else",
    ),
    "not a valid duckdb database": ("the file exists, but is not a DuckDB database", "name another file"),
    "is a directory": ("this is a folder, a file was expected", "name a file inside it"),
}


def _holder(text: str) -> str:
    process = re.search(r"\(PID \d+\)", text)
    return f" {process[0]}" if process else ""


def _check_names(names: Iterable[str], *, where: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        earlier = seen.setdefault(name.lower(), name)
        if earlier != name:
            raise SinkError(
                f"DuckDB cannot tell the columns {earlier!r} and {name!r} apart: they differ by case only",
                where=where,
                hint=f"rename one of them with .rename({{{name!r}: ...}})",
            )


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
