"""Windows that also tell what did not come into them: records that were refused, and rows that were repeated.

Neither kind is aggregated. Each is kept as an instant, and counted when a window that holds the instant comes
out. A refused record stands at the newest event time that its partition had reached before it, for every key,
since what could not be read has no key that could be trusted. A repetition stands at its own event time, for
its own key; one that came when its partition's watermark had passed the end of a window came too late for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import polars as pl

from riverrun.batch import ROW_WATERMARK
from riverrun.kernel.bounded_sessions import BoundedState
from riverrun.kernel.counting import CountingState
from riverrun.kernel.fixed_windows import FixedState
from riverrun.kernel.operator import Operator, Output
from riverrun.kernel.session_spans import SessionState
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.quality import DUPLICATE_ROWS, QUALITY_NAMES, REJECTED_ROWS
from riverrun.windows.watermark import BEFORE_TIME

#: How many there are at an instant.
COUNT = "__p_count"
#: The watermark that a repetition came behind.
BEHIND = "__p_behind"
START, END, ROW, KEY = "__p_start", "__p_end", "__p_row", "__p_key"

#: Instants are summed up once there are so many frames of them.
MANY_FRAMES = 16

S = TypeVar("S")


class ClosingWindows(Operator[S], Protocol[S]):
    """Windows that can tell how far back those begin which are still to come out."""

    def oldest_us(self, state: S) -> int:
        """Before this instant begins no window that may still come out."""
        ...


@dataclass(frozen=True, slots=True)
class QualityState:
    """What is remembered.

    Parameters
    ----------
    windows : the state of the windows.
    refused : instants of refused records, with their `COUNT`.
    repeated : keys and instants of repetitions, with the watermark that they came behind and their `COUNT`.
    watermark_us : how far event time has come.
    """

    windows: FixedState | SessionState | BoundedState | CountingState
    refused: tuple[pl.DataFrame, ...] = ()
    repeated: tuple[pl.DataFrame, ...] = ()
    watermark_us: int = BEFORE_TIME


class QualityWindows:
    """Windows of any kind, with the counts of what did not come into them."""

    def __init__(self, windows: ClosingWindows[Any], frame: WindowFrame) -> None:
        self.windows = windows
        self.frame = frame
        self._keys = list(frame.keys)

    def empty(self) -> QualityState:
        return QualityState(self.windows.empty())

    def rows(self, state: QualityState) -> int:
        aside = sum(frame.height for frame in (*state.refused, *state.repeated))
        return self.windows.rows(state.windows) + aside

    def next_close_us(self, state: QualityState) -> int | None:
        return self.windows.next_close_us(state.windows)

    def step(self, state: QualityState, frame: pl.DataFrame) -> tuple[QualityState, Output]:
        return self._after(state, *self.windows.step(state.windows, frame))

    def early(self, state: QualityState) -> tuple[QualityState, Output]:
        return self._after(state, *self.windows.early(state.windows))

    def advance(self, state: QualityState, watermark_us: int) -> tuple[QualityState, Output]:
        state, out = self._after(state, *self.windows.advance(state.windows, watermark_us))
        if watermark_us > state.watermark_us:
            state = self._forget(replace(state, watermark_us=watermark_us))
        return state, out

    # -- what does not come into windows ------------------------------------------------------------

    def refused(self, state: QualityState, times: pl.Series) -> QualityState:
        """Records were refused at these instants."""
        if not len(times):
            return state
        more = (
            times.alias(EVENT_TIME)
            .to_frame()
            .group_by(EVENT_TIME, maintain_order=True)
            .agg(pl.len().cast(pl.UInt64).alias(COUNT))
        )
        return replace(state, refused=_added(state.refused, more, [EVENT_TIME]))

    def repeated(self, state: QualityState, frame: pl.DataFrame) -> QualityState:
        """These rows repeat others, and were left out."""
        rows = self.frame.ready(frame)
        marked = ROW_WATERMARK in rows.columns
        seen = pl.max_horizontal(ROW_WATERMARK, pl.lit(state.watermark_us)) if marked else pl.lit(None)
        behind = pl.when(pl.col(ROW_WATERMARK).is_not_null()).then(seen) if marked else seen
        by = [*self._keys, EVENT_TIME, BEHIND]
        rows = rows.with_columns(behind.cast(pl.Int64).fill_null(BEFORE_TIME).alias(BEHIND))
        more = rows.group_by(by, maintain_order=True).agg(pl.len().cast(pl.UInt64).alias(COUNT))
        return replace(state, repeated=_added(state.repeated, more, by))

    def _forget(self, state: QualityState) -> QualityState:
        """Without the instants that lie before every window to come."""
        if not state.refused and not state.repeated:
            return state
        oldest = self.windows.oldest_us(state.windows)
        return replace(state, refused=_since(state.refused, oldest), repeated=_since(state.repeated, oldest))

    # -- results out --------------------------------------------------------------------------------

    def _after(self, state: QualityState, windows: Any, out: Output) -> tuple[QualityState, Output]:
        state = replace(state, windows=windows)
        if out.frames:
            out = replace(out, frames=tuple(self._told(state, frame) for frame in out.frames))
        return state, out

    def _told(self, state: QualityState, results: pl.DataFrame) -> pl.DataFrame:
        bounds = results.select(
            pl.col("window_start").to_physical().alias(START), pl.col("window_end").to_physical().alias(END)
        )
        refused = _refused_within(state.refused, bounds)
        repeated = self._repeated_within(state.repeated, bounds.hstack(results.select(self._keys)))
        told = results.with_columns(refused.alias(REJECTED_ROWS), repeated.alias(DUPLICATE_ROWS))
        return told.select(pl.exclude(QUALITY_NAMES), pl.col(QUALITY_NAMES).cast(pl.UInt64))

    def _repeated_within(self, repeated: Sequence[pl.DataFrame], windows: pl.DataFrame) -> pl.Series:
        if not repeated or not windows.height:
            return pl.repeat(0, windows.height, dtype=pl.UInt64, eager=True)
        windows = windows.with_row_index(ROW)
        seen = pl.concat(repeated)
        if self._keys:
            # As-of joins tell null keys apart, so keys are numbers here.
            numbers = windows.select(self._keys).unique().with_row_index(KEY)
            windows, seen = (
                frame.join(numbers, on=self._keys, how="inner", nulls_equal=True) for frame in (windows, seen)
            )
        else:
            windows, seen = (frame.with_columns(pl.lit(0, pl.UInt32).alias(KEY)) for frame in (windows, seen))
        in_time = seen.filter(pl.col(BEHIND) == BEFORE_TIME).sort(EVENT_TIME)
        in_time = in_time.select(KEY, EVENT_TIME, pl.col(COUNT).cum_sum().over(KEY))
        counted = _before(windows, in_time, END).join(_before(windows, in_time, START), on=ROW, suffix=START)
        counts = counted.select(ROW, pl.col(COUNT) - pl.col(f"{COUNT}{START}"))
        behind = seen.filter(pl.col(BEHIND) > BEFORE_TIME).select(KEY, EVENT_TIME, BEHIND, COUNT)
        if behind.height:
            met = windows.join(behind, on=KEY).filter(
                pl.col(EVENT_TIME).is_between(START, END, closed="left") & (pl.col(BEHIND) < pl.col(END))
            )
            counts = pl.concat([counts, met.select(ROW, COUNT)])
        return counts.group_by(ROW).agg(pl.col(COUNT).sum()).sort(ROW)[COUNT]


def _before(windows: pl.DataFrame, in_time: pl.DataFrame, bound: str) -> pl.DataFrame:
    """For each window, how many of its key lie before one of its bounds."""
    found = (
        windows.select(ROW, KEY, bound)
        .sort(bound)
        .join_asof(
            in_time,
            left_on=bound,
            right_on=EVENT_TIME,
            by=KEY,
            allow_exact_matches=False,
            check_sortedness=False,
        )
    )
    return found.select(ROW, pl.col(COUNT).fill_null(0))


def _refused_within(refused: Sequence[pl.DataFrame], bounds: pl.DataFrame) -> pl.Series:
    if not refused:
        return pl.repeat(0, bounds.height, dtype=pl.UInt64, eager=True)
    instants = pl.concat(refused).sort(EVENT_TIME)
    upto = pl.concat([pl.Series([0], dtype=pl.UInt64), instants[COUNT].cum_sum()])
    times = instants[EVENT_TIME]
    return upto.gather(times.search_sorted(bounds[END])) - upto.gather(times.search_sorted(bounds[START]))


def _added(frames: Sequence[pl.DataFrame], more: pl.DataFrame, by: Sequence[str]) -> tuple[pl.DataFrame, ...]:
    if len(frames) < MANY_FRAMES:
        return (*frames, more)
    return (pl.concat([*frames, more]).group_by(by, maintain_order=True).agg(pl.col(COUNT).sum()),)


def _since(frames: Sequence[pl.DataFrame], oldest_us: int) -> tuple[pl.DataFrame, ...]:
    """Without what lies before. Frames that stay whole stay the same: checkpoints do not write them again."""
    made = []
    for frame in frames:
        rest = frame.filter(pl.col(EVENT_TIME) >= oldest_us)
        if rest.height:
            made.append(frame if rest.height == frame.height else rest)
    return tuple(made)
