"""A set of aggregates compiled to columns: what is shared between them is computed once.

`Program.of_rows` makes partials of a batch, `Program.merge` merges partials, `Program.results` turns
merged partials into the columns that users see. All go by a list of grouping columns that the caller
chooses; this module knows nothing of windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, input_dtype
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX, Input, LongPartial, Rows, WidePartial

#: From so many rows on, the streaming engine of Polars is faster than the in-memory one.
STREAMING_ROWS = 4_000

#: A merge about common references is trusted while N·mean² is at most this many times M2: the subtraction
#: loses log2 of it in bits, 6 of 53.
TRUSTED_RATIO = 64.0

#: Where a row stood before the rows were put into the order of event time.
ARRIVAL = f"{PARTIAL_PREFIX}arrival"

#: A batch is summed about its group means when some group of at least so many rows lies this many
#: standard deviations off the common reference.
FAR_SIGMAS = 64.0
FAR_ROWS = 8


@dataclass(frozen=True, slots=True)
class Partials:
    """Partials of some groups: one wide frame, and a long table for each long partial."""

    wide: pl.DataFrame
    long: Mapping[str, pl.DataFrame]

    @property
    def rows(self) -> int:
        return self.wide.height

    def map(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Partials:
        """The same change made to the wide frame and every table."""
        return Partials(change(self.wide), {name: change(table) for name, table in self.long.items()})


@dataclass(frozen=True, slots=True)
class References:
    """What is subtracted from each shifted input before it is summed.

    `values` are common to all groups and chosen once; `by_group` says that the data turned out to be so
    far from them, in some group, that each batch subtracts its own group means instead.
    """

    values: Mapping[str, float]
    by_group: bool = False


NO_REFERENCES = References({})


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
        self.shifted = list(dict.fromkeys(i for p in self.wide for i in p.shifted))
        self.by_time = any(p.by_time for p in self.wide)
        self.needs_time = self.by_time or bool(self.long)
        self._spreads = [spread for p in self.wide for spread in p.spreads()]
        empty = pl.DataFrame(schema=dict(schema))
        self.dtypes = {
            item: input_dtype(item, empty, where="agg")
            for item in dict.fromkeys([*self.inputs, *(i for a in aggregates.values() for i in a.inputs)])
        }
        self._columns = {item: f"{PARTIAL_PREFIX}in_{item.short}" for item in self.inputs}
        self._references = {item: f"{PARTIAL_PREFIX}ref_{item.short}" for item in self.shifted}
        # A shifted input that is also read as it is needs both.
        self._shifted_columns = {item: f"{PARTIAL_PREFIX}sh_{item.short}" for item in self.shifted}

    # -- rows to partials ---------------------------------------------------------------------------

    def of_rows(
        self, frame: pl.DataFrame, by: Sequence[str], references: References
    ) -> tuple[Partials, References]:
        """The partials of a batch, and the references to go on with.

        `frame` holds the columns `by`, `EVENT_TIME`, and what the aggregates read.
        """
        ready = self._prepared(frame, by)
        if not self.shifted:
            return self._partials(ready, by), references
        references = self._choose(ready, references)
        if not references.by_group:
            made = self._partials(self._shift_common(ready, references), by)
            if not self._too_far(made.wide):
                return made, references
            references = References(references.values, by_group=True)
        return self._partials(self._shift_by_group(ready, by), by), references

    def _prepared(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        read = [item.typed(self.dtypes[item]).alias(name) for item, name in self._columns.items()]
        ready = frame.select(*by, *([EVENT_TIME] if self.needs_time else []), *read)
        if not self.by_time or ready[EVENT_TIME].is_sorted():
            return ready
        return ready.with_row_index(ARRIVAL).sort(EVENT_TIME, maintain_order=True)

    def _choose(self, ready: pl.DataFrame, references: References) -> References:
        """A finite value near the data for every shifted input that has none yet."""
        missing = [item for item in self.shifted if item.short not in references.values]
        if not missing or references.by_group:
            return references
        found = {}
        for item in missing:
            mean = ready[self._columns[item]].mean()
            if isinstance(mean, float) and mean - mean == 0.0:
                found[item.short] = mean
        return References({**references.values, **found}, references.by_group)

    def _shift_common(self, ready: pl.DataFrame, references: References) -> pl.DataFrame:
        changed = []
        for item in self.shifted:
            value = references.values.get(item.short, 0.0)
            changed.append((pl.col(self._columns[item]) - value).alias(self._shifted_columns[item]))
            changed.append(pl.lit(value).alias(self._references[item]))
        return ready.with_columns(changed)

    def _shift_by_group(self, ready: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        means = []
        for item in self.shifted:
            mean = pl.col(self._columns[item]).mean()
            finite = pl.when(mean.is_finite()).then(mean).otherwise(0.0)
            means.append(finite.over(by).alias(self._references[item]))
        centred = ready.with_columns(means)
        return centred.with_columns(
            (pl.col(self._columns[item]) - pl.col(self._references[item])).alias(self._shifted_columns[item])
            for item in self.shifted
        )

    def _partials(self, ready: pl.DataFrame, by: Sequence[str]) -> Partials:
        complete = frozenset(i for i, name in self._columns.items() if not ready[name].null_count())
        plain = Rows(self._columns, self._references, complete)
        shifted = Rows({**self._columns, **self._shifted_columns}, self._references, complete)
        expressions = self._row_expressions(plain, shifted)
        if ARRIVAL in ready.columns:
            expressions[ARRIVAL] = pl.col(ARRIVAL).min()
        wide = _aggregate(ready, by, expressions)
        if ARRIVAL in ready.columns:
            wide = wide.sort(ARRIVAL).drop(ARRIVAL)
        return Partials(wide, {p.name: p.of_rows(ready, plain, by) for p in self.long})

    def _row_expressions(self, plain: Rows, shifted: Rows) -> dict[str, pl.Expr]:
        return {
            partial.column(part): expr
            for partial in self.wide
            for part, expr in partial.of_rows(shifted if partial.shifted else plain).items()
        }

    def _too_far(self, wide: pl.DataFrame) -> bool:
        """Whether some group lies so far off the common references that digits were lost."""
        checks = []
        for n, mean, m2 in self._spreads:
            far = n * mean * mean > FAR_SIGMAS * FAR_SIGMAS * m2
            checks.append((far & (n >= FAR_ROWS)).any())
            checks.append((far & (n > 1)).sum() * 4 > (n > 1).sum())
        return any(wide.select(pl.concat_list(checks)).item())

    # -- partials to partials -----------------------------------------------------------------------

    def merge(self, parts: Sequence[Partials], by: Sequence[str]) -> Partials:
        """One partial a group; groups in the order of their first appearance."""
        if len(parts) == 1:
            wide = parts[0].wide
            long = dict(parts[0].long)
        else:
            wide = pl.concat([part.wide for part in parts], how="vertical")
            long = {p.name: pl.concat([part.long[p.name] for part in parts]) for p in self.long}
        return Partials(self._merge_wide(wide, by), {p.name: p.merge(long[p.name], by) for p in self.long})

    def _merge_wide(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        if frame.height < 2:
            return frame
        references = [name for partial in self.wide for name in partial.references()]
        if not all(_constant(frame[name]) for name in references):
            return self._merged(frame, by, common=False)
        merged = self._merged(frame, by, common=True)
        if not self._spreads:
            return merged
        doubts = [(n > 1) & (n * mean * mean > TRUSTED_RATIO * m2) for n, mean, m2 in self._spreads]
        doubtful = merged.select(pl.any_horizontal(doubts).fill_null(value=False)).to_series()
        if not doubtful.any():
            return merged
        if doubtful.sum() * 2 > merged.height:
            return self._merged(frame, by, common=False)
        again = frame.join(merged.filter(doubtful), on=by, how="semi", nulls_equal=True, maintain_order="left")
        exact = self._merged(again, by, common=False)
        order = merged.select(*by).with_row_index(f"{PARTIAL_PREFIX}at")
        both = pl.concat([merged.filter(~doubtful), exact])
        placed = both.join(order, on=by, how="left", nulls_equal=True)
        return placed.sort(f"{PARTIAL_PREFIX}at").drop(f"{PARTIAL_PREFIX}at")

    def _merged(self, frame: pl.DataFrame, by: Sequence[str], *, common: bool) -> pl.DataFrame:
        columns = frame.columns
        if not common:
            centres = _named(self.wide, lambda p: p.centre())
            frame = frame.with_columns(expr.over(by).alias(name) for name, expr in centres.items())
        derived = _named(self.wide, lambda p: p.derive(common))
        frame = frame.with_columns(expr.alias(name) for name, expr in derived.items())
        merged = _aggregate(frame, by, _named(self.wide, lambda p: p.gather(common)))
        finished = _named(self.wide, lambda p: p.finish())
        return merged.with_columns(expr.alias(name) for name, expr in finished.items()).select(columns)

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
        at = Finished(start, end, self.dtypes)
        out = merged.wide.select(
            *by,
            *keep,
            *(
                expr.alias(name)
                for name, aggregate in self.aggregates.items()
                if (expr := aggregate.result(at)) is not None
            ),
        )
        for name, aggregate in self.aggregates.items():
            if name not in out.columns:
                out = self._joined(out, name, aggregate, merged, by)
        return out.select(*by, *keep, *self.aggregates)

    def _joined(
        self, out: pl.DataFrame, name: str, aggregate: Aggregate, merged: Partials, by: Sequence[str]
    ) -> pl.DataFrame:
        values = aggregate.long_result(merged.long, by).rename({"value": name})
        joined = out.join(values, on=by, how="left", nulls_equal=True, maintain_order="left")
        if aggregate.empty_value is None:
            return joined
        return joined.with_columns(pl.col(name).fill_null(aggregate.empty_value))


def _named(
    partials: Sequence[WidePartial], expressions: Callable[[WidePartial], dict[str, pl.Expr]]
) -> dict[str, pl.Expr]:
    return {p.column(part): expr for p in partials for part, expr in expressions(p).items()}


def _aggregate(frame: pl.DataFrame, by: Sequence[str], expressions: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """``group_by(by).agg(expressions)`` in order of first appearance, by the faster engine."""
    named = [expr.alias(name) for name, expr in expressions.items()]
    lazy = frame.lazy().group_by(by, maintain_order=True).agg(named)
    return lazy.collect(engine="streaming" if frame.height >= STREAMING_ROWS else "in-memory")


def _constant(values: pl.Series) -> bool:
    low, high = values.min(), values.max()
    return low == high and not values.null_count()


def results_schema(program: Program, empty: pl.DataFrame) -> dict[str, pl.DataType]:
    """The types of the result columns, found by running on no rows."""
    by = "__p_any"
    rows = empty.with_columns(pl.lit(0, pl.Int64).alias(by), pl.lit(0, pl.Int64).alias(EVENT_TIME)).clear()
    partials, _ = program.of_rows(rows, [by], NO_REFERENCES)
    results = program.results(partials, [by], pl.lit(0, pl.Int64), pl.lit(1, pl.Int64))
    return {name: dtype for name, dtype in results.schema.items() if name != by}
