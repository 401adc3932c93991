"""Joins of two streams, as nodes of a plan: what they match, and what columns they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.clock import format_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.plan.window_aggregate import BOUNDS
from riverrun.windows.describe import Fixed, Session, Window

Direction = Literal["backward", "forward", "nearest"]
Closed = Literal["both", "left", "right", "none"]
How = Literal["inner", "left"]

#: What columns of the right side get when the left side has one of the same name.
SUFFIX = "_right"


@dataclass(frozen=True, slots=True)
class Span:
    """Which right rows a left row looks at: those with ``lower <= right time - left time <= upper``.

    Parameters
    ----------
    lower_us : ``None``: back to the beginning.
    """

    lower_us: int | None
    upper_us: int


@dataclass(frozen=True, eq=False, slots=True)
class Join(Stateful):
    """What joins by event time have in common: a left and a right input, and keys that must be equal."""

    on: tuple[str, ...]

    has_late = True

    @property
    def keys_text(self) -> str:
        return f" on {', '.join(self.on)}" if self.on else ""

    def checked(self, where: str, left: Typed, right: Typed) -> None:
        """Raise `PlanError` when the two inputs cannot be joined."""
        for rows, side in ((left, "left"), (right, "right")):
            rows.final_rows(f"{where}, {side} side", against="and would be joined twice")
            rows.event_time(f"{where}, {side} side", used_by="a join goes by")
        for name in self.on:
            _check_key(name, left, right, where)


@dataclass(frozen=True, eq=False, slots=True)
class AsofJoin(Join):
    """For each left row the one right row that is nearest in time.

    Parameters
    ----------
    tolerance_us : how far away the right row may be; ``None``: any distance.
    exact : whether a right row of the very same time matches.
    """

    tolerance_us: int | None
    direction: Direction
    exact: bool

    @property
    def label(self) -> str:
        within = "" if self.tolerance_us is None else f" within {format_duration(self.tolerance_us)}"
        exact = "" if self.exact else ", not at the same time"
        return f"join_asof {self.direction}{self.keys_text}{within}{exact}"

    @property
    def span(self) -> Span:
        apart_us = 0 if self.exact else 1
        back_us = None if self.tolerance_us is None else -self.tolerance_us
        if self.direction == "backward":
            return Span(back_us, -apart_us)
        assert self.tolerance_us is not None
        return Span(apart_us if self.direction == "forward" else back_us, self.tolerance_us)

    @property
    def lags_us(self) -> tuple[int, ...]:
        return (0, self.span.upper_us)

    @property
    def beyond_keys(self) -> str:
        return "right rows of further ones match nothing"

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def keeps_rows(self, side: int) -> bool:
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        left, right = before
        self.checked("join_asof", left, right)
        columns = {**left.columns, **right_columns(left, right, self.on, "join_asof")}
        return Typed(columns, left.time, left.time_shift_us, left.keys)


@dataclass(frozen=True, eq=False, slots=True)
class IntervalJoin(Join):
    """Every pair of rows whose times are so far apart."""

    span: Span
    how: How

    @property
    def label(self) -> str:
        assert self.span.lower_us is not None
        bounds = f"{format_duration(self.span.lower_us)} to {format_duration(self.span.upper_us)}"
        return f"join_interval {self.how}{self.keys_text}, right time - left time {bounds}"

    @property
    def short(self) -> str:
        return f"join_interval {self.how}{self.keys_text}"

    @property
    def lags_us(self) -> tuple[int, ...]:
        return (0, self.span.upper_us)

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        left, right = before
        self.checked("join_interval", left, right)
        added = right_columns(left, right, self.on, "join_interval")
        return Typed({**left.columns, **added}, left.time, left.time_shift_us, pair_keys(left, right, self.on))


@dataclass(frozen=True, eq=False, slots=True)
class WindowJoin(Join):
    """Every pair of rows that fall into the same window."""

    window: Window
    how: How

    @property
    def label(self) -> str:
        return f"join_window {self.how}{self.keys_text} over {self.window}"

    @property
    def short(self) -> str:
        return f"join_window {self.how}{self.keys_text}, {self.window.short}"

    def typed(self, *before: Typed) -> Typed:
        left, right = before
        self.checked("join_window", left, right)
        cut = isinstance(self.window, Session) and self.window.maximum_us is not None
        if cut or not isinstance(self.window, (Fixed, Session)):
            raise PlanError(
                f"rows cannot be paired by {self.window}", where="join_window", hint='rr.tumbling("10s")'
            )
        columns = {**left.columns, **right_columns(left, right, self.on, "join_window")}
        taken = [name for name in BOUNDS if name in columns]
        if taken:
            raise PlanError(
                f"the column {taken[0]!r} would be taken by the bounds of the window",
                where="join_window",
                hint=f'.rename({{"{taken[0]}": "earlier_{taken[0]}"}}) before the join',
            )
        keys = pair_keys(left, right, self.on)
        return Typed({**columns, **BOUNDS}, "window_end", -1, (*keys, "window_start") if keys else ())

    def late(self, *before: Typed) -> Typed:
        left, _ = before
        return Typed({**left.columns, **BOUNDS}, left.time, left.time_shift_us)


def right_names(left: Typed, right: Typed, on: Sequence[str]) -> Mapping[str, str]:
    """For each column of the right side that comes along: what it is called in the result."""
    own = [name for name in right.columns if name not in on]
    return {name: name + SUFFIX if name in left.columns else name for name in own}


def right_columns(left: Typed, right: Typed, on: Sequence[str], where: str) -> dict[str, pl.DataType]:
    """The columns that the right side adds. Raises `PlanError` when two would have one name."""
    columns: dict[str, pl.DataType] = {}
    for name, called in right_names(left, right, on).items():
        if called in left.columns or called in columns or (called != name and called in right.columns):
            raise PlanError(
                f"there would be two columns {called!r}",
                where=where,
                hint=f'.rename({{"{name}": "their_{name}"}}) on the right side, before the join',
            )
        columns[called] = right.columns[name]
    return columns


def pair_keys(left: Typed, right: Typed, on: Sequence[str]) -> tuple[str, ...]:
    """What tells one pair from another: what tells the two rows, if something does."""
    if not left.keys or not right.keys:
        return ()
    names = right_names(left, right, on)
    return tuple(dict.fromkeys([*left.keys, *(names.get(key, key) for key in right.keys)]))


def _check_key(name: str, left: Typed, right: Typed, where: str) -> None:
    for rows, side in ((left, "left"), (right, "right")):
        if name not in rows.columns:
            raise PlanError(
                f"there is no column {name!r} on the {side} side",
                where=where,
                hint=did_you_mean(name, rows.columns) or rows.text(),
            )
    if left.columns[name] != right.columns[name]:
        raise PlanError(
            f"the key {name!r} is {left.columns[name]} on the left side and {right.columns[name]} on the right",
            where=where,
            hint=f'.cast({{"{name}": pl.{left.columns[name]}}}) on the right side, before the join',
        )
    if left.columns[name].is_float() or left.columns[name].is_nested():
        raise PlanError(
            f"the key {name!r} is {left.columns[name]}, which is no good for telling whether two are equal",
            where=where,
            hint="join on whole numbers, text, dates or true and false",
        )
