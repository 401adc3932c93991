"""Aggregates over session windows, with lateness, revisions and early results.

A session is a span of event time for one key, and its partials. Rows are first joined to spans, then spans
that touch are joined to each other. Rows in time, also those that are merely out of order, are taken together.

A row behind its partition's watermark may touch a session that is over already, and what becomes of it depends
on the rows before it. It waits until the watermark of the stream has come to the one that it came behind: then
all rows in time before that instant are there, from every partition. So what it finds depends on the order of
rows within partitions alone: neither on how they were cut, nor on how partitions took turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.in_order import KEY
from riverrun.kernel.key_limit import Instants, beyond_room, folded, known_until, rows_in
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.overdue import ROUND_ROWS, Overdue, OverdueRow, Span
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import NO_REFERENCES, Partials, Program, References
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


class SessionWindows:
    """The operator for session windows.

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

    def empty(self) -> SessionState:
        return SessionState()

    def rows(self, state: SessionState) -> int:
        waiting = sum(frame.height for frame in state.waiting)
        return waiting + (0 if state.spans is None else state.spans.height)

    def oldest_us(self, state: SessionState) -> int:
        """Before this instant begins no window that may still come out."""
        first = [frame[EVENT_TIME].min() for frame in state.waiting]
        first += [] if state.spans is None else [state.spans[WINDOW].min()]
        reached = state.watermark_us - self.gap_us - self.lateness_us
        return min([reached, *(at for at in first if isinstance(at, int))])

    def next_close_us(self, state: SessionState) -> int | None:
        found = [frame[BEHIND].min() for frame in state.waiting]
        if state.spans is not None:
            last = state.spans.filter(~pl.col(CLOSED))[LAST].min()
            found += [last + self.gap_us] if isinstance(last, int) else []
        soonest = min((at for at in found if isinstance(at, int)), default=None)
        return None if soonest is None else max(soonest, state.watermark_us)

    # -- rows in ------------------------------------------------------------------------------------

    def step(self, state: SessionState, frame: pl.DataFrame) -> tuple[SessionState, Output]:
        rows = self.frame.ready(frame)
        number = pl.int_range(state.seen, state.seen + rows.height, dtype=pl.Int64).alias(SEEN)
        rows = rows.with_columns(number)
        state = replace(state, seen=state.seen + rows.height)
        if ROW_WATERMARK in rows.columns:
            behind = pl.max_horizontal(ROW_WATERMARK, pl.lit(state.watermark_us))
            rows = rows.with_columns(pl.when(pl.col(ROW_WATERMARK).is_not_null()).then(behind).alias(BEHIND))
        excess = self._excess(state, rows)
        newest = rows[EVENT_TIME].max()
        if isinstance(newest, int) and newest > state.newest_us:
            state = replace(state, newest_us=newest)
        if ROW_WATERMARK in rows.columns:
            marked = rows[BEHIND].is_not_null()
            waiting = rows.select(list(dict.fromkeys(self._kept)))
            waiting = waiting if excess is None else waiting.with_columns(excess.alias(FOLDS))
            waiting = waiting.filter(marked)
            if waiting.height:
                state = replace(state, waiting=(*state.waiting, waiting))
            rows, excess = rows.filter(~marked), None if excess is None else excess.filter(~marked)
        state = self._add(state, folded(rows, excess, self.frame.keys))
        return state, NOTHING if excess is None else Output(beyond=rows_in(excess))

    def _excess(self, state: SessionState, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit, as they came. A key is known as long as a session of it is."""
        keys = self.frame.keys
        if not keys or rows.height + (0 if state.spans is None else state.spans.height) <= self.max_keys:
            return None
        reach_us = self.gap_us + self.lateness_us
        held = None if state.spans is None else known_until(state.spans, keys, pl.col(LAST) + reach_us)
        until = pl.col(EVENT_TIME) + reach_us
        if BEHIND in rows.columns:
            # A row that can only be late makes no session.
            until = pl.when(pl.col(BEHIND) >= until).then(pl.lit(BEFORE_TIME)).otherwise(until)
        instants = Instants(self._reached(state, rows), rows.select(until.alias("until"))["until"])
        return beyond_room(held, rows, keys, self.max_keys, instants)

    def _reached(self, state: SessionState, rows: pl.DataFrame) -> pl.Series:
        """How far the watermark was before each row, by the rows that came here.

        Where partitions take turns, what they have come to together is not known for single rows: then keys
        make room between batches.
        """
        if self.delay_us is None:
            return pl.Series("now", [BEFORE_TIME], dtype=pl.Int64).new_from_index(0, rows.height)
        newest = pl.col(EVENT_TIME).cum_max().shift(1, fill_value=BEFORE_TIME)
        newest = pl.max_horizontal(newest, pl.lit(state.newest_us))
        return rows.select((newest - self.delay_us).alias("now"))["now"]

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

    # -- rows behind the watermark ------------------------------------------------------------------

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
            pieces.insert(0, _shaped(state.partials.map(lambda f: self._placed(f, places)), own))
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
            partials=Partials.concat([state.partials, _shaped(made, state.partials)]),
        )

    # -- results out --------------------------------------------------------------------------------

    def advance(self, state: SessionState, watermark_us: int) -> tuple[SessionState, Output]:
        watermark_us = max(watermark_us, state.watermark_us)
        state, due = self._due(state, watermark_us)
        if due is None and watermark_us == state.watermark_us:
            return state, NOTHING
        frames: list[pl.DataFrame] = []
        late, beyond = None, 0
        if due is not None:
            excess = due[FOLDS].fill_null(value=False) if FOLDS in due.columns else None
            known = folded(due, excess, self.frame.keys).drop(FOLDS, strict=False)
            state, frames, late = self._overdue(state, known)
            missed = due[ROW].is_in(late[ROW].implode())
            late = due.filter(missed)
            beyond = 0 if excess is None else rows_in(excess & ~missed)
        state = replace(state, watermark_us=watermark_us)
        if state.spans is not None:
            closing = ~pl.col(CLOSED) & (pl.col(LAST) + self.gap_us <= watermark_us)
            if state.spans.select(closing.any()).item():
                state, frame = self._put_out(state, closing, final=True)
                frames.append(frame)
            state = self._without_gone(state)
        return state, self._output(frames, late, beyond)

    def _output(self, frames: Sequence[pl.DataFrame], late: pl.DataFrame | None, beyond: int = 0) -> Output:
        """Results by the instant at which each was known, and late rows in the order in which they came."""
        out: tuple[pl.DataFrame, ...] = ()
        if frames:
            together = pl.concat(frames) if len(frames) > 1 else frames[0]
            out = (together.sort(AT, REVISES, SEEN, maintain_order=True).drop(AT, REVISES, SEEN),)
        if late is None or not late.height:
            return Output(out, beyond=beyond) if out or beyond else NOTHING
        told = self.frame.late(late, pl.col(EVENT_TIME), pl.col(EVENT_TIME) + self.gap_us)
        return Output(out, (told,), (late[ROW_ORDER],), beyond=beyond)

    def early(self, state: SessionState) -> tuple[SessionState, Output]:
        if state.spans is None:
            return state, NOTHING
        changed = pl.col(CHANGED) & (pl.col(LAST) + self.gap_us > state.watermark_us)
        if not state.spans.select(changed.any()).item():
            return state, NOTHING
        state, frame = self._put_out(state, changed, final=False)
        return state, self._output([frame], None)

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


def _shaped(partials: Partials, like: Partials) -> Partials:
    """The same columns in the same order."""
    long = {name: table.select(like.long[name].columns) for name, table in partials.long.items()}
    return Partials(partials.wide.select(like.wide.columns), long)


def _spans_of(spans: pl.DataFrame | None) -> Iterator[Span]:
    if spans is not None:
        columns = (KEY, WINDOW, LAST, SEEN, REVISION, CLOSED, PIECE)
        for key, start, last, seen, revision, closed, piece in spans.select(columns).iter_rows():
            yield Span(key, start, last, seen, revision, closed, [piece])


def _overdue_of(rows: pl.DataFrame) -> list[OverdueRow]:
    return [OverdueRow(*values) for values in rows.select(KEY, EVENT_TIME, BEHIND, SEEN, PIECE).iter_rows()]
