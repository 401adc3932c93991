"""A set of aggregates compiled to columns: what is shared between them is computed once.

`Program.of_rows` makes partials of a batch, `Program.merge` merges partials, `Program.results` turns
merged partials into the columns that users see. All go by a list of grouping columns that the caller
chooses; this module knows nothing of windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, input_dtypes
from riverrun.stats.merging import Merging
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX, Input, LongPartial, Rows, WidePartial
from riverrun.stats.references import NO_REFERENCES, References
from riverrun.stats.wide_rows import ARRIVAL, WideRows
from riverrun.stats.windowed import Needs

#: Each group is summed about its own mean.
OWN_MEANS = References({}, by_group=True)


class Program:
    """Named aggregates, ready to run.

    Parameters
    ----------
    aggregates : result name to aggregate.
    schema : the types of the frames that it will read.
    """

    def __init__(self, aggregates: Mapping[str, Aggregate], schema: Mapping[str, pl.DataType]) -> None:
        self.aggregates = dict(aggregates)
        partials = {p.name: p for a in aggregates.values() for p in a.partials()}
        self.wide = [p for p in partials.values() if isinstance(p, WidePartial)]
        self.long = [p for p in partials.values() if isinstance(p, LongPartial)]
        self.inputs = list(dict.fromkeys(i for p in partials.values() for i in p.inputs))
        self.by_time = any(p.by_time for p in self.wide)
        self.needs_time = any(p.reads_time for p in self.wide) or bool(self.long)
        empty = pl.DataFrame(schema=dict(schema))
        #: No rows, in the types of those that it will read.
        self.empty = empty
        read = dict.fromkeys([*self.inputs, *(i for a in aggregates.values() for i in a.inputs)])
        self.dtypes = dict(zip(read, input_dtypes(list(read), empty, where="agg"), strict=True))
        #: The columns of the rows that the aggregates read.
        self.roots = tuple(dict.fromkeys(name for item in self.inputs for name in item.expr.meta.root_names()))
        self._floats = frozenset(item for item in self.inputs if self.dtypes[item].is_float())
        self._columns = {item: self._column_of(item) for item in self.inputs}
        self.computed = [
            item.typed(self.dtypes[item]).alias(name)
            for item, name in self._columns.items()
            if name.startswith(PARTIAL_PREFIX)
        ]
        self._rows = WideRows(self.wide, self._columns)
        self._stretched = [p for p in self.wide if type(p).of_stretches is not WidePartial.of_stretches]
        self._other_rows = WideRows([p for p in self.wide if p not in self._stretched], self._columns)
        self._merging = Merging(self.wide)
        self._made: tuple[pl.Expr, pl.Expr, list[pl.Expr]] | None = None
        self._windowed: dict[tuple[frozenset[str], str], Needs | None] = {}

    def where_read(self) -> Rows:
        """Where each input stands, once `computed` has been added to the rows."""
        return Rows(self._columns, self._rows.references, frozenset(), too_large=self._floats)

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Where the inputs stand, once `computed` has been added to the rows."""
        return tuple(self._columns.values())

    def windowed(self, incomplete: frozenset[str], period: str) -> Needs | None:
        """What tells all partials of windows that end with each of some rows; ``None``: some must be merged.

        Parameters
        ----------
        incomplete : those of `input_columns` that hold nulls.
        """
        made = (incomplete, period)
        if made not in self._windowed:
            complete = frozenset(item for item, name in self._columns.items() if name not in incomplete)
            rows = Rows(self._columns, self._rows.references, complete, self.dtypes, self._floats)
            found = [partial.windowed(rows, period) for partial in self.wide]
            told = [needs for needs in found if needs is not None]
            possible = not self.long and len(told) == len(found)
            self._windowed[made] = reduce(Needs.also, told, Needs()) if possible else None
        return self._windowed[made]

    def _column_of(self, item: Input) -> str:
        """Where an input stands: a column that can be read as it is needs no copy."""
        plain = item.expr.meta.is_column() and item.typed(self.dtypes[item]) is item.expr
        return item.expr.meta.output_name() if plain else f"{PARTIAL_PREFIX}in_{item.short}"

    # -- rows to partials ---------------------------------------------------------------------------

    def of_rows(
        self, frame: pl.DataFrame, by: Sequence[str], references: References
    ) -> tuple[Partials, References]:
        """The partials of a batch, and the references to go on with.

        `frame` holds the columns `by`, `EVENT_TIME` where `needs_time`, and what the aggregates read.
        """
        ready = frame.with_columns(self.computed) if self.computed else frame
        if self.by_time and not ready[EVENT_TIME].is_sorted():
            ready = ready.with_row_index(ARRIVAL).sort(EVENT_TIME, maintain_order=True)
        rows = self._where_in(ready)
        wide, references = self._rows.of(ready, by, references, rows.complete)
        return Partials(wide, {p.name: p.of_rows(ready, rows, by) for p in self.long}), references

    def of_stretches(self, frame: pl.DataFrame, by: str) -> Partials:
        """The partials of groups that stand one behind the other, each about its own mean.

        Parameters
        ----------
        frame : as for `of_rows`, group by group, in each of them in the order of event time.
        by : the number of the group, sorted.
        """
        ready = frame.with_columns(self.computed) if self.computed else frame
        rows = self._where_in(ready)
        wide, _ = self._other_rows.of(ready, [by], OWN_MEANS, rows.complete)
        for partial in self._stretched:
            made = partial.of_stretches(ready, rows, by)
            assert made is not None
            alike = made.height == wide.height
            wide = (
                wide.hstack(made.drop(by))
                if alike
                else wide.join(made, on=by, how="left", maintain_order="left")
            )
        return Partials(wide, {p.name: p.of_rows(ready, rows, [by]) for p in self.long})

    def _where_in(self, ready: pl.DataFrame) -> Rows:
        complete = frozenset(item for item, name in self._columns.items() if not ready[name].null_count())
        return Rows(self._columns, {}, complete)

    # -- partials to partials -----------------------------------------------------------------------

    def merge(self, parts: Sequence[Partials], by: Sequence[str]) -> Partials:
        """One partial a group; groups in the order of their first appearance."""
        both = Partials.concat(parts)
        long = {partial.name: partial.merge(both.long[partial.name], by) for partial in self.long}
        return Partials(self._merging.merge(both.wide, by), long)

    # -- partials to results ------------------------------------------------------------------------

    def results(
        self,
        merged: Partials,
        by: Sequence[str],
        start: pl.Expr,
        end: pl.Expr,
        keep: Sequence[str] = (),
    ) -> pl.DataFrame:
        """The columns `by` and `keep`, and one column for each aggregate, in the order of `merged`."""
        out = merged.wide.select(*by, *keep, *self._result_expressions(start, end))
        for name, aggregate in self.aggregates.items():
            if name not in out.columns:
                out = self._joined(out, name, aggregate, merged, by)
        return out[[*by, *keep, *self.aggregates]]

    def _result_expressions(self, start: pl.Expr, end: pl.Expr) -> list[pl.Expr]:
        """Made once for a pair of bounds: making them costs more than a small frame does."""
        if self._made is None or self._made[0] is not start or self._made[1] is not end:
            at = Finished(start, end, self.dtypes)
            found = {name: aggregate.value(at) for name, aggregate in self.aggregates.items()}
            exprs = [expr.alias(name) for name, expr in found.items() if expr is not None]
            self._made = (start, end, exprs)
        return self._made[2]

    def _joined(
        self, out: pl.DataFrame, name: str, aggregate: Aggregate, merged: Partials, by: Sequence[str]
    ) -> pl.DataFrame:
        values = aggregate.long_result(merged.long, by).rename({"value": name})
        if values.select(by).equals(out.select(by)):
            return out.hstack([values[name]])
        joined = out.join(values, on=by, how="left", nulls_equal=True, maintain_order="left")
        if aggregate.empty_value is None:
            return joined
        return joined.with_columns(pl.col(name).fill_null(aggregate.empty_value))


def results_schema(program: Program, empty: pl.DataFrame) -> dict[str, pl.DataType]:
    """The types of the result columns, found by running on no rows."""
    by = "__p_any"
    rows = empty.with_columns(pl.lit(0, pl.Int64).alias(by), pl.lit(0, pl.Int64).alias(EVENT_TIME)).clear()
    partials, _ = program.of_rows(rows, [by], NO_REFERENCES)
    results = program.results(partials, [by], pl.lit(0, pl.Int64), pl.lit(1, pl.Int64))
    return {name: dtype for name, dtype in results.schema.items() if name != by}
