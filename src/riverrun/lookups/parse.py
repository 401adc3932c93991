"""From what users write to a lookup table."""

from __future__ import annotations

from typing import Any

import polars as pl

from riverrun.errors import ConfigError
from riverrun.lookups.file import TableFile
from riverrun.lookups.query import TableQuery
from riverrun.registry import function


def lookup_table_of(target: object, query: str | None) -> Any:
    """A frame of the table, or something that reads it.

    Raises `ConfigError` for what is neither.
    """
    if not isinstance(target, str):
        return _frame(target)
    kind, _, path = target.partition(":")
    if kind in ("http", "https"):
        raise ConfigError(
            "looking up over HTTP is not there yet",
            where="lookup",
            hint='download it into a file, and lookup("table.csv", ttl="1h")',
        )
    if kind in ("sqlite", "duckdb"):
        if query is None:
            raise ConfigError(
                "a lookup in a database needs a query",
                where="lookup",
                hint='query="SELECT id, name FROM products"',
            )
        return TableQuery("sqlite" if kind == "sqlite" else "duckdb", path, query)
    if query is not None:
        raise ConfigError(
            f"only databases take a query, and {target!r} is none",
            where="lookup",
            hint='lookup("sqlite:shop.db", query=...), or "duckdb:..."',
        )
    return TableFile(target.removeprefix("file:"))


def _frame(target: object) -> pl.DataFrame:
    try:
        frame = function("table")(target)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"not a table: {error}",
            where="lookup",
            hint="a frame, the name of a file, or a database with query=",
        ) from None
    assert isinstance(frame, pl.DataFrame)
    return frame
