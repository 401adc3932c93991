"""Aggregates over tumbling, hopping and cumulating windows, with lateness, revisions and early results.

Rows that come in time go into *panes*, the stretches that no window cuts. A row that is behind its
partition's watermark is judged for each of its windows: late beyond the allowed lateness, it is put out as
late; within it, it revises a window that is closed for it; before that it counts as any other. What counts
for some windows of a pane only is kept by window, in *extras*. So which rows a result holds depends on the
order of rows alone, and never on how they were cut into batches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.key_limit import folded, rows_of, without_other
from riverrun.kernel.keyed import first_of_keys, of_other_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.prefix import prefixes
from riverrun.kernel.runs import END, Runs, concat, within
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.counting import RowCount
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES, References
from riverrun.windows.assign import (
    PANE,
    WINDOW,
    first_end_after_pane,
    first_pane_needed,
    first_window_end,
    pane_start,
    pane_start_of,
    window_ends,
    window_start,
)
from riverrun.windows.describe import Cumulating, Fixed
from riverrun.windows.watermark import BEFORE_TIME

#: Columns of this module's own frames.
REVISION = "__p_revision"
RANK = "__p_rank"
BEHIND = "__p_behind"
ROW = "__p_row"

#: Batches that touch at most so many panes, in order, are taken a pane at a time.
FEW_PANES = 4


#: Rows gathered before they are aggregated: many small batches cost as much as one large one.
BUFFER_ROWS = 32_768

#: Where aggregating hardly makes rows fewer, because there are about as many keys: so many rows for each.
BUFFER_ROWS_PER_KEY = 4


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows that wait to be aggregated, with the first and last event time among them."""

    rows: pl.DataFrame
    first_us: int
    last_us: int

    @staticmethod
    def of(rows: pl.DataFrame) -> Gathered:
        return Gathered(rows, *_extent(rows[EVENT_TIME]))

    def split(self, before_us: int) -> tuple[Gathered | None, Gathered | None]:
        """The rows before an instant, and the others."""
        if self.last_us < before_us:
            return self, None
        if self.first_us >= before_us:
            return None, self
        earlier = within(self.rows, EVENT_TIME, BEFORE_TIME, before_us)
        return Gathered.of(earlier), Gathered.of(within(self.rows, EVENT_TIME, before_us, END))


@dataclass(frozen=True, slots=True)
class FixedState:
    """What is remembered.

    Parameters
    ----------
    buffer : rows that are not yet aggregated; see `FixedWindows.step`.
    buffer_rows : how many they are.
    buffer_limit : how many rows are gathered before they are aggregated.
    panes : partials by pane and key.
    extras : partials by window and key, of rows that count for some windows of their pane only.
    pending : partials of single rows, by window, key and place, that revise windows not yet put out, with the
        watermark that each row was behind.
    emitted : by window and key, the number of the last revision; kept where revisions can come.
    changed : windows and keys that changed since the last early results.
    watermark_us : all windows that end by then are closed.
    folded : how many rows had keys beyond `max_keys`.
    """

    buffer: tuple[Gathered, ...] = ()
    buffer_rows: int = 0
    buffer_limit: int = BUFFER_ROWS
    panes: Runs = field(default_factory=Runs)
    extras: Runs = field(default_factory=Runs)
    pending: tuple[Partials, ...] = ()
    emitted: pl.DataFrame | None = None
    changed: tuple[pl.DataFrame, ...] = ()
    references: References = NO_REFERENCES
    watermark_us: int = BEFORE_TIME
    folded: int = 0


#: Results, and the watermark that each was due at.
Dated = tuple[pl.DataFrame, pl.Series]

#: An aggregate that users do not see, and where its partial holds the rows of a group: how many were folded.
ROWS_OF_GROUP = f"{PARTIAL_PREFIX}all_rows"
FOLDED_ROWS = RowCount().column("n")


class FixedWindows:
    """The operator for windows whose bounds are known without any row.

    Parameters
    ----------
    frame : how keys, event time and result columns are made.
    lateness_us : how long after its end a window is still revised.
    revisions : whether results carry `revision` and `final`.
    early_results : whether changes of open windows are remembered for `early`.
    """

    def __init__(
        self,
        window: Fixed,
        frame: WindowFrame,
        program: Program,
        *,
        lateness_us: int = 0,
        early_results: bool = False,
        max_keys: int,
    ) -> None:
        self.window = window
        self.frame = frame
        self.program = program
        self.lateness_us = lateness_us
        self.early_results = early_results
        self.max_keys = max_keys
        self._read = list(dict.fromkeys([*frame.keys, EVENT_TIME, *program.roots]))
        self._end = pl.col(WINDOW)
        self._start = window_start(self._end, window)
        self._by_pane = [PANE, *frame.keys]
        self._by_window = [WINDOW, *frame.keys]

    def empty(self) -> FixedState:
        return FixedState()

    def rows(self, state: FixedState) -> int:
        return state.buffer_rows + state.panes.rows + state.extras.rows

    def oldest_us(self, state: FixedState) -> int:
        """Before this instant begins no window that may still come out."""
        return state.watermark_us - self.lateness_us - self.window.size_us

    # -- rows in ------------------------------------------------------------------------------------

    def step(self, state: FixedState, frame: pl.DataFrame) -> tuple[FixedState, Output]:
        """Take in rows. They are gathered, and aggregated when they are many or a window is about to close."""
        rows = self.frame.ready(frame)
        out = NOTHING
        if ROW_WATERMARK in rows.columns:
            rows, state, out = self._behind(rows, state)
        if rows.height:
            state = self._gather(rows, state)
        if state.buffer_rows >= state.buffer_limit or self.early_results:
            before = state.folded
            state = self._absorb(state)
            out = out if state.folded == before else replace(out, beyond=out.beyond + state.folded - before)
        return state, out

    def _gather(self, rows: pl.DataFrame, state: FixedState) -> FixedState:
        gathered = Gathered.of(rows[self._read])
        return replace(state, buffer=(*state.buffer, gathered), buffer_rows=state.buffer_rows + rows.height)

    def _absorb(self, state: FixedState, before_us: int = END) -> FixedState:
        """Aggregate the rows that were gathered, those before an instant.

        The others wait on, so that the rows of a window are mostly aggregated in one go.
        """
        parts = [item.split(before_us) for item in state.buffer]
        rows = concat(early.rows for early, _ in parts if early is not None)
        if rows is None:
            return state
        rest = tuple(later for _, later in parts if later is not None)
        state = replace(state, buffer=rest, buffer_rows=sum(item.rows.height for item in rest))
        groups = 0
        for piece, pane in self._pieces(rows):
            partials, references = self._pane_partials(piece, pane, state.references)
            groups += partials.rows
            changed = self._changed_by(partials, state) if self.early_results else state.changed
            panes = state.panes.added(partials, self.program, self._by_pane)
            state = replace(state, panes=panes, references=references, changed=changed)
        # Beyond the limit most keys are folded into one: gathering more of them only takes memory.
        per_key = BUFFER_ROWS_PER_KEY if groups <= self.max_keys else 1
        limit = max(BUFFER_ROWS, per_key * min(groups, self.max_keys))
        return self._bounded(replace(state, buffer_limit=limit), slack=2)

    def _bounded(self, state: FixedState, slack: int) -> FixedState:
        """Fold keys beyond `max_keys`; with `slack`, only once there are so many times more partials."""
        if state.panes.rows <= slack * self.max_keys:
            return state
        panes, folded = state.panes.bounded(self.program, PANE, self.frame.keys, self.max_keys, FOLDED_ROWS)
        return replace(state, panes=panes, folded=state.folded + folded)

    def _pieces(self, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, int | None]]:
        """The rows of each pane apart, when there are few and in order; else all together (``None``).

        Live data mostly lies in one pane. Then keys alone group it, which is faster than pane and keys.
        """
        first, last = _extent(rows[EVENT_TIME])
        pane, size = pane_start_of(first, self.window), self.window.pane_us
        if not self.frame.keys or last - pane >= FEW_PANES * size:
            yield rows, None
        elif last < pane + size:
            yield rows, pane
        elif not rows[EVENT_TIME].is_sorted():
            yield rows, None
        else:
            while rows.height:
                # By hand: a search through Polars waits for the thread pool.
                count = bisect_left(rows[EVENT_TIME], pane + size)
                if count:
                    yield rows[:count], pane
                rows, pane = rows[count:], pane + size

    def _pane_partials(
        self, rows: pl.DataFrame, pane: int | None, references: References
    ) -> tuple[Partials, References]:
        """Partials by pane and key."""
        if pane is None:
            rows = rows.with_columns(pane_start(pl.col(EVENT_TIME), self.window).alias(PANE))
            return self.program.of_rows(rows, self._by_pane, references)
        partials, references = self.program.of_rows(rows, self.frame.keys, references)
        column = pl.Series(PANE, [pane], dtype=pl.Int64)
        return partials.map(lambda f: f.insert_column(0, column.new_from_index(0, f.height))), references

    def _changed_by(self, partials: Partials, state: FixedState) -> tuple[pl.DataFrame, ...]:
        upto_us = END
        if isinstance(self.window, Cumulating):
            # The windows that end later hold the same rows as the one that ends after the newest.
            newest = [run.partials.wide[PANE].max() for run in state.panes.items] + [partials.wide[PANE].max()]
            upto_us = max(pane for pane in newest if isinstance(pane, int)) + self.window.pane_us
        open_ones = self._to_windows(partials.wide[self._by_pane], state.watermark_us, upto_us)
        return (*state.changed, open_ones.select(self._by_window).unique(maintain_order=True))

    def _behind(self, rows: pl.DataFrame, state: FixedState) -> tuple[pl.DataFrame, FixedState, Output]:
        """Judge the rows behind the watermark; return the others."""
        seen = pl.max_horizontal(pl.col(ROW_WATERMARK), pl.lit(state.watermark_us)).alias(BEHIND)
        marked = rows.with_columns(pl.when(pl.col(ROW_WATERMARK).is_not_null()).then(seen).alias(BEHIND))
        in_time = pl.col(BEHIND).is_null() | (
            first_window_end(pl.col(EVENT_TIME), self.window).fill_null(BEFORE_TIME) > pl.col(BEHIND)
        )
        judged = marked.filter(~in_time)
        rest = marked.filter(in_time).drop(BEHIND, ROW_WATERMARK)
        if not judged.height:
            return rest, state, NOTHING
        each = judged.with_row_index(ROW).with_columns(
            window_ends(pl.col(EVENT_TIME), self.window).alias(WINDOW)
        )
        each = each.explode(WINDOW).filter(pl.col(WINDOW).is_not_null())
        late = each.filter(pl.col(BEHIND) >= self._end + self.lateness_us)
        kept = each.filter(pl.col(BEHIND) < self._end + self.lateness_us)
        excess = self._late_excess(kept, state)
        beyond = 0 if excess is None else kept.filter(excess)[ROW].n_unique()
        kept = folded(kept, excess, self.frame.keys)
        closed = pl.col(BEHIND) >= self._end
        state = self._add_extras(kept.filter(~closed), state)
        state = self._add_pending(kept.filter(closed), state)
        refused = late.filter(~pl.col(ROW).is_in(kept[ROW].implode()))[ROW_ORDER].unique()
        told = self.frame.late(late, self._start, self._end)
        late_rows = late[ROW].n_unique()
        return rest, state, Output(late=(told,), refused=(refused,), late_rows=late_rows, beyond=beyond)

    def _late_excess(self, rows: pl.DataFrame, state: FixedState) -> pl.Series | None:
        """Of rows kept by window, those of keys beyond the limit: so many keys of such rows has each window."""
        parts = [run.partials.wide for run in state.extras.items] + [part.wide for part in state.pending]
        keys = self.frame.keys
        if not keys or sum(part.height for part in parts) + rows.height <= self.max_keys:
            return None
        new = without_other(first_of_keys(rows, self._by_window), keys)
        known = pl.lit(0)
        if parts:
            held = first_of_keys(pl.concat([part.select(self._by_window) for part in parts]), self._by_window)
            new = of_other_keys(new, held, self._by_window)
            counts = without_other(held, keys).group_by(WINDOW).agg(pl.len().cast(pl.Int64).alias(RANK))
            new = new.join(counts, on=WINDOW, how="left", maintain_order="left")
            known = pl.col(RANK).fill_null(0)
        place = pl.int_range(pl.len(), dtype=pl.Int64).over(WINDOW)
        return rows_of(rows, new.filter(place + known >= self.max_keys), self._by_window)

    def _add_extras(self, rows: pl.DataFrame, state: FixedState) -> FixedState:
        if not rows.height:
            return state
        partials, references = self.program.of_rows(rows, self._by_window, state.references)
        changed = state.changed
        if self.early_results:
            changed = (*changed, partials.wide.select(self._by_window))
        extras = state.extras.added(partials, self.program, self._by_window)
        return replace(state, extras=extras, references=references, changed=changed)

    def _add_pending(self, rows: pl.DataFrame, state: FixedState) -> FixedState:
        if not rows.height:
            return state
        place = pl.int_range(pl.len(), dtype=pl.Int64).over(self._by_window).alias(RANK)
        partials, references = self.program.of_rows(
            rows.with_columns(place), [*self._by_window, RANK], state.references
        )
        # Each row is a group of its own, so they stand in the order of the rows.
        pending = Partials(partials.wide.with_columns(rows[BEHIND]), partials.long)
        return replace(state, pending=(*state.pending, pending), references=references)

    # -- results out --------------------------------------------------------------------------------

    def next_close_us(self, state: FixedState) -> int | None:
        """The end of the next window that holds something; now, when a revision waits for a closed one."""
        every = self.window.every_us
        ends = [_minimum(part.wide[WINDOW]) for part in state.pending]
        if any(end is not None and end <= state.watermark_us for end in ends):
            return state.watermark_us
        ends += [_minimum(run.partials.wide[WINDOW]) for run in state.extras.items]
        panes = [_minimum(run.partials.wide[PANE]) for run in state.panes.items]
        if state.buffer:
            # Asked for after every batch, so of many gathered ones only the earliest is looked up.
            panes.append(pane_start_of(min(item.first_us for item in state.buffer), self.window))
        ends += [None if pane is None else first_end_after_pane(pane, self.window) for pane in panes]
        earliest = min((end for end in ends if end is not None), default=None)
        if earliest is None or earliest > state.watermark_us:
            return earliest
        return earliest + ((state.watermark_us - earliest) // every + 1) * every

    def advance(self, state: FixedState, watermark_us: int) -> tuple[FixedState, Output]:
        due = self.next_close_us(state)
        after_us, upto_us = state.watermark_us, max(state.watermark_us, watermark_us)
        if due is None or upto_us < due:
            return replace(state, watermark_us=upto_us), NOTHING
        before = state.folded
        state = self._absorb(state, pane_start_of(upto_us, self.window))
        state = replace(self._bounded(state, slack=1), watermark_us=upto_us)
        beyond = state.folded - before
        dated: list[Dated] = []
        results = self._close(state, after_us, upto_us)
        if results is not None:
            frame, state = self._numbered(results, state, final=True)
            dated.append((frame, results.wide[WINDOW]))
        if state.pending:
            revised, state = self._revise(state)
            dated += revised
        state = self._forget(state)
        if not dated:
            return state, Output(beyond=beyond) if beyond else NOTHING
        return state, Output(frames=(_in_turn(dated),), beyond=beyond)

    def _close(self, state: FixedState, after_us: int, upto_us: int) -> Partials | None:
        """The merged partials of windows with ``after < end <= upto``, by window end and first appearance."""
        # A pane lies in no window that ends later than one size after its start.
        oldest = after_us - self.window.size_us + 1
        runs = state.panes.within(PANE, oldest, upto_us - self.window.pane_us + 1)
        parts = [Partials.concat(runs).map(lambda f: self._to_windows(f, after_us, upto_us))] if runs else []
        parts += state.extras.within(WINDOW, after_us + 1, upto_us + 1)
        return self._merged_windows(parts, several=len(runs) > 1)

    def _merged_windows(self, parts: Sequence[Partials], *, several: bool) -> Partials | None:
        """`several`: whether panes come from several runs."""
        parts = [part for part in parts if part.rows]
        if not parts:
            return None
        # A single run over tumbling windows holds every group once.
        once = len(parts) == 1 and self.window.tumbling and not several
        merged = parts[0] if once else self.program.merge(parts, self._by_window)
        first, last = _extent(merged.wide[WINDOW])
        wide = merged.wide if first == last else merged.wide.sort(WINDOW, maintain_order=True)
        return Partials(wide, merged.long)

    def _to_windows(self, frame: pl.DataFrame, after_us: int, upto_us: int) -> pl.DataFrame:
        """Rows of panes once for each window that they belong to and that ends in ``(after, upto]``."""
        if self.window.tumbling:
            # By columns: a query waits for the thread pool.
            end = (frame[PANE] + self.window.size_us).alias(WINDOW)
            windows = pl.DataFrame([end, *(column for column in frame if column.name != PANE)])
            return within(windows, WINDOW, after_us + 1, upto_us + 1)
        ends = window_ends(pl.col(PANE), self.window, after_us, upto_us).alias(WINDOW)
        windows = frame.with_columns(ends).drop(PANE).explode(WINDOW, empty_as_null=False)
        return windows.select(WINDOW, pl.exclude(WINDOW))

    def _numbered(self, merged: Partials, state: FixedState, *, final: bool) -> tuple[pl.DataFrame, FixedState]:
        """Results of merged partials, with the next revision number of each, and the state that knows of it."""
        results = self._results(merged)
        if not self.frame.revisions:
            return results, state
        groups = merged.wide.select(self._by_window)
        if state.emitted is None:
            numbers = groups.with_columns(pl.lit(0, pl.UInt32).alias(REVISION))
        else:
            known = groups.join(
                state.emitted, on=self._by_window, how="left", nulls_equal=True, maintain_order="left"
            )
            numbers = known.with_columns((pl.col(REVISION) + 1).fill_null(0).cast(pl.UInt32))
        results = self.frame.numbered(results, numbers[REVISION], final=final)
        return results, replace(state, emitted=self._remember(state.emitted, numbers))

    def _remember(self, emitted: pl.DataFrame | None, numbers: pl.DataFrame) -> pl.DataFrame:
        both = numbers if emitted is None else pl.concat([emitted, numbers])
        return both.unique(self._by_window, keep="last", maintain_order=True)

    def _results(self, merged: Partials, extra: Sequence[str] = ()) -> pl.DataFrame:
        by = [*self._by_window, *extra]
        values = self.program.results(merged, by, self._start, self._end)
        end = values[WINDOW]
        return self.frame.results(values, window_start(end, self.window), end)

    def _revise(self, state: FixedState) -> tuple[list[Dated], FixedState]:
        """Each pending row of a closed window gives one revision: everything up to that row."""
        now, later = [], []
        for part in state.pending:
            due = part.map(lambda f: f.filter(self._end <= state.watermark_us))
            rest = part.map(lambda f: f.filter(self._end > state.watermark_us))
            now += [due] if due.rows else []
            later += [rest] if rest.rows else []
        state = replace(state, pending=tuple(later))
        dated = []
        for part in now:
            rows = Partials(part.wide.drop(BEHIND), part.long)
            frame, state = self._revise_with(rows, state)
            dated.append((frame, part.wide[BEHIND]))
        return dated, state

    def _revise_with(self, part: Partials, state: FixedState) -> tuple[pl.DataFrame, FixedState]:
        windows = part.wide.select(self._by_window).unique(maintain_order=True)
        base = self._base_of(windows, state)
        upto = prefixes(self.program, base, part, self._by_window, RANK)
        results = self._results(upto, extra=[RANK])
        numbers = upto.wide.select(*self._by_window, RANK)
        if state.emitted is not None:
            numbers = numbers.join(
                state.emitted, on=self._by_window, how="left", nulls_equal=True, maintain_order="left"
            )
        else:
            numbers = numbers.with_columns(pl.lit(None, pl.UInt32).alias(REVISION))
        number = ((pl.col(REVISION).cast(pl.Int64) + 1).fill_null(0) + pl.col(RANK)).cast(pl.UInt32)
        numbers = numbers.with_columns(number.alias(REVISION))
        results = self.frame.numbered(results, numbers[REVISION], final=True)
        emitted = self._remember(state.emitted, numbers.select(*self._by_window, REVISION))
        added = self.program.merge([part.map(lambda f: f.drop(RANK))], self._by_window)
        extras = state.extras.added(added, self.program, self._by_window)
        return results, replace(state, emitted=emitted, extras=extras)

    def _base_of(self, windows: pl.DataFrame, state: FixedState) -> Partials | None:
        """What the given windows hold by now."""
        first, last = _extent(windows[WINDOW])
        runs = state.panes.within(PANE, first - self.window.size_us, last)
        parts = []
        if runs:
            panes = Partials.concat(runs)
            parts.append(panes.map(lambda f: self._in_windows(self._to_windows(f, first - 1, last), windows)))
        parts += state.extras.semi_join(windows, self._by_window)
        return self._merged_windows(parts, several=True)

    def _in_windows(self, frame: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
        return frame.join(windows, on=self._by_window, how="semi", nulls_equal=True, maintain_order="left")

    def early(self, state: FixedState) -> tuple[FixedState, Output]:
        changed = concat(state.changed)
        state = replace(state, changed=())
        if changed is None:
            return state, NOTHING
        windows = changed.unique(maintain_order=True).filter(self._end > state.watermark_us)
        base = self._base_of(windows, state) if windows.height else None
        if base is None:
            return state, NOTHING
        frame, state = self._numbered(base, state, final=False)
        return state, Output(frames=(frame,))

    def _forget(self, state: FixedState) -> FixedState:
        """Drop what no window needs any more."""
        gone_by = state.watermark_us - self.lateness_us
        emitted = state.emitted
        if emitted is not None:
            emitted = within(emitted, WINDOW, gone_by + 1, END)
        return replace(
            state,
            panes=state.panes.since(PANE, first_pane_needed(gone_by, self.window)),
            extras=state.extras.since(WINDOW, gone_by + 1),
            emitted=emitted,
        )


def _in_turn(dated: Sequence[Dated]) -> pl.DataFrame:
    """All results, in the order in which they would come if each row came by itself."""
    if len(dated) == 1:
        return dated[0][0]
    at = pl.DataFrame({"at_us": pl.concat([times for _, times in dated])}).with_row_index("row")
    return pl.concat([frame for frame, _ in dated])[at.sort("at_us", maintain_order=True)["row"]]


def _extent(values: pl.Series) -> tuple[int, int]:
    low, high = values.min(), values.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high


def _minimum(values: pl.Series) -> int | None:
    low = values.min()
    return low if isinstance(low, int) else None
