"""Kinds of values: what can stand in for a missing value of a column, or be a bound of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from riverrun.batch import HIDDEN_PREFIX


def kind_of(dtype: pl.DataType) -> str:
    """What values of a type are; those of one kind can take each other's place.

    >>> kind_of(pl.Int8()), kind_of(pl.Categorical()), kind_of(pl.List(pl.Int8))
    ('number', 'text', 'List')
    """
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    return type(dtype).__name__


def type_of(value: Any, columns: Mapping[str, pl.DataType]) -> pl.DataType:
    """The type of a value, or of an expression over the columns. Polars raises where there is none."""
    expr = value if isinstance(value, pl.Expr) else pl.lit(value)
    return pl.DataFrame(schema=dict(columns)).lazy().select(expr.alias("value")).collect_schema()["value"]


def fitting(value: Any, columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    """The columns, hidden ones left out, that a value can stand in."""
    wanted = type_of(value, columns)
    return tuple(
        name for name, dtype in columns.items() if not name.startswith(HIDDEN_PREFIX) and holds(dtype, wanted)
    )


def holds(dtype: pl.DataType, other: pl.DataType) -> bool:
    """Whether a column of a type can hold values of another."""
    return dtype == pl.Null or kind_of(dtype) == kind_of(other)
