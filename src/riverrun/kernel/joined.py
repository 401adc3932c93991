"""What the joins of two streams by event time remember, and when they answer.

A left row is answered when no right row for it can come any more, in one go with all that are due. Right rows
are kept as long as a left row may still come for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.join_rows import (
    LEFT,
    RIGHT,
    Side,
    first_time_us,
    in_order,
    named,
    picked,
    side_by_side,
    split,
)
from riverrun.kernel.operator import NOTHING, Output
from riverrun.plan.joins import Span
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.watermark import BEFORE_TIME


@dataclass(frozen=True, slots=True)
class SideRows:
    """Rows of one side, as they arrived.

    Parameters
    ----------
    rows : how many they are.
    first_us : the earliest of their times.
    """

    frames: tuple[pl.DataFrame, ...] = ()
    rows: int = 0
    first_us: int | None = None

    def with_rows(self, frame: pl.DataFrame) -> SideRows:
        first_us = first_time_us(frame)
        if first_us is None:
            return self
        if self.first_us is not None:
            first_us = min(first_us, self.first_us)
        return SideRows((*self.frames, frame), self.rows + frame.height, first_us)

    @staticmethod
    def of(frame: pl.DataFrame) -> SideRows:
        return SideRows().with_rows(frame)


@dataclass(frozen=True, slots=True)
class JoinState:
    """What is remembered.

    Parameters
    ----------
    left : rows that are not yet answered.
    right : rows that may still match.
    tidy_rows : how many right rows there were when those that cannot match were last taken out.
    watermark_us : all left rows before it are answered.
    """

    left: SideRows = SideRows()
    right: SideRows = SideRows()
    tidy_rows: int = 0
    watermark_us: int = BEFORE_TIME


#: Right rows that cannot match any more are taken out when there are this many times as many as after the last
#: time, and so many rows more: it costs about as much as one match.
SLACK, SLACK_ROWS = 2, 4_096


class Joined(ABC):
    """What the operators of as-of and interval joins have in common.

    Parameters
    ----------
    span : which right rows a left row looks at.
    right_names : the right columns that come along, with their names in the result.
    """

    def __init__(self, left: Side, right: Side, span: Span, right_names: Mapping[str, str]) -> None:
        self.left = left
        self.right = right
        self.span = span
        self.keys = left.keys
        self._named = [pl.col(name).alias(called) for name, called in right_names.items()]

    def empty(self) -> JoinState:
        return JoinState()

    def rows(self, state: JoinState) -> int:
        return state.left.rows + state.right.rows

    def early(self, state: JoinState) -> tuple[JoinState, Output]:
        return state, NOTHING

    def next_close_us(self, state: JoinState) -> int | None:
        return None if state.left.first_us is None else state.left.first_us + 1

    def step_side(self, state: JoinState, frame: pl.DataFrame, side: int) -> tuple[JoinState, Output]:
        if side == 0:
            taken = self.left.left(frame, state.watermark_us)
            state = replace(state, left=state.left.with_rows(taken.rows))
        else:
            taken = self.right.right(frame, state.watermark_us, self.span)
            state = replace(state, right=state.right.with_rows(taken.rows))
        late = () if taken.late is None or not taken.late.height else (taken.late,)
        refused = () if taken.refused is None else (taken.refused,)
        return state, Output(late=late, refused=refused) if late or refused else NOTHING

    def advance(self, state: JoinState, watermark_us: int) -> tuple[JoinState, Output]:
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        state = replace(state, watermark_us=watermark_us)
        due = None
        if state.left.first_us is not None and state.left.first_us < watermark_us:
            due, rest = split(in_order(state.left.frames), watermark_us)
            state = replace(state, left=SideRows.of(rest))
        if due is not None or self._many(state):
            return self._answered(state, due)
        return state, NOTHING

    def _many(self, state: JoinState) -> bool:
        """Whether some right rows may have to be taken out."""
        return state.right.rows > SLACK * state.tidy_rows + SLACK_ROWS

    def _answered(self, state: JoinState, due: pl.DataFrame | None) -> tuple[JoinState, Output]:
        right = in_order(state.right.frames) if state.right.frames else self.right.nothing()
        known = self.known(right, state.watermark_us)
        beyond, right = right.height - known.height, known
        frame = None if due is None else self.matched(due, right)
        if right.height > SLACK * state.tidy_rows + SLACK_ROWS:
            right = self.needed(right, state.watermark_us)
            state = replace(state, tidy_rows=right.height)
        frames = () if frame is None or not frame.height else (frame,)
        out = Output(frames, beyond=beyond) if frames or beyond else NOTHING
        return replace(state, right=SideRows.of(right)), out

    def known(self, right: pl.DataFrame, watermark_us: int) -> pl.DataFrame:
        """The right rows, in order, but for those of keys beyond the limit."""
        del watermark_us
        return right

    def result(self, due: pl.DataFrame, right: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
        """The rows of pairs, by their positions."""
        left = picked(named(due, self.left.columns), found[LEFT])
        return side_by_side(left, picked(named(right, self._named), found[RIGHT]))

    @abstractmethod
    def matched(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        """The results for left rows, all of whose right rows are there. Both are in order."""

    def needed(self, right: pl.DataFrame, watermark_us: int) -> pl.DataFrame:
        """The right rows that a left row at or after the watermark may match."""
        assert self.span.lower_us is not None
        return right.filter(pl.col(EVENT_TIME) >= watermark_us + self.span.lower_us)
