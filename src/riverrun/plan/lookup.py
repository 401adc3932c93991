"""Rows with what a table says of them, as a node of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import polars as pl

from riverrun.clock import format_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.joins import right_columns
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed

if TYPE_CHECKING:
    from riverrun.world import World

LookupHow = Literal["left", "inner"]
OnFailure = Literal["stop", "stale", "null"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a table said.

    Parameters
    ----------
    table : the whole of it; ``None``: it is as it was.
    tag : what to show it the next time, so that it can say so.
    """

    table: pl.DataFrame | None
    tag: str = ""


class ReadTable(Protocol):
    """A table that is read from somewhere, and may say something else the next time."""

    @property
    def name(self) -> str: ...

    def read(self, world: World, tag: str = "") -> Reading:
        """The whole table as it is now. Raises `SourceError` when there is none.

        Parameters
        ----------
        tag : of the reading before; nothing, to get the table in any case.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What is known of a key.

    Parameters
    ----------
    row : its values by column; ``None``: there is nothing of that key.
    failure : why there was no answer.
    asked : whether there was time to ask.
    """

    row: Mapping[str, object] | None = None
    failure: str = ""
    asked: bool = True


@runtime_checkable
class AskTable(Protocol):
    """A table that nobody can read, and that is asked key by key."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """What an answer says."""
        ...

    def ask(self, world: World, keys: Sequence[object]) -> list[KeyAnswer]:
        """What is known of some keys, in their order."""
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
    on_failure: OnFailure = "stop"

    @property
    def label(self) -> str:
        name = "a frame" if isinstance(self.table, pl.DataFrame) else self.table.name
        return f"lookup {self.how} on {', '.join(self.on)} in {name}"

    @property
    def settings(self) -> tuple[str, ...]:
        if isinstance(self.table, pl.DataFrame):
            return ()
        again = "never" if self.ttl_us is None else f"every {format_duration(self.ttl_us)}"
        return (f"read again: {again}", *_failure_text(self.on_failure))

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def keeps_rows(self, side: int) -> bool:
        # Rows without a match go, as those that they repeat do.
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        table = Typed(self.columns, None)
        for name in self.on:
            _check_key(name, rows, table)
        columns = {**rows.columns, **right_columns(rows, table, self.on, "lookup")}
        return Typed(columns, rows.time, rows.time_shift_us, rows.keys, rows.revised)


@dataclass(frozen=True, eq=False, slots=True)
class KeyedLookup(Stateful):
    """A join with a table that is asked for each key, and whose answers are remembered.

    Parameters
    ----------
    on : the column whose values are asked for.
    table : who is asked.
    columns : what an answer says, without the key.
    ttl_us : after so long a key is asked for again; ``None``: never.
    """

    on: str
    table: AskTable
    columns: Mapping[str, pl.DataType]
    ttl_us: int | None
    how: LookupHow
    on_failure: OnFailure

    @property
    def label(self) -> str:
        return f"lookup {self.how} on {self.on} in {self.table.name}"

    @property
    def settings(self) -> tuple[str, ...]:
        again = "never" if self.ttl_us is None else f"after {format_duration(self.ttl_us)}"
        return (f"a key is asked for again: {again}", *_failure_text(self.on_failure))

    def keeps_times(self, side: int) -> bool:
        return side == 0

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        if self.on not in rows.columns:
            raise PlanError(
                f"there is no column {self.on!r} in the stream",
                where="lookup",
                hint=did_you_mean(self.on, rows.columns),
            )
        dtype = rows.columns[self.on]
        if not (dtype == pl.String or dtype.is_integer()):
            raise PlanError(
                f"the key {self.on!r} is {dtype}, and a URL is made of text and whole numbers",
                where="lookup",
                hint=f'.cast({{"{self.on}": pl.String}}) before the lookup',
            )
        columns = {**rows.columns, **right_columns(rows, self.right(rows), (self.on,), "lookup")}
        return Typed(columns, rows.time, rows.time_shift_us, rows.keys, rows.revised)

    def right(self, rows: Typed) -> Typed:
        """The columns of an answer, with its key."""
        return Typed({self.on: rows.columns[self.on], **self.columns}, None)


def _failure_text(on_failure: OnFailure) -> tuple[str, ...]:
    return {
        "stop": (),
        "stale": ("without an answer: what was known before",),
        "null": ("without an answer: nulls",),
    }[on_failure]


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
