"""Running results over single rows, without a loop over rows: a parallel prefix scan over partials.

Hillis and Steele (1986, "Data parallel algorithms"): in round k each entry is merged with the one 2ᵏ
places before it, so that after log₂(n) rounds each holds everything up to itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.stats.program import Partials, Program


def prefixes(program: Program, base: Partials | None, rows: Partials, by: Sequence[str], rank: str) -> Partials:
    """For each row of `rows`, the merge of `base` and of all rows of its group up to it.

    `rows` has the columns `by` and `rank`, which counts from 0 within each group; so has the result.
    """
    upto = rows
    distance, longest = 1, rows.wide[rank].max()
    assert isinstance(longest, int)
    grouped = [*by, rank]
    while distance <= longest:
        moved = _moved(upto, distance, rows.wide.select(grouped), grouped, rank)
        upto = program.merge([moved, upto], grouped)
        distance *= 2
    if base is not None:
        upto = program.merge([_spread(base, rows.wide.select(grouped), by), upto], grouped)
    order = rows.wide.select(grouped)
    wide = order.join(upto.wide, on=grouped, how="left", nulls_equal=True, maintain_order="left")
    return Partials(wide.select(upto.wide.columns), upto.long)


def _moved(upto: Partials, distance: int, places: pl.DataFrame, grouped: Sequence[str], rank: str) -> Partials:
    """Every entry `distance` places further on, where there is such a place."""

    def move(frame: pl.DataFrame) -> pl.DataFrame:
        further = frame.with_columns(pl.col(rank) + distance)
        return further.join(places, on=grouped, how="semi", nulls_equal=True, maintain_order="left")

    return upto.map(move)


def _spread(base: Partials, places: pl.DataFrame, by: Sequence[str]) -> Partials:
    """The same base for every place of its group."""

    def spread(frame: pl.DataFrame) -> pl.DataFrame:
        rest = [name for name in frame.columns if name not in by]
        both = places.join(frame, on=by, how="inner", nulls_equal=True, maintain_order="left_right")
        return both.select(*places.columns, *rest)

    return base.map(spread)
