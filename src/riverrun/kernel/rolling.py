"""Rolling aggregates that are told by sums of whole numbers: counts, sums, moments, extremes, first and last.

What is remembered are the rows of the last period, and by key the sums over them. When new rows come, there are
three kinds: rows that *leave*, which some of the new windows hold and others do not; rows *between*, which all
new windows of their key hold; and the new rows. Windows are told at once from running sums over what leaves and
what is new (`riverrun.kernel.window_sums`), with the sums over what lies between, so that neither the length of
a window nor the number of keys makes much difference. Extremes, first and last need all rows.

Whatever cannot be told to the last digits in this way is told from all rows, or a few windows from their own
ones; when they are many, all is merged row by row for a while (`riverrun.kernel.paired_trailing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.by_key import grown, less, more, none_by_key, sums_by_key
from riverrun.kernel.each_row import PIECE_ROWS, EachRow, EachRowState
from riverrun.kernel.held_rows import appended, cut, series_of
from riverrun.kernel.in_order import KEY
from riverrun.kernel.key_numbers import OLD, renumbered, with_new_numbers, with_numbers
from riverrun.kernel.paired_trailing import AT, PLACE, PairedState, PairedTrailing
from riverrun.kernel.window_axes import Layout, addends, laid_out
from riverrun.kernel.window_frame import WindowFrame
from riverrun.kernel.window_sums import parts_of, window_sums
from riverrun.stats.paired import can_be_paired
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.references import References
from riverrun.stats.windowed import FIRST, LAST, LENGTH, Needs, picked
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing

#: So many windows of all may be doubtful before all rows are laid out anew.
DOUBTFUL_SHARE = 1 / 8
#: Windows are computed again from their rows as long as these are at most so many times all rows.
AGAIN_TIMES = 2

#: The number of a window that is computed again.
GROUP = f"{PARTIAL_PREFIX}group"
AT_ROW = pl.int_range(pl.len(), dtype=pl.Int64)
ABOUT_MEANS = References({}, by_group=True)


@dataclass(frozen=True, slots=True)
class RollingState(EachRowState):
    """What is remembered.

    Parameters
    ----------
    keys : the number (`KEY`) of each key.
    held : the rows of the last period in the order of time: `KEY`, `EVENT_TIME`, and what aggregates read.
    layout : of the sums.
    sums : by the number of a key, the sums over its held rows, and how many these are.
    merged : while windows are merged row by row, the state of that.
    merged_rows : so many rows will be merged before sums are tried again.
    """

    keys: pl.DataFrame | None = None
    held: tuple[pl.DataFrame, ...] = ()
    layout: Layout | None = None
    sums: pl.DataFrame | None = None
    merged: PairedState | None = None
    merged_rows: int = 0


@dataclass(frozen=True, slots=True)
class _Told:
    """The partials of new rows' windows, in the order of these, and the layout and sums to go on with."""

    wide: pl.DataFrame
    layout: Layout | None
    sums: pl.DataFrame | None


class RollingWindows(EachRow[RollingState]):
    """The operator for rolling aggregates all of whose partials say what they need (`Program.windowed`)."""

    def __init__(self, window: Trailing, frame: WindowFrame, program: Program, *, max_keys: int) -> None:
        super().__init__(window, frame, program, PIECE_ROWS, max_keys)
        assert window.period_us is not None
        self.merging = PairedTrailing(window, frame, program, max_keys=max_keys)
        self._period_us = window.period_us
        self._period = f"{window.period_us}i"
        self._kept = list(dict.fromkeys([KEY, EVENT_TIME, *program.roots]))

    def empty(self) -> RollingState:
        return RollingState()

    def rows(self, state: RollingState) -> int:
        held = sum(frame.height for frame in state.held)
        return state.waiting.rows + held + (0 if state.merged is None else self.merging.held(state.merged))

    def _keys_at_most(self, state: RollingState) -> int:
        return 0 if state.keys is None else state.keys.height

    def _known(self, state: RollingState) -> pl.DataFrame | None:
        if state.keys is None or not state.held:
            return None
        rows = pl.concat([frame.select(KEY, EVENT_TIME) for frame in state.held])
        return self._until(rows, [KEY]).join(state.keys, on=KEY, how="inner").drop(KEY)

    def _put_out(self, state: RollingState, piece: pl.DataFrame) -> tuple[RollingState, pl.DataFrame]:
        state = _without_old_keys(state)
        rows, keys = with_numbers(piece, self.frame.keys, state.keys)
        fresh = rows.with_row_index(PLACE).select(PLACE, *self._kept)
        gone_us = piece[EVENT_TIME][-1] - self._period_us
        count = 1 if keys is None else keys.height
        told = self._told(state, fresh, gone_us, count) if state.merged_rows <= 0 else None
        if told is None:
            state, wide = self._merged(state, fresh)
        else:
            wide = told.wide
            state = replace(state, layout=told.layout, sums=told.sums, merged=None)
        values = self._values(wide, piece)
        held = appended(cut(state.held, gone_us)[1], cut([fresh.select(self._kept)], gone_us)[1])
        return replace(state, keys=keys, held=held), self._results(piece, values)

    def _values(self, wide: pl.DataFrame, piece: pl.DataFrame) -> pl.DataFrame:
        places = pl.int_range(pl.len()).alias(PLACE)
        wide = wide.select(*self.merging.paired.columns, piece[EVENT_TIME].alias(WINDOW), places)
        return self.program.results(Partials(wide, {}), [PLACE], self._start, self._end)

    # -- by sums ------------------------------------------------------------------------------------

    def _told(self, state: RollingState, fresh: pl.DataFrame, gone_us: int, count: int) -> _Told | None:
        if state.layout is not None and state.sums is not None:
            told = self._continued(state, state.layout, grown(state.sums, count), fresh, gone_us)
            if told is not None:
                return told
        return self._begun(state, fresh, gone_us, count)

    def _continued(
        self, state: RollingState, layout: Layout, sums: pl.DataFrame, fresh: pl.DataFrame, gone_us: int
    ) -> _Told | None:
        """From the sums over what is held; ``None`` if new rows do not fit into their layout."""
        leaving, _ = cut(state.held, gone_us)
        series = self._series(leaving, fresh)
        incomplete = () if series is None else self._incomplete(series, layout)
        if series is None or incomplete != layout.incomplete:
            return None
        needs = self._needs(incomplete)
        laid = laid_out(needs, series, 0, incomplete, layout)
        if laid is None:
            return None
        layout, axes = laid
        added = addends(needs, series, axes)
        is_new = series[PLACE].is_not_null()
        between = less(sums, sums_by_key(added, series[KEY], ~is_new)) if leaving else sums
        windows = window_sums(added, series, self._places(series, fresh[PLACE]), between)
        longest = windows[LENGTH].max()
        if isinstance(longest, int) and longest > layout.longest:
            return None
        parts, doubtful = parts_of(needs, windows, axes)
        if doubtful.sum() > DOUBTFUL_SHARE * fresh.height:
            return None
        wide = self._typed(parts)
        if doubtful.any():
            wide_again = self._corrected(state, fresh, wide, doubtful)
            if wide_again is None:
                return None
            wide = wide_again
        stay = is_new & (series[EVENT_TIME] > gone_us)
        return _Told(wide, layout, more(between, sums_by_key(added, series[KEY], stay)))

    def _begun(self, state: RollingState, fresh: pl.DataFrame, gone_us: int, count: int) -> _Told | None:
        """From all rows, laid out anew; ``None`` if too many windows are doubtful."""
        series = self._series(state.held, fresh)
        if series is None:
            return None
        needs = self._needs(self._incomplete(series, None))
        whole = self._from_all(needs, series, fresh[PLACE])
        if whole is None:
            return None
        wide, layout, added = whole
        if needs.picked:
            return _Told(wide, None, None)
        stay = sums_by_key(added, series[KEY], series[EVENT_TIME] > gone_us)
        return _Told(wide, layout, more(grown(none_by_key(added), count), stay))

    def _corrected(
        self, state: RollingState, fresh: pl.DataFrame, wide: pl.DataFrame, doubtful: pl.Series
    ) -> pl.DataFrame | None:
        """With doubtful windows told again from all rows of their keys."""
        keys = fresh[KEY].filter(doubtful).unique().implode()
        own = pl.col(KEY).is_in(keys)
        series = self._series([frame.filter(own) for frame in state.held], fresh.filter(own))
        assert series is not None
        again = self._from_all(
            self._needs(self._incomplete(series, None)), series, fresh[PLACE].filter(doubtful)
        )
        return None if again is None else _replaced(wide, doubtful, again[0])

    def _from_all(
        self, needs: Needs, series: pl.DataFrame, wanted: pl.Series
    ) -> tuple[pl.DataFrame, Layout, pl.DataFrame] | None:
        """The partials of some rows' windows from all rows, with the layout and what was added up."""
        places = self._places(series, wanted)
        longest = series[LENGTH].max()
        assert isinstance(longest, int)
        laid = laid_out(needs, series, longest, self._incomplete(series, None))
        assert laid is not None
        layout, axes = laid
        added = addends(needs, series, axes)
        windows = window_sums(added, series, places)
        if needs.picked:
            chosen = series.select(expr.alias(picked(name)) for name, expr in needs.picked.items())
            windows = windows.hstack(chosen[places])
        parts, doubtful = parts_of(needs, windows, axes, series)
        wide = self._typed(parts)
        if doubtful.any():
            again = self._one_by_one(series, places.filter(doubtful))
            if again is None:
                return None
            wide = _replaced(wide, doubtful, again)
        return wide, layout, added

    def _one_by_one(self, series: pl.DataFrame, places: pl.Series) -> pl.DataFrame | None:
        """The partials of some windows, each from its own rows, unless these are too many."""
        spans = series.select(FIRST, LAST, LENGTH)[places]
        if spans[LENGTH].sum() > AGAIN_TIMES * series.height:
            return None
        rows = spans.with_row_index(GROUP).select(
            GROUP, pl.int_ranges(pl.col(FIRST), pl.col(LAST) + 1, dtype=pl.Int64).alias(AT)
        )
        rows = rows.explode(AT)
        rows = rows.select(GROUP).hstack(series.select(self._kept)[rows[AT]])
        return self.program.of_rows(rows, [GROUP], ABOUT_MEANS)[0].wide.drop(GROUP)

    # -- rows ---------------------------------------------------------------------------------------

    def _series(self, held: Sequence[pl.DataFrame], fresh: pl.DataFrame) -> pl.DataFrame | None:
        """Old and new rows by key and time with their stretches; ``None``: `INDEX` would be too large."""
        series = series_of(held, fresh, self._period_us, keyed=bool(self.frame.keys))
        if series is None or not self.program.computed:
            return series
        return series.with_columns(self.program.computed)

    def _places(self, series: pl.DataFrame, wanted: pl.Series) -> pl.Series:
        """Where some of the new rows stand in the series."""
        at = series.select(AT_ROW.filter(pl.col(PLACE).is_not_null())).to_series()
        if not self.frame.keys and at.len() == wanted.len():
            return at
        found = series[PLACE].drop_nulls()
        last = found.max()
        assert isinstance(last, int)
        return pl.zeros(last + 1, pl.Int64, eager=True).scatter(found, at)[wanted]

    def _incomplete(self, rows: pl.DataFrame, layout: Layout | None) -> tuple[str, ...]:
        """The columns of inputs that hold nulls, or did."""
        before = () if layout is None else layout.incomplete
        names = self.program.input_columns
        return tuple(name for name in names if name in before or rows[name].null_count())

    def _needs(self, incomplete: tuple[str, ...]) -> Needs:
        needs = self.program.windowed(frozenset(incomplete), self._period)
        assert needs is not None
        return needs

    def _typed(self, parts: pl.DataFrame) -> pl.DataFrame:
        return parts.select(pl.col(name).cast(dtype) for name, dtype in self.merging.paired.schema.items())

    # -- by merging ---------------------------------------------------------------------------------

    def _merged(self, state: RollingState, fresh: pl.DataFrame) -> tuple[RollingState, pl.DataFrame]:
        """The partials of the new rows' windows, merged row by row."""
        merged, left = state.merged, state.merged_rows
        if merged is None or left <= 0:
            merged, left = self.merging.empty(), fresh.height
            if state.held:
                held = pl.concat(state.held).with_row_index(PLACE)
                merged, _ = self.merging.merged(merged, held)
                left = max(left, held.height)
        merged, wide = self.merging.merged(merged, fresh)
        left -= fresh.height
        return replace(state, merged=merged, merged_rows=left, layout=None, sums=None), wide


def can_be_summed(program: Program) -> bool:
    """Whether all partials of trailing windows can be told by sums."""
    return program.windowed(frozenset(), "1i") is not None and can_be_paired(program)


def _replaced(wide: pl.DataFrame, doubtful: pl.Series, again: pl.DataFrame) -> pl.DataFrame:
    """With other rows in the stead of those that are doubtful, in their order."""
    both = pl.concat([wide, again.select(wide.columns)])
    instead = wide.height - 1 + doubtful.cum_sum().cast(pl.Int64)
    own = pl.int_range(wide.height, eager=True)
    return both[pl.select(pl.when(doubtful).then(instead).otherwise(own)).to_series()]


def _without_old_keys(state: RollingState) -> RollingState:
    """Without the numbers of keys that have no rows any more, once these are many."""
    if state.keys is None or state.merged_rows > 0 or not state.held:
        return state
    kept = renumbered(state.keys, state.held)
    if kept is None:
        return state
    held = tuple(with_new_numbers(frame, kept) for frame in state.held)
    sums = None if state.sums is None else state.sums[kept[OLD]]
    return replace(state, keys=kept.drop(OLD), held=held, sums=sums, merged=None)
