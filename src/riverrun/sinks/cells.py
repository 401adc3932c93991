"""Columns as text files can hold them: instants in ISO 8601, bytes in hexadecimal, nested values as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from polars.datatypes import DataTypeClass

from riverrun.errors import SinkError
from riverrun.schema import UNITS_PER_SECOND

INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S%.f"
TIME_FORMAT = "%H:%M:%S%.f"

_YEAR_1_S = -62_135_596_800
_YEAR_10000_S = 253_402_300_800
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

#: What makes a spreadsheet take a text for a formula when a cell begins with it.
FORMULA_START = r"^[=+\-@\t\r]"


def check_nested_bytes(schema: Mapping[str, pl.DataType], *, where: str) -> None:
    """Raise `SinkError` for bytes inside lists and structs, which JSON has no way to write."""
    for name, dtype in schema.items():
        if dtype.is_nested() and _holds_bytes(dtype):
            raise SinkError(
                f"column {name!r} has bytes inside a {dtype}, which cannot be written as text",
                where=where,
                hint='write it to "parquet:" or "duckdb:", or encode it with .bin.encode("hex")',
            )


def plain_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with instants, durations and bytes as text; numbers, text and nested columns untouched."""
    changed = [_plain(name, dtype) for name, dtype in frame.schema.items() if _needs_text(dtype)]
    return frame.with_columns(changed) if changed else frame


def nested_as_json(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with every list, array and struct as JSON text; null stays null."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.with_columns(_json_text(frame[name]) for name in nested) if nested else frame


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with ``'`` before every text that a spreadsheet would run as a formula.

    >>> without_formulas(pl.DataFrame({"key": ["=1+1", "a=b", None]}))["key"].to_list()
    ["'=1+1", 'a=b', None]
    """
    text = [name for name, dtype in frame.schema.items() if is_text(dtype)]
    return frame.with_columns(_without_formula(frame[name].cast(pl.String)) for name in text) if text else frame


def is_text(dtype: pl.DataType) -> bool:
    """Whether cells of this type are text that came from outside."""
    return isinstance(dtype, (pl.String, pl.Categorical, pl.Enum))


def instant_text(column: pl.Expr, dtype: pl.Datetime, layout: str, *, utc: str = "Z") -> pl.Expr:
    """Instants as text, those with a zone in UTC with `utc` behind; outside the years 1 to 9999 as a number.

    Polars panics when it is to write an instant that has no calendar date.
    """
    number = column.to_physical()
    per_second = UNITS_PER_SECOND[dtype.time_unit]
    in_calendar = number.is_between(
        max(_YEAR_1_S * per_second, _INT64_MIN), min(_YEAR_10000_S * per_second, _INT64_MAX), closed="left"
    )
    instant: pl.Expr = pl.when(in_calendar).then(column)
    if dtype.time_zone is not None:
        instant, layout = instant.dt.convert_time_zone("UTC"), layout + utc
    return pl.coalesce(instant.dt.strftime(layout), number.cast(pl.String))


def _needs_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.Datetime, pl.Duration, pl.Time, pl.Binary))


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return instant_text(column, dtype, INSTANT_FORMAT)
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.Time):
        return column.dt.strftime(TIME_FORMAT)
    return column.bin.encode("hex")


def _without_formula(texts: pl.Series) -> pl.Series:
    risky = texts.str.contains(FORMULA_START)
    return texts.zip_with(~risky.fill_null(False), "'" + texts) if risky.any() else texts


def _json_text(values: pl.Series) -> pl.Series:
    # Polars writes whole rows only: take the value out of {"v":...}. Lines end in \n and nothing else.
    written = values.alias("v").to_frame().write_ndjson().split("\n")[: values.len()]
    texts = [None if line == '{"v":null}' else line[len('{"v":') : -1] for line in written]
    return pl.Series(values.name, texts, dtype=pl.String)


def _holds_bytes(dtype: pl.DataType | DataTypeClass) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_holds_bytes(field.dtype) for field in dtype.fields)
    if isinstance(dtype, (pl.List, pl.Array)):
        return _holds_bytes(dtype.inner)
    return dtype == pl.Binary
