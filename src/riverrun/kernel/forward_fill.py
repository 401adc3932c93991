"""Nulls filled with the last value that came before them, key by key.

Rows are taken in the order in which they came. What is held of earlier batches is put before the rows of a
batch, so that filling the whole is filling one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import IMPUTED
from riverrun.kernel.key_limit import UNTIL, Instants, beyond_limit, beyond_room, rows_in
from riverrun.kernel.keyed import ALL, keyed, of_other_keys, of_these_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import TIME, Timeline, seen_before
from riverrun.windows.watermark import BEFORE_TIME

#: When the newest value of a key was.
NEWEST = "__p_newest"


@dataclass(frozen=True, slots=True)
class FillState:
    """What is remembered.

    Parameters
    ----------
    held : for each key the last value of every column; where ages matter, when that was, and `NEWEST`.
    newest_us : the largest event time among all rows, where ages matter.
    """

    held: pl.DataFrame | None = None
    watermark_us: int = BEFORE_TIME
    newest_us: int = BEFORE_TIME


class ForwardFill:
    """The operator that fills nulls with the last value of the key.

    Parameters
    ----------
    columns : the columns that are filled.
    by : the key; without any, all rows have the same.
    max_age_us : how far apart in event time a value and the row that it fills may be; ``None``: any time.
    max_keys : so many keys are remembered; rows of further ones are not filled.
    delay_us : see `Opening`.
    """

    def __init__(
        self,
        columns: Sequence[str],
        by: Sequence[str],
        timeline: Timeline | None,
        *,
        max_age_us: int | None = None,
        max_keys: int,
        delay_us: int | None = None,
    ) -> None:
        self.columns = list(columns)
        self.by = list(by)
        self.keys = list(by) or [ALL]
        self.timeline = timeline
        self.max_age_us = max_age_us
        self.max_keys = max_keys
        self.delay_us = delay_us
        self._ages = {column: f"__p_age_{at}" for at, column in enumerate(columns)}

    def empty(self) -> FillState:
        return FillState()

    def rows(self, state: FillState) -> int:
        return 0 if state.held is None else state.held.height

    def next_close_us(self, state: FillState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: FillState) -> tuple[FillState, Output]:
        return state, NOTHING

    def step(self, state: FillState, frame: pl.DataFrame) -> tuple[FillState, Output]:
        rows = self._ready(frame)
        excess, newest_us = self._excess(state, rows, frame)
        others, before = None, rows.clear()
        if state.held is not None:
            others, before = (
                of_other_keys(state.held, rows, self.keys),
                of_these_keys(state.held, rows, self.keys),
            )
        filled = self._filled(pl.concat([before, rows]))
        remembered = filled
        if excess is not None:
            remembered = pl.concat([filled[: before.height], filled[before.height :].filter(~excess)])
        last = remembered.unique(self.keys, keep="last", maintain_order=True)
        if self.max_age_us is not None:
            newest = remembered.group_by(self.keys).agg(pl.col(NEWEST).max())
            last = last.drop(NEWEST).join(
                newest, on=self.keys, how="left", nulls_equal=True, maintain_order="left"
            )
        held = last if others is None else pl.concat([others, last])
        after = self._given(frame, filled[before.height :], excess, state.watermark_us)
        return replace(state, held=held, newest_us=newest_us), Output((after,), beyond=rows_in(excess))

    def _excess(
        self, state: FillState, rows: pl.DataFrame, frame: pl.DataFrame
    ) -> tuple[pl.Series | None, int]:
        """The rows of keys beyond the limit, and the largest event time so far.

        A key is known as long as one of its values is young enough for a row in time, by the rows before.
        """
        if self.max_age_us is None:
            return beyond_limit(state.held, rows, self.keys, self.max_keys), state.newest_us
        assert self.timeline is not None
        times = self.timeline.of(frame).fill_null(BEFORE_TIME)
        reached = times.shift(1, fill_value=BEFORE_TIME).cum_max().clip(lower_bound=state.newest_us)
        newest = times.max()
        newest_us = max(state.newest_us, newest if isinstance(newest, int) else BEFORE_TIME)
        now = reached.clip(upper_bound=BEFORE_TIME) if self.delay_us is None else reached - self.delay_us
        until = pl.col(NEWEST) + (self.max_age_us + 1)
        held = None if state.held is None else state.held.select(*self.keys, until.alias(UNTIL))
        instants = Instants(now, rows.select(until.fill_null(BEFORE_TIME))[NEWEST])
        return beyond_room(held, rows, self.keys, self.max_keys, instants, folds=False), newest_us

    def advance(self, state: FillState, watermark_us: int) -> tuple[FillState, Output]:
        """Forget what is too old for any row in time."""
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        held, known_us = state.held, watermark_us
        if self.delay_us is not None:
            # Which keys are known goes by the rows that came here: the watermark may be further.
            known_us = min(known_us, state.newest_us - self.delay_us)
        if held is not None and self.max_age_us is not None:
            held = held.filter(pl.col(NEWEST) >= known_us - self.max_age_us)
        return replace(state, held=held, watermark_us=watermark_us), NOTHING

    def _ready(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Keys, the columns, and the times of their values where these matter."""
        rows = keyed(frame.select(*self.by, *self.columns), self.by)
        if self.max_age_us is None:
            return rows
        assert self.timeline is not None
        ages = [pl.when(pl.col(c).is_not_null()).then(TIME).alias(age) for c, age in self._ages.items()]
        rows = rows.with_columns(self.timeline.of(frame)).with_columns(ages).drop(TIME)
        return rows.with_columns(pl.max_horizontal(self._ages.values()).alias(NEWEST))

    def _filled(self, rows: pl.DataFrame) -> pl.DataFrame:
        lacking = [name for name in rows.columns if name not in self.keys and rows[name].null_count()]
        if not lacking:
            return rows
        filled = pl.col(lacking).forward_fill()
        return rows.with_columns(filled.over(self.keys) if self.by else filled)

    def _given(
        self, frame: pl.DataFrame, filled: pl.DataFrame, excess: pl.Series | None, watermark_us: int
    ) -> pl.DataFrame:
        """The rows with the values that may be carried over to them, and with how many these were."""
        given = [self._carried(frame, filled, c, watermark_us) for c in self.columns if frame[c].null_count()]
        if excess is not None:
            given = [value.zip_with(~excess, frame[value.name]) for value in given]
        if not given:
            return frame
        counts = [(frame[value.name].is_null() & value.is_not_null()).cast(pl.UInt32) for value in given]
        count = pl.DataFrame([c.alias(str(at)) for at, c in enumerate(counts)]).sum_horizontal()
        if not count.sum():
            return frame
        if IMPUTED in frame.columns:
            count = count + frame[IMPUTED].fill_null(0)
        return frame.with_columns(*given, count.cast(pl.UInt32).alias(IMPUTED))

    def _carried(self, frame: pl.DataFrame, filled: pl.DataFrame, column: str, watermark_us: int) -> pl.Series:
        """A column with the values that are not too old for their rows."""
        if self.max_age_us is None:
            return filled[column]
        assert self.timeline is not None
        since = filled[self._ages[column]]
        near = (self.timeline.of(frame) - since).abs() <= self.max_age_us
        seen = seen_before(frame, watermark_us)
        if seen is not None:
            # What a row in time could not get any more may be forgotten already.
            near &= (since + self.max_age_us >= seen).fill_null(value=True)
        return filled[column].zip_with(near.fill_null(value=False), frame[column])
