"""Declared and inferred schemas: names, types, and how time is written.

A schema is declared as a mapping from names to Polars types. A column that holds instants as numbers
or text needs a unit or a zone; `Timestamp` says both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, cast

import polars as pl

from riverrun.errors import SchemaError, did_you_mean

TimeUnit = Literal["s", "ms", "us", "ns"]

#: How many of each unit make a second.
UNITS_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

#: Between these years a number is likely to be an instant, seconds since 1970.
LIKELY_FROM_S = 631_152_000  # 1990
LIKELY_TO_S = 4_102_444_800  # 2100

INSTANT = pl.Datetime("us", "UTC")


def mistaken_for(unit: TimeUnit) -> list[tuple[TimeUnit, int, int]]:
    """Coarser units, and which instants come out when a time of 1990 to 2100 in them is read as `unit`.

    The instants are microseconds since 1970, from and to.

    >>> mistaken_for("ms")
    [('s', 631152000000, 4102444800000)]
    """
    per_s = UNITS_PER_SECOND[unit]
    return [
        (other, LIKELY_FROM_S * other_per_s * 10**6 // per_s, LIKELY_TO_S * other_per_s * 10**6 // per_s)
        for other, other_per_s in UNITS_PER_SECOND.items()
        if other_per_s < per_s
    ]


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A column of instants: integers in `unit` since 1970, or text; text without a zone is in `zone`.

    >>> Timestamp("s", zone="Europe/Vienna").dtype
    Datetime(time_unit='us', time_zone='UTC')
    """

    unit: TimeUnit = "us"
    zone: str | None = None

    @property
    def dtype(self) -> pl.Datetime:
        """The Polars type of the column: microseconds, UTC."""
        return INSTANT


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its Polars type in the frames that steps see, and how its time is written.

    Parameters
    ----------
    unit : for instants: the unit of integers in the input.
    zone : for instants: the zone of text without one; ``None`` means that such text is a dead letter.
    """

    name: str
    dtype: pl.DataType
    unit: TimeUnit | None = None
    zone: str | None = None

    @property
    def is_time(self) -> bool:
        return isinstance(self.dtype, (pl.Datetime, pl.Date))


DeclaredType = pl.DataType | type[pl.DataType] | Timestamp


@dataclass(frozen=True, slots=True)
class Schema:
    """Columns in order. Inferred ones also say what was guessed, in words.

    >>> Schema.of({"ts": pl.Datetime("ms"), "price": pl.Float64})["ts"].unit
    'ms'
    """

    columns: tuple[Column, ...]
    time: str | None = None
    keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @staticmethod
    def of(declared: Mapping[str, DeclaredType]) -> Schema:
        """A schema from the mapping that users write."""
        if not declared:
            raise SchemaError("a schema needs at least one column", where="schema")
        return Schema(tuple(_column(name, dtype) for name, dtype in declared.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"there is no column {name!r}", where="schema", hint=did_you_mean(name, self.names))

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def polars(self) -> dict[str, pl.DataType]:
        """The types as frames have them."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """A frame with these columns and no rows."""
        return _without_rows(self).clone()


# Made once: it costs as much as decoding a few lines.
@lru_cache(maxsize=64)
def _without_rows(schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(schema=schema.polars())


def _column(name: str, declared: DeclaredType) -> Column:
    if isinstance(declared, Timestamp):
        return Column(name, declared.dtype, declared.unit, declared.zone)
    dtype = declared() if isinstance(declared, type) else declared
    if not isinstance(dtype, pl.DataType):
        raise SchemaError(
            f"the type of column {name!r} must be a Polars type, got {declared!r}",
            where="schema",
            hint="pl.Float64, pl.String, pl.Datetime('ms'), or rr.Timestamp('s')",
        )
    if isinstance(dtype, pl.Datetime):
        return Column(name, dtype, cast(TimeUnit, dtype.time_unit), dtype.time_zone)
    if isinstance(dtype, pl.Date):
        return Column(name, dtype, None, "UTC")
    return Column(name, dtype)
