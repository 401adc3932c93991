"""Running merges of partials, without a loop over rows: a parallel prefix scan.

Entries stand in *slots*, and slots in *stretches* of the same length, a power of two. A scan merges each
entry with all before it (or behind it) in its stretch: it merges neighbours in pairs, scans the pairs, and
puts every other entry together with the pair before it. Blelloch (1990, "Prefix sums and their
applications"): about two merges for each entry, however long a stretch is, in log₂ of its length rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.stats.program import Partials, Program

#: The place of an entry: the number of its stretch times the length of stretches, plus its place in it.
SLOT = "__p_slot"
#: The slot that a copy of an entry goes to.
GOES_TO = "__p_goes_to"
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
    step = -1 if backward else 1
    slots = entries.wide.select(SLOT)
    closing = pl.col(SLOT) % 2 == (0 if backward else 1)
    # Slots come in order, so that a partner is a neighbour.
    lone = ~closing & (pl.col(SLOT).shift(-step) != pl.col(SLOT) + step).fill_null(value=True)
    ends = slots.filter(closing | lone)
    inner = slots.filter(~closing & ~lone)
    pairs = _pairs(program, entries, slots.filter(lone))
    upto = scan(program, pairs, length // 2, backward=backward)
    opening = pl.col(SLOT) % length == (length - 1 if backward else 0)
    before = inner.filter(~opening).select(pl.col(SLOT) // 2 - step, pl.col(SLOT).alias(GOES_TO))
    carried, own = _copied(upto, before), _only(entries, inner.filter(~opening))
    joined = program.merge([own, carried] if backward else [carried, own], [SLOT]) if before.height else own
    done = _copied(upto, ends.select(pl.col(SLOT) // 2, pl.col(SLOT).alias(GOES_TO)))
    return in_slots([done, joined, _only(entries, inner.filter(opening))])


def merged_in(program: Program, first: Partials, entries: Partials) -> Partials:
    """`first` merged into those entries that stand in its slots."""
    if not first.rows:
        return entries
    taken = _only(entries, first.wide.select(SLOT))
    rest = entries.map(lambda f: f.join(first.wide.select(SLOT), on=SLOT, how="anti", maintain_order="left"))
    return in_slots([program.merge([first, taken], [SLOT]), rest])


def in_slots(parts: Sequence[Partials]) -> Partials:
    """Entries of different slots in the order of slots."""
    present = [part for part in parts if part.rows]
    both = Partials.concat(present)
    return Partials(both.wide.sort(SLOT), both.long)


def _pairs(program: Program, entries: Partials, lone: pl.DataFrame) -> Partials:
    """Neighbours merged, at half their slots. One without a partner stays as it is, to the last digit."""
    halved = entries.map(lambda frame: frame.with_columns(pl.col(SLOT) // 2))
    if not lone.height:
        return program.merge([halved], [SLOT])
    alone = lone.select(pl.col(SLOT) // 2)
    coupled = halved.map(lambda frame: frame.join(alone, on=SLOT, how="anti", maintain_order="left"))
    kept = _only(halved, alone)
    return in_slots([program.merge([coupled], [SLOT]), kept]) if coupled.rows else kept


def _only(entries: Partials, slots: pl.DataFrame) -> Partials:
    return entries.map(lambda frame: frame.join(slots, on=SLOT, how="semi", maintain_order="left"))


def _copied(entries: Partials, where: pl.DataFrame) -> Partials:
    """Entries at the slots `SLOT` of `where`, moved to `GOES_TO`."""

    def copy(frame: pl.DataFrame) -> pl.DataFrame:
        both = where.join(frame, on=SLOT, how="inner", maintain_order="left_right")
        return both.drop(SLOT).rename({GOES_TO: SLOT}).select(frame.columns)

    return entries.map(copy)
