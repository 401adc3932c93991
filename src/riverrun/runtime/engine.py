"""The engine: batches and watermarks in, results out. Pure; it sees no clock, thread, socket or disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from riverrun.batch import in_time, sources_of_rows, visible
from riverrun.kernel.flow import Flow, Step
from riverrun.kernel.operator import NOTHING, JoinOperator, Operator, Output
from riverrun.kernel.operators import AnyOperator
from riverrun.kernel.quality_windows import QualityWindows
from riverrun.plan.lookup import Lookup
from riverrun.plan.nodes import Read, sources_of
from riverrun.plan.stateful import Stateful
from riverrun.plan.window_aggregate import WindowAggregate
from riverrun.runtime.telling import telling_of
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME

if TYPE_CHECKING:
    from riverrun.kernel.lookup import TableLookup


@dataclass(frozen=True, slots=True)
class Emission:
    """Rows for one output of the plan."""

    output: int
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many rows of a source did not get through, each counted once."""

    late: int = 0
    duplicate: int = 0


@dataclass(slots=True)
class StepCounts:
    """What went through a step."""

    rows_in: int = 0
    rows_out: int = 0
    late: int = 0
    busy_us: int = 0
    beyond: int = 0


@dataclass(slots=True)
class _Turn:
    """The frames on their way in one turn, by step, and what has come out."""

    results: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    late: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    refused: list[pl.Series] = field(default_factory=list)
    duplicate: list[pl.Series] = field(default_factory=list)
    repeated: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    emissions: list[Emission] = field(default_factory=list)

    def dropped(self, read: Read, sources: Sequence[Read]) -> Mapping[Read, Dropped]:
        """What is to be charged to each source. `read` is the one whose turn it was.

        A row that repeats another one is no late row, whatever other steps make of it.
        """
        if not self.refused and not self.duplicate:
            return {}
        repeated = pl.concat(self.duplicate).unique() if self.duplicate else pl.Series(dtype=pl.Int64)
        late = pl.concat(self.refused).unique() if self.refused else pl.Series(dtype=pl.Int64)
        if len(late) and len(repeated):
            late = late.filter(~late.is_in(repeated.implode()))
        counted = _by_source(late, read, sources), _by_source(repeated, read, sources)
        return {
            source: Dropped(*(counts[source] for counts in counted)) for source in {*counted[0], *counted[1]}
        }


class Engine:
    """Runs the steps of a flow and keeps their states.

    Every step has a watermark: that of a source is told; that of any other step is the least of its inputs,
    each put back by the lag that the step asks for. It says that no result as of an earlier instant will
    come, so it is also what the steps behind go by. They all follow from those of the sources: telling
    these again (`advance`) brings back the rest.

    Parameters
    ----------
    meter : tells microseconds for the load of each step; never used for results.
    sources : in the order of the numbers that the places of their rows begin with (`ROW_ORDER`).

    Attributes
    ----------
    states : by step; ``None`` for steps without an operator.
    watermarks_us : by step.
    before : called with the place of a step and the rows that are about to come to it; it may set its state.
    """

    def __init__(
        self, flow: Flow, meter: Callable[[], int] = lambda: 0, sources: Sequence[Read] | None = None
    ) -> None:
        self.flow = flow
        self.sources = self.reads if sources is None else list(sources)
        self.counts = [StepCounts() for _ in flow.steps]
        self.states: list[Any] = [step.operator.empty() if step.operator else None for step in flow.steps]
        self._meter = meter
        self.before: Callable[[int, Sequence[pl.DataFrame]], None] | None = None
        self.watermarks_us = [BEFORE_TIME] * len(flow.steps)
        self._behind = _behind_sources(flow)
        self._telling = telling_of(flow)
        self._outputs: dict[int, list[int]] = {}
        for number, (_, at) in enumerate(flow.outputs):
            self._outputs.setdefault(at, []).append(number)

    @property
    def reads(self) -> list[Read]:
        return [step.node for step in self.flow.steps if isinstance(step.node, Read)]

    def feed(
        self, read: Read, frame: pl.DataFrame, watermark_us: int, refused_us: pl.Series | None = None
    ) -> tuple[list[Emission], Mapping[Read, Dropped]]:
        """Take in rows of a source, then its watermark. Returns results, and by source what was dropped.

        Parameters
        ----------
        refused_us : at which event times records were refused before.
        """
        turn = _Turn()
        if refused_us is not None:
            for at in self._telling.refused[read]:
                windows = cast(QualityWindows, self.flow.steps[at].operator)
                self.states[at] = windows.refused(self.states[at], refused_us)
        source, *behind = self._behind[read]
        self.counts[source].rows_in += frame.height
        self.watermarks_us[source] = watermark_us
        self._deliver(source, (frame,), turn)
        self._run_all(behind, turn)
        return turn.emissions, turn.dropped(read, self.sources)

    def advance(self, read: Read, watermark_us: int) -> tuple[list[Emission], Mapping[Read, Dropped]]:
        """Event time has gone on without rows. Returns results, and by source which rows turned out late."""
        turn = _Turn()
        source, *behind = self._behind[read]
        self.watermarks_us[source] = watermark_us
        self._run_all(behind, turn)
        return turn.emissions, turn.dropped(read, self.sources)

    def early(self, which: Callable[[WindowAggregate], bool]) -> list[Emission]:
        """Early results of the window steps that `which` chooses."""
        turn = _Turn()
        for at, step in enumerate(self.flow.steps):
            if step.operator is not None and isinstance(step.node, WindowAggregate) and which(step.node):
                self.states[at], out = step.operator.early(self.states[at])
                self._deliver(at, out.frames, turn)
            elif not step.from_late and any(parent in turn.results for parent in step.parents):
                self._run(at, step, turn)
        return turn.emissions

    def closes(self, read: Read) -> list[int]:
        """For steps behind a source that hold something: the watermark of the source that brings results.

        Steps that wait for another source, because this one is far enough already, are left out.
        """
        source, *behind = self._behind[read]
        lags_us = {source: 0}
        found = []
        for at in behind:
            step = self.flow.steps[at]
            ways = zip(step.parents, step.lags_us or (0,) * len(step.parents), strict=True)
            lags_us[at] = max(lags_us[parent] + lag_us for parent, lag_us in ways if parent in lags_us)
            close_us = step.operator.next_close_us(self.states[at]) if step.operator is not None else None
            if close_us is not None and (
                len(step.parents) == 1 or close_us + lags_us[at] > self.watermarks_us[source]
            ):
                found.append(close_us + lags_us[at])
        return found

    def state_rows(self, at: int) -> int:
        operator = self.flow.steps[at].operator
        return operator.rows(self.states[at]) if operator is not None else 0

    def _run_all(self, places: Sequence[int], turn: _Turn) -> None:
        for at in places:
            step = self.flow.steps[at]
            self.watermarks_us[at] = self._watermark_of(step)
            self._run(at, step, turn)

    def _watermark_of(self, step: Step) -> int:
        """The least of the inputs; one that is over holds nothing back."""
        inputs_us = [self.watermarks_us[parent] for parent in step.parents]
        if step.lags_us:
            ways = zip(inputs_us, step.lags_us, strict=True)
            inputs_us = [AFTER_TIME if at_us >= AFTER_TIME else at_us - lag_us for at_us, lag_us in ways]
        return max(BEFORE_TIME, min(inputs_us))

    def _run(self, at: int, step: Step, turn: _Turn) -> None:
        arrived = turn.late if step.from_late else turn.results
        inputs = [arrived.get(parent, []) for parent in step.parents]
        began_us = self._meter()
        counts = self.counts[at]
        counts.rows_in += sum(frame.height for frames in inputs for frame in frames)
        repeated = self._repeated_before(at, step, turn)
        if isinstance(step.operator, QualityWindows):
            for frame in repeated:
                self.states[at] = step.operator.repeated(self.states[at], frame)
        if step.operator is not None:
            for out in self._operate(at, step.operator, inputs):
                turn.late.setdefault(at, []).extend(out.late)
                turn.refused += out.refused
                turn.duplicate += out.duplicate
                turn.repeated.setdefault(at, []).extend(out.repeated)
                rows = sum(frame.height for frame in out.late) if out.late_rows is None else out.late_rows
                counts.late += rows
                counts.beyond += out.beyond
                self._deliver(at, out.frames, turn)
        elif step.change is not None:
            self._deliver(at, [step.change(frame) for frame in inputs[0]], turn)
        else:
            self._deliver(at, inputs[0], turn)
        if repeated:
            turn.repeated.setdefault(at, []).extend(self._passed(at, step, repeated))
        counts.busy_us += self._meter() - began_us

    def _repeated_before(self, at: int, step: Step, turn: _Turn) -> list[pl.DataFrame]:
        """Rows that were left out as repetitions before, and would have come to a step."""
        parents = self._telling.repeated.get(at, ())
        return [
            frame for parent in step.parents if parent in parents for frame in turn.repeated.get(parent, ())
        ]

    def _passed(self, at: int, step: Step, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
        """Those that would have got through a step, on their way to the windows that count them."""
        if step.change is not None:
            return [step.change(frame) for frame in frames]
        if isinstance(step.node, Lookup):
            operator = cast("TableLookup", step.operator)
            return [operator.found(self.states[at], frame) for frame in frames]
        if isinstance(step.node, Stateful) and step.node.has_late and not step.node.passes_rows:
            # Such steps take no row that is behind the watermark.
            return [in_time(frame) for frame in frames]
        return list(frames)

    def _operate(
        self, at: int, operator: AnyOperator, inputs: Sequence[Sequence[pl.DataFrame]]
    ) -> list[Output]:
        outs = []
        if self.before is not None and any(inputs):
            self.before(at, [frame for frames in inputs for frame in frames])
        state = self.states[at]
        for side, frames in enumerate(inputs):
            for frame in frames:
                if len(inputs) > 1:
                    state, out = cast(JoinOperator[Any], operator).step_side(state, frame, side)
                else:
                    state, out = cast(Operator[Any], operator).step(state, frame)
                outs.append(out)
        self.states[at], out = operator.advance(state, self.watermarks_us[at])
        return [out for out in (*outs, out) if out is not NOTHING]

    def _deliver(self, at: int, frames: Sequence[pl.DataFrame], turn: _Turn) -> None:
        frames = [frame for frame in frames if frame.height]
        if not frames:
            return
        self.counts[at].rows_out += sum(frame.height for frame in frames)
        turn.results.setdefault(at, []).extend(frames)
        for number in self._outputs.get(at, ()):
            turn.emissions += [Emission(number, visible(frame)) for frame in frames]


def _by_source(places: pl.Series, read: Read, sources: Sequence[Read]) -> Counter[Read]:
    """How many of some rows came from each source. `read` is meant where there is only one."""
    numbers = sources_of_rows(places)
    if len(sources) < 2:
        return Counter({read: len(numbers)} if len(numbers) else {})
    counts = numbers.value_counts()
    # More partitions than can be told apart would lead behind the last source.
    return Counter({sources[min(number, len(sources) - 1)]: count for number, count in counts.rows()})


def _behind_sources(flow: Flow) -> dict[Read, list[int]]:
    """For each source its own step and all that rows of it come to, in order."""
    behind: dict[Read, list[int]] = {}
    for at, step in enumerate(flow.steps):
        for read in sources_of(step.node):
            behind.setdefault(read, []).append(at)
    return behind
