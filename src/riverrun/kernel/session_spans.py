"""The sessions that are remembered: spans of event time for each key, and their partials.

Rows become sessions among themselves first, which are then joined to those that are there, where they touch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import ROW_ORDER
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES, References
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Session
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME

#: The last event time of a span.
LAST = "__p_last"
#: The number of its first row, in the order of arrival; of a row, its own.
SEEN = "__p_seen"
#: The number of the last revision that was put out; null: none yet.
REVISION = "__p_revision"
#: Whether a span has changed since it was last put out.
CHANGED = "__p_changed"
#: Whether its result as of its end has been put out.
CLOSED = "__p_closed"
#: Whether a span is to be put out now.
CHOSEN = "__p_chosen"
ROW = "__p_row"
GROUP = "__p_group"
#: The watermark that a row came behind.
BEHIND = "__p_behind"
#: Whether the key of a row is beyond the limit.
FOLDS = "__p_folds"
#: The span that a row or span becomes part of.
TARGET = "__p_target"
#: Numbers of what sessions are put together of, and of sessions as they were at some time.
PIECE, VERSION = "__p_piece", "__p_version"
#: When a result came out, and whether it revised one before.
AT, REVISES = "__p_at", "__p_revises"

#: What is remembered of a span beside its start and keys.
NOTES = (LAST, SEEN, REVISION, CHANGED, CLOSED)


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is remembered.

    Parameters
    ----------
    spans : start (`WINDOW`), keys and `NOTES` of every session that is not gone.
    partials : the same sessions' partials, by start and keys.
    waiting : rows that came behind a watermark which the stream has not come to.
    seen : how many rows came.
    newest_us : the largest event time among them.
    """

    spans: pl.DataFrame | None = None
    partials: Partials | None = None
    waiting: tuple[pl.DataFrame, ...] = ()
    seen: int = 0
    references: References = NO_REFERENCES
    watermark_us: int = BEFORE_TIME
    newest_us: int = BEFORE_TIME


class SessionSpans:
    """What is done with sessions, whichever way their rows come.

    Parameters
    ----------
    max_keys : rows of further keys are folded into one.
    delay_us : see `Opening`.
    """

    def __init__(
        self,
        window: Session,
        frame: WindowFrame,
        program: Program,
        *,
        lateness_us: int = 0,
        early_results: bool = False,
        max_keys: int,
        delay_us: int | None = None,
    ) -> None:
        self.gap_us = window.gap_us
        self.frame = frame
        self.program = program
        self.lateness_us = lateness_us
        self.early_results = early_results
        self.max_keys = max_keys
        self.delay_us = delay_us
        self._kept = [*frame.columns, *frame.keys, EVENT_TIME, *program.roots, ROW_ORDER, BEHIND, SEEN]
        self._by = [WINDOW, *frame.keys]
        self._start, self._end = pl.col(WINDOW), pl.col(LAST) + self.gap_us

    def _targets(self, spans: pl.DataFrame) -> pl.DataFrame:
        """Spans with the start (`TARGET`) and the last event (`LAST`) of the session that they are part of."""
        keys = list(self.frame.keys)
        ordered = spans.sort(WINDOW, maintain_order=True)
        reached = pl.col(LAST).cum_max().shift(1)
        reached = reached.over(keys) if keys else reached
        begins = (pl.col(WINDOW) - reached >= self.gap_us).fill_null(value=True)
        ordered = ordered.with_columns(begins.alias(GROUP))
        number = pl.col(GROUP).cum_sum()
        ordered = ordered.with_columns((number.over(keys) if keys else number).alias(GROUP))
        session = [*keys, GROUP]
        return ordered.with_columns(
            pl.col(WINDOW).min().over(session).alias(TARGET), pl.col(LAST).max().over(session).alias(LAST)
        )

    def _add(self, state: SessionState, rows: pl.DataFrame) -> SessionState:
        if not rows.height:
            return state
        rows = rows.with_columns(pl.col(EVENT_TIME).alias(WINDOW), pl.col(EVENT_TIME).alias(LAST))
        # Rows first become sessions among themselves; each carries the start of its own.
        placed = self._targets(rows.with_row_index("__p_at")).sort("__p_at")
        placed = placed.with_columns(pl.col(TARGET).alias(WINDOW))
        partials, references = self.program.of_rows(placed, self._by, state.references)
        spans = placed.group_by(self._by, maintain_order=True).agg(pl.col(LAST).max(), pl.col(SEEN).min())
        spans = spans.with_columns(
            pl.lit(None, pl.Int64).alias(REVISION),
            pl.lit(value=True).alias(CHANGED),
            pl.lit(value=False).alias(CLOSED),
        ).select(*self._by, *NOTES)
        return self._union(replace(state, references=references), spans, partials)

    def _union(self, state: SessionState, spans: pl.DataFrame, partials: Partials) -> SessionState:
        """Join new sessions to those of the state where they touch."""
        if state.spans is None or state.partials is None:
            return replace(state, spans=spans, partials=partials)
        both = pl.concat([state.spans, spans])
        targets = self._targets(both.with_row_index("__p_at")).sort("__p_at")
        moves = targets.select(*self._by, TARGET).unique(self._by)

        def move(frame: pl.DataFrame) -> pl.DataFrame:
            moved = frame.join(moves, on=self._by, how="left", nulls_equal=True, maintain_order="left")
            return moved.with_columns(pl.col(TARGET).alias(WINDOW)).select(frame.columns)

        merged = self.program.merge([state.partials.map(move), partials.map(move)], self._by)
        joined = targets.with_columns(pl.col(TARGET).alias(WINDOW)).group_by(self._by, maintain_order=True)
        return replace(
            state,
            spans=joined.agg(
                pl.col(LAST).max(),
                pl.col(SEEN).min(),
                pl.col(REVISION).max(),
                pl.col(CHANGED).any(),
                pl.col(CLOSED).all(),
            ),
            partials=merged,
        )

    def _of(self, frame: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
        return frame.join(spans, on=self._by, how="semi", nulls_equal=True, maintain_order="left")

    def _without(self, state: SessionState, gone: pl.DataFrame | None) -> SessionState:
        if gone is None or state.spans is None or state.partials is None or not gone.height:
            return state

        def rest(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.join(gone, on=self._by, how="anti", nulls_equal=True, maintain_order="left")

        return replace(state, spans=rest(state.spans), partials=state.partials.map(rest))

    def _with(self, state: SessionState, spans: pl.DataFrame, partials: Partials) -> SessionState:
        """With sessions that touch no other ones."""
        made = partials.map(lambda frame: frame.drop(VERSION))
        if state.spans is None or state.partials is None:
            return replace(state, spans=spans, partials=made)
        return replace(
            state,
            spans=pl.concat([state.spans, spans]),
            partials=Partials.concat([state.partials, shaped(made, state.partials)]),
        )

    def _put_out(
        self, state: SessionState, which: pl.Expr, *, final: bool
    ) -> tuple[SessionState, pl.DataFrame]:
        """The results of some sessions, and the state that knows of them."""
        assert state.spans is not None
        assert state.partials is not None
        number = pl.when(which).then(pl.col(REVISION).fill_null(-1) + 1).otherwise(pl.col(REVISION))
        # `which` may read the columns that change here, so it is looked at once, before.
        numbered = state.spans.with_columns(which.alias(CHOSEN), number.alias(REVISION))
        end = (pl.col(LAST) + self.gap_us).alias(AT)
        chosen = numbered.filter(CHOSEN).select(*self._by, *NOTES, end, pl.lit(value=False).alias(REVISES))
        closed = pl.col(CLOSED) | pl.col(CHOSEN) if final else pl.col(CLOSED)
        spans = numbered.with_columns(pl.col(CHANGED) & ~pl.col(CHOSEN), closed).drop(CHOSEN)
        parts = state.partials.map(lambda f: self._of(f, chosen))
        return replace(state, spans=spans), self._results(chosen, parts, final=final)

    def _results(self, spans: pl.DataFrame, partials: Partials, *, final: bool) -> pl.DataFrame:
        """Results with the columns that tell their order."""
        by = [name for name in (VERSION, *self._by) if name in spans.columns]
        notes = [*NOTES, AT, REVISES]
        wide = partials.wide.join(
            spans.select(*by, *notes), on=by, how="left", nulls_equal=True, maintain_order="left"
        )
        values = self.program.results(
            Partials(wide, partials.long), by, self._start, self._end, keep=[LAST, REVISION, AT, REVISES, SEEN]
        )
        frame = self.frame.results(values, values[WINDOW], values[LAST] + self.gap_us)
        frame = self.frame.numbered(frame, values[REVISION], final=final)
        return frame.hstack(values.select(AT, REVISES, SEEN))

    def _without_gone(self, state: SessionState) -> SessionState:
        """Without the sessions that no row can revise any more."""
        # Which keys are known goes by the rows that came here: the watermark may be further.
        known_us = state.watermark_us
        if self.delay_us is not None and known_us < AFTER_TIME:
            known_us = min(known_us, state.newest_us - self.delay_us)
        gone = pl.col(LAST) + self.gap_us + self.lateness_us <= known_us
        if state.spans is None or state.partials is None or not state.spans.select(gone.any()).item():
            return state
        kept = state.spans.filter(~gone)
        return replace(state, spans=kept, partials=state.partials.map(lambda f: self._of(f, kept)))


def shaped(partials: Partials, like: Partials) -> Partials:
    """The same columns in the same order."""
    long = {name: table.select(like.long[name].columns) for name, table in partials.long.items()}
    return Partials(partials.wide.select(like.wide.columns), long)
