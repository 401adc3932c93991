"""From what users write to a lookup table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from riverrun.errors import ConfigError
from riverrun.lookups.file import TableFile
from riverrun.lookups.query import TableQuery
from riverrun.lookups.web import KEY, web_table_of
from riverrun.registry import function


def lookup_table_of(
    target: object,
    query: str | None = None,
    headers: Mapping[str, str] | None = None,
    schema: Mapping[str, Any] | None = None,
    *,
    private: bool = False,
) -> Any:
    """A frame of the table, or something that reads it, or that is asked key by key.

    Raises `ConfigError` for what is neither, and for settings that it does not take.
    """
    kind, _, path = target.partition(":") if isinstance(target, str) else ("", "", "")
    web = kind in ("http", "https")
    if headers is not None and not web:
        raise ConfigError("only web servers take headers", where="lookup(headers=)", hint="leave headers= out")
    if private and not web:
        raise ConfigError(
            "only hosts of URLs have addresses", where="lookup(allow_private=)", hint="leave allow_private= out"
        )
    if isinstance(target, str) and KEY in target and not web:
        raise ConfigError(
            f"one key at a time can be asked for over HTTP only, not with {target!r}",
            where="lookup",
            hint='"https://shop/products/{key}"',
        )
    if schema is not None and not (web and KEY in str(target)):
        raise ConfigError(
            "what a whole table holds is found out when it is read",
            where="lookup(schema=)",
            hint='leave schema= out; a URL that is asked key by key needs it: "https://shop/products/{key}"',
        )
    if not isinstance(target, str):
        return _frame(target)
    if web and query is None:
        return web_table_of(target, headers or {}, schema, private=private)
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
            hint="a frame, the name of a file, a URL, or a database with query=",
        ) from None
    assert isinstance(frame, pl.DataFrame)
    return frame
