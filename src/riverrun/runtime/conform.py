"""Frames that come without decoding, put into the declared schema."""

from __future__ import annotations

import polars as pl

from riverrun.errors import SchemaError, did_you_mean
from riverrun.schema import UNITS_PER_SECOND, Column, Schema


def schema_of_frame(frame: pl.DataFrame, time: str | None) -> Schema:
    """The schema that a frame has by itself. Raises `SchemaError` when its `time` column cannot be one."""
    declared = dict(frame.schema)
    if time is not None and time in declared and not isinstance(declared[time], (pl.Datetime, pl.Date)):
        raise SchemaError(
            f"the event-time column {time!r} is {declared[time]}, which does not say when",
            where="read",
            hint=f'schema={{"{time}": rr.Timestamp("ms"), ...}}, or make it a datetime first',
        )
    return Schema.of(declared)


def conform(frame: pl.DataFrame, schema: Schema, *, where: str) -> pl.DataFrame:
    """The columns of the schema, in its types. Raises `SchemaError` when one is missing or does not fit."""
    if dict(frame.schema) == schema.polars():
        return frame
    for column in schema:
        if column.name not in frame.columns:
            hint = did_you_mean(column.name, frame.columns)
            raise SchemaError(f"the rows have no column {column.name!r}", where=where, hint=hint)
    try:
        return frame.select(_converted(column, frame.schema[column.name]) for column in schema)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"the rows do not fit the schema: {error}", where=where) from None


def _converted(column: Column, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column.name)
    if dtype == column.dtype:
        return value
    if isinstance(column.dtype, pl.Datetime) and dtype.is_integer():
        return _instant(value, column).cast(column.dtype).alias(column.name)
    if isinstance(column.dtype, pl.Datetime) and dtype == pl.String:
        return value.str.to_datetime(time_unit="us", time_zone=column.zone or "UTC").cast(column.dtype)
    if isinstance(column.dtype, pl.Datetime) and isinstance(dtype, pl.Datetime):
        zoned = value if dtype.time_zone else value.dt.replace_time_zone(column.zone or "UTC")
        target = column.dtype
        if target.time_zone is None:
            return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(target)
        return zoned.dt.convert_time_zone(target.time_zone).cast(target)
    return value.cast(column.dtype)


def _instant(value: pl.Expr, column: Column) -> pl.Expr:
    """Integers in the declared unit as microseconds UTC."""
    per_s = UNITS_PER_SECOND[column.unit or "us"]
    micros = value * (1_000_000 // per_s) if per_s <= 1_000_000 else value // (per_s // 1_000_000)
    instant = micros.cast(pl.Datetime("us"))
    assert isinstance(column.dtype, pl.Datetime)
    if column.dtype.time_zone is None:
        return instant
    return instant.dt.replace_time_zone("UTC").dt.convert_time_zone(column.dtype.time_zone)
