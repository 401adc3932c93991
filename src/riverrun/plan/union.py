"""Rows of several streams as one, as a node of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.errors import PlanError, SchemaError
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed


@dataclass(frozen=True, eq=False, slots=True)
class Union(Stateful):
    """All rows of its inputs, as they come."""

    passes_rows = True

    @property
    def label(self) -> str:
        return f"union of {len(self.parents)} streams"

    @property
    def short(self) -> str:
        return "union"

    def typed(self, *before: Typed) -> Typed:
        first = before[0]
        for place, other in enumerate(before[1:], start=2):
            _check_columns(first, other, place)
            _check_time(first, other, place)
        for rows in before:
            rows.final_rows("union", against="and nothing would tell which they replace")
        return Typed(first.columns, first.time, first.time_shift_us)


def _check_columns(first: Typed, other: Typed, place: int) -> None:
    where = f"union, stream {place}"
    missing = [name for name in first.columns if name not in other.columns]
    more = [name for name in other.columns if name not in first.columns]
    if missing or more:
        told = [*(f"no {name!r}" for name in missing), *(f"{name!r} too much" for name in more)]
        raise SchemaError(
            f"streams that become one need the same columns, and here is {', '.join(told)}",
            where=where,
            hint="rename(...), select(...) or drop(...) before the union",
        )
    for name, dtype in first.columns.items():
        if other.columns[name] != dtype:
            raise SchemaError(
                f"the column {name!r} is {other.columns[name]}, and {dtype} in the first stream",
                where=where,
                hint=f'.cast({{"{name}": pl.{dtype}}})',
            )


def _check_time(first: Typed, other: Typed, place: int) -> None:
    if first.time != other.time:
        raise PlanError(
            f"the event time is the column {other.time!r}, and {first.time!r} in the first stream",
            where=f"union, stream {place}",
            hint='.rename({"their_time": "ts"}) before the union',
        )
    if first.time_shift_us != other.time_shift_us:
        raise PlanError(
            "results of windows count as of the end of their window, and rows as of their own time",
            where=f"union, stream {place}",
            hint="union streams of rows with each other, and results with results",
        )
