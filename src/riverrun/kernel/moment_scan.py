"""Count, mean and M2 of all rows of a group up to each row, without a loop over rows.

Hillis and Steele (1986, "Data parallel algorithms"): in round k each row is merged with the one 2ᵏ places
before it, so that after log₂(n) rounds each holds everything up to itself. Two moments are merged by the
formulas of Chan, Golub and LeVeque (1979); nothing is subtracted from a moment again.
"""

from __future__ import annotations

import polars as pl

N, MEAN, M2 = "__p_n", "__p_mean", "__p_m2"
#: The place of a row in its group, from 0; groups stand one behind the other.
RANK = "__p_rank"


def moments_upto(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with `N`, `MEAN` and `M2` of each row turned into those of its group up to and with it."""
    distance, longest = 1, rows[RANK].max()
    while isinstance(longest, int) and distance <= longest:
        rows = rows.with_columns(*_merged(distance))
        distance *= 2
    return rows


def _merged(distance: int) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    reaches = pl.col(RANK) >= distance
    n = pl.when(reaches).then(pl.col(N).shift(distance)).otherwise(0.0)
    mean = pl.when(reaches).then(pl.col(MEAN).shift(distance)).otherwise(0.0)
    m2 = pl.when(reaches).then(pl.col(M2).shift(distance)).otherwise(0.0)
    both = n + pl.col(N)
    share = pl.when(both > 0).then(pl.col(N) / both).otherwise(0.0)
    delta = pl.when((n > 0) & (pl.col(N) > 0)).then(pl.col(MEAN) - mean).otherwise(0.0)
    # A side without rows has no mean, and must not pull the other one towards 0.
    merged_mean = pl.when(n == 0).then(pl.col(MEAN)).otherwise(mean + delta * share)
    return both.alias(N), merged_mean.alias(MEAN), (m2 + pl.col(M2) + delta * delta * n * share).alias(M2)
