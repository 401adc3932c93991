"""Steps that clean rows and remember something of those before: repetitions, gaps, grids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.clock import format_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed

Fill = Literal["forward", "linear", "null"]


@dataclass(frozen=True, eq=False, slots=True)
class Unique(Stateful):
    """The first row of each key within a stretch of event time."""

    keys: tuple[str, ...]
    within_us: int

    has_late = True
    counts_rows = True
    passes_rows = True

    @property
    def label(self) -> str:
        return f"unique {', '.join(self.keys)} within {format_duration(self.within_us)}"

    @property
    def beyond_keys(self) -> str:
        return "rows of further ones pass, whether they repeat others or not"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("unique", against="and would be taken for repetitions")
        check_columns(self.keys, rows, "unique")
        rows.event_time("unique", used_by="tells how long a key is remembered")
        return rows


@dataclass(frozen=True, eq=False, slots=True)
class ForwardFill(Stateful):
    """Nulls filled with the last value of the key."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    max_age_us: int | None

    passes_rows = True

    @property
    def label(self) -> str:
        age = "" if self.max_age_us is None else f", at most {format_duration(self.max_age_us)} old"
        return f"forward_fill {', '.join(self.columns)}{by_text(self.by)}{age}"

    @property
    def beyond_keys(self) -> str:
        return "rows of further ones are not filled"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("forward_fill", against="and old values would follow new ones")
        check_apart(self.columns, self.by, rows, "forward_fill")
        if self.max_age_us is not None:
            rows.event_time("forward_fill", used_by="tells how old a value is")
        return rows


@dataclass(frozen=True, eq=False, slots=True)
class Resample(Stateful):
    """Rows on a regular grid of event time."""

    every_us: int
    by: tuple[str, ...]
    fill: Fill
    columns: tuple[str, ...] | None
    max_gap_us: int

    has_late = True

    @property
    def label(self) -> str:
        return f"resample every {format_duration(self.every_us)}{by_text(self.by)}"

    @property
    def settings(self) -> tuple[str, ...]:
        return (f"fill: {self.fill}, gaps of at most {format_duration(self.max_gap_us)}",)

    @property
    def lags_us(self) -> tuple[int, ...]:
        """A value between two rows is known when the second has come."""
        return (self.max_gap_us if self.fill == "linear" else 0,)

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("resample", against="and an instant has one value only")
        time = rows.event_time("resample", used_by="the grid goes by")
        if isinstance(rows.columns[time], pl.Date):
            raise PlanError(
                f"the event-time column {time!r} is a date, and the grid needs instants",
                where="resample",
                hint=f'.cast({{"{time}": pl.Datetime("us")}})',
            )
        check_keys(self.by, time, "resample")
        chosen = self.values(rows)
        check_apart(chosen, self.by, rows, "resample")
        if self.fill == "linear":
            check_numbers(
                chosen, rows, 'resample(fill="linear")', hint="name the ones to join by columns=[...]"
            )
        columns = {name: dtype for name, dtype in rows.columns.items() if name in (*self.by, time, *chosen)}
        if self.fill == "linear":
            columns |= {name: pl.Float64() for name in chosen}
        return Typed(columns, time, rows.time_shift_us, (*self.by, time))

    def values(self, before: Typed) -> tuple[str, ...]:
        """The columns that get values at every instant."""
        if self.columns is not None:
            return self.columns
        return tuple(name for name in before.columns if name not in (*self.by, before.time))


@dataclass(frozen=True, eq=False, slots=True)
class Interpolate(Stateful):
    """Nulls filled on the line between the values before and behind."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    within_us: int

    has_late = True
    counts_rows = True

    @property
    def label(self) -> str:
        return (
            f"interpolate {', '.join(self.columns)}{by_text(self.by)} within {format_duration(self.within_us)}"
        )

    @property
    def lags_us(self) -> tuple[int, ...]:
        """Until then a value may come that is near enough to the one before."""
        return (self.within_us,)

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def keeps_rows(self, side: int) -> bool:
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("interpolate", against="and old values would follow new ones")
        time = rows.event_time("interpolate", used_by="the line goes by")
        check_keys(self.by, time, "interpolate")
        check_apart(self.columns, self.by, rows, "interpolate")
        check_numbers(
            self.columns, rows, "interpolate", hint='.forward_fill(...), or .cast({"x": pl.Float64}) first'
        )
        columns = {**rows.columns, **{name: pl.Float64() for name in self.columns}}
        return Typed(columns, time, rows.time_shift_us, rows.keys)


def by_text(by: Sequence[str]) -> str:
    return f" by {', '.join(by)}" if by else ""


def check_columns(names: Iterable[str], rows: Typed, where: str) -> None:
    """Raise `PlanError` for a column that is not there."""
    for name in names:
        if name not in rows.columns:
            raise PlanError(f"there is no column {name!r}", where=where, hint=did_you_mean(name, rows.columns))


def check_keys(by: Sequence[str], time: str, where: str) -> None:
    """Raise `PlanError` if the event time is among the keys: then each row would be alone with its key."""
    if time in by:
        raise PlanError(
            f"{time!r} is the event time, which goes on within a key",
            where=f"{where}(by=)",
            hint='what tells one series from another: by="sensor"',
        )


def check_apart(columns: Sequence[str], keys: Sequence[str], rows: Typed, where: str) -> None:
    """Raise `PlanError` for a column that is not there, or that is changed and told apart by at once."""
    check_columns((*columns, *keys), rows, where)
    for name in columns:
        if name in keys:
            raise PlanError(f"{name!r} is what rows are told apart by, and cannot be changed here", where=where)
        if name == rows.time:
            raise PlanError(f"{name!r} is the event time, and cannot be changed here", where=where)


def check_numbers(columns: Sequence[str], rows: Typed, where: str, *, hint: str) -> None:
    """Raise `PlanError` for a column that holds no numbers."""
    for name in columns:
        if not rows.columns[name].is_numeric():
            raise PlanError(f"needs numbers, and {name!r} is {rows.columns[name]}", where=where, hint=hint)
