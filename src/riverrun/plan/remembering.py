"""The newest row of each key, and functions of the user's that remember something for each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from riverrun.errors import PlanError
from riverrun.plan.cleaning import by_text, check_columns
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed

UserFunction = Callable[[Any, pl.DataFrame], tuple[Any, pl.DataFrame]]


@dataclass(frozen=True, eq=False, slots=True)
class Latest(Stateful):
    """The newest row of each key, as a table that changes."""

    by: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"latest{by_text(self.by)}"

    @property
    def beyond_keys(self) -> str:
        return "rows of further ones do not come out"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        check_columns(self.by, rows, "latest")
        rows.event_time("latest", used_by="tells which row is the newest")
        return Typed(rows.columns, rows.time, rows.time_shift_us, self.by, revised=True)


@dataclass(frozen=True, eq=False, slots=True)
class UserStep(Stateful):
    """A function of the user's over the rows of one key at a time, and what it remembers."""

    function: UserFunction
    init: Any
    by: tuple[str, ...]
    schema: Mapping[str, pl.DataType] | None

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))

    @property
    def label(self) -> str:
        return f"stateful {self.name}{by_text(self.by)}"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("stateful", against="and the function would take them for new ones")
        check_columns(self.by, rows, "stateful")
        columns = dict(self.schema) if self.schema is not None else self._found_out(rows)
        time = (
            rows.time if rows.time is not None and columns.get(rows.time) == rows.columns[rows.time] else None
        )
        keys = tuple(key for key in rows.keys if key in columns)
        return Typed(columns, time, rows.time_shift_us, keys)

    def _found_out(self, rows: Typed) -> dict[str, pl.DataType]:
        try:
            _, made = called(self, self.init, rows.empty())
        except PlanError as error:
            raise PlanError(
                f"{self.name} cannot work on an empty frame, which is how its columns are found out: {error}",
                where="stateful",
                hint="let it return an empty frame for an empty one, or say what comes out with schema={...}",
            ) from error
        return dict(made.schema)


def called(node: UserStep, state: Any, rows: pl.DataFrame) -> tuple[Any, pl.DataFrame]:
    """What the function makes of a state and rows. Raises `PlanError` when it does not return both."""
    try:
        made = node.function(state, rows)
    except Exception as error:
        raise PlanError(f"{node.name} failed: {type(error).__name__}: {error}", where="stateful") from error
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], pl.DataFrame)):
        raise PlanError(
            f"{node.name} must return a state and a Polars frame, got {type(made).__name__}",
            where="stateful",
            hint="return state, frame",
        )
    return made


def check_plain(value: object, name: str, at: str = "state") -> None:
    """Raise `PlanError` for a state that cannot be written to a checkpoint."""
    if value is None or isinstance(value, (bool, int, float, str, pl.DataFrame, pl.Series)):
        return
    if isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            check_plain(item, name, f"{at}[{place}]")
        return
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            check_plain(item, name, f"{at}[{key!r}]")
        return
    kind = (
        "a dict whose keys are not all text" if isinstance(value, dict) else f"of type {type(value).__name__}"
    )
    raise PlanError(
        f"{at} of {name} is {kind}, which cannot be written to a checkpoint",
        where="stateful",
        hint="None, bool, int, float, str, lists, dicts with text keys, Polars frames and series",
    )
