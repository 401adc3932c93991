"""What counts as a table, and how each kind becomes a Polars frame. Nothing is imported for it.

Whoever hands in a pandas or Arrow table has imported that library; we only look at what we were given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import polars as pl

from riverrun.errors import MissingExtraError

_COLUMN_TYPES = (list, tuple, pl.Series)


def is_table(item: object) -> bool:
    """Whether `item` is one table, in contrast to a single row or an iterable of tables.

    >>> is_table({"x": [1, 2]}), is_table([{"x": 1}]), is_table({"x": 1})
    (True, True, False)
    """
    if isinstance(item, (pl.DataFrame, pl.LazyFrame)) or _kind(item) in _ARROW or is_pandas(item):
        return True
    if isinstance(item, Mapping):
        return bool(item) and all(_is_column(value) for value in item.values())
    if isinstance(item, list):
        return bool(item) and isinstance(item[0], Mapping) and not is_table(item[0])
    return _is_structured(item)


def to_polars(item: object) -> pl.DataFrame:
    """A Polars frame of one table. Raises ``TypeError`` for what is none."""
    if isinstance(item, pl.DataFrame):
        return item
    if isinstance(item, pl.LazyFrame):
        return item.collect()
    if is_pandas(item):
        return _from_pandas(item)
    if _kind(item) in _ARROW:
        return pl.DataFrame(cast(Any, item))
    if isinstance(item, Mapping):
        return pl.DataFrame({str(name): values for name, values in item.items()})
    if _is_structured(item):
        return pl.DataFrame({name: item[name] for name in item.dtype.names})  # type: ignore[index, attr-defined]
    if isinstance(item, list):
        return pl.from_dicts(item, infer_schema_length=None)
    raise TypeError(f"{table_name(item)} is not a table")


def table_name(item: object) -> str:
    """What it is, for people.

    >>> table_name([{"x": 1}])
    'list of rows'
    """
    if isinstance(item, Mapping):
        return "dict of columns" if is_table(item) else "dict"
    if isinstance(item, list) and is_table(item):
        return "list of rows"
    kind = type(item)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module} {kind.__qualname__}"


def is_pandas(item: object) -> bool:
    """Whether `item` is a pandas DataFrame."""
    return any(
        base.__module__.partition(".")[0] == "pandas" and base.__name__ == "DataFrame"
        for base in type(item).__mro__
    )


_ARROW = frozenset({("pyarrow", "Table"), ("pyarrow", "RecordBatch")})


def _kind(item: object) -> tuple[str, str]:
    return type(item).__module__.partition(".")[0], type(item).__name__


def _is_column(value: object) -> bool:
    return isinstance(value, _COLUMN_TYPES) or (hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1)


def _is_structured(item: object) -> bool:
    """Whether `item` is a NumPy array with named fields."""
    return getattr(getattr(item, "dtype", None), "names", None) is not None


def _from_pandas(item: Any) -> pl.DataFrame:
    index = item.index
    if any(name is not None for name in index.names) or type(index).__name__ == "DatetimeIndex":
        item = item.reset_index()
    try:
        made: pl.DataFrame = pl.from_pandas(item)
        return made
    except ModuleNotFoundError:
        raise MissingExtraError("reading a pandas table", "pyarrow", "pandas") from None
