"""Rolling and running aggregates whose partials are merged row by row: moments, sums, counts, extremes.

The algorithm is that of `riverrun.kernel.trailing`, on rows that stand by key and then by time, so that all is
told by places and nothing is grouped or joined. Every row is an entry of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.each_row import PIECE_ROWS, EachRow, EachRowState, changes
from riverrun.kernel.in_order import KEY
from riverrun.kernel.key_numbers import OLD, renumbered, with_new_numbers, with_numbers
from riverrun.kernel.paired_scan import RANK, scanned
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.paired import PairedProgram
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing
from riverrun.windows.watermark import BEFORE_TIME

BLOCK = f"{PARTIAL_PREFIX}block"
PLACE = f"{PARTIAL_PREFIX}place"
FROM = f"{PARTIAL_PREFIX}from"
AT = f"{PARTIAL_PREFIX}at"


@dataclass(frozen=True, slots=True)
class PairedState(EachRowState):
    """What is remembered. All frames have `KEY`, `EVENT_TIME` and partials.

    Parameters
    ----------
    keys : the number (`KEY`) of each key.
    block : the number of the block of the last rows that were put out.
    entries : the rows of that block, in the order in which they were put out.
    upto : by key, all of that block merged.
    before : the rows of the block before, by key and time: the merge from each to the end of the block.
    """

    keys: pl.DataFrame | None = None
    block: int = BEFORE_TIME
    entries: tuple[pl.DataFrame, ...] = ()
    upto: pl.DataFrame | None = None
    before: pl.DataFrame | None = None


class PairedTrailing(EachRow[PairedState]):
    """The operator for rolling and running aggregates of partials that can be paired."""

    def __init__(self, window: Trailing, frame: WindowFrame, program: Program, *, max_keys: int) -> None:
        super().__init__(window, frame, program, PIECE_ROWS, max_keys)
        self.paired = PairedProgram(program)
        self._kept = [KEY, EVENT_TIME, *self.paired.columns]

    def empty(self) -> PairedState:
        return PairedState()

    def rows(self, state: PairedState) -> int:
        return state.waiting.rows + self.held(state)

    def held(self, state: PairedState) -> int:
        """The entries and merges that are remembered."""
        kept = [*state.entries, *(frame for frame in (state.upto, state.before) if frame is not None)]
        return sum(frame.height for frame in kept)

    def _keys_at_most(self, state: PairedState) -> int:
        return 0 if state.keys is None else state.keys.height

    def _known(self, state: PairedState) -> pl.DataFrame | None:
        if state.keys is None or state.upto is None:
            return None
        held = [state.upto, *state.entries, *([] if state.before is None else [state.before])]
        rows = pl.concat([frame.select(KEY, EVENT_TIME) for frame in held])
        return self._until(rows, [KEY]).join(state.keys, on=KEY, how="inner").drop(KEY)

    def _put_out(self, state: PairedState, piece: pl.DataFrame) -> tuple[PairedState, pl.DataFrame]:
        state = state if self.period_us is None else _without_old_keys(state)
        rows, keys = with_numbers(piece, self.frame.keys, state.keys)
        state, wide = self.merged(replace(state, keys=keys), rows.with_row_index(PLACE))
        wide = wide.with_columns(pl.col(EVENT_TIME).alias(WINDOW))
        values = self.program.results(Partials(wide, {}), [PLACE], self._start, self._end)
        return state, self._results(piece, values)

    def merged(self, state: PairedState, rows: pl.DataFrame) -> tuple[PairedState, pl.DataFrame]:
        """The partials of the windows that end with some rows, which have `KEY` and `PLACE`, in their order."""
        fresh = self._by_key(self.paired.each(rows).select(PLACE, *self._kept))
        upto = self._upto(state, fresh)
        ends = self._ends(state, fresh)
        own = upto.filter(pl.col(PLACE).is_not_null())
        whole = own if ends is None else self.paired.merged(self._begins(ends, own), own)
        if self.period_us is not None:
            whole = _of_the_last_of_an_instant(whole, self.paired.columns)
        whole = whole.sort(PLACE) if self.frame.keys else whole
        state = self._remembering(state, fresh, upto, ends)
        return state, whole.select(EVENT_TIME, PLACE, *self.paired.columns)

    def _by_key(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows in the order of time by key and time."""
        return rows.sort(KEY, maintain_order=True) if self.frame.keys else rows

    def _block(self) -> pl.Expr:
        time = pl.col(EVENT_TIME)
        return pl.lit(0, pl.Int64) if self.period_us is None else time // self.period_us

    def _upto(self, state: PairedState, fresh: pl.DataFrame) -> pl.DataFrame:
        """The merge of each block up to each row. What the state holds stands first, without a place."""
        rows = fresh
        if state.upto is not None:
            begun = state.upto.select(pl.lit(None, fresh.schema[PLACE]).alias(PLACE), *self._kept)
            rows = self._by_key(pl.concat([begun, fresh]))
        return scanned(self.paired, self._in_stretches(rows))

    def _in_stretches(self, rows: pl.DataFrame, *, backward: bool = False) -> pl.DataFrame:
        """With `BLOCK` and the `RANK` of each row among those of its key and block."""
        begins = changes(KEY) | changes(BLOCK)
        at = pl.int_range(pl.len(), dtype=pl.Int64)
        if backward:
            last = begins.shift(-1, fill_value=True)
            rank = pl.when(last).then(at).backward_fill() - at
        else:
            rank = at - pl.when(begins).then(at).forward_fill()
        return rows.with_columns(self._block().alias(BLOCK)).with_columns(rank.alias(RANK))

    def _ends(self, state: PairedState, fresh: pl.DataFrame) -> pl.DataFrame | None:
        """By key and time: the merge from each row to the end of its block, of every block that is over."""
        if self.period_us is None:
            return None
        newest = fresh.select(self._block().max()).item()
        parts = [] if state.before is None else [state.before]
        if newest > state.block:
            over = fresh.filter(self._block() < newest).select(self._kept)
            rows = self._by_key(pl.concat([*state.entries, over]))
            rows = self._in_stretches(rows, backward=True)
            parts.append(scanned(self.paired, rows, backward=True).select(self._kept))
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else self._by_key(pl.concat(parts))

    def _begins(self, ends: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
        """Beside each row the part of its window that lies in the block before its own."""
        assert self.period_us is not None
        found = ends.select(KEY, EVENT_TIME).with_row_index(AT).sort(EVENT_TIME, maintain_order=True)
        sought = own.select(KEY, BLOCK, (pl.col(EVENT_TIME) - self.period_us + 1).alias(FROM))
        near = sought.with_row_index(PLACE).sort(FROM)
        near = near.join_asof(
            found,
            left_on=FROM,
            right_on=EVENT_TIME,
            by=KEY,
            strategy="forward",
            check_sortedness=False,
            coalesce=False,
        ).sort(PLACE)
        fits = pl.col(EVENT_TIME) // self.period_us == pl.col(BLOCK) - 1
        return ends.select(self.paired.columns)[near.select(pl.when(fits).then(pl.col(AT)))[AT]]

    def _remembering(
        self, state: PairedState, fresh: pl.DataFrame, upto: pl.DataFrame, ends: pl.DataFrame | None
    ) -> PairedState:
        newest = upto[BLOCK].max()
        assert isinstance(newest, int)
        total = upto.filter(pl.col(BLOCK) == newest).filter(changes(KEY).shift(-1, fill_value=True))
        state = replace(state, upto=total.select(self._kept))
        if self.period_us is None:
            return state
        entries = fresh.filter(self._block() == newest).select(self._kept)
        if newest == state.block:
            return replace(state, entries=(*state.entries, entries))
        before = None if ends is None else ends.filter(self._block() == newest - 1)
        return replace(state, block=newest, entries=(entries,), before=before)


def _of_the_last_of_an_instant(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Rows of one instant and key with what the last of them has."""
    more = (changes(KEY) | changes(EVENT_TIME)).shift(-1, fill_value=True)
    last = rows.select(more.alias(AT))[AT]
    if last.all():
        return rows
    at = pl.int_range(pl.len(), dtype=pl.Int64)
    places = rows.select(pl.when(last).then(at).backward_fill().alias(AT))[AT]
    return rows.drop(columns).hstack(rows.select(columns)[places])


def _without_old_keys(state: PairedState) -> PairedState:
    """Without the numbers of keys of which nothing is remembered, once these are many."""
    if state.keys is None or state.upto is None:
        return state
    parts = [state.upto, *state.entries, *([] if state.before is None else [state.before])]
    kept = renumbered(state.keys, parts)
    if kept is None:
        return state
    upto, *rest = (with_new_numbers(frame, kept) for frame in parts)
    entries, before = rest[: len(state.entries)], rest[len(state.entries) :]
    keys = kept.drop(OLD)
    return replace(state, keys=keys, upto=upto, entries=tuple(entries), before=before[0] if before else None)
