"""Aggregates for every row: over the time before it (rolling), or over all before it (running).

The rolling window of a row at t holds the rows of its key within ``(t − period, t]``, those of the same
instant included; the running one the rows up to this one, in the order of event time and then of arrival.
Nothing is ever taken out of an aggregate again. Time is cut into *blocks* of one period; a window lies in
two of them and is merged of two pieces: the end of the block before, which is one of the merges *from* each
row on (made once, when the block is over), and the beginning of its own, one of the merges *up to* each row.
This is the algorithm of van Herk (1992) and of Gil and Werman (1993) for sliding minima, which works for all
that can be merged. A running aggregate has a single block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.each_row import PIECE_ROWS, EachRow, EachRowState, changes
from riverrun.kernel.in_order import KEY, numbered
from riverrun.kernel.prefix import SLOT, STRETCH, in_slots, merged_in, placed, scan, stretch_length
from riverrun.kernel.runs import within
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.references import References
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing
from riverrun.windows.watermark import BEFORE_TIME

BLOCK = f"{PARTIAL_PREFIX}block"
ENTRY = f"{PARTIAL_PREFIX}entry"
PLACE = f"{PARTIAL_PREFIX}place"
NUMBER = f"{PARTIAL_PREFIX}number"
BEGINS = f"{PARTIAL_PREFIX}begins"
FROM = f"{PARTIAL_PREFIX}from"

#: Fewer rows at once where partials are tables, which a scan makes longer.
PIECE_ROWS_LONG = 1_024

#: Each row is a group of its own at first, and its value the best reference.
OWN_REFERENCES = References({}, by_group=True)


@dataclass(frozen=True, slots=True)
class TrailingState(EachRowState):
    """What is remembered.

    Parameters
    ----------
    block : the number of the block of the last rows that were put out.
    entries : partials by keys and instant of that block, in the order of time.
    upto : all of that block merged, by keys.
    before : of the block before, by keys and instant: the merge from that instant to the end of the block.
    """

    block: int = BEFORE_TIME
    entries: tuple[Partials, ...] = ()
    upto: Partials | None = None
    before: Partials | None = None


class TrailingWindows(EachRow[TrailingState]):
    """The operator for rolling and running aggregates."""

    def __init__(self, window: Trailing, frame: WindowFrame, program: Program, *, max_keys: int) -> None:
        super().__init__(window, frame, program, PIECE_ROWS_LONG if program.long else PIECE_ROWS, max_keys)
        #: Without keys there is a single one, so that tables are never joined on nothing.
        self._by_key = list(frame.keys) or [KEY]
        self._by = [*self._by_key, EVENT_TIME]

    def empty(self) -> TrailingState:
        return TrailingState()

    def rows(self, state: TrailingState) -> int:
        kept = [*state.entries, *(part for part in (state.upto, state.before) if part is not None)]
        return state.waiting.rows + sum(part.rows for part in kept)

    def _keys_at_most(self, state: TrailingState) -> int:
        return self.rows(state) - state.waiting.rows

    def _known(self, state: TrailingState) -> pl.DataFrame | None:
        if self.period_us is None:
            return None if state.upto is None else self._until(state.upto.wide, self.frame.keys)
        held = [*state.entries, *([] if state.before is None else [state.before])]
        if not held:
            return None
        return self._until(pl.concat([part.wide.select(self._by) for part in held]), self.frame.keys)

    def _put_out(self, state: TrailingState, piece: pl.DataFrame) -> tuple[TrailingState, pl.DataFrame]:
        state, values = self._told(state, piece)
        return state, self._results(piece, values)

    def told(self, state: TrailingState, rows: pl.DataFrame) -> tuple[TrailingState, pl.DataFrame]:
        """The results of the windows that end with some rows, in their order, which is that of time."""
        found = []
        for piece in self._pieces(rows):
            state, values = self._told(state, piece)
            found.append(values)
        return state, pl.concat(found)

    def _told(self, state: TrailingState, piece: pl.DataFrame) -> tuple[TrailingState, pl.DataFrame]:
        rows, keys, length = self._placed(piece)
        fresh, _ = self.program.of_rows(rows, [SLOT], OWN_REFERENCES)
        at = rows.unique(SLOT, keep="first", maintain_order=True)
        upto = scan(self.program, self._continued(fresh, at, state), length)
        ends = self._ends(state, fresh, at)
        begins = self._window_begins(ends, at, keys)
        whole = upto if begins is None else merged_in(self.program, begins, upto)
        wide = whole.wide.join(at.select(SLOT, pl.col(EVENT_TIME).alias(WINDOW)), on=SLOT, how="left")
        values = self.program.results(Partials(wide, whole.long), [SLOT], self._start, self._end)
        found = rows.select(PLACE, SLOT).join(values, on=SLOT, how="left").sort(PLACE)
        return self._remembering(state, fresh, upto, ends, at), found.select(list(self.program.aggregates))

    def _placed(self, piece: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """The rows by key and time with their slots, the keys, and the length of stretches.

        A stretch is a key's part of a block, and an entry all rows of one instant in it; for running
        aggregates, each row.
        """
        rows, keys = numbered(piece.with_row_index(PLACE), self.frame.keys)
        rows = rows.with_columns(self._block(pl.col(EVENT_TIME)).alias(BLOCK))
        rows = rows.sort(KEY, EVENT_TIME, maintain_order=True)
        begins = changes(KEY) | changes(BLOCK)
        each = pl.int_range(pl.len(), dtype=pl.Int64)
        entry = each if self.period_us is None else (begins | changes(EVENT_TIME)).cum_sum()
        rows = rows.with_columns(
            begins.cum_sum().cast(pl.Int64).alias(STRETCH), entry.cast(pl.Int64).alias(ENTRY)
        )
        rank = pl.col(ENTRY) - pl.col(ENTRY).first().over(STRETCH)
        longest = rows.select(rank.max()).item()
        length = stretch_length(longest + 1)
        return rows.with_columns((pl.col(STRETCH) * length + rank).alias(SLOT)), keys, length

    def _block(self, time: pl.Expr) -> pl.Expr:
        return pl.lit(0, pl.Int64) if self.period_us is None else time // self.period_us

    def _continued(self, fresh: Partials, at: pl.DataFrame, state: TrailingState) -> Partials:
        """The entries, the first ones of the block under way with what it holds already."""
        if state.upto is None:
            return fresh
        heads = at.filter(pl.col(BLOCK) == state.block).unique(self._by_key, keep="first", maintain_order=True)
        begun = placed(state.upto, heads.select(*self._by_key, SLOT), self._by_key)
        return merged_in(self.program, begun, fresh)

    def _ends(self, state: TrailingState, fresh: Partials, at: pl.DataFrame) -> Partials | None:
        """By key and instant: the merge from there to the end of the block, of every block that is over."""
        if self.period_us is None:
            return None
        newest = at[BLOCK].max()
        assert isinstance(newest, int)
        parts = [] if state.before is None else [state.before]
        if newest > state.block:
            over = _concat([*state.entries, _by(fresh, at.filter(pl.col(BLOCK) < newest), self._by)])
            parts += [] if over is None else [self._to_block_ends(over)]
        return _concat(parts)

    def _to_block_ends(self, entries: Partials) -> Partials:
        rows, _ = numbered(entries.wide.select(self._by), self.frame.keys)
        rows = rows.with_columns(self._block(pl.col(EVENT_TIME)).alias(BLOCK)).sort(KEY, EVENT_TIME)
        rows = rows.with_columns((changes(KEY) | changes(BLOCK)).cum_sum().cast(pl.Int64).alias(STRETCH))
        left = (pl.len() - 1 - pl.int_range(pl.len(), dtype=pl.Int64)).over(STRETCH)
        longest = rows.select(left.max()).item()
        length = stretch_length(longest + 1)
        at = rows.with_columns(((pl.col(STRETCH) + 1) * length - 1 - left).alias(SLOT))
        ordered = in_slots([placed(entries, at.select(*self._by, SLOT), self._by)])
        return _by(scan(self.program, ordered, length, backward=True), at, self._by)

    def _window_begins(self, ends: Partials | None, at: pl.DataFrame, keys: pl.DataFrame) -> Partials | None:
        """For each entry, by slot, the part of its window that lies in the block before its own."""
        if ends is None:
            return None
        assert self.period_us is not None
        numbers = keys.select(*self._by_key, pl.col(KEY).alias(NUMBER))
        found = ends.wide.select(self._by).join(
            numbers, on=self._by_key, how="inner", nulls_equal=True, maintain_order="left"
        )
        found = found.select(NUMBER, pl.col(EVENT_TIME).alias(BEGINS)).sort(BEGINS)
        sought = at.select(
            SLOT, pl.col(KEY).alias(NUMBER), BLOCK, (pl.col(EVENT_TIME) - self.period_us + 1).alias(FROM)
        )
        near = sought.sort(FROM).join_asof(
            found, left_on=FROM, right_on=BEGINS, by=NUMBER, strategy="forward", check_sortedness=False
        )
        near = near.filter(pl.col(BEGINS) // self.period_us == pl.col(BLOCK) - 1)
        near = near.join(numbers, on=NUMBER, how="inner").select(
            SLOT, *self._by_key, pl.col(BEGINS).alias(EVENT_TIME)
        )

        def begin(frame: pl.DataFrame) -> pl.DataFrame:
            both = near.join(frame, on=self._by, how="inner", nulls_equal=True, maintain_order="left_right")
            return both.select(SLOT, pl.exclude(SLOT, *self._by))

        return ends.map(begin)

    def _remembering(
        self, state: TrailingState, fresh: Partials, upto: Partials, ends: Partials | None, at: pl.DataFrame
    ) -> TrailingState:
        newest = at[BLOCK].max()
        assert isinstance(newest, int)
        now = at.filter(pl.col(BLOCK) == newest)
        last = now.unique(self._by_key, keep="last", maintain_order=True)
        total = _by(upto, last, self._by_key)
        if state.upto is not None and newest == state.block:
            silent = state.upto.map(lambda f: self._without(f, last))
            total = _concat([silent, total]) or total
        if self.period_us is None:
            return replace(state, block=newest, upto=total)
        entries = _by(fresh, now, self._by)
        if newest == state.block:
            return replace(state, entries=(*state.entries, entries), upto=total)
        first_us, end_us = (newest - 1) * self.period_us, newest * self.period_us
        before = None if ends is None else ends.map(lambda f: within(f, EVENT_TIME, first_us, end_us))
        return replace(state, block=newest, entries=(entries,), upto=total, before=before)

    def _without(self, frame: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
        return frame.join(keys, on=self._by_key, how="anti", nulls_equal=True, maintain_order="left")


def _by(entries: Partials, at: pl.DataFrame, columns: Sequence[str]) -> Partials:
    """Entries at the slots of `at`, by some of its columns in the stead of the slot."""
    places = at.select(SLOT, *columns)

    def name(frame: pl.DataFrame) -> pl.DataFrame:
        both = places.join(frame, on=SLOT, how="inner", maintain_order="left_right")
        return both.drop(SLOT)

    return entries.map(name)


def _concat(parts: Sequence[Partials]) -> Partials | None:
    present = [part for part in parts if part.rows]
    return Partials.concat(present) if present else None
