"""A program whose partials are merged row by row, without grouping."""

from __future__ import annotations

import polars as pl

from riverrun.stats.partials import EVENT_TIME, Side, WidePartial
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES

#: Is added to the names of the earlier side.
EARLIER = "_earlier"


class PairedProgram:
    """The partials of rows, and merges of two frames of partials, row by row.

    Only for programs that `can_be_paired`.
    """

    def __init__(self, program: Program) -> None:
        by = f"{EVENT_TIME}_any"
        instant = pl.lit(0, pl.Int64)
        rows = program.empty.with_columns(instant.alias(by), instant.alias(EVENT_TIME)).clear()
        schema = dict(program.of_rows(rows, [by], NO_REFERENCES)[0].wide.drop(by).schema)
        self.columns = list(schema)
        self.schema = schema
        self._inputs = program.computed
        earlier = Side({name: name + EARLIER for name in schema}, schema)
        later = Side({name: name for name in schema}, schema)
        each: dict[str, pl.Expr] = {}
        pair: dict[str, pl.Expr] = {}
        between: dict[str, pl.Expr] = {}
        for partial in program.wide:
            between |= {partial.column(p): expr for p, expr in partial.between(earlier, later).items()}
            each |= {partial.column(p): expr for p, expr in partial.each(program.where_read()).items()}
            pair |= {partial.column(p): expr for p, expr in partial.pair(earlier, later).items()}
        self._each = [each[name].cast(dtype).alias(name) for name, dtype in schema.items()]
        self._between = [expr.alias(name) for name, expr in between.items()]
        self._pair = [pair[name].alias(name) for name in schema]

    def each(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the partials of each, as a group of its own."""
        ready = rows.with_columns(self._inputs) if self._inputs else rows
        return ready.with_columns(self._each)

    def merged(self, earlier: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        """The later rows, each merged with the earlier one beside it, which is absent where all is null."""
        names = {name: name + EARLIER for name in self.columns}
        both = later.select(self.columns).hstack(earlier.select(self.columns).rename(names))
        both = both.with_columns(self._between) if self._between else both
        return later.with_columns(both.select(self._pair))


def can_be_paired(program: Program) -> bool:
    """Whether all partials say how two of them are merged in one row."""
    return not program.long and all(type(partial).pair is not WidePartial.pair for partial in program.wide)
