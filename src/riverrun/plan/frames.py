"""User functions over whole frames: hand a frame over in the kind they want, and take theirs back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from riverrun.errors import MissingExtraError, PlanError


def call_on_frame(function: Callable[[Any], Any], kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """``function(frame)`` with the frame as Polars, pandas, Arrow or a dict of NumPy arrays.

    Raises `PlanError` when what comes back is no table.
    """
    result = function(_given(kind, frame))
    try:
        return _taken(result)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        name = getattr(function, "__name__", str(function))
        raise PlanError(
            f"{name} must return a table, got {type(result).__name__} ({error})",
            where="map_frames",
            hint="a Polars, pandas or Arrow table, or a dict of columns",
        ) from None


def _given(kind: str, frame: pl.DataFrame) -> Any:
    try:
        if kind == "pandas":
            return frame.to_pandas()
        if kind == "arrow":
            return frame.to_arrow()
        if kind == "numpy":
            return {name: frame[name].to_numpy() for name in frame.columns}
    except ModuleNotFoundError as error:
        package = (error.name or kind).split(".")[0]
        raise MissingExtraError(f"map_frames(as_={kind!r})", package, kind) from None
    return frame


def _taken(result: Any) -> pl.DataFrame:
    if isinstance(result, pl.DataFrame):
        return result
    if isinstance(result, pl.LazyFrame):
        return result.collect()
    if isinstance(result, dict):
        return pl.DataFrame(result)
    if type(result).__module__.split(".")[0] == "pandas":
        taken: pl.DataFrame = pl.from_pandas(result)
        return taken
    if type(result).__module__.split(".")[0] == "pyarrow":
        made = pl.from_arrow(result)
        if isinstance(made, pl.DataFrame):
            return made
    raise TypeError("not a table")
