"""How each declared column is read: which type the fast path asks Polars for, and what strict code accepts.

The two must agree: whatever the fast path lets through as a good value, the strict functions here turn into
the same value. The strict side may accept more (spaces behind a number), since a block that the fast path
refuses goes to the strict path anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import cast

import polars as pl

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import SchemaError
from riverrun.formats.rejection import RefusedError, shown
from riverrun.formats.timestamps import (
    DECIMAL,
    INT64_MAX,
    INT64_MIN,
    INTEGER,
    TimeColumn,
    from_float,
    from_integer,
    from_text,
)
from riverrun.schema import Column, Schema

_INTEGERS: dict[type[pl.DataType], tuple[int, int]] = {
    pl.Int8: (-(2**7), 2**7 - 1),
    pl.Int16: (-(2**15), 2**15 - 1),
    pl.Int32: (-(2**31), 2**31 - 1),
    pl.Int64: (INT64_MIN, INT64_MAX),
    pl.UInt8: (0, 2**8 - 1),
    pl.UInt16: (0, 2**16 - 1),
    pl.UInt32: (0, 2**32 - 1),
    pl.UInt64: (0, 2**64 - 1),
}
_SUPPORTED: tuple[type[pl.DataType], ...] = (
    *_INTEGERS,
    pl.Float32,
    pl.Float64,
    pl.Boolean,
    pl.String,
    pl.Datetime,
    pl.Date,
)

#: Digits after which a whole number cannot fit any integer type; longer ones are not even converted.
_MOST_DIGITS = 24

ValueReader = Callable[[object], object]
TextReader = Callable[[str], object]


def check_supported(schema: Schema, format_name: str) -> None:
    """Raises `SchemaError` for a column whose type cannot be read from text, or whose name is ours."""
    for column in schema:
        if column.name.startswith(HIDDEN_PREFIX):
            raise SchemaError(
                f"column {column.name!r}: names that begin with {HIDDEN_PREFIX!r} are kept for riverrun itself",
                where="schema",
            )
        if not isinstance(column.dtype, _SUPPORTED):
            raise SchemaError(
                f"column {column.name!r} is declared {column.dtype}, which {format_name} cannot hold",
                where="schema",
                hint="numbers, pl.Boolean, pl.String, pl.Datetime, pl.Date; or pl.String, cast later",
            )


def is_float(column: Column) -> bool:
    return isinstance(column.dtype, (pl.Float32, pl.Float64))


def read_type(column: Column) -> pl.DataType:
    """What the readers are asked for. Float32 is read as Float64, so that both paths round the same way."""
    if column.is_time:
        return pl.Int64()
    return pl.Float64() if is_float(column) else column.dtype


def series_of(column: Column, values: Sequence[object], time: TimeColumn | None) -> pl.Series:
    """A column of the frame from what the strict readers gave."""
    series = pl.Series(column.name, values, dtype=read_type(column))
    if time is not None:
        return time.finish(series)
    return series.cast(column.dtype) if isinstance(column.dtype, pl.Float32) else series


# ---------------------------------------------------------------- text (CSV, lines)


def text_reader(column: Column) -> TextReader:
    """What turns the text of one field into a value; raises `RefusedError`."""
    if column.is_time:
        time = TimeColumn.of(column)
        return lambda text: from_text(text, time) if text.strip(" \t\r") else None
    if isinstance(column.dtype, tuple(_INTEGERS)):
        return _integer_text(column)
    if is_float(column):
        return _float_text(column)
    if isinstance(column.dtype, pl.Boolean):
        return _boolean_text(column)
    return lambda text: text


def _integer_text(column: Column) -> TextReader:
    low, high = _INTEGERS[type(column.dtype)]

    def read(text: str) -> int | None:
        text = text.strip(" \t\r")
        if not text:
            return None
        if INTEGER.fullmatch(text) is None:
            raise _wrong_type(column, text, "text")
        digits = text.lstrip("+-0")
        value = int(text) if len(digits) <= _MOST_DIGITS and len(text) < 4000 else None
        if value is None and not digits:
            value = 0
        if value is None or not low <= value <= high:
            raise _out_of_range(column, text)
        return value

    return read


def _float_text(column: Column) -> TextReader:
    finite = _finite(column)

    def read(text: str) -> float | None:
        text = text.strip(" \t\r")
        if not text:
            return None
        if DECIMAL.fullmatch(text) is None:
            raise _wrong_type(column, text, "text")
        return finite(float(text), text)

    return read


def _boolean_text(column: Column) -> TextReader:
    known = {"true": True, "false": False}

    def read(text: str) -> bool | None:
        text = text.strip(" \t\r")
        if not text:
            return None
        value = known.get(text.lower())
        if value is None or not text.isascii():
            raise _wrong_type(column, text, "text")
        return value

    return read


# ---------------------------------------------------------------- JSON values


def value_reader(column: Column) -> ValueReader:
    """What turns one JSON value, not null, into a value of the column; raises `RefusedError`."""
    if column.is_time:
        return _time_value(column)
    if isinstance(column.dtype, tuple(_INTEGERS)):
        return _integer_value(column)
    if is_float(column):
        return _float_value(column)
    wanted = bool if isinstance(column.dtype, pl.Boolean) else str

    def read(value: object) -> object:
        if type(value) is not wanted:
            raise _wrong_type(column, value, json_type(value))
        return value

    return read


def json_type(value: object) -> str:
    """The name of a value's type, as JSON people say it."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _time_value(column: Column) -> ValueReader:
    time = TimeColumn.of(column)

    def read(value: object) -> int:
        if type(value) is int:
            return from_integer(value, time)
        if type(value) is float:
            return from_float(value, time)
        if type(value) is str:
            return from_text(value, time)
        raise _wrong_type(column, value, json_type(value))

    return read


def _integer_value(column: Column) -> ValueReader:
    low, high = _INTEGERS[type(column.dtype)]

    def read(value: object) -> int:
        if type(value) is float and abs(value) >= 2.0**63:
            raise _out_of_range(column, value)  # orjson gives integers beyond 64 bits as floats
        if type(value) is not int:
            raise _wrong_type(column, value, json_type(value))
        if not low <= value <= high:
            raise _out_of_range(column, value)
        return value

    return read


def _float_value(column: Column) -> ValueReader:
    finite = _finite(column)

    def read(value: object) -> float:
        if type(value) is not float and type(value) is not int:
            raise _wrong_type(column, value, json_type(value))
        return finite(float(cast(float, value)), value)

    return read


# ---------------------------------------------------------------- shared


def _finite(column: Column) -> Callable[[float, object], float]:
    single = isinstance(column.dtype, pl.Float32)

    def check(value: float, origin: object) -> float:
        if value - value != 0.0:  # infinite
            raise _out_of_range(column, origin)
        if single:
            try:
                struct.pack("f", value)
            except OverflowError:
                raise _out_of_range(column, origin) from None
        return value

    return check


def _out_of_range(column: Column, value: object) -> RefusedError:
    return RefusedError("number-range", f"column {column.name!r}: {shown(value)} does not fit {column.dtype}")


def _wrong_type(column: Column, value: object, found: str) -> RefusedError:
    detail = f"column {column.name!r}: expected {column.dtype}, found {found} {shown(value)}"
    return RefusedError("schema", detail + _advice(column, value))


def _advice(column: Column, value: object) -> str:
    """What the user could declare instead, when the value says so."""
    text = str(value)[:_MOST_DIGITS] if isinstance(value, (float, str)) else ""
    if isinstance(column.dtype, tuple(_INTEGERS)) and DECIMAL.fullmatch(text):
        return f"; if fractions are right here, declare schema={{{column.name!r}: pl.Float64}}"
    if is_float(column) and text.strip("+-").lower() in ("nan", "inf", "infinity"):
        return f"; to read it as missing, use rr.Csv(null_values=('', {text!r}))"
    return ""
