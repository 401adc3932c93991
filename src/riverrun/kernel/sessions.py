"""Aggregates over session windows, with lateness, revisions and early results.

A session is a span of event time for one key, and its partials. Rows are first joined to spans, then spans
that touch are joined to each other. A row behind its partition's watermark may touch a session that is
closed already; whether it is depends on the rows before it, so such rows are taken one by one, in order.
All others, also those that are merely out of order, are taken together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import NO_REFERENCES, Partials, Program, References
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Session
from riverrun.windows.watermark import BEFORE_TIME

#: The last event time of a span.
LAST = "__p_last"
#: The number of the last revision that was put out; null: none yet.
REVISION = "__p_revision"
#: Whether a span has changed since it was last put out.
CHANGED = "__p_changed"
#: Whether a span is to be put out now.
CHOSEN = "__p_chosen"
ROW = "__p_row"
GROUP = "__p_group"
BEHIND = "__p_behind"
#: The span that a row or span becomes part of.
TARGET = "__p_target"


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is remembered.

    Parameters
    ----------
    spans : start (`WINDOW`), keys, `LAST`, `REVISION` and `CHANGED` of every session that is not gone.
    partials : the same sessions' partials, by start and keys.
    """

    spans: pl.DataFrame | None = None
    partials: Partials | None = None
    references: References = NO_REFERENCES
    watermark_us: int = BEFORE_TIME


class SessionWindows:
    """The operator for session windows.

    Parameters
    ----------
    one_partition : whether the source has a single order of rows, so that its watermark before a row is
        also the watermark of the stream.
    """

    def __init__(
        self,
        window: Session,
        frame: WindowFrame,
        program: Program,
        *,
        lateness_us: int = 0,
        early_results: bool = False,
        one_partition: bool = True,
    ) -> None:
        self.gap_us = window.gap_us
        self.frame = frame
        self.program = program
        self.lateness_us = lateness_us
        self.early_results = early_results
        self.one_partition = one_partition
        self._by = [WINDOW, *frame.keys]

    def empty(self) -> SessionState:
        return SessionState()

    def rows(self, state: SessionState) -> int:
        return 0 if state.spans is None else state.spans.height

    def oldest_us(self, state: SessionState) -> int:
        """Before this instant begins no window that may still come out."""
        first = None if state.spans is None else state.spans[WINDOW].min()
        reached = state.watermark_us - self.gap_us - self.lateness_us
        return min(first, reached) if isinstance(first, int) else reached

    def next_close_us(self, state: SessionState) -> int | None:
        if state.spans is None or not state.spans.height:
            return None
        open_ones = state.spans.filter(pl.col(LAST) + self.gap_us > state.watermark_us)
        last = open_ones[LAST].min()
        return last + self.gap_us if isinstance(last, int) else None

    # -- rows in ------------------------------------------------------------------------------------

    def step(self, state: SessionState, frame: pl.DataFrame) -> tuple[SessionState, Output]:
        rows = self.frame.ready(frame)
        if ROW_WATERMARK not in rows.columns:
            return self._add(state, rows), NOTHING
        rows, hopeless = self._sort_out(rows, state)
        late = [hopeless] if hopeless.height else []
        frames: list[pl.DataFrame] = []
        for part in _segments(rows):
            if part[BEHIND].null_count() == part.height:
                state = self._add(state, part)
                continue
            state, out, accepted = self._take_one(state, part)
            frames += out
            late += [] if accepted else [part]
        return state, self._output(frames, late)

    def _output(self, frames: Sequence[pl.DataFrame], late: Sequence[pl.DataFrame]) -> Output:
        """Results, and late rows in the order in which they came."""
        if not late:
            return Output(tuple(frames)) if frames else NOTHING
        rows = pl.concat(late).sort(ROW)
        return Output(
            tuple(frames),
            (self.frame.late(rows, pl.col(WINDOW), pl.col(WINDOW) + self.gap_us),),
            (rows[ROW_ORDER],),
        )

    def _sort_out(self, rows: pl.DataFrame, state: SessionState) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Mark the rows to be taken one by one (`BEHIND` not null), and part with the hopeless ones."""
        seen = pl.max_horizontal(pl.col(ROW_WATERMARK), pl.lit(state.watermark_us))
        rows = rows.with_row_index(ROW).with_columns(
            pl.when(pl.col(ROW_WATERMARK).is_not_null()).then(seen).alias(BEHIND),
            pl.col(EVENT_TIME).alias(WINDOW),
        )
        marked = rows.filter(pl.col(BEHIND).is_not_null())
        every_row = self._joined(state, rows).select(*self._by, TARGET, LAST).unique(self._by)
        reach = marked.join(every_row, on=self._by, how="left", nulls_equal=True)
        lost = reach.filter(pl.col(LAST) + self.gap_us + self.lateness_us <= pl.col(BEHIND))
        in_time = self._joined(state, rows.filter(pl.col(BEHIND).is_null()))
        safe = self._touching_open(marked, in_time)
        alone = pl.col(ROW).is_in(safe.implode())
        rows = rows.with_columns(pl.when(alone).then(None).otherwise(pl.col(BEHIND)).alias(BEHIND))
        gone = pl.col(ROW).is_in(lost[ROW].implode())
        return rows.filter(~gone), rows.filter(gone)

    def _joined(self, state: SessionState, rows: pl.DataFrame) -> pl.DataFrame:
        """The sessions of the state and the rows together: each with its `TARGET` and the end of that."""
        points = rows.select(*self._by, pl.col(EVENT_TIME).alias(LAST))
        spans = points if state.spans is None else pl.concat([state.spans.select(points.columns), points])
        return self._targets(spans)

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

    def _touching_open(self, marked: pl.DataFrame, in_time: pl.DataFrame) -> pl.Series:
        """Marked rows that touch sessions of rows in time, all of which were open when the row came.

        Every row in time that is older than the row's watermark came before it, so these sessions can be
        told without regard to order. The sessions that other marked rows made or stretched cannot: rows
        near those are left to be taken alone, except where the other lies within a session of rows in time.
        """
        keys = list(self.frame.keys)
        sessions = in_time.select(*keys, TARGET, LAST).unique().sort(TARGET)
        near = marked.select(*keys, ROW, EVENT_TIME, BEHIND).sort(EVENT_TIME)
        by = keys or None
        left = near.join_asof(
            sessions, left_on=EVENT_TIME, right_on=TARGET, strategy="backward", check_sortedness=False, by=by
        )
        right = near.join_asof(
            sessions, left_on=EVENT_TIME, right_on=TARGET, strategy="forward", check_sortedness=False, by=by
        )
        touched, shut = [], [self._near_loose(left)]
        for found, touches in (
            (left, pl.col(EVENT_TIME) - pl.col(LAST) < self.gap_us),
            (right, (pl.col(TARGET) - pl.col(EVENT_TIME) < self.gap_us) & (pl.col(TARGET) < pl.col(BEHIND))),
        ):
            hit = found.filter(touches.fill_null(value=False))
            touched.append(hit[ROW])
            shut.append(hit.filter(pl.col(LAST) + self.gap_us <= pl.col(BEHIND))[ROW])
        return pl.concat(touched).to_frame().filter(~pl.col(ROW).is_in(pl.concat(shut).implode()))[ROW].unique()

    def _near_loose(self, marked: pl.DataFrame) -> pl.Series:
        """The marked rows that are near another one which lies in no session of rows in time."""
        keys = list(self.frame.keys)
        loose = pl.when(~(pl.col(LAST) >= pl.col(EVENT_TIME)).fill_null(value=False)).then(pl.col(EVENT_TIME))
        before, after = loose.forward_fill().shift(1), loose.backward_fill().shift(-1)
        if keys:
            before, after = before.over(keys), after.over(keys)
        time = pl.col(EVENT_TIME)
        close = (time - before < self.gap_us).fill_null(value=False)
        close |= (after - time < self.gap_us).fill_null(value=False)
        return marked.filter(close)[ROW]

    def _add(self, state: SessionState, rows: pl.DataFrame) -> SessionState:
        if not rows.height:
            return state
        rows = rows.with_columns(pl.col(EVENT_TIME).alias(WINDOW), pl.col(EVENT_TIME).alias(LAST))
        # Rows first become sessions among themselves; each carries the start of its own.
        placed = self._targets(rows.with_row_index("__p_at")).sort("__p_at")
        placed = placed.with_columns(pl.col(TARGET).alias(WINDOW))
        partials, references = self.program.of_rows(placed, self._by, state.references)
        spans = placed.group_by(self._by, maintain_order=True).agg(pl.col(LAST).max())
        spans = spans.with_columns(
            pl.lit(None, pl.Int64).alias(REVISION), pl.lit(value=True).alias(CHANGED)
        ).select(*self._by, LAST, REVISION, CHANGED)
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
            spans=joined.agg(pl.col(LAST).max(), pl.col(REVISION).max(), pl.col(CHANGED).any()),
            partials=merged,
        )

    def _take_one(
        self, state: SessionState, row: pl.DataFrame
    ) -> tuple[SessionState, list[pl.DataFrame], bool]:
        """One row behind the watermark, exactly as if it had come alone. Returns whether it was accepted."""
        behind = row[BEHIND].item()
        frames: list[pl.DataFrame] = []
        if self.one_partition:
            state, closed = self.advance(state, behind)
            frames += closed.frames
        state = self._without_gone(state)
        touched = self._touched_by(row, state)
        joined = self._add(touched, row)
        assert joined.spans is not None
        end = joined.spans[LAST].item() + self.gap_us
        if end + self.lateness_us <= behind:
            return state, frames, False
        if end <= joined.watermark_us:
            joined, frame = self._put_out(joined, pl.lit(value=True), final=True)
            frames.append(frame)
        return self._with(joined, state, instead=touched), frames, True

    def _touched_by(self, row: pl.DataFrame, state: SessionState) -> SessionState:
        """The sessions that a row makes one, without the others, of which there may be many."""
        if state.spans is None or state.partials is None:
            return state
        time = row[EVENT_TIME].item()
        near = (pl.col(WINDOW) - time < self.gap_us) & (time - pl.col(LAST) < self.gap_us)
        for key in self.frame.keys:
            near &= pl.col(key).eq_missing(pl.lit(row[key].item(), row.schema[key]))
        spans = state.spans.filter(near)
        if not spans.height:
            return replace(state, spans=None, partials=None)
        return replace(state, spans=spans, partials=state.partials.map(lambda f: self._of(f, spans)))

    def _of(self, frame: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
        return frame.join(spans, on=self._by, how="semi", nulls_equal=True, maintain_order="left")

    def _with(self, joined: SessionState, state: SessionState, *, instead: SessionState) -> SessionState:
        """The state with a session in the place of the first of those that it was joined of."""
        if state.spans is None or state.partials is None:
            return joined
        assert joined.spans is not None
        assert joined.partials is not None
        gone = instead.spans

        def put(before: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
            if gone is None:
                return pl.concat([before, now])
            place = self._of(before.with_row_index(ROW), gone)[ROW].min()
            rest = before.join(gone, on=self._by, how="anti", nulls_equal=True, maintain_order="left")
            first = place if isinstance(place, int) else rest.height
            return pl.concat([rest[:first], now, rest[first:]])

        wide = put(state.partials.wide, joined.partials.wide)
        long = {name: put(table, joined.partials.long[name]) for name, table in state.partials.long.items()}
        return replace(joined, spans=put(state.spans, joined.spans), partials=Partials(wide, long))

    # -- results out --------------------------------------------------------------------------------

    def advance(self, state: SessionState, watermark_us: int) -> tuple[SessionState, Output]:
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        before = state.watermark_us
        state = replace(state, watermark_us=watermark_us)
        if state.spans is None:
            return state, NOTHING
        end = pl.col(LAST) + self.gap_us
        closing = (end > before) & (end <= watermark_us)
        if not state.spans.select(closing.any()).item():
            return state, NOTHING
        state, frame = self._put_out(state, closing, final=True)
        return self._without_gone(state), Output(frames=(frame,))

    def early(self, state: SessionState) -> tuple[SessionState, Output]:
        if state.spans is None:
            return state, NOTHING
        changed = pl.col(CHANGED) & (pl.col(LAST) + self.gap_us > state.watermark_us)
        if not state.spans.select(changed.any()).item():
            return state, NOTHING
        state, frame = self._put_out(state, changed, final=False)
        return state, Output(frames=(frame,))

    def _put_out(
        self, state: SessionState, which: pl.Expr, *, final: bool
    ) -> tuple[SessionState, pl.DataFrame]:
        """The results of some sessions, by end and first appearance, and the state that knows of them."""
        assert state.spans is not None
        assert state.partials is not None
        number = pl.when(which).then(pl.col(REVISION).fill_null(-1) + 1).otherwise(pl.col(REVISION))
        # `which` may read the columns that change here, so it is looked at once, before.
        numbered = state.spans.with_columns(which.alias(CHOSEN), number.alias(REVISION))
        chosen = numbered.filter(CHOSEN).select(*self._by, LAST, REVISION)
        spans = numbered.with_columns(pl.col(CHANGED) & ~pl.col(CHOSEN)).drop(CHOSEN)
        parts = state.partials.map(lambda f: self._of(f, chosen))
        wide = parts.wide.join(chosen, on=self._by, how="left", nulls_equal=True, maintain_order="left")
        wide = wide.sort(LAST, maintain_order=True)
        start, end = pl.col(WINDOW), pl.col(LAST) + self.gap_us
        values = self.program.results(Partials(wide, parts.long), self._by, start, end, keep=[LAST])
        frame = self.frame.results(values, values[WINDOW], values[LAST] + self.gap_us)
        frame = self.frame.numbered(frame, wide[REVISION], final=final)
        return replace(state, spans=spans), frame

    def _without_gone(self, state: SessionState) -> SessionState:
        """Without the sessions that no row can revise any more."""
        gone = pl.col(LAST) + self.gap_us + self.lateness_us <= state.watermark_us
        if state.spans is None or state.partials is None or not state.spans.select(gone.any()).item():
            return state
        kept = state.spans.filter(~gone)
        return replace(state, spans=kept, partials=state.partials.map(lambda f: self._of(f, kept)))


def _segments(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows in order: stretches to be taken together, and rows to be taken alone."""
    alone = rows.select(pl.arg_where(pl.col(BEHIND).is_not_null())).to_series().to_list()
    parts, done = [], 0
    for at in alone:
        if at > done:
            parts.append(rows[done:at])
        parts.append(rows[at : at + 1])
        done = at + 1
    if done < rows.height:
        parts.append(rows[done:])
    return parts
