"""Outliers cut off at fences around the last rows of their key: their quartiles, or their median.

Fences stand at some distances of the quartiles outside of them (Tukey 1977), or at some median absolute
deviations from the median (Hampel 1974).

The last rows of each key are put before those of a batch, so that what is rolled over the whole is that
of a stream that was never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.in_order import KEY, numbered
from riverrun.kernel.key_limit import beyond_limit, rows_in
from riverrun.kernel.keyed import ALL, keyed, of_other_keys, of_these_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW
from riverrun.plan.scaling import Fence, Fenced

LOW, HIGH, PLACE = "__p_low_", "__p_high_", "__p_place"

#: The standard deviation of a normal distribution in median absolute deviations.
NORMAL = 1.482602218505602


@dataclass(frozen=True, slots=True)
class FencesState:
    """The last rows of each key: the keys and the columns, oldest first."""

    held: pl.DataFrame | None = None


class Fences:
    """The operator that cuts off what lies beyond fences that the rows before make.

    Parameters
    ----------
    max_keys : so many keys are remembered; rows of further ones are left as they are.
    """

    def __init__(self, columns: Sequence[str], by: Sequence[str], fenced: Fence, *, max_keys: int) -> None:
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
        fenced = self._cut(both)[before.height :]
        if excess is not None:
            fenced = pl.concat(
                [fenced.with_columns((~excess).arg_true().alias(ROW)), self._as_they_are(rows, excess)]
            )
            fenced = fenced.sort(ROW)
        last = both.with_row_index(ROW).group_by(self.keys, maintain_order=True).tail(self.fenced.rows)
        last = last.sort(ROW).select(both.columns)
        held = last if others is None else pl.concat([others, last])
        return replace(state, held=held), Output(
            (frame.with_columns(fenced[self.columns]),), beyond=rows_in(excess)
        )

    def _excess(self, held: pl.DataFrame | None, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit, which are left as they are."""
        if held is None or held.height + rows.height <= self.max_keys:
            return beyond_limit(held, rows, self.keys, self.max_keys)
        return beyond_limit(held.select(self.keys).unique(), rows, self.keys, self.max_keys)

    def _as_they_are(self, rows: pl.DataFrame, excess: pl.Series) -> pl.DataFrame:
        return rows.filter(excess).with_columns(excess.arg_true().alias(ROW))

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        edges = self._quartiles(rows) if isinstance(self.fenced, Fenced) else self._medians(rows)
        low, high = (f"{side}{{}}".format for side in (LOW, HIGH))
        cut = [
            pl.when(pl.col(column).is_not_nan() & pl.col(low(at)).is_not_null())
            .then(pl.col(column).clip(pl.col(low(at)), pl.col(high(at))))
            .otherwise(pl.col(column))
            .alias(column)
            for at, column in enumerate(self.columns)
        ]
        return pl.concat([rows, edges], how="horizontal").with_columns(cut).select(rows.columns)

    def _quartiles(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The fences of each row, by the quartiles of those before."""
        fences = []
        for at, column in enumerate(self.columns):
            low, high = (
                finite(column)
                .rolling_quantile(
                    share,
                    interpolation="linear",
                    window_size=self.fenced.rows,
                    min_samples=self.fenced.min_rows,
                )
                .shift(1)
                for share in (0.25, 0.75)
            )
            if self.by:
                low, high = low.over(self.keys), high.over(self.keys)
            reach = self.fenced.k * (high - low)
            fences += [(low - reach).alias(f"{LOW}{at}"), (high + reach).alias(f"{HIGH}{at}")]
        return rows.select(fences)

    def _medians(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The fences of each row, by the median of those before and how far these are from it.

        The rows of each key stand one behind the other, each key further from the next than a window reaches.
        """
        found, _ = numbered(rows.with_row_index(ROW), self.by)
        apart = rows.height + self.fenced.rows
        place = pl.col(KEY) * apart + pl.int_range(pl.len()).over(KEY)
        found = found.with_columns(place.alias(PLACE), *(finite(column) for column in self.columns)).sort(PLACE)
        rolled = found.rolling(PLACE, period=f"{self.fenced.rows}i", closed="left").agg(
            part for at, column in enumerate(self.columns) for part in self._middle(at, column)
        )
        return rolled.with_columns(found[ROW]).sort(ROW).drop(PLACE, ROW)

    def _middle(self, at: int, column: str) -> tuple[pl.Expr, pl.Expr]:
        x = pl.col(column)
        reach = self.fenced.k * NORMAL * (x - x.median()).abs().median()
        enough = x.count() >= self.fenced.min_rows
        return (
            pl.when(enough).then(x.median() - reach).alias(f"{LOW}{at}"),
            pl.when(enough).then(x.median() + reach).alias(f"{HIGH}{at}"),
        )


def finite(column: str) -> pl.Expr:
    """The values that tell something of others."""
    return pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column)
