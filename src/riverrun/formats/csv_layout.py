"""Which field of a CSV record is which column, and the strict reading of single records."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import SchemaError, did_you_mean
from riverrun.formats.columns import TextReader, text_reader
from riverrun.formats.csv_records import Dialect, FieldParser
from riverrun.formats.rejection import RefusedError, quoted
from riverrun.schema import Column, Schema


def column_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Header fields as column names: trimmed, never empty, hidden or the same twice.

    >>> column_names([" ts", "", "x", "x"])
    ('ts', 'c2', 'x', 'x_2')
    """
    names: list[str] = []
    for number, field in enumerate(fields, 1):
        name = field.strip().removeprefix(HIDDEN_PREFIX) or f"c{number}"
        unique, copy = name, 2
        while unique in names:
            unique, copy = f"{name}_{copy}", copy + 1
        names.append(unique)
    return tuple(names)


class Layout:
    """The fields of a file in order, and where each column of the schema stands among them."""

    def __init__(self, names: Sequence[str], schema: Schema) -> None:
        self.names = tuple(names)
        self.schema = schema
        self.places = tuple(self.names.index(column.name) for column in schema)

    @property
    def width(self) -> int:
        return len(self.names)

    def column_at(self, place: int) -> Column | None:
        """The column that a field belongs to, ``None`` for one that the schema does not name."""
        return next((column for column in self.schema if column.name == self.names[place]), None)


def layout_of_header(names: Sequence[str], schema: Schema) -> Layout | None:
    """The layout that a first record describes; ``None`` when it does not name all columns."""
    return Layout(names, schema) if all(column.name in names for column in schema) else None


def missing_from_header(names: Sequence[str], schema: Schema) -> SchemaError:
    """The error for a header that lacks a declared column."""
    missing = [name for name in schema.names if name not in names]
    listed = ", ".join(repr(name) for name in missing)
    return SchemaError(
        f"the CSV header has no column {listed}; it has {', '.join(quoted(name) for name in names[:20])}",
        where="csv",
        hint=did_you_mean(missing[0], names),
    )


class RecordReader:
    """Turns one record into the values of a row."""

    def __init__(self, layout: Layout, dialect: Dialect, null_values: Sequence[str]) -> None:
        self.layout = layout
        self._parser = FieldParser(dialect)
        self._blank = "".join(c for c in " \t\r" if c != dialect.separator)
        self._width = layout.width
        self._columns = [
            (place, _field_reader(column, frozenset(null_values)), isinstance(column.dtype, pl.String))
            for place, column in zip(layout.places, layout.schema, strict=True)
        ]

    def text(self, record: bytes) -> str:
        """The record as text, without a carriage return at its end. Raises `RefusedError` (``utf8``)."""
        return decode(record).removesuffix("\r")

    def is_blank(self, text: str) -> bool:
        return not text.strip(self._blank)

    def fields(self, text: str) -> tuple[list[str], Collection[int]]:
        """The fields, and the places of the quoted ones. Raises `RefusedError` (``csv``)."""
        return self._parser.fields(text)

    def values(self, fields: Sequence[str], quoted: Collection[int]) -> list[object]:
        """The row. Raises `RefusedError`."""
        if len(fields) != self._width:
            raise RefusedError(
                "csv", f"expected {self._width} fields, found {len(fields)}{_advice(fields, self._width)}"
            )
        return [
            "" if is_text and not fields[place] and place in quoted else read(fields[place])
            for place, read, is_text in self._columns
        ]

    def is_header(self, fields: Sequence[str]) -> bool:
        """Whether a record repeats the names of the columns."""
        names = self.layout.names
        # The first name tells nearly all rows apart, for a third of the work.
        may_be = len(fields) == self._width and column_names(fields[:1]) == names[:1]
        return may_be and column_names(fields) == names


def _advice(fields: Sequence[str], width: int) -> str:
    """What to try when the whole record is one field that another separator would cut right."""
    if len(fields) == 1:
        for separator in ",;\t|":
            if fields[0].count(separator) == width - 1:
                return f"; to separate them by {separator!r}, use rr.Csv(separator={separator!r})"
    return ""


def _field_reader(column: Column, nulls: Collection[str]) -> TextReader:
    """What turns the text of a field into a value; a text for "no value" becomes ``None``."""
    if isinstance(column.dtype, pl.String):
        return lambda text: None if text in nulls else text
    read = text_reader(column)

    def read_trimmed(text: str) -> object:
        if text in nulls:
            return None
        trimmed = text.strip(" \t\r")
        return None if trimmed in nulls else read(trimmed)

    return read_trimmed


def decode(record: bytes) -> str:
    """UTF-8 text. Raises `RefusedError` (``utf8``)."""
    try:
        return record.decode()
    except UnicodeDecodeError as error:
        detail = f"byte 0x{record[error.start]:02x} at offset {error.start} of the record is not UTF-8"
        raise RefusedError("utf8", detail) from None
