"""The columns around a window's aggregates: keys and event time in, bounds and revisions out."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.batch import IMPUTED
from riverrun.schema import INSTANT
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.quality import QUALITY_NAMES, noted


def event_times(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of instants as Int64 microseconds since 1970 UTC."""
    column = frame[name]
    dtype = column.dtype
    if isinstance(dtype, pl.Date):
        return column.cast(pl.Int64) * 86_400_000_000
    assert isinstance(dtype, pl.Datetime)
    # A cast of the series itself costs a tenth of what `to_physical` does, which matters for small batches.
    physical = column.cast(pl.Int64)
    if dtype.time_unit == "ns":
        return physical // 1_000
    return physical * 1_000 if dtype.time_unit == "ms" else physical


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """How rows become ready for a window, and partials become results.

    Parameters
    ----------
    columns : the columns of the rows as they come, for late ones to be put out unchanged.
    key_exprs : the grouping keys, with their output names in `keys`.
    time : the column of event time.
    time_shift_us : what is added to it.
    revisions : whether results carry `revision` and `final`.
    quality : whether results carry the columns of `riverrun.stats.quality`.
    """

    columns: tuple[str, ...]
    keys: tuple[str, ...]
    key_exprs: tuple[pl.Expr, ...]
    time: str
    time_shift_us: int = 0
    revisions: bool = False
    quality: bool = False

    def ready(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their keys and `EVENT_TIME`; rows whose event time is null fall into no window."""
        times = event_times(frame, self.time)
        if self.time_shift_us:
            times = times + self.time_shift_us
        rows = frame.hstack([times.alias(EVENT_TIME)])
        made = [
            expr.alias(name)
            for name, expr in zip(self.keys, self.key_exprs, strict=True)
            if not _is(expr, name)
        ]
        if made:
            rows = rows.with_columns(made)
        if self.quality:
            rows = noted(rows)
        elif IMPUTED in rows.columns:
            # Only some frames have it, and frames are put together.
            rows = rows.drop(IMPUTED)
        return rows.filter(pl.col(EVENT_TIME).is_not_null()) if times.null_count() else rows

    def results(self, values: pl.DataFrame, start: pl.Series, end: pl.Series) -> pl.DataFrame:
        """Keys, bounds, aggregates: the columns and their order that users see."""
        names = [n for n in values.columns if n not in self.keys and not n.startswith(PARTIAL_PREFIX)]
        bounds = [start.cast(INSTANT).alias("window_start"), end.cast(INSTANT).alias("window_end")]
        return pl.DataFrame([*(values[key] for key in self.keys), *bounds, *(values[name] for name in names)])

    def numbered(self, results: pl.DataFrame, revision: pl.Series, *, final: bool) -> pl.DataFrame:
        """Results with their `revision` and `final`, where they can be revised; those of quality stay last."""
        if not self.revisions:
            return results
        told = results.with_columns(
            revision.cast(pl.UInt32).alias("revision"), pl.lit(value=final).alias("final")
        )
        last = [name for name in QUALITY_NAMES if name in results.columns] if self.quality else []
        return told.select(pl.exclude(last), *last) if last else told

    def late(self, rows: pl.DataFrame, start: pl.Expr, end: pl.Expr) -> pl.DataFrame:
        """Late rows as they came, with the bounds of the window that they were too late for."""
        return rows.select(
            *self.columns,
            start.cast(INSTANT).alias("window_start"),
            end.cast(INSTANT).alias("window_end"),
        )


def _is(expr: pl.Expr, name: str) -> bool:
    return expr.meta.is_column() and expr.meta.output_name() == name
