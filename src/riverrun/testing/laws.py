"""The laws that every aggregate keeps: merging has a zero, may be grouped anyhow, and equals the whole.

Written once and run on every aggregate, those of users included. An aggregate that breaks one of them gives
results that depend on how its input was cut into batches.
"""

from __future__ import annotations

import io
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from riverrun.stats.aggregate import Aggregate
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES

GROUP = "group"
_BY = [GROUP]

#: Splits that are tried: all of a short input, so many of a long one.
SPLITS = 12

Reference = Callable[[pl.DataFrame], object]


def check_aggregate_laws(
    aggregate: Aggregate,
    values: pl.DataFrame | Mapping[str, Sequence[object]],
    *,
    reference: Reference | None = None,
    permutes: bool = True,
    ignores_nulls: bool = True,
    relative: float = 1e-12,
    absolute: float = 0.0,
    seed: int = 0,
) -> None:
    """Check that an aggregate keeps the laws of merging on these values.

    Zero (an empty part changes nothing), split anywhere equals the whole, any grouping, any order (where it
    `permutes`), neighbours in the same batch have no influence, a snapshot that goes through bytes loses
    nothing, rows of nulls change nothing (where it `ignores_nulls`), and agreement with `reference` on
    every part.

    Parameters
    ----------
    values : the columns that the aggregate reads; nulls, NaN and infinities are welcome. Row i counts as of
        second i.
    reference : takes a frame of rows and returns the value that is right.
    permutes : whether the result must not depend on the order in which rows arrive.
    relative, absolute : how far apart two floats may be to count as equal.

    Raises
    ------
    AssertionError : naming the law that is broken, and the two values.

    >>> import riverrun as rr
    >>> check_aggregate_laws(rr.mean("x"), {"x": [1.0, None, 4.0]}, reference=lambda rows: rows["x"].mean())
    """
    frame = values if isinstance(values, pl.DataFrame) else pl.DataFrame(dict(values), strict=False)
    laws = _Laws(aggregate, frame, relative, absolute, random.Random(seed))  # noqa: S311
    laws.zero()
    laws.split_anywhere()
    laws.any_grouping()
    laws.snapshot()
    laws.neighbours()
    if permutes:
        laws.any_order()
    if ignores_nulls:
        laws.nulls()
    if reference is not None:
        laws.agrees(reference)


class _Laws:
    def __init__(
        self, aggregate: Aggregate, frame: pl.DataFrame, relative: float, absolute: float, chance: random.Random
    ) -> None:
        self.label = aggregate.label
        self.rows = frame.with_columns(
            pl.lit("a").alias(GROUP), (pl.int_range(pl.len(), dtype=pl.Int64) * 1_000_000).alias(EVENT_TIME)
        )
        self.program = Program({"value": aggregate}, self.rows.schema)
        self.relative = relative
        self.absolute = absolute
        self.chance = chance
        self.whole = self.value(self.partials(self.rows))

    # -- the laws -----------------------------------------------------------------------------------

    def zero(self) -> None:
        nothing = self.partials(self.rows.clear())
        _demand(nothing.rows == 0, f"{self.label}: an empty group has no partial, yet there are {nothing.rows}")
        both = self.value(self.merged(nothing, nothing))
        _demand(both is None, f"{self.label}: two empty parts make {both!r}")
        part = self.partials(self.rows)
        self.same("zero", self.value(self.merged(nothing, part, nothing)))

    def split_anywhere(self) -> None:
        for cut in self.cuts():
            first, second = self.rows[:cut], self.rows[cut:]
            self.same(f"split at {cut}", self.value(self.chained(first, second)))
            alone = self.merged(self.partials(first), self.partials(second))
            self.same(f"split at {cut}, parts made without each other", self.value(alone))
        one_by_one = [self.rows[at : at + 1] for at in range(self.rows.height)]
        if 0 < len(one_by_one) <= 200:
            self.same("row by row", self.value(self.chained(*one_by_one)))

    def any_grouping(self) -> None:
        cuts = sorted(self.chance.sample(range(self.rows.height + 1), k=min(3, self.rows.height + 1)))
        bounds = [0, *cuts, self.rows.height]
        parts = [self.partials(self.rows[a:b]) for a, b in itertools.pairwise(bounds)]
        left = right = None
        for part in parts:
            left = part if left is None else self.merged(left, part)
        for part in reversed(parts):
            right = part if right is None else self.merged(part, right)
        assert left is not None
        assert right is not None
        self.same(f"grouped from the left, cut at {cuts}", self.value(left))
        self.same(f"grouped from the right, cut at {cuts}", self.value(right))

    def any_order(self) -> None:
        order = list(range(self.rows.height))
        self.chance.shuffle(order)
        shuffled = self.rows[order]
        self.same("another order of rows", self.value(self.partials(shuffled)))
        cut = self.rows.height // 2
        swapped = self.merged(self.partials(self.rows[cut:]), self.partials(self.rows[:cut]))
        self.same("parts merged the other way round", self.value(swapped))

    def snapshot(self) -> None:
        cut = self.rows.height // 2
        parts = [self.partials(self.rows[:cut]), self.partials(self.rows[cut:])]
        restored = [part.map(_through_bytes) for part in parts]
        self.same("snapshot", self.value(self.merged(*restored)), exactly=self.value(self.merged(*parts)))

    def neighbours(self) -> None:
        other = self.rows.with_columns(pl.lit("b").alias(GROUP))
        cut = self.rows.height // 2
        mixed = pl.concat([other[cut:], self.rows, other[:cut]])
        self.same("neighbours in the batch", self.value(self.partials(mixed)))

    def nulls(self) -> None:
        read = [name for name in self.rows.columns if name not in (GROUP, EVENT_TIME)]
        empty = self.rows.with_columns(pl.lit(None, self.rows.schema[name]).alias(name) for name in read)
        both = pl.concat([empty[:3], self.rows, empty[:2]])
        self.same("rows of nulls", self.value(self.partials(both)))
        self.same(
            "a part of nulls", self.value(self.merged(self.partials(empty[:3]), self.partials(self.rows)))
        )

    def agrees(self, reference: Reference) -> None:
        for cut in [*self.cuts(), self.rows.height]:
            if cut == 0:
                continue
            rows = self.rows[:cut]
            expected = reference(rows.drop(GROUP, EVENT_TIME))
            got = self.value(self.partials(rows))
            text = f"{self.label}: of the first {cut} rows it gives {got!r}, the reference {expected!r}"
            _demand(self.equal(got, expected), text)

    # -- helpers ------------------------------------------------------------------------------------

    def cuts(self) -> list[int]:
        every = range(self.rows.height + 1)
        return list(every) if len(every) <= SPLITS else sorted(self.chance.sample(every, SPLITS))

    def partials(self, rows: pl.DataFrame) -> Partials:
        return self.program.of_rows(rows, _BY, NO_REFERENCES)[0]

    def chained(self, *parts: pl.DataFrame) -> Partials:
        """As the engine does it: each batch goes on with the references of the one before."""
        references, made = NO_REFERENCES, []
        for part in parts:
            partials, references = self.program.of_rows(part, _BY, references)
            made.append(partials)
        return self.merged(*made)

    def merged(self, *parts: Partials) -> Partials:
        return self.program.merge(parts, _BY)

    def value(self, partials: Partials) -> Any:
        """The result for the group, ``None`` when it has no partial."""
        results = self.program.results(partials, _BY, pl.lit(0, pl.Int64), pl.lit(1_000_000, pl.Int64))
        mine = results.filter(pl.col(GROUP) == "a")["value"].to_list()
        return mine[0] if mine else None

    def same(self, law: str, got: object, *, exactly: object = None) -> None:
        if exactly is not None:
            _demand(repr(got) == repr(exactly), f"{self.label}, {law}: {got!r} instead of {exactly!r}")
            return
        text = f"{self.label}, {law}: {got!r}, the whole gives {self.whole!r}"
        _demand(self.equal(got, self.whole), text)

    def equal(self, got: object, expected: object) -> bool:
        if isinstance(got, Mapping) and isinstance(expected, Mapping):
            return got.keys() == expected.keys() and all(self.equal(got[k], expected[k]) for k in got)
        if isinstance(got, list) and isinstance(expected, list):
            return len(got) == len(expected) and all(map(self.equal, got, expected))
        if isinstance(got, float) and isinstance(expected, (int, float)):
            if math.isnan(got) or math.isnan(expected):
                return math.isnan(got) and math.isnan(expected)
            return math.isclose(got, expected, rel_tol=self.relative, abs_tol=self.absolute)
        return got == expected


def _demand(kept: bool, broken: str) -> None:
    """Raise `AssertionError`, also where Python leaves out assert statements."""
    if not kept:
        raise AssertionError(broken)


def _through_bytes(frame: pl.DataFrame) -> pl.DataFrame:
    """Written as Arrow IPC and read back."""
    data = io.BytesIO()
    frame.write_ipc(data)
    return pl.read_ipc(io.BytesIO(data.getvalue()))
