"""Columns measured by the rows of their key that came before: outliers cut off, values made comparable.

Each row is judged by those before it in the order of arrival, never by itself or by later ones. What is known
of a key is put before its rows of the batch, as if it were one more row, and a scan brings it to each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.key_limit import beyond_limit, rows_in
from riverrun.kernel.keyed import ALL, keyed, of_other_keys
from riverrun.kernel.moment_scan import M2, MEAN, RANK, N, moments_upto
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW
from riverrun.plan.scaling import Clipped, Scaling, Zscore

LOW, HIGH, REFERENCE = "__p_low", "__p_high", "__p_reference"
X = "__p_x"
GROUP = "__p_group"


@dataclass(frozen=True, slots=True)
class ScaleState:
    """What is remembered: for each scaled column a frame with a row for each key."""

    held: tuple[pl.DataFrame, ...] = ()


class RunningScale:
    """The operator that measures columns by what came before.

    Parameters
    ----------
    scaling : what a value becomes.
    max_keys : so many keys are remembered; rows of further ones are taken for the first of their key.
    """

    def __init__(self, columns: Sequence[str], by: Sequence[str], scaling: Scaling, *, max_keys: int) -> None:
        self.columns = list(columns)
        self.by = list(by)
        self.keys = list(by) or [ALL]
        self.scaling = scaling
        self.max_keys = max_keys

    def empty(self) -> ScaleState:
        return ScaleState()

    def rows(self, state: ScaleState) -> int:
        return sum(frame.height for frame in state.held)

    def next_close_us(self, state: ScaleState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: ScaleState) -> tuple[ScaleState, Output]:
        return state, NOTHING

    def advance(self, state: ScaleState, watermark_us: int) -> tuple[ScaleState, Output]:  # noqa: ARG002
        return state, NOTHING

    def step(self, state: ScaleState, frame: pl.DataFrame) -> tuple[ScaleState, Output]:
        rows = keyed(frame.select(*self.by, *self.columns), self.by).with_row_index(ROW)
        excess = beyond_limit(state.held[0] if state.held else None, rows, self.keys, self.max_keys)
        known = rows if excess is None else rows.filter(~excess)
        held, made = [], []
        for at, column in enumerate(self.columns):
            before = state.held[at] if state.held else None
            scanned, after = self._scanned(known, column, before)
            held.append(after)
            measured = rows.select(ROW, pl.col(column).cast(pl.Float64).alias(X)).join(
                scanned, on=ROW, how="left", maintain_order="left"
            )
            made.append(measured.select(self._value().alias(column)).to_series())
        return replace(state, held=tuple(held)), Output((frame.with_columns(made),), beyond=rows_in(excess))

    def _scanned(
        self, rows: pl.DataFrame, column: str, before: pl.DataFrame | None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """For each row what was known before it, and for each key what is known now."""
        x = pl.col(column).cast(pl.Float64)
        # What is no finite number is judged, and says nothing of others.
        values = rows.select(*self.keys, ROW, pl.when(x.is_finite()).then(x).alias(X))
        groups = values.group_by(self.keys, maintain_order=True).agg(ROW, X).with_row_index(GROUP)
        flat = groups.select(GROUP, ROW, X).explode(ROW, X)
        start = self._start(groups, before)
        first = pl.concat([start.with_columns(pl.lit(None, pl.UInt32).alias(ROW)), self._single(flat, start)])
        # Sorting is stable: what is known of a key comes before its rows.
        ordered = first.sort(GROUP, maintain_order=True)
        ordered = ordered.with_columns(pl.int_range(pl.len()).over(GROUP).alias(RANK))
        upto = self._upto(ordered)
        known = [name for name in upto.columns if name not in (GROUP, ROW, RANK)]
        behind = upto.select(ROW, pl.col(known).shift(1)).filter(pl.col(ROW).is_not_null())
        last = upto.group_by(GROUP, maintain_order=True).last().select(GROUP, *known)
        after = groups.select(GROUP, *self.keys).join(last, on=GROUP, how="left", maintain_order="left")
        after = after.select(*self.keys, *known)
        others = None if before is None else of_other_keys(before, rows, self.keys)
        return behind, after if others is None else pl.concat([others, after])

    def _start(self, groups: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
        """What is known of each key before the batch, as one row for each."""
        parts = (N, MEAN, M2, REFERENCE) if self.scaling.by_moments else (LOW, HIGH)
        found = groups.with_columns(pl.col(X).list.drop_nulls().list.first().alias("__p_first"))
        if before is None:
            found = found.with_columns(pl.lit(None, pl.Float64).alias(part) for part in parts)
        else:
            found = found.join(before, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
        if not self.scaling.by_moments:
            return found.select(GROUP, *parts)
        # The first value of a key is near to the others: what is summed is small, and no digits are lost.
        reference = pl.coalesce(REFERENCE, "__p_first")
        return found.select(GROUP, pl.col(N, MEAN, M2).fill_null(0.0), reference.alias(REFERENCE))

    def _single(self, flat: pl.DataFrame, start: pl.DataFrame) -> pl.DataFrame:
        """Each row as what is known of it alone."""
        if not self.scaling.by_moments:
            return flat.select(GROUP, pl.col(X).alias(LOW), pl.col(X).alias(HIGH), ROW)
        near = flat.join(start.select(GROUP, REFERENCE), on=GROUP, how="left", maintain_order="left")
        return near.select(
            GROUP,
            pl.col(X).is_not_null().cast(pl.Float64).alias(N),
            (pl.col(X) - pl.col(REFERENCE)).fill_null(0.0).alias(MEAN),
            pl.lit(0.0).alias(M2),
            REFERENCE,
            ROW,
        )

    def _upto(self, ordered: pl.DataFrame) -> pl.DataFrame:
        if self.scaling.by_moments:
            return moments_upto(ordered)
        low, high = pl.col(LOW).cum_min().forward_fill(), pl.col(HIGH).cum_max().forward_fill()
        return ordered.with_columns(low.over(GROUP), high.over(GROUP))

    def _value(self) -> pl.Expr:
        """What a value becomes, by what was known before it."""
        x, scaling = pl.col(X), self.scaling
        if not scaling.by_moments:
            return pl.when(pl.col(HIGH) > pl.col(LOW)).then((x - pl.col(LOW)) / (pl.col(HIGH) - pl.col(LOW)))
        if isinstance(scaling, Zscore):
            sd = (pl.col(M2) / pl.col(N)).sqrt()
            # The mean itself has lost digits where values lie close together far from zero.
            return pl.when(pl.col(M2) > 0).then(((x - pl.col(REFERENCE)) - pl.col(MEAN)) / sd)
        assert isinstance(scaling, Clipped)
        mean = pl.col(REFERENCE) + pl.col(MEAN)
        reach = scaling.k * (pl.col(M2) / pl.col(N)).sqrt()
        enough = (pl.col(N) >= scaling.min_rows) & x.is_not_nan()
        return pl.when(enough).then(x.clip(mean - reach, mean + reach)).otherwise(x)
