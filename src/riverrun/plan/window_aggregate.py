"""Aggregates by key and window, as a node of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.clock import format_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.checking import check_visible, refuse_neighbours
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.schema import INSTANT
from riverrun.stats.aggregate import Aggregate
from riverrun.stats.program import Program, results_schema
from riverrun.stats.quality import COLUMNS as QUALITY_COLUMNS
from riverrun.stats.quality import QUALITY_NAMES, quality_aggregates
from riverrun.windows.describe import Hopping, Session, Trailing, Window

#: The bounds of a window, as results and late rows carry them.
BOUNDS: Mapping[str, pl.DataType] = {"window_start": INSTANT, "window_end": INSTANT}


@dataclass(frozen=True, eq=False, slots=True)
class Key:
    """A grouping key: its name in results and the expression it comes from."""

    name: str
    expr: pl.Expr


@dataclass(frozen=True, eq=False, slots=True)
class WindowAggregate(Stateful):
    """Aggregates by key and window.

    Parameters
    ----------
    emit : ``"final"``: when a window closes; ``"batch"``: also after every batch; a number: also after so
        many microseconds, by the clock.
    quality : whether results tell of their rows, too; see `riverrun.stats.quality`.
    """

    keys: tuple[Key, ...]
    window: Window
    lateness_us: int
    emit: Literal["final", "batch"] | int
    aggregates: Mapping[str, Aggregate]
    quality: bool = False

    has_late = True

    def program(self, before: Typed) -> tuple[Mapping[str, Aggregate], Mapping[str, pl.DataType]]:
        """All aggregates, and the columns that they read."""
        if not self.quality:
            return self.aggregates, before.columns
        return {**self.aggregates, **quality_aggregates()}, {**before.columns, **QUALITY_COLUMNS}

    @property
    def revisions(self) -> bool:
        """Whether a result may come more than once."""
        return self.lateness_us > 0 or self.emit != "final"

    @property
    def label(self) -> str:
        keys = ", ".join(key.name for key in self.keys) or "everything"
        aggregates = ", ".join(f"{name}={a.label}" for name, a in self.aggregates.items())
        return f"aggregate {aggregates} by {keys} over {self.window}"

    @property
    def short(self) -> str:
        """The label without the aggregates, which may be many."""
        keys = f"by {', '.join(key.name for key in self.keys)}, " if self.keys else ""
        return f"aggregate {keys}{self.window.short}"

    @property
    def settings(self) -> tuple[str, ...]:
        emit = self.emit if isinstance(self.emit, str) else f"every {format_duration(self.emit)}"
        quality = ("quality: " + ", ".join(QUALITY_NAMES),) if self.quality else ()
        return (f"lateness: {format_duration(self.lateness_us)}, results: {emit}", *quality)

    @property
    def beyond_keys(self) -> str:
        return "rows of further ones are counted together, as __other__ (null if keys are no text)"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows("agg", against="and would count twice")
        rows.event_time("agg", used_by="windows go by")
        if isinstance(self.window, Trailing):
            return Typed(_trailing_columns(self, rows), rows.time, rows.time_shift_us)
        bounds = ("window_start",) if isinstance(self.window, (Hopping, Session)) else tuple(BOUNDS)
        keys = (*(key.name for key in self.keys), *bounds)
        return Typed(_result_columns(self, rows), "window_end", -1, keys, self.revisions)

    def late(self, *before: Typed) -> Typed:
        (rows,) = before
        return Typed({**rows.columns, **BOUNDS}, rows.time)


def _result_columns(node: WindowAggregate, before: Typed) -> dict[str, pl.DataType]:
    columns = _key_columns(node, before)
    quality = QUALITY_NAMES if node.quality else ()
    _check_aggregates(node, before, taken=[*columns, *BOUNDS, "revision", "final", *quality])
    aggregates, read = node.program(before)
    made = results_schema(Program(aggregates, read), pl.DataFrame(schema=dict(read)))
    made |= dict.fromkeys(quality, pl.UInt64())
    last = {name: made.pop(name) for name in quality}
    if node.revisions:
        made |= {"revision": pl.UInt32(), "final": pl.Boolean()}
    return {**columns, **BOUNDS, **made, **last}


def _trailing_columns(node: WindowAggregate, before: Typed) -> dict[str, pl.DataType]:
    """Those of the row, the keys and the event time first, and the aggregates."""
    assert before.time is not None
    columns = _key_columns(node, before)
    columns |= {name: before.columns[name] for name in (before.time, *before.columns) if name not in columns}
    _check_aggregates(node, before, taken=list(columns))
    return columns | results_schema(Program(node.aggregates, before.columns), before.empty())


def _key_columns(node: WindowAggregate, before: Typed) -> dict[str, pl.DataType]:
    columns: dict[str, pl.DataType] = {}
    for key in node.keys:
        if key.name in columns or key.name in BOUNDS:
            problem = (
                "is named twice" if key.name in columns else "would take the name of a bound of the window"
            )
            raise PlanError(
                f"the key {key.name!r} {problem}",
                where="group_by",
                hint=f'a name of its own: pl.col("{key.name}").alias("{key.name}_key")',
            )
        check_visible([key.name], "group_by")
        refuse_neighbours(key.expr, "group_by")
        columns[key.name] = _key_type(key.name, key.expr, before)
        if key.name in before.columns and not key.expr.meta.is_column():
            raise PlanError(
                f"the key {key.name!r} would take the name of a column that is there already",
                where="group_by",
                hint=f'give it a name of its own: (...).alias("{key.name}_group")',
            )
    return columns


def _check_aggregates(node: WindowAggregate, before: Typed, taken: Sequence[str]) -> None:
    for name, aggregate in node.aggregates.items():
        if name in taken:
            raise PlanError(
                f"the result name {name!r} is taken", where="agg", hint=f"{name}_value={aggregate.label}"
            )
        if not name:
            raise PlanError("a result needs a name", where="agg", hint=f"value={aggregate.label}")
        check_visible([name], "agg")
        aggregate.check(name, before.columns, where="agg")
        for item in aggregate.inputs:
            refuse_neighbours(item.expr, f"agg, {name}={aggregate.label}")


def _key_type(name: str, expr: pl.Expr, before: Typed) -> pl.DataType:
    try:
        return before.empty().lazy().select(expr.alias(name)).collect_schema()[name]
    except pl.exceptions.ColumnNotFoundError:
        missing = [root for root in expr.meta.root_names() if root not in before.columns]
        root = missing[0] if missing else name
        raise PlanError(
            f"there is no column {root!r}", where="group_by", hint=did_you_mean(root, before.columns)
        ) from None
