"""Where it is told that rows did not get through: which windows of ``quality=True`` they would have come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.kernel.flow import Flow, Step
from riverrun.kernel.quality_windows import QualityWindows
from riverrun.plan.cleaning import Unique
from riverrun.plan.lookup import Lookup
from riverrun.plan.nodes import Read
from riverrun.plan.stateful import Stateful


@dataclass(frozen=True, slots=True)
class Telling:
    """Ways from where rows are left out to the windows that count them.

    Parameters
    ----------
    refused : by source, the window steps whose rows stand at the event times of its rows.
    repeated : by step that repetitions are handed on by, or window that counts them: the steps that they come
        from.
    """

    refused: Mapping[Read, tuple[int, ...]]
    repeated: Mapping[int, frozenset[int]]


def telling_of(flow: Flow) -> Telling:
    """The ways through a flow. They end at steps whose rows are other ones than came in."""
    refused: dict[Read, tuple[int, ...]] = {}
    repeated: dict[int, frozenset[int]] = {}
    for at, step in enumerate(flow.steps):
        if isinstance(step.node, Read):
            refused[step.node] = tuple(_reached_in_time(flow, at))
        elif isinstance(step.node, Unique):
            ways = _ways_of_rows(flow, at)
            if any(_counts(flow.steps[place]) for place in ways):
                for place, parents in ways.items():
                    repeated[place] = repeated.get(place, frozenset()) | parents
    return Telling(refused, repeated)


def _reached_in_time(flow: Flow, start: int) -> list[int]:
    """The windows behind a source whose rows stand at the times of its rows."""
    reached, windows = {start}, []
    for at, step in enumerate(flow.steps):
        sides = [side for side, parent in enumerate(step.parents) if parent in reached]
        if step.from_late or not sides:
            continue
        if _counts(step):
            windows.append(at)
        elif step.operator is None or (
            isinstance(step.node, Stateful) and any(step.node.keeps_times(side) for side in sides)
        ):
            reached.add(at)
    return windows


def _ways_of_rows(flow: Flow, start: int) -> dict[int, frozenset[int]]:
    """The steps behind one that its rows come to, each once: from which steps.

    A row that was left out has no more columns than it came with: where a step reads others, which a join has
    added, its way ends.
    """
    shapes = {start: [flow.steps[start].typed.empty()]}
    ways: dict[int, frozenset[int]] = {}
    for at, step in enumerate(flow.steps):
        if step.from_late:
            continue
        taken: list[pl.DataFrame] = []
        for side, parent in enumerate(step.parents):
            passed = [_passed(step, shape) for shape in shapes.get(parent, ())] if _takes(step, side) else []
            whole = [shape for shape in passed if shape is not None]
            if whole and len(whole) == len(passed):
                ways[at] = ways.get(at, frozenset()) | {parent}
                taken += whole
        if taken and not _counts(step):
            shapes[at] = taken
    return ways


def _takes(step: Step, side: int) -> bool:
    return (
        _counts(step)
        or step.operator is None
        or (isinstance(step.node, Stateful) and step.node.keeps_rows(side))
    )


def _passed(step: Step, rows: pl.DataFrame) -> pl.DataFrame | None:
    """What a step makes of rows that were left out before; ``None`` where they lack a column."""
    try:
        if isinstance(step.operator, QualityWindows):
            return step.operator.frame.ready(rows).select(step.operator.frame.keys)
        if isinstance(step.node, Lookup):
            found = {name: dtype for name, dtype in step.typed.columns.items() if name not in rows.columns}
            rows.select(step.node.on)
            return rows.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in found.items())
        return rows if step.change is None else step.change(rows)
    except (PlanError, pl.exceptions.PolarsError):
        return None


def _counts(step: Step) -> bool:
    return isinstance(step.operator, QualityWindows)
