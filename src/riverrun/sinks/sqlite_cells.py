"""What SQLite has for each type of column, and frames as values that it can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from riverrun.errors import SinkError
from riverrun.sinks.cells import instant_text, is_text, nested_as_json


def storage_class(dtype: pl.DataType) -> str:
    """What a column is declared as: ``INTEGER``, ``REAL``, ``TEXT`` or ``BLOB``.

    >>> storage_class(pl.Datetime("us", "UTC"))
    'TEXT'
    """
    if dtype.is_integer() or dtype == pl.Boolean:
        return "INTEGER"
    if dtype.is_float():
        return "REAL"
    return "BLOB" if dtype == pl.Binary else "TEXT"


def fits(dtype: pl.DataType, declared: str) -> bool:
    """Whether a column that somebody declared so keeps values of this type as they are.

    SQLite changes values to suit the affinity of a column: ``"007"`` becomes 7 in one that is ``INTEGER``.

    >>> fits(pl.String(), "VARCHAR(20)"), fits(pl.String(), "INTEGER"), fits(pl.Int64(), "")
    (True, False, True)
    """
    affinity, wanted = _affinity(declared), storage_class(dtype)
    if affinity in ("BLOB", wanted):
        return True
    if affinity == "NUMERIC":  # a text stays one there unless it looks like a number, which no instant does
        return wanted in ("INTEGER", "REAL") or isinstance(dtype, (pl.Datetime, pl.Date, pl.Time))
    return wanted == "BLOB"  # bytes are changed nowhere


def sqlite_columns(frame: pl.DataFrame, *, where: str) -> list[list[Any]]:
    """The columns of `frame`, each as values that SQLite can hold.

    Raises `SinkError` for an integer that has more than 64 bits with its sign.
    """
    cells = nested_as_json(frame.with_columns(_cell(name, dtype) for name, dtype in frame.schema.items()))
    _check_size(cells, where=where)
    return [column.to_list() for column in cells.iter_columns()]


def _cell(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        digits = 9 if dtype.time_unit == "ns" else 6
        return instant_text(column, dtype, f"%Y-%m-%d %H:%M:%S%.{digits}f", utc="")
    if isinstance(dtype, pl.Time):
        return column.dt.strftime("%H:%M:%S%.9f")
    if isinstance(dtype, pl.Date):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.Decimal) or is_text(dtype):
        return column.cast(pl.String)
    if dtype == pl.Boolean:
        return column.cast(pl.Int8)
    return column


def _check_size(cells: pl.DataFrame, *, where: str) -> None:
    wide = [name for name, dtype in cells.schema.items() if dtype in (pl.UInt64, pl.Int128, pl.UInt128)]
    for name in wide:
        column = cells[name]
        too_big = column.filter(column.cast(pl.Int64, strict=False).is_null() & column.is_not_null())
        if too_big.len():
            raise SinkError(
                f"column {name!r} has the value {too_big[0]}, and SQLite holds integers of 64 bits with a sign",
                where=where,
                hint=f"cast it to pl.String: .with_columns(pl.col({name!r}).cast(pl.String))",
            )


def _affinity(declared: str) -> str:
    """The five rules of https://www.sqlite.org/datatype3.html#determination_of_column_affinity, in order."""
    upper = declared.upper()
    for affinity, signs in _AFFINITY_SIGNS.items():
        if any(sign in upper for sign in signs):
            return affinity
    return "NUMERIC" if upper else "BLOB"


_AFFINITY_SIGNS: Mapping[str, tuple[str, ...]] = {
    "INTEGER": ("INT",),
    "TEXT": ("CHAR", "CLOB", "TEXT"),
    "BLOB": ("BLOB",),
    "REAL": ("REAL", "FLOA", "DOUB"),
}
