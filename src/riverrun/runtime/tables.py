"""What lookup tables of a run say: read or asked when rows come to them, and remembered for a replay.

What a table said is the one thing in a run that neither rows nor the clock tell. So a run that keeps its state
writes it down with the record that it belongs to (`Said`), and a replay takes it from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from riverrun.errors import SourceError
from riverrun.kernel.flow import Step
from riverrun.kernel.keyed_lookup import KeyedAnswers
from riverrun.kernel.lookup import LookupState, TableLookup
from riverrun.plan.lookup import KeyedLookup, Lookup
from riverrun.runtime.engine import Engine
from riverrun.runtime.said import Said
from riverrun.world import World

#: A table that could not be read is tried again when rows come so much later.
READ_AGAIN_US = 10_000_000


class Tables:
    """Keeps the tables in the states of an engine fresh.

    A table belongs to the state: a run that goes on with its state goes on with the table too, until it is old.

    Attributes
    ----------
    said : since `begin`; nothing is kept before it is called.
    """

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world
        self._turns: Counter[int] = Counter()
        #: By step, what went wrong since the run began.
        self.failures: dict[str, dict[str, int]] = {}
        self._replayed: dict[tuple[str, int], Said] | None = None
        self.said: list[Said] | None = None
        self.any = any(
            isinstance(step.operator, (TableLookup, KeyedAnswers)) and step.operator.asks
            for step in engine.flow.steps
        )
        engine.before = self._ready if self.any else None

    def open(self, now_us: int) -> None:
        """Read all whole tables. Raises `SourceError` when one cannot be read."""
        for at, step in enumerate(self._engine.flow.steps):
            if isinstance(step.operator, TableLookup) and step.operator.asks:
                self._put(at, step, self._read(step, LookupState(), 0, now_us, must=True))

    def begin(self, replayed: Iterable[Said] | None = None) -> None:
        """A record is about to be applied.

        Parameters
        ----------
        replayed : what was said the first time, when it happens again; nothing that is known is asked for then.
        """
        self._turns.clear()
        self.said = []
        self._replayed = None if replayed is None else {(one.step, one.turn): one for one in replayed}

    def _ready(self, at: int, frames: Sequence[pl.DataFrame]) -> None:
        """Rows are about to come to a step."""
        step = self._engine.flow.steps[at]
        if not isinstance(step.operator, (TableLookup, KeyedAnswers)) or not step.operator.asks:
            return
        self._turns[at] += 1
        turn, state = self._turns[at], self._engine.states[at]
        said = None if self._replayed is None else self._replayed.get((step.id, turn))
        if said is None:
            now_us = None if self._replayed is not None else self._world.clock.now_us()
            said = self._asked(step, state, frames, turn, now_us)
        if said is not None:
            self._put(at, step, said, frames)
            if self.said is not None:
                self.said.append(said)

    def _asked(
        self, step: Step, state: Any, frames: Sequence[pl.DataFrame], turn: int, now_us: int | None
    ) -> Said | None:
        """What a table says now, if it has to be asked; without a time, what is known is never too old."""
        clock = self._world.clock
        if isinstance(step.operator, TableLookup):
            if not step.operator.due(state, now_us):
                return None
            return self._read(step, state, turn, clock.now_us() if now_us is None else now_us)
        assert isinstance(step.operator, KeyedAnswers)
        assert isinstance(step.node, KeyedLookup)
        keys = step.operator.unknown(state, step.operator.keys(frames), now_us)
        if not len(keys):
            return None
        answers = step.node.table.ask(self._world, keys.to_list())
        self._count(step, "answers_failed", sum(bool(answer.failure) for answer in answers))
        self._count(step, "keys_not_asked", sum(not answer.asked for answer in answers))
        asked_us = clock.now_us() if now_us is None else now_us
        return Said(step.id, turn, asked_us, "", step.operator.answered(keys, answers, asked_us))

    def _read(self, step: Step, state: LookupState, turn: int, now_us: int, *, must: bool = False) -> Said:
        assert isinstance(step.node, Lookup)
        assert not isinstance(step.node.table, pl.DataFrame)
        try:
            found = step.node.table.read(self._world, state.tag)
        except SourceError:
            if must or step.node.on_failure == "stop" or state.table is None:
                raise
            self._count(step, "table_not_read", 1)
            ttl_us = step.node.ttl_us or 0
            return Said(step.id, turn, now_us - ttl_us + min(ttl_us, READ_AGAIN_US), state.tag, None)
        return Said(step.id, turn, now_us, found.tag, found.table)

    def _count(self, step: Step, name: str, number: int) -> None:
        if number:
            counts = self.failures.get(step.id, {})
            # A new mapping: health may be looked at meanwhile.
            self.failures[step.id] = {**counts, name: counts.get(name, 0) + number}

    def _put(self, at: int, step: Step, said: Said, frames: Sequence[pl.DataFrame] = ()) -> None:
        state, operator = self._engine.states[at], step.operator
        if isinstance(operator, TableLookup):
            made: Any = operator.with_table(state, said.table, said.tag, said.now_us)
        else:
            assert isinstance(operator, KeyedAnswers)
            assert said.table is not None
            made = operator.with_answers(state, operator.keys(frames), said.table)
        self._engine.states[at] = made
