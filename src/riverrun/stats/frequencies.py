"""The values that occur most often, exactly while they are not too many, with a known error beyond.

Remembered are different values with their counts. Once a group has more than `CAPACITY` of them, the counts are
lowered by the count of the value after the last that is kept, and what falls to nothing is dropped: the summary
of Misra and Gries (1982, "Finding repeated elements"), which Agarwal et al. (2012, "Mergeable summaries")
showed to stay within n/(CAPACITY + 1) of the true counts in whatever way it is merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows

#: So many different values of a group are counted exactly.
CAPACITY = 10_000


@dataclass(frozen=True, slots=True)
class Frequencies(LongOfOne):
    """Different values and how often they occurred, at most `capacity` a group."""

    capacity: int = CAPACITY

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        table = frame.select(*by, rows.expr(self.x).alias("value")).filter(pl.col("value").is_not_null())
        counted = table.group_by([*by, "value"]).agg(pl.len().cast(pl.Int64).alias("count"))
        return self._bounded(counted, by)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        return self._bounded(frame.group_by([*by, "value"]).agg(pl.col("count").sum()), by)

    def _bounded(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        if table.height <= self.capacity:
            return table
        size = pl.len().over(by) if by else pl.len()
        large = table.select(size > self.capacity).to_series()
        if not large.any():
            return table
        # The largest count that has no place: a group that has room for all gives nothing away.
        ordered = pl.col("count").sort(descending=True)
        first_out = ordered.get(self.capacity, null_on_oob=True)
        first_out = first_out.over(by) if by else first_out
        lowered = table.filter(large).with_columns(pl.col("count") - first_out)
        return pl.concat([table.filter(~large), lowered.filter(pl.col("count") > 0)])


def _frequencies(x: Input) -> Frequencies:
    return Frequencies(x, f"frequencies_{x.short}")


def ranked(table: pl.DataFrame, by: Sequence[str], k: int) -> pl.DataFrame:
    """The `k` most frequent values of each group, in that order; of equal ones the smaller value first."""
    ordered = table.sort(["count", "value"], descending=[True, False], maintain_order=True)
    place = pl.int_range(pl.len())
    return ordered.filter((place.over(by) if by else place) < k)


@dataclass(frozen=True, slots=True)
class TopK(OfOne):
    k: int

    accepts = "distinct"

    def partials(self) -> tuple[Partial, ...]:
        return (_frequencies(self.x),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        top = ranked(tables[_frequencies(self.x).name], by, self.k)
        pair = pl.struct("value", pl.col("count").cast(pl.UInt64)).alias("value")
        return top.group_by(by, maintain_order=True).agg(pair)


@dataclass(frozen=True, slots=True)
class Mode(OfOne):
    accepts = "distinct"

    def partials(self) -> tuple[Partial, ...]:
        return (_frequencies(self.x),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        return ranked(tables[_frequencies(self.x).name], by, 1).select(*by, "value")


def top_k(x: ColumnLike, k: int, *, nan: Nan = "propagate") -> Aggregate:
    """The `k` values that occur most often, with their counts.

    Exact while the window holds at most 10,000 different values; beyond (Misra and Gries 1982, merged after
    Agarwal et al. 2012) a count is at most n/10,001 too small and never too large, so that every value that
    makes up more than that share of the n rows is found, and what lies within that error may depend on how the
    input was cut into batches. Memory: at most 10,000 values and counts a group, shared with `mode`.

    Parameters
    ----------
    x : a column name or Polars expression: numbers, text, truth values, times. Nulls are left out.
    k : how many, from 1 to 1,000.
    nan : ``"propagate"``: NaN is a value like others; ``"ignore"``: NaN counts as null.

    Returns
    -------
    A list of structs with ``value`` and ``count``, most frequent first, of equal ones the smaller value first;
    null when there are no values.

    Raises
    ------
    PlanError : when `k` is out of range.

    >>> import riverrun as rr
    >>> rows = {"page": ["/", "/buy", "/", "/about", "/buy", "/"]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(top=rr.top_k("page", 2)).collect()["top"].to_list()
    [[{'value': '/', 'count': 3}, {'value': '/buy', 'count': 2}]]
    """
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= 1_000:
        raise PlanError(
            f"k must be a whole number from 1 to 1000, got {k!r}",
            where="top_k",
            hint="top_k(x, 10); collect(x) keeps everything",
        )
    return TopK(Input.of(x, nan=nan), label_of("top_k", x, k), k)


def mode(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The value that occurs most often; of equally frequent ones the smallest.

    Exact while the window holds at most 10,000 different values; beyond, as for `top_k`, another value whose
    count is within n/10,001 of the largest may be named. Memory: at most 10,000 values and counts a group.

    Parameters
    ----------
    x, nan : as for `top_k`.

    Returns
    -------
    The type of `x`; null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"size": [42, 38, 42, 40, 38]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(m=rr.mode("size")).collect()["m"].to_list()
    [38]
    """
    return Mode(Input.of(x, nan=nan), label_of("mode", x))
