"""The border between results and a sink: frames have the declared columns, in order, or are refused."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from riverrun.errors import SinkError


def check_types(schema: Mapping[str, pl.DataType], *, where: str) -> None:
    """Raise `SinkError` for a column that no sink can hold."""
    for name, dtype in schema.items():
        if isinstance(dtype, (pl.Object, pl.Unknown)):
            raise SinkError(
                f"column {name!r} has the type {dtype}, which cannot be written",
                where=where,
                hint=f"leave it out with .drop({name!r}), or cast it to a type such as pl.String",
            )


def conform(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], *, where: str) -> pl.DataFrame:
    """`frame` with exactly the columns of `schema`.

    Raises `SinkError` when a column is missing or does not fit its type.
    """
    if frame.schema == schema and frame.columns == list(schema):
        return frame
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise SinkError(
            f"rows came without the column {missing[0]!r}; columns: {', '.join(frame.columns)}", where=where
        )
    try:
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise SinkError(f"rows came with other types than declared: {error}", where=where) from error
