"""Where it is told that rows did not get through: which windows of ``quality=True`` they would have come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riverrun.kernel.flow import Flow, Step
from riverrun.kernel.quality_windows import QualityWindows
from riverrun.plan.cleaning import Unique
from riverrun.plan.nodes import Read
from riverrun.plan.stateful import Stateful


@dataclass(frozen=True, slots=True)
class Telling:
    """Ways from where rows are left out to the windows that count them.

    Parameters
    ----------
    refused : by source, the window steps that its rows come to.
    repeated : the steps that repetitions are handed on by, and the windows that count them.
    """

    refused: Mapping[Read, tuple[int, ...]]
    repeated: frozenset[int]


def telling_of(flow: Flow) -> Telling:
    """The ways through a flow. They end at steps whose rows are other ones than came in."""
    refused: dict[Read, tuple[int, ...]] = {}
    repeated: set[int] = set()
    for at, step in enumerate(flow.steps):
        if isinstance(step.node, Read):
            refused[step.node] = tuple(place for place in _reached(flow, at) if _counts(flow.steps[place]))
        elif isinstance(step.node, Unique):
            reached = _reached(flow, at)
            repeated.update(reached if any(_counts(flow.steps[place]) for place in reached) else ())
    return Telling(refused, frozenset(repeated))


def _reached(flow: Flow, start: int) -> list[int]:
    """The steps behind one that its rows come to as they are, windows included."""
    rows, reached = {start}, []
    for at, step in enumerate(flow.steps):
        if step.from_late or not rows.intersection(step.parents):
            continue
        if _counts(step):
            reached.append(at)
        elif step.operator is None or (isinstance(step.node, Stateful) and step.node.passes_rows):
            rows.add(at)
            reached.append(at)
    return reached


def _counts(step: Step) -> bool:
    return isinstance(step.operator, QualityWindows)
