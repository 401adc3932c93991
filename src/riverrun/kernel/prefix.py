"""Running merges of partials, without a loop over rows: a parallel prefix scan.

Entries stand in *slots*, and slots in *stretches* of the same length, a power of two. A scan merges each
entry with all before it (or behind it) in its stretch. It does so within *blocks* of a few slots at once,
by giving a copy of each entry to every later slot of its block; then it scans the blocks, and merges each
entry with all blocks before its own. Blelloch (1990, "Prefix sums and their applications"): the work is
proportional to the entries, however long a stretch is.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.stats.partial_frames import Partials
from riverrun.stats.program import Program

#: The place of an entry: the number of its stretch times the length of stretches, plus its place in it.
SLOT = "__p_slot"
#: The slot that a copy of an entry goes to.
GOES_TO = "__p_goes_to"
#: The slots of a block. More of them: fewer merges, each of more rows.
BLOCK_SLOTS = 16
BLOCK = "__p_scan_block"
#: The number of a stretch.
STRETCH = "__p_stretch"


def prefixes(program: Program, base: Partials | None, rows: Partials, by: Sequence[str], rank: str) -> Partials:
    """For each row of `rows`, the merge of `base` and of all rows of its group up to it.

    `rows` has the columns `by` and `rank`, which counts from 0 within each group; so has the result.
    """
    places = rows.wide.select(*by, rank)
    longest = places[rank].max()
    assert isinstance(longest, int)
    length = stretch_length(longest + 1)
    groups = places.select(by).unique(maintain_order=True).with_row_index(STRETCH)
    first = pl.col(STRETCH).cast(pl.Int64) * length
    at = places.join(groups, on=by, how="left", nulls_equal=True, maintain_order="left")
    at = at.select(*by, rank, (first + pl.col(rank)).alias(SLOT))
    entries = in_slots([placed(rows, at, [*by, rank])])
    if base is not None:
        heads = groups.select(*by, first.alias(SLOT))
        entries = merged_in(program, placed(base, heads, by), entries)
    upto = scan(program, entries, length)
    wide = at.join(upto.wide, on=SLOT, how="left", maintain_order="left").drop(SLOT)
    long = {
        name: at.join(table, on=SLOT, how="inner", maintain_order="left_right").drop(SLOT)
        for name, table in upto.long.items()
    }
    return Partials(wide, long)


def stretch_length(entries: int) -> int:
    """The power of two that holds so many entries."""
    return 1 << max(0, entries - 1).bit_length()


def placed(partials: Partials, places: pl.DataFrame, on: Sequence[str]) -> Partials:
    """The partials with `SLOT`, which `places` has, in the stead of the columns `on`; others are left out."""

    def place(frame: pl.DataFrame) -> pl.DataFrame:
        found = frame.join(places, on=on, how="inner", nulls_equal=True, maintain_order="left")
        return found.select(SLOT, pl.exclude(SLOT, *on))

    return partials.map(place)


def scan(program: Program, entries: Partials, length: int, *, backward: bool = False) -> Partials:
    """For each entry, the merge of all entries of its stretch up to it; `backward`: from it on.

    Parameters
    ----------
    entries : by `SLOT`, in its order, without gaps from the first slot of each stretch (`backward`: up to
        the last).
    length : of stretches, a power of two.
    """
    if length == 1:
        return entries
    size = min(length, BLOCK_SLOTS)
    slots = entries.wide.select(SLOT, (pl.col(SLOT) // size).alias(BLOCK))
    within = _within_blocks(program, entries, slots, backward=backward)
    if length == size:
        return within
    ends = slots.unique(BLOCK, keep="first" if backward else "last", maintain_order=True)
    totals = _copied(within, ends.select(SLOT, pl.col(BLOCK).alias(GOES_TO)))
    upto = scan(program, totals, length // size, backward=backward)
    step = -1 if backward else 1
    opening = pl.col(BLOCK) % (length // size) == (length // size - 1 if backward else 0)
    before = slots.filter(~opening).select((pl.col(BLOCK) - step).alias(SLOT), pl.col(SLOT).alias(GOES_TO))
    return merged_in(program, _copied(upto, before), within, backward=backward)


def _within_blocks(program: Program, entries: Partials, slots: pl.DataFrame, *, backward: bool) -> Partials:
    """For each entry the merge of those before it in its block and of itself."""
    pairs = slots.join(slots.rename({SLOT: GOES_TO}), on=BLOCK, how="inner", maintain_order="right_left")
    wanted = pl.col(SLOT) >= pl.col(GOES_TO) if backward else pl.col(SLOT) <= pl.col(GOES_TO)
    return program.merge([_copied(entries, pairs.filter(wanted).select(SLOT, GOES_TO))], [SLOT])


def merged_in(program: Program, others: Partials, entries: Partials, *, backward: bool = False) -> Partials:
    """`others` merged into those entries that stand in their slots; they are earlier, or `backward` later."""
    if not others.rows:
        return entries
    slots = others.wide.select(SLOT)
    taken = entries.map(lambda f: f.join(slots, on=SLOT, how="semi", maintain_order="left"))
    merged = program.merge([taken, others] if backward else [others, taken], [SLOT])
    if taken.rows == entries.rows:
        return in_slots([merged])
    rest = entries.map(lambda f: f.join(slots, on=SLOT, how="anti", maintain_order="left"))
    return in_slots([merged, rest])


def in_slots(parts: Sequence[Partials]) -> Partials:
    """Entries of different slots in the order of slots."""
    present = [part for part in parts if part.rows]
    both = Partials.concat(present)
    return both if both.wide[SLOT].is_sorted() else Partials(both.wide.sort(SLOT), both.long)


def _copied(entries: Partials, where: pl.DataFrame) -> Partials:
    """Entries at the slots `SLOT` of `where`, moved to `GOES_TO`."""

    def copy(frame: pl.DataFrame) -> pl.DataFrame:
        both = where.join(frame, on=SLOT, how="inner", maintain_order="left_right")
        return both.drop(SLOT).rename({GOES_TO: SLOT}).select(frame.columns)

    return entries.map(copy)
