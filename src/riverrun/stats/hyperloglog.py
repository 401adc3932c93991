"""HyperLogLog: how many different values there are, from the longest runs of zeros in their hashes.

A hash is cut in two: the first bits are a slot, and of the rest the number of leading zeros, plus one, is its
rank. What is remembered is the largest rank of each slot. Partials are merged by taking the larger of two
ranks, so that the estimate depends on the set of values alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.lists import GROUP, group_in, grouped, number_in, packed
from riverrun.stats.partials import LongOfOne, Rows

HASH_BITS = 64

#: A slot and a rank in one number; no rank needs more.
_RANKS = 64


@dataclass(frozen=True, slots=True)
class Registers(LongOfOne):
    """For each group a list of slots with ranks, in one number each; a slot may stand there several times."""

    precision: int

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        values = frame.select(*by, rows.expr(self.x).alias("value")).filter(pl.col("value").is_not_null())
        rest_bits = HASH_BITS - self.precision
        h = pl.col("value").hash(seed=0)
        slot = (h // pl.lit(1 << rest_bits, pl.UInt64)).cast(pl.Int32)
        rest = h & pl.lit((1 << rest_bits) - 1, pl.UInt64)
        rank = rest.bitwise_leading_zeros().cast(pl.Int32) - self.precision + 1
        table = values.select(*by, (slot * _RANKS + rank).alias("ranks"))
        return self._bounded(table.group_by(by, maintain_order=True).agg("ranks"), by)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        found = grouped(frame, by)
        if found.merged:
            return self._bounded(frame, by)
        lists = found.rows.group_by(GROUP, maintain_order=True).agg(pl.col("ranks").explode())
        return self._bounded(found.keyed(lists, by), by)

    def _bounded(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """No list is longer than there are slots."""
        longest = table["ranks"].list.len().max()
        if not isinstance(longest, int) or longest <= 1 << self.precision:
            return table
        found = grouped(table, by)
        apart = (
            self._largest(found.rows)
            .sort("key")
            .select(
                group_in(pl.col("key")).alias(GROUP), number_in(pl.col("key")).cast(pl.Int32).alias("ranks")
            )
        )
        return found.keyed(apart.group_by(GROUP, maintain_order=True).agg("ranks"), by)

    def _largest(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The largest rank of each slot, packed with its group and slot in the column ``key``."""
        keys = rows.select(GROUP, "ranks").explode("ranks").select(packed(pl.col("ranks")).alias("key"))
        # Of one group and slot, the largest number is that of the largest rank.
        return keys.group_by((pl.col("key") // _RANKS).alias("slot")).agg(pl.col("key").max()).drop("slot")

    def estimates(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """The column ``value`` for each group.

        Ertl (2017), "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6: it needs no
        correction tables and is exact to rounding for few values.
        """
        found = grouped(table, by)
        key = pl.col("key")
        ranks = self._largest(found.rows).select(group_in(key).alias(GROUP), (key % _RANKS).alias("rank"))
        tallies = ranks.select(packed(pl.col("rank")).alias("key")).group_by("key").agg(pl.len().alias("n"))
        apart = tallies.select(
            group_in(key).alias(GROUP), number_in(key).alias("rank"), pl.col("n").cast(pl.Float64)
        )
        of_rank = [
            pl.col("n").filter(pl.col("rank") == k).sum().alias(f"c{k}")
            for k in range(1, HASH_BITS - self.precision + 2)
        ]
        counts = apart.group_by(GROUP).agg(*of_rank, pl.col("n").sum().alias("used"))
        value = _estimated(counts, self.precision)
        return found.keyed(counts.select(GROUP, value.alias("value")), by)


def _estimated(counts: pl.DataFrame, precision: int) -> pl.Series:
    """From how many slots have each rank (columns ``c1`` and on), and how many are in use."""
    m, q = float(1 << precision), HASH_BITS - precision
    z = m * _tau(1.0 - counts[f"c{q + 1}"] / m)
    for k in range(q, 0, -1):
        z = (z + counts[f"c{k}"]) * 0.5
    z = z + m * _sigma(1.0 - counts["used"] / m)
    return (m * m / (2.0 * math.log(2.0)) / z).round().cast(pl.UInt64)


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
