"""Lookup tables of a run: read at its beginning, and again when they have become old."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.kernel.lookup import TableLookup
from riverrun.plan.lookup import Lookup
from riverrun.runtime.engine import Engine
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class Tables:
    """Keeps the tables in the states of an engine fresh.

    A table belongs to the state: a run that goes on with its state goes on with the table too, until it is old.
    """

    engine: Engine
    world: World

    def refresh(self, now_us: int) -> None:
        """Read what has to be read. Raises `SourceError` when it cannot."""
        for at, step in enumerate(self.engine.flow.steps):
            if not isinstance(step.operator, TableLookup):
                continue
            if step.operator.due(self.engine.states[at], now_us):
                assert isinstance(step.node, Lookup)
                assert not isinstance(step.node.table, pl.DataFrame)
                table = step.node.table.read(self.world)
                self.engine.states[at] = step.operator.with_table(table, now_us)
