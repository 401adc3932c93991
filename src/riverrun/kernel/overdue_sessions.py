"""Rows of sessions that came behind the watermark: whether they are late, count, or revise.

Most are told by columns: those that are late whatever the others do, and those that touch only sessions which
were open when they came. The rest is judged row by row (`riverrun.kernel.overdue`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from riverrun.batch import ROW_ORDER
from riverrun.kernel.in_order import KEY
from riverrun.kernel.overdue import ROUND_ROWS, Overdue, OverdueRow, Span
from riverrun.kernel.session_spans import (
    AT,
    BEHIND,
    CHANGED,
    CLOSED,
    LAST,
    NOTES,
    PIECE,
    REVISES,
    REVISION,
    ROW,
    SEEN,
    TARGET,
    VERSION,
    SessionSpans,
    SessionState,
    shaped,
)
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.assign import WINDOW


class OverdueSessions(SessionSpans):
    """Sessions that take rows behind the watermark, once the stream has come to it."""

    def _due(self, state: SessionState, watermark_us: int) -> tuple[SessionState, pl.DataFrame | None]:
        """The rows that need not wait any longer, by the watermark that they came behind and their place."""
        if not state.waiting:
            return state, None
        rows = pl.concat(state.waiting, how="diagonal")
        due = rows.filter(pl.col(BEHIND) <= watermark_us)
        if not due.height:
            return state, None
        rest = rows.filter(pl.col(BEHIND) > watermark_us)
        due = due.sort(BEHIND, ROW_ORDER, maintain_order=True).with_row_index(ROW)
        return replace(state, waiting=(rest,) if rest.height else ()), due

    def _overdue(
        self, state: SessionState, rows: pl.DataFrame
    ) -> tuple[SessionState, list[pl.DataFrame], pl.DataFrame]:
        """Take rows behind the watermark. Returns results, and the rows that are late."""
        hopeless = self._hopeless(state, rows)
        late, rows = rows.filter(hopeless), rows.filter(~hopeless)
        if state.spans is not None and rows.height:
            safe = pl.col(ROW).is_in(self._touching_open(rows, state.spans).implode())
            state, rows = self._add(state, rows.filter(safe)), rows.filter(~safe)
        frames: list[pl.DataFrame] = []
        for part in rows.iter_slices(ROUND_ROWS):
            state, found, missed = self._judged(state, part)
            frames += found
            late = pl.concat([late, missed])
        return state, frames, late.sort(ROW)

    def _hopeless(self, state: SessionState, rows: pl.DataFrame) -> pl.Series:
        """Whether each row is late even if all of the other rows were there."""
        points = rows.select(pl.col(EVENT_TIME).alias(WINDOW), *self.frame.keys, pl.col(EVENT_TIME).alias(LAST))
        points = points.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
        if state.spans is not None:
            others = state.spans.select(WINDOW, *self.frame.keys, LAST, pl.lit(None, pl.Int64).alias(ROW))
            points = pl.concat([points, others])
        reached = self._targets(points).filter(pl.col(ROW).is_not_null()).sort(ROW)[LAST]
        return reached + self.gap_us + self.lateness_us <= rows[BEHIND]

    def _judged(
        self, state: SessionState, rows: pl.DataFrame
    ) -> tuple[SessionState, list[pl.DataFrame], pl.DataFrame]:
        """Take rows one after the other (`riverrun.kernel.overdue`)."""
        spans, numbers = self._near(state, rows)
        first = 0 if spans is None else spans.height
        rows = rows.with_columns(pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias(PIECE))
        judge = Overdue(self.gap_us, self.lateness_us)
        judge.judge(_spans_of(spans), _overdue_of(self._numbered(rows, numbers)))
        late = rows.filter(pl.col(PIECE).is_in(judge.late))
        kept = rows.filter(~pl.col(PIECE).is_in(judge.late))
        if not kept.height:
            return state, [], late.drop(PIECE)
        own, references = self.program.of_rows(kept, [PIECE], state.references)
        state = replace(state, references=references)
        pieces = [own]
        if spans is not None and state.partials is not None:
            places = spans.select(*self._by, PIECE)
            pieces.insert(0, shaped(state.partials.map(lambda f: self._placed(f, places)), own))
        together = Partials.concat(pieces)
        frames = []
        if judge.puts:
            put, partials = self._versions([put.span for put in judge.puts], together, numbers)
            at = pl.Series(AT, [put.at for put in judge.puts], dtype=pl.Int64)
            revises = pl.Series(REVISES, [put.revises for put in judge.puts])
            # Revisions of one instant stay in the order of their rows.
            place = pl.when(revises).then(0).otherwise(pl.col(SEEN)).alias(SEEN)
            frames.append(self._results(put.with_columns(at, revises, place), partials, final=True))
        gone = None if spans is None else spans.filter(pl.col(PIECE).is_in(judge.gone))
        state = self._without(state, gone)
        now, partials = self._versions(list(judge.made.values()), together, numbers)
        return self._with(state, now.select(*self._by, *NOTES), partials), frames, late.drop(PIECE)

    def _near(self, state: SessionState, rows: pl.DataFrame) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
        """The sessions that the rows may touch, with their `KEY` and `PIECE`, and the numbers of keys."""
        keys = list(self.frame.keys)
        numbers = rows.select(keys).unique(maintain_order=True).with_row_index(KEY) if keys else None
        if state.spans is None:
            return None, numbers
        low, high = rows[EVENT_TIME].min(), rows[EVENT_TIME].max()
        near = (pl.col(WINDOW) - pl.lit(high) < self.gap_us) & (pl.lit(low) - pl.col(LAST) < self.gap_us)
        spans = self._numbered(state.spans.filter(near), numbers)
        return spans.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(PIECE)), numbers

    def _numbered(self, frame: pl.DataFrame, numbers: pl.DataFrame | None) -> pl.DataFrame:
        """The rows that have one of the keys, with its number."""
        if numbers is None:
            return frame.with_columns(pl.lit(0, pl.UInt32).alias(KEY))
        keys = list(self.frame.keys)
        return frame.join(numbers, on=keys, how="inner", nulls_equal=True, maintain_order="left")

    def _placed(self, frame: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
        """Partials of sessions by `PIECE`."""
        return frame.join(places, on=self._by, how="inner", nulls_equal=True, maintain_order="left")

    def _versions(
        self, spans: Sequence[Span], together: Partials, numbers: pl.DataFrame | None
    ) -> tuple[pl.DataFrame, Partials]:
        """Sessions as they were: a row for each by `VERSION`, and the partials, by version, start and keys."""
        found = pl.DataFrame(
            {
                VERSION: range(len(spans)),
                KEY: [span.key for span in spans],
                WINDOW: [span.start for span in spans],
                LAST: [span.last for span in spans],
                SEEN: [span.seen for span in spans],
                REVISION: [span.revision for span in spans],
                CHANGED: [not span.closed for span in spans],
                CLOSED: [span.closed for span in spans],
                PIECE: [span.pieces for span in spans],
            },
            schema={
                VERSION: pl.Int64,
                KEY: pl.UInt32,
                WINDOW: pl.Int64,
                LAST: pl.Int64,
                SEEN: pl.Int64,
                REVISION: pl.Int64,
                CHANGED: pl.Boolean,
                CLOSED: pl.Boolean,
                PIECE: pl.List(pl.Int64),
            },
        )
        if numbers is not None:
            found = found.join(numbers, on=KEY, how="left", maintain_order="left")
        by = [VERSION, *self._by]
        members = found.select(*by, PIECE).explode(PIECE)

        def of_versions(frame: pl.DataFrame) -> pl.DataFrame:
            held = members.join(frame, on=PIECE, how="inner", maintain_order="left")
            return held.select(*by, pl.exclude(*by, PIECE))

        return found.select(*by, *NOTES), self.program.merge([together.map(of_versions)], by)

    def _touching_open(self, marked: pl.DataFrame, spans: pl.DataFrame) -> pl.Series:
        """The rows that touch sessions of rows in time, all of which were open when the row came.

        Every row in time that is older than the row's watermark is there, so these sessions can be told
        without regard to order. The sessions that other marked rows made or stretched cannot: rows near
        those are left to be judged in order, except where the other lies within a session of rows in time.
        """
        keys = list(self.frame.keys)
        sessions = spans.select(*keys, pl.col(WINDOW).alias(TARGET), LAST).sort(TARGET)
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


def _spans_of(spans: pl.DataFrame | None) -> Iterator[Span]:
    if spans is not None:
        columns = (KEY, WINDOW, LAST, SEEN, REVISION, CLOSED, PIECE)
        for key, start, last, seen, revision, closed, piece in spans.select(columns).iter_rows():
            yield Span(key, start, last, seen, revision, closed, [piece])


def _overdue_of(rows: pl.DataFrame) -> list[OverdueRow]:
    return [OverdueRow(*values) for values in rows.select(KEY, EVENT_TIME, BEHIND, SEEN, PIECE).iter_rows()]
