"""Functions of the user's that take the rows of one key at a time, and a state of their own."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from riverrun.batch import HIDDEN_PREFIX, ROW_ORDER, ROW_WATERMARK, visible
from riverrun.errors import PlanError
from riverrun.kernel.keyed import ALL, keyed
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW, Timeline
from riverrun.plan.remembering import UserStep, called, check_plain
from riverrun.plan.typed import Typed
from riverrun.windows.watermark import BEFORE_TIME

#: Where the state of a key stands.
PLACE = "__p_place"


@dataclass(frozen=True, slots=True)
class UserState:
    """What is remembered: the keys, and for each the state that the function returned last."""

    keys: pl.DataFrame | None = None
    states: tuple[Any, ...] = ()
    watermark_us: int = BEFORE_TIME


class UserOperator:
    """The operator behind `Stream.stateful`."""

    def __init__(self, node: UserStep, after: Typed, *, max_keys: int) -> None:
        self.node = node
        self.keys = list(node.by) or [ALL]
        self.after = after
        self.max_keys = max_keys

    def empty(self) -> UserState:
        return UserState()

    def rows(self, state: UserState) -> int:
        return len(state.states)

    def next_close_us(self, state: UserState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: UserState) -> tuple[UserState, Output]:
        return state, NOTHING

    def advance(self, state: UserState, watermark_us: int) -> tuple[UserState, Output]:
        return replace(state, watermark_us=max(watermark_us, state.watermark_us)), NOTHING

    def step(self, state: UserState, frame: pl.DataFrame) -> tuple[UserState, Output]:
        parts = keyed(frame, self.node.by).with_row_index(ROW).partition_by(self.keys, maintain_order=True)
        state, places = self._placed(state, pl.concat(part[:1].select(self.keys) for part in parts))
        states, made = list(state.states), []
        for place, part in zip(places, parts, strict=True):
            rows = part.drop(ROW, ALL, strict=False)
            # The function may change what it is given; what is remembered must stay as it was.
            states[place], result = called(self.node, copy.deepcopy(states[place]), visible(rows))
            check_plain(states[place], self.node.name)
            made.append(self._marked(self._fitting(result), part, state.watermark_us))
        whole = pl.concat(made, how="diagonal")
        # A row for each row: they come out in the order in which they came in.
        one_to_one = all(ROW in part.columns for part in made)
        whole = whole.sort(ROW) if one_to_one else whole
        return replace(state, states=tuple(states)), Output((whole.drop(ROW, strict=False),))

    def _placed(self, state: UserState, keys: pl.DataFrame) -> tuple[UserState, list[int]]:
        """The places of the states of some keys; new keys begin with the state that the user gave."""
        known = keys.clear() if state.keys is None else state.keys
        numbered = known.with_row_index(PLACE)
        found = keys.join(numbered, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
        new = keys.filter(found[PLACE].is_null())
        if known.height + new.height > self.max_keys:
            raise PlanError(
                f"{self.node.name} would have to remember more than {self.max_keys:,} keys"
                + (f" of {', '.join(self.node.by)}" if self.node.by else ""),
                where="stateful",
                hint="rr.read(..., limits=rr.Limits(max_keys=...)), or fewer keys in by=",
            )
        fresh = iter(range(known.height, known.height + new.height))
        places = [next(fresh) if place is None else place for place in found[PLACE]]
        states = (*state.states, *(self.node.init for _ in range(new.height)))
        return replace(state, keys=pl.concat([known, new]), states=states), places

    def _fitting(self, result: pl.DataFrame) -> pl.DataFrame:
        expected = self.after.columns
        wrong = [
            f"{n} is {result.schema.get(n)}" for n, dtype in expected.items() if result.schema.get(n) != dtype
        ]
        if wrong:
            raise PlanError(
                f"{self.node.name} returned other columns than for an empty frame: {', '.join(wrong)}",
                where="stateful",
                hint="let it always return " + ", ".join(f"{name} {dtype}" for name, dtype in expected.items()),
            )
        return result.select(expected.keys())

    def _marked(self, made: pl.DataFrame, rows: pl.DataFrame, watermark_us: int) -> pl.DataFrame:
        """The rows with the marks of those that they were made of; of others, what is behind is marked."""
        hidden = [name for name in rows.columns if name.startswith(HIDDEN_PREFIX)]
        if made.height == rows.height:
            return made.hstack(rows.select(ROW, *hidden))
        if self.after.time is None or ROW_ORDER not in rows.columns or not made.height:
            return made
        times = Timeline(self.after.time, self.after.time_shift_us).of(made)
        if not (times < watermark_us).any():
            return made
        mark = pl.when(times < watermark_us).then(pl.lit(watermark_us, pl.Int64)).alias(ROW_WATERMARK)
        return made.with_columns(pl.lit(rows[ROW_ORDER][0], pl.Int64).alias(ROW_ORDER), mark)
