"""Rows with what a table says of them, as a node of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import polars as pl

from riverrun.clock import format_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.joins import right_columns
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed

if TYPE_CHECKING:
    from riverrun.world import World

LookupHow = Literal["left", "inner"]


class ReadTable(Protocol):
    """A table that is read from somewhere, and may say something else the next time."""

    @property
    def name(self) -> str: ...

    def read(self, world: World) -> pl.DataFrame:
        """The whole table as it is now."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Lookup(Stateful):
    """A join with a table that is held in memory.

    Parameters
    ----------
    on : the columns that must be equal.
    table : where it is read from, or the table itself.
    columns : those of the table.
    ttl_us : after so long it is read again; ``None``: never.
    """

    on: tuple[str, ...]
    table: ReadTable | pl.DataFrame
    columns: Mapping[str, pl.DataType]
    ttl_us: int | None
    how: LookupHow

    @property
    def label(self) -> str:
        name = "a frame" if isinstance(self.table, pl.DataFrame) else self.table.name
        return f"lookup {self.how} on {', '.join(self.on)} in {name}"

    @property
    def settings(self) -> tuple[str, ...]:
        if isinstance(self.table, pl.DataFrame):
            return ()
        again = "never" if self.ttl_us is None else f"every {format_duration(self.ttl_us)}"
        return (f"read again: {again}",)

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        table = Typed(self.columns, None)
        for name in self.on:
            _check_key(name, rows, table)
        columns = {**rows.columns, **right_columns(rows, table, self.on, "lookup")}
        return Typed(columns, rows.time, rows.time_shift_us, rows.keys, rows.revised)


def _check_key(name: str, rows: Typed, table: Typed) -> None:
    for known, what in ((rows, "in the stream"), (table, "in the table")):
        if name not in known.columns:
            raise PlanError(
                f"there is no column {name!r} {what}", where="lookup", hint=did_you_mean(name, known.columns)
            )
    if rows.columns[name] != table.columns[name]:
        raise PlanError(
            f"the key {name!r} is {rows.columns[name]} in the stream and {table.columns[name]} in the table",
            where="lookup",
            hint=f'.cast({{"{name}": pl.{table.columns[name]}}}) before the lookup',
        )
