"""Distinct counts: exact, or HyperLogLog with a known error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.hyperloglog import Registers
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows


@dataclass(frozen=True, slots=True)
class DistinctValues(LongOfOne):
    """Each value once."""

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        table = frame.select(*by, rows.expr(self.x).alias("value"))
        return table.filter(pl.col("value").is_not_null()).unique(maintain_order=False)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        del by
        return frame.unique(maintain_order=False)


@dataclass(frozen=True, slots=True)
class ExactDistinct(OfOne):
    accepts = "distinct"

    def _partial(self) -> DistinctValues:
        return DistinctValues(self.x, f"distinct_{self.x.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        return tables[self._partial().name].group_by(by).agg(pl.len().cast(pl.UInt64).alias("value"))

    empty_value = 0


@dataclass(frozen=True, slots=True)
class EstimatedDistinct(OfOne):
    precision: int

    accepts = "distinct"
    empty_value = 0

    def _partial(self) -> Registers:
        return Registers(self.x, f"registers_{self.x.short}_{self.precision}", self.precision)

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        partial = self._partial()
        return partial.estimates(tables[partial.name], by)


def n_unique(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """How many different values, estimated.

    HyperLogLog with the estimator of Ertl (2017): the standard error is below `error`; groups of a few
    hundred values are nearly always exact. Memory: up to 2 · (1.04/error)² registers of 4 bytes a
    group, 64 kB for 1 %.

    Parameters
    ----------
    x : a column name or Polars expression of any type that can be hashed. Nulls are left out.
    error : relative standard error, from 0.005 to 0.3.

    Returns
    -------
    UInt64; 0 when there are no values.

    >>> import riverrun as rr
    >>> rows = {"user": ["ann", "bob", "ann", None]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(u=rr.n_unique("user")).collect()["u"].to_list()
    [2]
    """
    if not isinstance(error, (int, float)) or not 0.005 <= error <= 0.3:
        raise PlanError(
            f"error must be from 0.005 to 0.3, got {error!r}",
            where="n_unique",
            hint="n_unique_exact(x) has none",
        )
    precision = math.ceil(math.log2((1.04 / error) ** 2))
    return EstimatedDistinct(Input.of(x, nan=nan), label_of("n_unique", x), precision)


def n_unique_exact(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """How many different values, exactly.

    Memory: every different value of the open windows.

    Parameters
    ----------
    x : a column name or Polars expression of any type that can be hashed. Nulls are left out.

    Returns
    -------
    UInt64; 0 when there are no values.

    >>> import riverrun as rr
    >>> rows = {"user": ["ann", "bob", "ann", None]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(u=rr.n_unique_exact("user")).collect()["u"].to_list()
    [2]
    """
    return ExactDistinct(Input.of(x, nan=nan), label_of("n_unique_exact", x))
