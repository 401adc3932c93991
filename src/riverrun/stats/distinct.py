"""Distinct counts: exact, or HyperLogLog with a known error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.aggregate import Aggregate, OfOne, label_of
from riverrun.stats.partials import ColumnLike, Input, LongOfOne, Nan, Partial, Rows

HASH_BITS = 64


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
class Registers(LongOfOne):
    """The registers of HyperLogLog that are not zero: for each slot the longest run of leading zeros."""

    precision: int

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        hashed = frame.select(*by, rows.expr(self.x).alias("value")).filter(pl.col("value").is_not_null())
        rest_bits = HASH_BITS - self.precision
        h = pl.col("value").hash(seed=0)
        rest = h & pl.lit((1 << rest_bits) - 1, pl.UInt64)
        table = hashed.select(
            *by,
            (h // pl.lit(1 << rest_bits, pl.UInt64)).cast(pl.UInt32).alias("slot"),
            (rest.bitwise_leading_zeros().cast(pl.Int32) - self.precision + 1).cast(pl.UInt8).alias("rank"),
        )
        return self.merge(table, by)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        return frame.group_by([*by, "slot"]).agg(pl.col("rank").max())


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
        return estimate(tables[self._partial().name], by, self.precision)


def estimate(table: pl.DataFrame, by: Sequence[str], precision: int) -> pl.DataFrame:
    """The estimate of each group from its registers.

    Ertl (2017), "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6: it needs no
    correction tables and is exact to rounding for few values.
    """
    m, q = float(1 << precision), HASH_BITS - precision
    ranks = [(pl.col("rank") == k).sum().cast(pl.Float64).alias(f"c{k}") for k in range(1, q + 2)]
    counts = table.group_by(by).agg(*ranks, pl.len().cast(pl.Float64).alias("used"))
    z = m * _tau(1.0 - counts[f"c{q + 1}"] / m)
    for k in range(q, 0, -1):
        z = (z + counts[f"c{k}"]) * 0.5
    z = z + m * _sigma(1.0 - counts["used"] / m)
    value = (m * m / (2.0 * math.log(2.0)) / z).round().cast(pl.UInt64)
    return counts.select(by).with_columns(value.alias("value"))


def _sigma(x: pl.Series) -> pl.Series:
    """Σ x^(2^k) 2^(k−1), added until nothing changes; infinite at 1."""
    y, z = 1.0, x
    for _ in range(HASH_BITS):
        x = x * x
        z, before = z + x * y, z
        y += y
        if (z == before).all():
            break
    return z


def _tau(x: pl.Series) -> pl.Series:
    """(1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3; 0 at 0 and 1."""
    y, z, root = 1.0, 1.0 - x, x
    for _ in range(HASH_BITS):
        root = root.sqrt()
        y *= 0.5
        before = z
        z = z - (1.0 - root).pow(2) * y
        if (z == before).all():
            break
    at_edge = (x == 0.0) | (x == 1.0)
    return (z / 3.0).zip_with(~at_edge, pl.zeros(len(x), dtype=pl.Float64, eager=True))


def n_unique(x: ColumnLike, error: float = 0.01, *, nan: Nan = "propagate") -> Aggregate:
    """How many different values, estimated.

    HyperLogLog with the estimator of Ertl (2017): the standard error is below `error`; groups of a few
    hundred values are nearly always exact. Memory: up to (1.04/error)² registers of 5 bytes a group.

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
    if not 0.005 <= error <= 0.3:
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
