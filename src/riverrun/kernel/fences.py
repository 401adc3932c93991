"""Outliers cut off at fences around the quartiles of the last rows of their key (Tukey 1977).

The last rows of each key are put before those of a batch, so that rolling quantiles over the whole are those of
a stream that was never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.keyed import ALL, beyond_limit, keyed, of_other_keys, of_these_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW
from riverrun.plan.scaling import Fenced


@dataclass(frozen=True, slots=True)
class FencesState:
    """The last rows of each key: the keys and the columns, oldest first."""

    held: pl.DataFrame | None = None


class Fences:
    """The operator that cuts off what lies outside of the quartiles of the rows before by more than `k` times
    their distance."""

    def __init__(self, columns: Sequence[str], by: Sequence[str], fenced: Fenced, *, max_keys: int) -> None:
        self.columns = list(columns)
        self.by = list(by)
        self.keys = list(by) or [ALL]
        self.fenced = fenced
        self.max_keys = max_keys

    def empty(self) -> FencesState:
        return FencesState()

    def rows(self, state: FencesState) -> int:
        return 0 if state.held is None else state.held.height

    def next_close_us(self, state: FencesState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: FencesState) -> tuple[FencesState, Output]:
        return state, NOTHING

    def advance(self, state: FencesState, watermark_us: int) -> tuple[FencesState, Output]:  # noqa: ARG002
        return state, NOTHING

    def step(self, state: FencesState, frame: pl.DataFrame) -> tuple[FencesState, Output]:
        rows = keyed(frame.select(*self.by, pl.col(self.columns).cast(pl.Float64)), self.by)
        excess = self._excess(state.held, rows)
        known = rows if excess is None else rows.filter(~excess)
        others, before = None, rows.clear()
        if state.held is not None:
            others, before = (
                of_other_keys(state.held, rows, self.keys),
                of_these_keys(state.held, rows, self.keys),
            )
        both = pl.concat([before, known])
        fenced = both.with_columns(self._cut(column) for column in self.columns)[before.height :]
        if excess is not None:
            fenced = pl.concat(
                [fenced.with_columns((~excess).arg_true().alias(ROW)), self._as_they_are(rows, excess)]
            )
            fenced = fenced.sort(ROW)
        last = both.with_row_index(ROW).group_by(self.keys, maintain_order=True).tail(self.fenced.rows)
        last = last.sort(ROW).select(both.columns)
        held = last if others is None else pl.concat([others, last])
        return replace(state, held=held), Output((frame.with_columns(fenced[self.columns]),))

    def _excess(self, held: pl.DataFrame | None, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit, which are left as they are."""
        if held is None or held.height + rows.height <= self.max_keys:
            return beyond_limit(held, rows, self.keys, self.max_keys)
        return beyond_limit(held.select(self.keys).unique(), rows, self.keys, self.max_keys)

    def _as_they_are(self, rows: pl.DataFrame, excess: pl.Series) -> pl.DataFrame:
        return rows.filter(excess).with_columns(excess.arg_true().alias(ROW))

    def _cut(self, column: str) -> pl.Expr:
        x = pl.col(column)
        finite = pl.when(x.is_finite()).then(x)
        low, high = (
            finite.rolling_quantile(
                share, interpolation="linear", window_size=self.fenced.rows, min_samples=self.fenced.min_rows
            ).shift(1)
            for share in (0.25, 0.75)
        )
        if self.by:
            low, high = low.over(self.keys), high.over(self.keys)
        reach = self.fenced.k * (high - low)
        return pl.when(x.is_not_nan() & low.is_not_null()).then(x.clip(low - reach, high + reach)).otherwise(x)
