"""Putting rows from the two paths together: good rows of the fast one, single rows of the strict one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import polars as pl

from riverrun.formats.columns import series_of
from riverrun.formats.timestamps import TimeColumn
from riverrun.ports import Decoded, Rejected
from riverrun.schema import Column, Schema

#: Every whole number below this one is a double; from here on only every second one is, and less.
WHOLE_BELOW = 2.0**53

_ORDER = "__riverrun_line"


@dataclass(slots=True)
class Collected:
    """What a decoder has made of some bytes so far."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    blank: int = 0
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, number: int = 1) -> None:
        if number:
            self.counters[name] = self.counters.get(name, 0) + number

    @property
    def rows(self) -> int:
        """How many good rows there are."""
        return sum(frame.height for frame in self.frames)

    def reject_unframed(self, letter: Rejected) -> None:
        """What never became a record, behind all rows so far."""
        self.rejected.append(replace(letter, rows_before=self.rows))

    def decoded(self, schema: Schema) -> Decoded:
        frames = [frame for frame in self.frames if frame.height]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames) if frames else schema.empty()
        self.count("inexact_numbers", _inexact_numbers(frame))
        return Decoded(frame, tuple(self.rejected), self.blank, dict(self.counters))


def _inexact_numbers(frame: pl.DataFrame) -> int:
    """How many values of doubles are so large that they stand for several whole numbers."""
    found = 0
    for series in frame.get_columns():
        if isinstance(series.dtype, pl.Float64):
            low, high = cast(float, series.min() or 0.0), cast(float, series.max() or 0.0)
            if high >= WHOLE_BELOW or low <= -WHOLE_BELOW:
                found += int((series.abs() >= WHOLE_BELOW).sum())
    return found


class RowBuilder:
    """Builds frames from rows of values as the strict readers give them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._times: Mapping[str, TimeColumn] = {c.name: TimeColumn.of(c) for c in schema if c.is_time}

    def from_rows(self, rows: Sequence[Sequence[object]]) -> pl.DataFrame:
        if not rows:
            return self._schema.empty()
        return self.from_columns(list(zip(*rows, strict=True)))

    def from_columns(self, columns: Sequence[Sequence[object]]) -> pl.DataFrame:
        return pl.DataFrame(
            [self.series(column, values) for column, values in zip(self._schema, columns, strict=True)]
        )

    def series(self, column: Column, values: Sequence[object]) -> pl.Series:
        """One column from the values that a strict reader gave."""
        return series_of(column, values, self._times.get(column.name))


def replace_rows(
    fast: pl.DataFrame, flagged: pl.Series, strict: pl.DataFrame, at: Sequence[int]
) -> pl.DataFrame:
    """The rows of `fast` that are not flagged, and the rows of `strict` put in at the indices `at`.

    A record may be several rows (an array of objects); then its index stands there several times.
    """
    keep = ~flagged
    if not strict.height:
        return fast.filter(keep)
    if len(set(at)) < len(at):
        return _sorted_in(fast, keep, strict, at)
    mended = [
        column.clone().scatter(at, values)  # in place
        for column, values in zip(fast.get_columns(), strict.get_columns(), strict=True)
    ]
    return pl.DataFrame(mended).filter(keep.scatter(at, True))


def _sorted_in(fast: pl.DataFrame, keep: pl.Series, strict: pl.DataFrame, at: Sequence[int]) -> pl.DataFrame:
    index = pl.int_range(fast.height, dtype=pl.Int64, eager=True).alias(_ORDER)
    placed = strict.with_columns(pl.Series(_ORDER, at, dtype=pl.Int64))
    return pl.concat([fast.hstack([index]).filter(keep), placed]).sort(_ORDER, maintain_order=True).drop(_ORDER)
