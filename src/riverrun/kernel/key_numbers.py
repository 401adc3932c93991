"""Whole numbers for keys, which stay the same from batch to batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from riverrun.kernel.in_order import KEY, numbered

#: The number that a key had.
OLD = f"{KEY}_old"
#: Keys without rows are forgotten once they are more than those with rows, and so many.
FORGET_KEYS = 256


def with_numbers(
    rows: pl.DataFrame, keys: Sequence[str], known: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The rows with the number of their key (`KEY`), and the numbers of all keys, those `known` first."""
    if not keys:
        return numbered(rows, ())[0], None
    names = list(keys)
    table = rows.select(names).unique(maintain_order=True)
    count = 0
    if known is not None:
        table = table.join(known, on=names, how="anti", nulls_equal=True, maintain_order="left")
        count = known.height
    table = table.with_row_index(KEY, offset=count).select(*names, pl.col(KEY).cast(pl.Int64))
    table = table if known is None else pl.concat([known, table])
    return rows.join(table, on=names, how="left", nulls_equal=True, maintain_order="left"), table


def renumbered(known: pl.DataFrame, used: Iterable[pl.DataFrame]) -> pl.DataFrame | None:
    """The keys that frames have, numbered anew, with the `OLD` number; ``None``: not worth it."""
    if known.height <= FORGET_KEYS:
        return None
    numbers = pl.concat([frame.select(pl.col(KEY).unique()) for frame in used])[KEY].unique()
    if known.height <= 2 * numbers.len() + FORGET_KEYS:
        return None
    kept = known.filter(pl.col(KEY).is_in(numbers.implode())).rename({KEY: OLD})
    return kept.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(KEY))


def with_new_numbers(frame: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """A frame with the new numbers of its keys, which are all among those kept."""
    new = kept.select(OLD, KEY)
    changed = frame.rename({KEY: OLD}).join(new, on=OLD, how="left", maintain_order="left")
    return changed.select(frame.columns)
