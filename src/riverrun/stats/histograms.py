"""How many values fall into each of some bins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows

#: As many bins as a histogram may have.
MOST_BINS = 10_000


@dataclass(frozen=True, slots=True)
class BinCounts(LongOfOne):
    """Bins that are not empty and their counts: 0 is below the first edge, the last is above the last one."""

    edges: tuple[float, ...]

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        table = frame.select(*by, rows.expr(self.x).alias("value"))
        numbers = table.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan())
        value = numbers["value"]
        place = pl.Series(self.edges, dtype=pl.Float64).search_sorted(value, side="right")
        # The last bin holds its upper edge, too.
        at_end = value == self.edges[-1]
        bins = place.zip_with(
            ~at_end, pl.repeat(len(self.edges) - 1, len(value), dtype=place.dtype, eager=True)
        )
        placed = numbers.select(by).with_columns(bins.cast(pl.UInt32).alias("bin"))
        return placed.group_by([*by, "bin"]).agg(pl.len().cast(pl.Int64).alias("count"))

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        return frame.group_by([*by, "bin"]).agg(pl.col("count").sum())


@dataclass(frozen=True, slots=True)
class Histogram(OfOne):
    edges: tuple[float, ...]

    def _partial(self) -> BinCounts:
        text = f"{self.x.key}:{self.edges!r}"
        return BinCounts(self.x, f"bins_{Input(text, pl.lit(0)).short}", self.edges)

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        table, last = tables[self._partial().name], len(self.edges)
        full = (
            table.select(by)
            .unique(maintain_order=True)
            .join(pl.DataFrame({"bin": range(last + 1)}, schema={"bin": pl.UInt32}), how="cross")
        )
        counted = full.join(table, on=[*by, "bin"], how="left", nulls_equal=True, maintain_order="left")
        count = pl.col("count").fill_null(0).cast(pl.UInt64)
        grouped = counted.group_by(by, maintain_order=True).agg(
            count.first().alias("under"), count.slice(1, last - 1).alias("counts"), count.last().alias("over")
        )
        return grouped.select(*by, pl.struct("under", "counts", "over").alias("value"))


def histogram(
    x: ColumnLike,
    bins: Sequence[float] | int,
    between: tuple[float, float] | None = None,
    *,
    nan: Nan = "propagate",
) -> Aggregate:
    """How many values fall into each bin, with those below and above all bins.

    A bin holds its lower edge and not its upper one, but the last holds both, as in NumPy. Exact; memory: 12
    bytes for each bin of a group that is not empty.

    Parameters
    ----------
    x : a numeric column name or Polars expression. Nulls and NaN are in no bin.
    bins : the edges, rising; or how many bins of equal width there are `between` two values.
    between : the lowest and the highest edge, with a number of bins.
    nan : makes no difference.

    Returns
    -------
    A struct with ``under``, ``counts`` (a list, one for each bin) and ``over``; null when there are no values.

    Raises
    ------
    PlanError : when edges do not rise or are not finite, or a number of bins has no range.

    >>> import riverrun as rr
    >>> rows = {"x": [0.5, 1.0, 2.0, 2.5, 9.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(h=rr.histogram("x", [1, 2, 3])).collect()["h"].to_list()
    [{'under': 1, 'counts': [1, 2], 'over': 1}]
    """
    edges = _edges(bins, between)
    label = label_of(
        "histogram", x, list(bins) if isinstance(bins, Sequence) else bins, *([between] if between else [])
    )
    return Histogram(Input.of(x, nan=nan, read="number"), label, edges)


def _edges(bins: Sequence[float] | int, between: tuple[float, float] | None) -> tuple[float, ...]:
    hint = "histogram(x, [0, 10, 100]) or histogram(x, 20, between=(0, 100))"
    if isinstance(bins, int):
        if between is None:
            raise PlanError("a number of bins needs the range that they share", where="histogram", hint=hint)
        low, high = between
        width = (high - low) / max(bins, 1)
        edges = (*(low + width * at for at in range(bins)), high)
    elif between is not None:
        raise PlanError("edges say where bins lie, so between= has no meaning", where="histogram", hint=hint)
    else:
        edges = tuple(bins)
    rising = all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges) and all(
        low < high for low, high in pairwise(edges)
    )
    if not rising or not 2 <= len(edges) <= MOST_BINS + 1:
        raise PlanError(
            f"bins must be rising, finite edges of 1 to {MOST_BINS} bins, got {bins!r}",
            where="histogram",
            hint=hint,
        )
    return tuple(float(edge) for edge in edges)
