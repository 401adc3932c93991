"""What a query says as a lookup table. The databases open their files themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import polars as pl

from riverrun.errors import MissingExtraError, SourceError
from riverrun.plan.lookup import Reading
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The rows of a query to a SQLite or DuckDB file, which is opened for reading only, and closed again.

    >>> TableQuery("sqlite", "shop.db", "SELECT sku, name FROM products").name
    'sqlite:shop.db'
    """

    kind: Literal["sqlite", "duckdb"]
    path: str
    query: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.path}"

    def read(self, world: World, tag: str = "") -> Reading:
        """The whole table. Raises `SourceError` when the file or the query is wrong."""
        del tag
        path = world.files.absolute(self.path)
        if world.files.status(path) is None:
            raise SourceError("there is no such file", where=self.name)
        return Reading(self._sqlite(path) if self.kind == "sqlite" else self._duckdb(path))

    def _sqlite(self, path: str) -> pl.DataFrame:
        try:
            with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
                return _frame(database.execute(self.query))
        except sqlite3.Error as error:
            raise SourceError(f"the query failed: {error}", where=self.name) from None

    def _duckdb(self, path: str) -> pl.DataFrame:
        try:
            import duckdb
        except ModuleNotFoundError:
            raise MissingExtraError("a lookup in DuckDB", "duckdb", "duckdb") from None
        try:
            with closing(duckdb.connect(path, read_only=True)) as database:
                return _frame(database.execute(self.query))
        except duckdb.Error as error:
            raise SourceError(f"the query failed: {error}", where=self.name) from None


def _frame(cursor: Any) -> pl.DataFrame:
    """The rows of a query, as both databases hand them out."""
    names = [column[0] for column in cursor.description or ()]
    return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
