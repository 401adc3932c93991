"""What a user says about the input, put over what was found out from the first rows."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from riverrun.cli.scout import Sample
from riverrun.errors import ConfigError, SchemaError, did_you_mean
from riverrun.formats.timestamps import likely_unit
from riverrun.schema import INSTANT, Column, Schema, Timestamp

#: Types by the names that people use on a command line.
TYPES: dict[str, pl.DataType] = {
    "float": pl.Float64(),
    "int": pl.Int64(),
    "text": pl.String(),
    "str": pl.String(),
    "string": pl.String(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
}
_UNITS = ("s", "ms", "us", "ns")

#: What `--time` takes to mean: by arrival.
ARRIVAL = "arrival"


def declared_types(text: str) -> dict[str, Column]:
    """The columns of ``"ts:timestamp[ms],price:float"``. Raises `ConfigError` that names what is wrong."""
    columns = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, colon, kind = part.rpartition(":")
        if not colon or not name:
            raise ConfigError(
                f"expected NAME:TYPE, got {part!r}", where="--schema", hint='"ts:timestamp[ms],price:float"'
            )
        columns[name.strip()] = _column(name.strip(), kind.strip().lower())
    return columns


def _column(name: str, kind: str) -> Column:
    base, bracket, unit = kind.removesuffix("]").partition("[")
    if base == "timestamp":
        unit = unit if bracket else "ms"
        if unit not in _UNITS:
            raise ConfigError(
                f"a timestamp is in one of {', '.join(_UNITS)}, got {unit!r}",
                where=f"--schema, column {name!r}",
            )
        return Column(name, INSTANT, Timestamp(unit).unit, "UTC")  # type: ignore[arg-type]
    if kind not in TYPES:
        raise ConfigError(
            f"there is no type {kind!r}",
            where=f"--schema, column {name!r}",
            hint=did_you_mean(kind, [*TYPES, "timestamp[ms]"]),
        )
    return Column(name, TYPES[kind], None, "UTC" if kind == "date" else None)


def with_types(schema: Schema, declared: dict[str, Column]) -> Schema:
    """The schema with some columns as declared. Raises `SchemaError` for a column that is not there."""
    for name in declared:
        _known(name, schema, "--schema")
    columns = tuple(declared.get(column.name, column) for column in schema)
    time = schema.time
    if time in declared and not declared[time].is_time:
        time = None
    if time is None:
        time = next((column.name for column in declared.values() if column.is_time), None)
    return replace(schema, columns=columns, time=time)


def with_time(schema: Schema, time: str | None, sample: Sample) -> Schema:
    """The schema with the event time that was asked for; numbers become instants in the unit that fits them.

    Raises `SchemaError` for a column that is not there, or cannot be a time.
    """
    if time is None:
        return schema
    if time == ARRIVAL and ARRIVAL not in schema:
        return replace(schema, time=None)
    column = schema[_known(time, schema, "--time")]
    if not column.is_time:
        instant = _as_instant(column, sample)
        columns = tuple(instant if item.name == time else item for item in schema)
        schema = replace(schema, columns=columns)
    return replace(schema, time=time, keys=tuple(key for key in schema.keys if key != time))


def _as_instant(column: Column, sample: Sample) -> Column:
    if not column.dtype.is_numeric():
        raise SchemaError(
            f"the values of {column.name!r} are {column.dtype}, which does not say when",
            where="--time",
            hint="times are RFC 3339 text such as 2024-01-02T03:04:05Z, or numbers since 1970; --time arrival",
        )
    value = sample.frame[column.name].drop_nulls().median()
    unit = likely_unit(float(value)) if isinstance(value, (int, float)) else None
    if unit is None:
        raise SchemaError(
            f"the numbers of {column.name!r} (as {value!s}) are no times between 1990 and 2100 in any unit",
            where="--time",
            hint=f'--schema "{column.name}:timestamp[ms]" says the unit; --time arrival goes by the clock',
        )
    return Column(column.name, INSTANT, unit, "UTC")


def chosen_keys(schema: Schema, by: list[str] | None, sample: Sample) -> list[str]:
    """The keys asked for, or those that were found. Raises `SchemaError` for one that is not there."""
    if by is not None:
        return [_known(name, schema, "--by") for name in by if name != "-"]
    # What was found out from bytes comes with notes and keys; a table brings neither.
    if schema.keys or schema.notes or sample.frame.is_empty():
        return list(schema.keys)
    return _likely_keys(schema, sample)


def _likely_keys(schema: Schema, sample: Sample) -> list[str]:
    """For tables, whose schema nobody inferred: the first text column with few values that come again."""
    for column in schema:
        distinct = sample.frame[column.name].n_unique() if column.dtype == pl.String else 0
        if 0 < distinct <= min(1_000, sample.frame.height // 2):
            return [column.name]
    return []


def _known(name: str, schema: Schema, where: str) -> str:
    if name not in schema:
        raise SchemaError(f"there is no column {name!r}", where=where, hint=did_you_mean(name, schema.names))
    return name
