"""A plan made ready to run: its steps in order, each with what it does to a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import HIDDEN_PREFIX, IMPUTED, ROW_WATERMARK, visible
from riverrun.errors import PlanError
from riverrun.kernel.layouts import layout_of
from riverrun.kernel.opening import Opening
from riverrun.kernel.operators import AnyOperator, open_operator
from riverrun.plan.frames import call_on_frame
from riverrun.plan.nodes import (
    Expressed,
    Late,
    MapFrames,
    Node,
    Output,
    Read,
    parents_of,
    short_of,
    sources_of,
    walk,
)
from riverrun.plan.signature import signature_of
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.plan.typing import typed_all
from riverrun.schema import Schema

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Step:
    """One step that runs: a source, some stateless nodes in one go, or a stateful node.

    Parameters
    ----------
    parents : positions of the steps that its rows come from, in the order of its inputs; none for a source.
    id : the same for the same step of a plan that was built again, also when other steps came or went: its
        short label, and ``#2`` for the second of that label.
    from_late : whether it takes the late rows of its parent, not its results.
    change : what a stateless step does to a frame.
    operator : a stateful step.
    short : its label where there is little room.
    signature : all that the state of its operator depends on; empty when it has none.
    lags_us : for each input, how far its watermark is past that of the step.
    max_keys : how many keys it may remember.
    """

    label: str
    node: Node
    typed: Typed
    parents: tuple[int, ...]
    id: str = ""
    from_late: bool = False
    change: Change | None = None
    operator: AnyOperator | None = None
    short: str = ""
    signature: str = ""
    lags_us: tuple[int, ...] = ()
    max_keys: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """Steps in an order in which parents come first, and for each output the step it takes its rows from."""

    steps: tuple[Step, ...]
    outputs: tuple[tuple[Output, int], ...]

    @property
    def meeting(self) -> set[Read]:
        """The sources whose rows come to a step with several inputs, which tells their order by `ROW_ORDER`."""
        return {read for step in self.steps if len(step.parents) > 1 for read in sources_of(step.node)}


def flow_of(
    outputs: Sequence[Output], schemas: Mapping[Read, Schema], *, partitioned: Callable[[Read], bool]
) -> Flow:
    """Make a plan ready. Raises `PlanError` where a step cannot work on its columns."""
    return _Building(outputs, schemas, partitioned).flow()


class _Building:
    """Makes steps of the nodes of a plan, parents first."""

    def __init__(
        self, outputs: Sequence[Output], schemas: Mapping[Read, Schema], partitioned: Callable[[Read], bool]
    ) -> None:
        ends = [output.node for output in outputs]
        self._outputs = outputs
        self._partitioned = partitioned
        self._nodes = walk(*ends)
        self._typed = typed_all(ends, schemas)
        self._needed = {id(node) for node in ends}
        self._children: dict[int, list[Node]] = {}
        for node in self._nodes:
            for parent in parents_of(node):
                self._children.setdefault(id(parent), []).append(node)
        self._steps: list[Step] = []
        self._place: dict[int, int] = {}
        self._named: Counter[str] = Counter()

    def flow(self) -> Flow:
        for node in self._nodes:
            if not self._goes_on(node):
                self._place[id(node)] = len(self._steps)
                self._steps.append(self._step(node))
        outputs = tuple((output, self._place[id(output.node)]) for output in self._outputs)
        return Flow(tuple(self._steps), outputs)

    def _goes_on(self, node: Node) -> bool:
        """Whether a node runs as a part of the step of the node behind it."""
        children = self._children.get(id(node), [])
        alone = len(children) == 1 and id(node) not in self._needed
        return alone and isinstance(node, Expressed) and isinstance(children[0], Expressed)

    def _step(self, last: Node) -> Step:
        step = self._made(last)
        short = step.short or step.label
        self._named[short] += 1
        count = self._named[short]
        return replace(step, id=short if count == 1 else f"{short} #{count}")

    def _made(self, last: Node) -> Step:
        at = self._typed[id(last)]
        if isinstance(last, Read):
            return Step(last.label, last, at, (), short=f"read {last.name}")
        if isinstance(last, Expressed):
            return self._expressed(last, at)
        parents = tuple(self._place[id(parent)] for parent in last.parents)
        if isinstance(last, Late):
            return Step(last.label, last, at, parents, from_late=True)
        if isinstance(last, MapFrames):
            return Step(last.label, last, at, parents, change=_mapping(last, at))
        before = tuple(self._typed[id(parent)] for parent in last.parents)
        operator = open_operator(last, self._opening(last, before, at, parents))
        return Step(
            last.label,
            last,
            at,
            parents,
            operator=operator,
            short=last.short,
            signature=f"{signature_of(last, before)}\n{layout_of(operator)}",
            lags_us=last.lags_us,
            max_keys=_max_keys(last),
        )

    def _opening(
        self, node: Stateful, before: tuple[Typed, ...], at: Typed, places: tuple[int, ...]
    ) -> Opening:
        reads = sources_of(node)
        nodes = walk(node)
        in_line = len(reads) == 1 and all(len(parents_of(other)) <= 1 for other in nodes)
        one_partition = in_line and not self._partitioned(reads[0])
        return Opening(
            before=before,
            after=at,
            places=places,
            max_keys=_max_keys(node),
            one_partition=one_partition,
            delay_us=reads[0].delay_us if one_partition else None,
        )

    def _expressed(self, last: Expressed, at: Typed) -> Step:
        nodes: list[Expressed] = [last]
        while isinstance(before := nodes[0].parent, Expressed) and self._goes_on(before):
            nodes.insert(0, before)
        label = " · ".join(node.label for node in nodes)
        short = " · ".join(short_of(node) for node in nodes)
        parents = (self._place[id(nodes[0].parent)],)
        return Step(label, last, at, parents, change=_expression(nodes, label), short=short)


def _max_keys(node: Stateful) -> int:
    return min(read.limits.max_keys for read in sources_of(node))


def _expression(nodes: Sequence[Expressed], label: str) -> Change:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        lazy = frame.lazy()
        for node in nodes:
            lazy = node.on(lazy)
        try:
            return lazy.collect()
        except pl.exceptions.PolarsError as error:
            text = str(error).split("\n")[0]
            hint = None
            if "conversion" in text:
                hint = '.cast({"x": pl.Int64}), which makes null of such values'
            elif "non-strict" in text:
                hint = "strict=False in it, which makes null of such values"
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
        hidden = [name for name in hidden if name != IMPUTED]
        if not hidden:
            return made
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
