"""Running merges of partials in a frame, without grouping or joining.

Hillis and Steele (1986, "Data parallel algorithms"): in round k each row is merged with the one 2ᵏ places
before it. Stretches are cut into blocks of a few rows, so that few rounds go over all rows; then the last rows
of blocks are scanned, and each row is merged with what lies before its block.
"""

from __future__ import annotations

import polars as pl

from riverrun.stats.paired import PairedProgram
from riverrun.stats.partials import PARTIAL_PREFIX

#: The place of a row in its stretch, from 0; stretches stand one behind the other.
RANK = f"{PARTIAL_PREFIX}rank"
PLACE_IN_BLOCK = f"{PARTIAL_PREFIX}place_in_block"
#: The rows of a block. More of them: more rounds over all rows, and fewer in all.
BLOCK_ROWS = 16


def scanned(program: PairedProgram, rows: pl.DataFrame, *, backward: bool = False) -> pl.DataFrame:
    """The rows with their partials turned into those of their stretch up to each; `backward`: from it on.

    Parameters
    ----------
    rows : with `RANK`, which `backward` counts from the end of a stretch.
    """
    if backward:
        return _scanned(program, rows.reverse(), backward=True).reverse()
    return _scanned(program, rows, backward=False)


def _scanned(program: PairedProgram, rows: pl.DataFrame, *, backward: bool) -> pl.DataFrame:
    longest = rows[RANK].max()
    if not isinstance(longest, int) or longest == 0:
        return rows
    if longest < 2 * BLOCK_ROWS:
        return _rounds(program, rows, RANK, longest, backward=backward)
    rows = rows.with_columns((pl.col(RANK) % BLOCK_ROWS).alias(PLACE_IN_BLOCK))
    rows = _rounds(program, rows, PLACE_IN_BLOCK, BLOCK_ROWS - 1, backward=backward)
    opens = pl.col(PLACE_IN_BLOCK) == 0
    closes = opens.shift(-1, fill_value=True)
    totals = rows.filter(closes).select(*program.columns, pl.col(RANK) // BLOCK_ROWS)
    totals = _scanned(program, totals, backward=backward)
    before = rows.select(
        pl.when(pl.col(RANK) >= BLOCK_ROWS).then(opens.cum_sum().cast(pl.Int64) - 2).alias(RANK)
    )[RANK]
    return _side_by_side(program, totals.select(program.columns)[before], rows, backward=backward)


def _rounds(
    program: PairedProgram, rows: pl.DataFrame, place: str, longest: int, *, backward: bool
) -> pl.DataFrame:
    distance = 1
    while distance <= longest:
        reached = pl.when(pl.col(place) >= distance)
        others = rows.select(reached.then(pl.col(name).shift(distance)).alias(name) for name in program.columns)
        rows = _side_by_side(program, others, rows, backward=backward)
        distance *= 2
    return rows


def _side_by_side(
    program: PairedProgram, others: pl.DataFrame, rows: pl.DataFrame, *, backward: bool
) -> pl.DataFrame:
    """The rows merged with others, which are earlier, or `backward` later."""
    if not backward:
        return program.merged(others, rows)
    kept = rows.drop(program.columns)
    return kept.hstack(program.merged(rows.select(program.columns), others))
