"""A set of aggregates compiled to columns: what is shared between them is computed once.

`Program.of_rows` makes partials of a batch, `Program.merge` merges partials, `Program.results` turns
merged partials into the columns that users see. All go by a list of grouping columns that the caller
chooses; this module knows nothing of windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, input_dtypes
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX, Input, LongPartial, Rows, Spread, WidePartial
from riverrun.stats.windowed import Needs

#: From so many rows on, the streaming engine of Polars is faster than the in-memory one.
STREAMING_ROWS = 40_000

#: Where a row stood before the rows were put into the order of event time.
ARRIVAL = f"{PARTIAL_PREFIX}arrival"

#: A group that lies this many standard deviations off the common reference is summed about its own mean. At 128
#: the error is 3e-14 at most (32 to 200,000 rows, both engines of Polars), at 256 it is 7e-14.
FAR_SIGMAS = 128.0
#: From so many rows on, or where most of so many groups lie far off, it is no chance: batches are summed about
#: group means from then on, which costs another pass over the rows.
FAR_ROWS = 32
#: Where more than this part of the partials are about other references than most, groups are merged about
#: centres of their own at once: a merge about common references would have to be done again for many of them.
_FEW = 0.05
#: References have so few binary digits that they can mostly be subtracted without rounding.
REFERENCE_BITS = 26


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

    @staticmethod
    def concat(parts: Sequence[Partials]) -> Partials:
        """Partials one under the other; a group may then stand in them several times."""
        if len(parts) == 1:
            return parts[0]
        long = {name: pl.concat([part.long[name] for part in parts]) for name in parts[0].long}
        return Partials(pl.concat([part.wide for part in parts]), long)


@dataclass(frozen=True, slots=True)
class References:
    """What is subtracted from each shifted input before it is summed.

    `values` are common to all groups and chosen once; `by_group` says that the data turned out to be so
    far from them, in some group, that each batch subtracts its own group means instead.
    """

    values: Mapping[str, float]
    by_group: bool = False


NO_REFERENCES = References({})

_NONE = pl.Series(dtype=pl.Boolean)

_Named = dict[str, pl.Expr]
_MergeExpressions = tuple[_Named, _Named, _Named, _Named, _Named]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How the wide partials of a batch are made: what is computed once, and which columns are copies of it.

    Parameters
    ----------
    computed : column name to expression, each different.
    copies : further names for a computed column.
    literals : columns that hold the reference of an input, the same for all groups.
    order : all names, in the order in which partials stand.
    spreads : where to see whether digits were lost, but for those that are copies of others.
    """

    computed: Mapping[str, pl.Expr]
    copies: Mapping[str, str]
    literals: Mapping[str, Input]
    order: tuple[str, ...]
    spreads: tuple[Spread, ...]

    @staticmethod
    def of(
        expressions: Mapping[str, pl.Expr], literals: Mapping[str, Input], spreads: Sequence[Spread]
    ) -> _Recipe:
        """All expressions in their order; those among `literals` are not computed."""
        first: dict[str, str] = {}
        computed, copies = {}, {}
        for name, expr in expressions.items():
            if name in literals:
                continue
            key = str(expr)
            if key in first:
                copies[name] = first[key]
            else:
                first[key] = name
                computed[name] = expr
        own = tuple(spread for spread in spreads if not copies.keys() >= set(spread[:3]))
        return _Recipe(computed, copies, literals, tuple(expressions), own)

    def grouped(
        self,
        rows: pl.LazyFrame,
        by: Sequence[str],
        height: int,
        values: Mapping[Input, float],
        *,
        resorted: bool,
    ) -> pl.DataFrame:
        """One row a group, in the order of first appearance, in one query."""
        named = [expr.alias(name) for name, expr in self.computed.items()]
        if resorted:
            named.append(pl.col(ARRIVAL).min())
        added = [pl.col(source).alias(name) for name, source in self.copies.items()]
        added += [pl.lit(values[item]).alias(name) for name, item in self.literals.items()]
        query = rows.group_by(by, maintain_order=True).agg(named).with_columns(added)
        if resorted:
            query = query.sort(ARRIVAL)
        wide = query.collect(engine=_engine(height))
        return wide[[*by, *self.order]]


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
        self.needs_time = any(p.reads_time for p in self.wide) or bool(self.long)
        self._spreads = [spread for p in self.wide for spread in p.spreads()]
        empty = pl.DataFrame(schema=dict(schema))
        #: No rows, in the types of those that it will read.
        self.empty = empty
        read = dict.fromkeys([*self.inputs, *(i for a in aggregates.values() for i in a.inputs)])
        self.dtypes = dict(zip(read, input_dtypes(list(read), empty, where="agg"), strict=True))
        #: The columns of the rows that the aggregates read.
        self.roots = tuple(dict.fromkeys(name for item in self.inputs for name in item.expr.meta.root_names()))
        self._columns = {item: self._column_of(item) for item in self.inputs}
        self.computed = [
            item.typed(self.dtypes[item]).alias(name)
            for item, name in self._columns.items()
            if name.startswith(PARTIAL_PREFIX)
        ]
        self._shifted_columns = {item: f"{PARTIAL_PREFIX}sh_{item.short}" for item in self.shifted}
        self._reference_columns = {item: f"{PARTIAL_PREFIX}ref_{item.short}" for item in self.shifted}
        self._made: tuple[pl.Expr, pl.Expr, list[pl.Expr]] | None = None
        self._merges: dict[bool, _MergeExpressions] = {}
        self._windowed: dict[tuple[frozenset[str], str], Needs | None] = {}
        self._recipes: dict[tuple[frozenset[Input], bool], _Recipe] = {}

    def where_read(self) -> Rows:
        """Where each input stands, once `computed` has been added to the rows."""
        return Rows(self._columns, self._reference_columns, frozenset())

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
            rows = Rows(self._columns, self._reference_columns, complete, self.dtypes)
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
        complete = frozenset(item for item, name in self._columns.items() if not ready[name].null_count())
        references = self._choose(ready, references)
        wide = None
        if not references.by_group:
            wide = self._about_common(ready, by, references, complete)
            told = self._recipe(complete, common=True).spreads
            lost = [spread for spread in told if _lost(wide, spread).any()]
            far = self._far(ready, wide, by, references, lost) if lost else _NONE
            if far is None:
                wide, references = None, References(references.values, by_group=True)
            elif far.any():
                again = _of_groups(ready, wide.filter(far), by)
                wide = _in_their_places(wide, far, self._about_group_means(again, by, complete))
        if wide is None:
            wide = self._about_group_means(ready, by, complete)
        rows = Rows(self._columns, {}, complete)
        return Partials(wide, {p.name: p.of_rows(ready, rows, by) for p in self.long}), references

    def _choose(self, ready: pl.DataFrame, references: References) -> References:
        """A finite value near the data for every shifted input that has none yet."""
        missing = [item for item in self.shifted if item.short not in references.values]
        if not missing or references.by_group:
            return references
        found = {}
        for item in missing:
            mean = ready[self._columns[item]].mean()
            if isinstance(mean, float) and math.isfinite(mean):
                found[item.short] = rounded(mean, REFERENCE_BITS)
        return References({**references.values, **found}, references.by_group)

    def _about_common(
        self, ready: pl.DataFrame, by: Sequence[str], references: References, complete: frozenset[Input]
    ) -> pl.DataFrame:
        """Wide partials about the common references."""
        recipe = self._recipe(complete, common=True)
        value = {item: references.values.get(item.short, 0.0) for item in self.shifted}
        shifts = [
            (pl.col(self._columns[item]) - value[item]).alias(name)
            for item, name in self._shifted_columns.items()
        ]
        rows = ready.lazy().with_columns(shifts) if shifts else ready.lazy()
        return recipe.grouped(rows, by, ready.height, value, resorted=ARRIVAL in ready.columns)

    def _about_group_means(
        self, ready: pl.DataFrame, by: Sequence[str], complete: frozenset[Input]
    ) -> pl.DataFrame:
        """Wide partials about the mean of each group, for groups on levels far apart."""
        means, shifts = [], []
        for item, (column, reference, value) in self._centred(complete).items():
            mean = value.mean()
            means.append(pl.when(mean.is_finite()).then(mean).otherwise(0.0).over(by).alias(reference))
            shifts.append((pl.col(self._columns[item[1]]) - pl.col(reference)).alias(column))
        recipe = self._recipe(complete, common=False)
        rows = ready.lazy().with_columns(means).with_columns(shifts)
        return recipe.grouped(rows, by, ready.height, {}, resorted=ARRIVAL in ready.columns)

    def _centred(self, complete: frozenset[Input]) -> dict[tuple[str, Input], tuple[str, str, pl.Expr]]:
        """By partial and input: the names of x − r and of r, and the values whose mean r is.

        A partial of several inputs counts only rows in which none is null. Their mean may be far from that of
        all values, so it gets a reference of its own; where nothing is null, one is shared by all partials.
        """
        found: dict[tuple[str, Input], tuple[str, str, pl.Expr]] = {}
        for partial in self.wide:
            apart = len(partial.shifted) > 1 and not complete.issuperset(partial.shifted)
            for item in partial.shifted:
                value = pl.col(self._columns[item])
                if apart:
                    names = [self._columns[other] for other in partial.shifted]
                    short = f"{partial.name}_{item.short}"
                    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
                    paired = pl.when(whole).then(value)
                    made = (f"{PARTIAL_PREFIX}sh_{short}", f"{PARTIAL_PREFIX}ref_{short}", paired)
                    found[partial.name, item] = made
                else:
                    found["", item] = (self._shifted_columns[item], self._reference_columns[item], value)
        return found

    def _own_rows(self, partial: WidePartial, complete: frozenset[Input], *, common: bool) -> Rows:
        """Where the inputs of a partial stand."""
        if not partial.shifted:
            return Rows(self._columns, self._reference_columns, complete)
        columns, references = {**self._columns, **self._shifted_columns}, dict(self._reference_columns)
        centred = {} if common else self._centred(complete)
        for item in partial.shifted:
            if (partial.name, item) in centred:
                columns[item], references[item], _ = centred[partial.name, item]
        return Rows(columns, references, complete)

    def _recipe(self, complete: frozenset[Input], *, common: bool) -> _Recipe:
        made = self._recipes.get((complete, common))
        if made is None:
            expressions = {
                partial.column(part): expr
                for partial in self.wide
                for part, expr in partial.of_rows(self._own_rows(partial, complete, common=common)).items()
            }
            literals = {}
            if common:
                names = {name: item for item, name in self._reference_columns.items()}
                for name, expr in expressions.items():
                    roots = expr.meta.root_names()
                    if len(roots) == 1 and roots[0] in names:
                        literals[name] = names[roots[0]]
            made = self._recipes[(complete, common)] = _Recipe.of(expressions, literals, self._spreads)
        return made

    def _far(
        self,
        ready: pl.DataFrame,
        wide: pl.DataFrame,
        by: Sequence[str],
        references: References,
        spreads: Sequence[Spread],
    ) -> pl.Series | None:
        """The groups that lost digits, so far off the common references they lie; ``None``: it is no chance.

        Parameters
        ----------
        spreads : those that tell of some.
        """
        far = alone = pl.repeat(value=False, n=wide.height, eager=True)
        for spread in spreads:
            n, mean, m2 = (wide[name] for name in spread[:3])
            off, limit = n * mean * mean, m2 * (FAR_SIGMAS * FAR_SIGMAS)
            lost, several = _lost(wide, spread).fill_null(value=False), n > 1
            if (lost & (n >= FAR_ROWS)).any():
                return None
            # A few rows may lie close together by chance: of small groups all are judged as one.
            small = several & (n < FAR_ROWS)
            if off.filter(small).sum() > limit.filter(small).sum():
                return None
            far, alone = far | (lost & several), alone | (lost & ~several)
        if alone.any():
            far |= alone & self._inexact(ready, wide, by, references)
        return None if far.len() >= FAR_ROWS and far.sum() * 2 > far.len() else far

    def _inexact(
        self, ready: pl.DataFrame, wide: pl.DataFrame, by: Sequence[str], references: References
    ) -> pl.Series:
        """The groups with a row from which a common reference cannot be subtracted without rounding.

        A single row has no spread that would tell whether rounding matters, so it has to be exact.
        """
        values = references.values
        errors = [
            is_rounded(ready[self._columns[item]], values[item.short])
            for item in self.shifted
            if item.short in values
        ]
        rounded_rows = ready.filter(pl.any_horizontal(errors)) if errors else ready.clear()
        groups = wide.select(*by).with_row_index(f"{PARTIAL_PREFIX}at")
        at = _of_groups(groups, rounded_rows, by)[f"{PARTIAL_PREFIX}at"]
        return pl.repeat(value=False, n=wide.height, eager=True).scatter(at, True)

    # -- partials to partials -----------------------------------------------------------------------

    def merge(self, parts: Sequence[Partials], by: Sequence[str]) -> Partials:
        """One partial a group; groups in the order of their first appearance."""
        both = Partials.concat(parts)
        wide, long = both.wide, both.long
        first, rest = by[0], by[1:]
        if rest and wide.height and _constant(wide[first]):
            # One window only: the keys alone tell groups apart, and grouping by less is faster.
            merged = self._merge_wide(wide.drop(first), rest)
            merged.insert_column(0, wide[first][:1].new_from_index(0, merged.height))
        else:
            merged = self._merge_wide(wide, by)
        return Partials(merged, {p.name: p.merge(long[p.name], by) for p in self.long})

    def _merge_wide(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        if frame.height < 2:
            return frame
        at = self._common_references(frame)
        if at is None or self._mostly_doubtful(frame):
            return self._merged(frame, by, None)
        merged = self._merged(frame, by, at)
        doubtful = self._doubtful(merged)
        if doubtful is None:
            return merged
        if doubtful.sum() * 2 > merged.height:
            return self._merged(frame, by, None)
        again = _of_groups(frame, merged.filter(doubtful), by)
        return _in_their_places(merged, doubtful, self._merged(again, by, None))

    def _common_references(self, frame: pl.DataFrame) -> Mapping[str, float] | None:
        """By column, the references of nearly all partials, if there are others; ``None``: others are many."""
        references = [name for partial in self.wide for name in partial.references()]
        if all(_constant(frame[name]) for name in references):
            return {}
        at: dict[str, float] = {}
        foreign = pl.repeat(value=False, n=frame.height, eager=True)
        for name in references:
            median = frame[name].median()
            at[name] = median if isinstance(median, float) else 0.0
            foreign |= (frame[name] != at[name]).fill_null(value=True)
        return None if foreign.sum() > frame.height * _FEW else at

    def _mostly_doubtful(self, frame: pl.DataFrame) -> bool:
        """Whether a merge about common references would have to be done again for most groups."""
        for spread in self._spreads:
            n, mean, m2 = (frame[name] for name in spread[:3])
            several = n > 1
            if (n * mean * mean).filter(several).sum() > spread.trusted * float(m2.filter(several).sum()):
                return True
        return False

    def _doubtful(self, merged: pl.DataFrame) -> pl.Series | None:
        """The groups that lost digits in a merge about common references; ``None`` when there are none."""
        doubtful: pl.Series | None = None
        for spread in self._spreads:
            n, mean, m2 = (merged[name] for name in spread[:3])
            lost = (n > 1) & (n * mean * mean > spread.trusted * m2)
            if lost.any():
                known = lost.fill_null(value=False)
                doubtful = known if doubtful is None else doubtful | known
        return doubtful

    def _merged(
        self, frame: pl.DataFrame, by: Sequence[str], references: Mapping[str, float] | None
    ) -> pl.DataFrame:
        """One row a group, merged about common references, or about a centre for each group (``None``).

        With no references at all those of the partials are the same already.
        """
        weighed, centres, derived, gathered, finished = self._merge_expressions(common=references == {})
        # One query: each waits for its turn in the thread pool, which decoding keeps busy.
        query = frame.lazy()
        if references:
            values = (references[name] for partial in self.wide for name in partial.references())
            query = query.with_columns(pl.lit(at).alias(name) for name, at in zip(centres, values, strict=True))
        elif centres:
            query = query.with_columns(expr.alias(name) for name, expr in weighed.items())
            query = query.with_columns(expr.over(by).alias(name) for name, expr in centres.items())
        if derived:
            query = query.with_columns(expr.alias(name) for name, expr in derived.items())
        query = query.group_by(by, maintain_order=True).agg(expr.alias(name) for name, expr in gathered.items())
        if finished:
            query = query.with_columns(expr.alias(name) for name, expr in finished.items())
        return query.collect(engine=_engine(frame.height))[frame.columns]

    def _merge_expressions(self, *, common: bool) -> _MergeExpressions:
        """Made once: making them costs more than a small frame does."""
        made = self._merges.get(common)
        if made is None:
            made = self._merges[common] = (
                {} if common else _named(self.wide, lambda p: p.weigh()),
                {} if common else _named(self.wide, lambda p: p.centre()),
                _named(self.wide, lambda p: p.derive(common)),
                _named(self.wide, lambda p: p.gather(common)),
                _named(self.wide, lambda p: p.finish()),
            )
        return made

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


def _named(
    partials: Sequence[WidePartial], expressions: Callable[[WidePartial], dict[str, pl.Expr]]
) -> dict[str, pl.Expr]:
    return {p.column(part): expr for p in partials for part, expr in expressions(p).items()}


def _engine(height: int) -> Literal["streaming", "in-memory"]:
    """The faster engine of Polars for so many rows."""
    return "streaming" if height >= STREAMING_ROWS else "in-memory"


def rounded(value: float, bits: int) -> float:
    """The nearest double with so few binary digits.

    >>> rounded(1000.7, 10), rounded(-0.3, 2)
    (1001.0, -0.25)
    """
    fraction, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(fraction, bits)), exponent - bits)


def is_rounded(x: pl.Series, r: float) -> pl.Series:
    """Where x − r is not exact, by the error term of Knuth's TwoSum; false where it is null or not finite.

    >>> is_rounded(pl.Series([1.5, 1e-20, None]), 1.0).to_list()
    [False, True, False]
    """
    d = x - r
    there = d - x
    error = (x - (d - there)) - (there + r)
    return ((error != 0) & error.is_finite()).fill_null(value=False)


def _lost(wide: pl.DataFrame, spread: Spread) -> pl.Series:
    """Which groups lie so far off a common reference that the sums about it lost digits."""
    n, mean, m2 = (wide[name] for name in spread[:3])
    return n * mean * mean > m2 * (FAR_SIGMAS * FAR_SIGMAS)


def _of_groups(frame: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows of those groups that also stand in another frame, in their order."""
    return frame.join(groups, on=by, how="semi", nulls_equal=True, maintain_order="left")


def _in_their_places(groups: pl.DataFrame, replaced: pl.Series, others: pl.DataFrame) -> pl.DataFrame:
    """Other rows, in the same order, in place of those of some groups."""
    at = f"{PARTIAL_PREFIX}at"
    kept = groups.with_row_index(at).filter(~replaced)
    put = others.insert_column(0, replaced.arg_true().alias(at))
    return pl.concat([kept, put]).sort(at).drop(at)


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
