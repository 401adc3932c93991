"""A plan made ready to run: its steps in order, each with what it does to a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from riverrun.batch import HIDDEN_PREFIX, ROW_WATERMARK, visible
from riverrun.errors import PlanError
from riverrun.kernel.fixed_windows import FixedWindows
from riverrun.kernel.operator import Operator
from riverrun.kernel.sessions import SessionWindows
from riverrun.kernel.window_frame import WindowFrame
from riverrun.plan.frames import call_on_frame
from riverrun.plan.nodes import (
    Late,
    MapFrames,
    Node,
    Output,
    Read,
    WindowAggregate,
    chain_of,
    short_of,
)
from riverrun.plan.typing import Typed, typed
from riverrun.schema import Schema
from riverrun.stats.program import Program
from riverrun.windows.describe import Hopping

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Step:
    """One step that runs: a source, some stateless nodes in one go, or a window aggregation.

    Parameters
    ----------
    parent : position of the step that its rows come from; ``None`` for a source.
    from_late : whether it takes the late rows of its parent, not its results.
    change : what a stateless step does to a frame.
    operator : a stateful step.
    short : its label where there is little room.
    """

    label: str
    node: Node
    typed: Typed
    parent: int | None
    from_late: bool = False
    change: Change | None = None
    operator: Operator[Any] | None = None
    short: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Steps in an order in which parents come first, and for each output the step it takes its rows from."""

    steps: tuple[Step, ...]
    outputs: tuple[tuple[Output, int], ...]

    def children(self, position: int) -> list[int]:
        return [at for at, step in enumerate(self.steps) if step.parent == position]


def flow_of(
    outputs: Sequence[Output], schemas: Mapping[Read, Schema], *, partitioned: Callable[[Read], bool]
) -> Flow:
    """Make a plan ready. Raises `PlanError` where a step cannot work on its columns."""
    steps: list[Step] = []
    place: dict[int, int] = {}
    needed = {id(output.node) for output in outputs}
    children = _children(outputs)
    for output in outputs:
        pending: list[Node] = []
        for node in chain_of(output.node):
            if id(node) in place:
                # The nodes before it are part of a step that stands already.
                pending = []
                continue
            pending.append(node)
            alone = len(children[id(node)]) != 1 or id(node) in needed
            following = children[id(node)][0] if not alone else None
            if _is_expressed(node) and following is not None and _is_expressed(following):
                continue
            step = _step(pending, place, schemas, partitioned)
            steps.append(step)
            place[id(node)] = len(steps) - 1
            pending = []
    return Flow(tuple(steps), tuple((output, place[id(output.node)]) for output in outputs))


def _children(outputs: Sequence[Output]) -> dict[int, list[Node]]:
    children: dict[int, list[Node]] = {}
    for output in outputs:
        chain = chain_of(output.node)
        for node, child in zip(chain, [*chain[1:], None], strict=True):
            known = children.setdefault(id(node), [])
            if child is not None and all(child is not other for other in known):
                known.append(child)
    return children


def _is_expressed(node: Node) -> bool:
    return not isinstance(node, (Read, MapFrames, WindowAggregate, Late))


def _step(
    nodes: Sequence[Node],
    place: Mapping[int, int],
    schemas: Mapping[Read, Schema],
    partitioned: Callable[[Read], bool],
) -> Step:
    first, last = nodes[0], nodes[-1]
    at = typed(last, schemas)
    if isinstance(last, Read):
        return Step(last.label, last, at, None)
    assert not isinstance(first, Read)
    parent = place[id(first.parent)]
    if isinstance(last, Late):
        return Step(last.label, last, at, parent, from_late=True)
    if isinstance(last, WindowAggregate):
        source = chain_of(last)[0]
        assert isinstance(source, Read)
        operator = _operator(last, typed(last.parent, schemas), source, one_partition=not partitioned(source))
        return Step(last.label, last, at, parent, operator=operator, short=last.short)
    if isinstance(last, MapFrames):
        return Step(last.label, last, at, parent, change=_mapping(last, at))
    label = " · ".join(node.label for node in nodes)
    short = " · ".join(short_of(node) for node in nodes)
    return Step(label, last, at, parent, change=_expression(nodes, label), short=short)


def _expression(nodes: Sequence[Node], label: str) -> Change:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        lazy = frame.lazy()
        for node in nodes:
            lazy = node.on(lazy)  # type: ignore[union-attr]
        try:
            return lazy.collect()
        except pl.exceptions.PolarsError as error:
            text = str(error).split("\n")[0]
            hint = '.cast({"x": pl.Int64}), which makes null of such values' if "conversion" in text else None
            raise PlanError(f"failed: {text}", where=label, hint=hint) from error

    return change


def _mapping(node: MapFrames, at: Typed) -> Change:
    """A user's function does not see hidden columns; they are given back to the rows that come out."""

    def call(frame: pl.DataFrame) -> pl.DataFrame:
        try:
            made = call_on_frame(node.function, node.kind, frame)
        except PlanError:
            raise
        except Exception as error:
            raise PlanError(
                f"{node.label} failed: {type(error).__name__}: {error}", where="map_frames"
            ) from error
        wrong = [f"{n} is {made.schema.get(n)}" for n, t in at.columns.items() if made.schema.get(n) != t]
        if wrong:
            expected = ", ".join(f"{name} {dtype}" for name, dtype in at.columns.items())
            raise PlanError(
                f"{node.label} returned other columns than for an empty frame: {', '.join(wrong)}",
                where="map_frames",
                hint=f"let it always return {expected}",
            )
        return made.select(at.columns.keys())

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        hidden = [name for name in frame.columns if name.startswith(HIDDEN_PREFIX)]
        if not hidden:
            return call(frame)
        made = call(visible(frame))
        if made.height == frame.height:
            return made.hstack(frame.select(hidden))
        # The number of rows changed: call it again for stretches of rows with the same marks.
        marks = frame.select(
            pl.col(ROW_WATERMARK if ROW_WATERMARK in hidden else hidden[0]).rle_id()
        ).to_series()
        parts = []
        for part in frame.with_columns(marks.alias("__riverrun_stretch")).partition_by(
            "__riverrun_stretch", maintain_order=True
        ):
            piece = call(visible(part))
            marked = (pl.lit(part[name][0], part.schema[name]).alias(name) for name in hidden)
            parts.append(piece.with_columns(marked))
        return pl.concat(parts)

    return change


def _operator(node: WindowAggregate, before: Typed, source: Read, *, one_partition: bool) -> Operator[Any]:
    assert before.time is not None
    frame = WindowFrame(
        columns=tuple(before.columns),
        keys=tuple(key.name for key in node.keys),
        key_exprs=tuple(key.expr for key in node.keys),
        time=before.time,
        time_shift_us=before.time_shift_us,
        revisions=node.revisions,
    )
    program = Program(node.aggregates, before.columns)
    early = node.emit != "final"
    if isinstance(node.window, Hopping):
        return FixedWindows(
            node.window,
            frame,
            program,
            lateness_us=node.lateness_us,
            early_results=early,
            max_keys=source.limits.max_keys,
        )
    return SessionWindows(
        node.window,
        frame,
        program,
        lateness_us=node.lateness_us,
        early_results=early,
        one_partition=one_partition,
    )
