"""The engine: batches and watermarks in, results out. Pure; it sees no clock, thread, socket or disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from riverrun.batch import visible
from riverrun.kernel.flow import Flow, Step
from riverrun.kernel.operator import NOTHING, Output
from riverrun.plan.nodes import Read, WindowAggregate, chain_of


@dataclass(frozen=True, slots=True)
class Emission:
    """Rows for one output of the plan."""

    output: int
    frame: pl.DataFrame


@dataclass(slots=True)
class StepCounts:
    """What went through a step."""

    rows_in: int = 0
    rows_out: int = 0
    late: int = 0
    busy_us: int = 0


@dataclass(slots=True)
class _Turn:
    """The frames on their way in one turn, by step, and what has come out."""

    results: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    late: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    refused: list[pl.Series] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)


class Engine:
    """Runs the steps of a flow and keeps their states.

    Parameters
    ----------
    meter : tells microseconds for the load of each step; never used for results.
    """

    def __init__(self, flow: Flow, meter: Callable[[], int] = lambda: 0) -> None:
        self.flow = flow
        self.counts = [StepCounts() for _ in flow.steps]
        self.states: list[Any] = [step.operator.empty() if step.operator else None for step in flow.steps]
        self._meter = meter
        self._reads = [_read_of(step) for step in flow.steps]
        self._outputs: dict[int, list[int]] = {}
        for number, (_, at) in enumerate(flow.outputs):
            self._outputs.setdefault(at, []).append(number)

    @property
    def reads(self) -> list[Read]:
        return [step.node for step in self.flow.steps if isinstance(step.node, Read)]

    def feed(self, read: Read, frame: pl.DataFrame, watermark_us: int) -> tuple[list[Emission], int]:
        """Take in rows of a source, then its watermark. Returns results, and how many rows were late."""
        turn = _Turn()
        for at, step in enumerate(self.flow.steps):
            if self._reads[at] is not read:
                continue
            if step.node is read:
                self.counts[at].rows_in += frame.height
                self._deliver(at, (frame,), turn)
            else:
                self._run(at, step, watermark_us, turn)
        refused = pl.concat(turn.refused).n_unique() if turn.refused else 0
        return turn.emissions, refused

    def advance(self, read: Read, watermark_us: int) -> list[Emission]:
        """Event time has gone on without rows."""
        turn = _Turn()
        for at, step in enumerate(self.flow.steps):
            if self._reads[at] is read and step.node is not read:
                self._run(at, step, watermark_us, turn)
        return turn.emissions

    def early(self, which: Callable[[WindowAggregate], bool]) -> list[Emission]:
        """Early results of the window steps that `which` chooses."""
        turn = _Turn()
        for at, step in enumerate(self.flow.steps):
            if step.operator is not None and isinstance(step.node, WindowAggregate) and which(step.node):
                self.states[at], out = step.operator.early(self.states[at])
                self._deliver(at, out.frames, turn)
            elif step.change is not None and step.parent in turn.results:
                self._run(at, step, 0, turn)
        return turn.emissions

    def closes(self, read: Read) -> list[int]:
        """For window steps behind a source that hold something: the watermark that closes the next window."""
        found = []
        for at, step in enumerate(self.flow.steps):
            if self._reads[at] is read and step.operator is not None:
                close_us = step.operator.next_close_us(self.states[at])
                found += [] if close_us is None else [close_us]
        return found

    def state_rows(self, at: int) -> int:
        operator = self.flow.steps[at].operator
        return operator.rows(self.states[at]) if operator is not None else 0

    def _run(self, at: int, step: Step, watermark_us: int, turn: _Turn) -> None:
        assert step.parent is not None
        frames = (turn.late if step.from_late else turn.results).get(step.parent, [])
        began_us = self._meter()
        counts = self.counts[at]
        counts.rows_in += sum(frame.height for frame in frames)
        if step.operator is not None:
            for out in self._operate(at, step, frames, watermark_us):
                turn.late.setdefault(at, []).extend(out.late)
                turn.refused += out.refused
                counts.late += sum(frame.height for frame in out.late)
                self._deliver(at, out.frames, turn)
        elif step.change is not None:
            self._deliver(at, [step.change(frame) for frame in frames], turn)
        else:
            self._deliver(at, frames, turn)
        counts.busy_us += self._meter() - began_us

    def _operate(self, at: int, step: Step, frames: Sequence[pl.DataFrame], watermark_us: int) -> list[Output]:
        operator = step.operator
        assert operator is not None
        outs = []
        for frame in frames:
            self.states[at], out = operator.step(self.states[at], frame)
            outs.append(out)
        self.states[at], out = operator.advance(self.states[at], watermark_us)
        return [out for out in (*outs, out) if out is not NOTHING]

    def _deliver(self, at: int, frames: Sequence[pl.DataFrame], turn: _Turn) -> None:
        frames = [frame for frame in frames if frame.height]
        if not frames:
            return
        self.counts[at].rows_out += sum(frame.height for frame in frames)
        turn.results.setdefault(at, []).extend(frames)
        for number in self._outputs.get(at, ()):
            turn.emissions += [Emission(number, visible(frame)) for frame in frames]


def _read_of(step: Step) -> Read:
    read = chain_of(step.node)[0]
    assert isinstance(read, Read)
    return read
