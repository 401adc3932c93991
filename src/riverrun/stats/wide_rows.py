"""The wide partials of a batch: about common references, or about means of groups that lie far from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.partial_frames import engine_for, in_their_places, of_groups
from riverrun.stats.partials import PARTIAL_PREFIX, Input, Rows, Spread, WidePartial
from riverrun.stats.references import LARGEST, REFERENCE_BITS, References, are_too_large, is_rounded, rounded

#: Where a row stood before the rows were put into the order of event time.
ARRIVAL = f"{PARTIAL_PREFIX}arrival"

#: A group that lies this many standard deviations off the common reference is summed about its own mean. At 128
#: the error is 3e-14 at most (32 to 200,000 rows, both engines of Polars), at 256 it is 7e-14.
FAR_SIGMAS = 128.0
#: From so many rows on, or where most of so many groups lie far off, it is no chance: batches are summed about
#: group means from then on, which costs another pass over the rows.
FAR_ROWS = 32
#: Groups of fewer rows lie far off a common reference by chance, a few of them in most batches. Looking for
#: those and summing them again costs more than subtracting the mean of every group to begin with.
FEW_ROWS = 12
#: In more rows than that, those of the first groups are counted before all are, which costs up to a tenth.
_SAMPLE_ROWS = 8_192

_NONE = pl.Series(dtype=pl.Boolean)


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
        wide = query.collect(engine=engine_for(height))
        return wide[[*by, *self.order]]


@dataclass(frozen=True, slots=True)
class _Known:
    """Of the inputs of a batch those that hold no null, and those with numbers that are too large to add up."""

    complete: frozenset[Input]
    too_large: frozenset[Input]


class WideRows:
    """Makes wide partials of rows.

    Parameters
    ----------
    wide : the partials.
    columns : where each input stands.
    """

    def __init__(self, wide: Sequence[WidePartial], columns: Mapping[Input, str]) -> None:
        self.wide = wide
        self._summed = list(dict.fromkeys(i for p in wide for i in p.summed))
        self.shifted = list(dict.fromkeys(i for p in wide for i in p.shifted))
        self.references = {item: f"{PARTIAL_PREFIX}ref_{item.short}" for item in self.shifted}
        self._columns = columns
        self._shifted_columns = {item: f"{PARTIAL_PREFIX}sh_{item.short}" for item in self.shifted}
        self._spreads = [spread for p in wide for spread in p.spreads()]
        self._recipes: dict[tuple[_Known, bool], _Recipe] = {}

    def of(
        self, ready: pl.DataFrame, by: Sequence[str], references: References, complete: frozenset[Input]
    ) -> tuple[pl.DataFrame, References]:
        """One row a group, and the references to go on with.

        Parameters
        ----------
        complete : the inputs that hold no null.
        """
        references = self._choose(ready, references)
        known = _Known(complete, self._too_large(ready))
        if references.by_group or (self.shifted and _has_few_rows_a_group(ready, by)):
            return self._about_group_means(ready, by, known), references
        wide = self._about_common(ready, by, references, known)
        told = self._recipe(known, common=True).spreads
        lost = [spread for spread in told if _lost(wide, spread).any()]
        far = self._far(ready, wide, by, references, lost) if lost else _NONE
        if far is None:
            references = References(references.values, by_group=True)
            return self._about_group_means(ready, by, known), references
        if far.any():
            again = of_groups(ready, wide.filter(far), by)
            wide = in_their_places(wide, far, self._about_group_means(again, by, known))
        return wide, references

    def _choose(self, ready: pl.DataFrame, references: References) -> References:
        """A finite value near the data for every shifted input that has none yet."""
        missing = [item for item in self.shifted if item.short not in references.values]
        if not missing or references.by_group:
            return references
        found = {}
        for item in missing:
            mean = ready[self._columns[item]].mean()
            if isinstance(mean, float) and abs(mean) <= LARGEST:
                found[item.short] = rounded(mean, REFERENCE_BITS)
        return References({**references.values, **found}, references.by_group)

    def _about_common(
        self, ready: pl.DataFrame, by: Sequence[str], references: References, known: _Known
    ) -> pl.DataFrame:
        """Wide partials about the common references."""
        recipe = self._recipe(known, common=True)
        value = {item: references.values.get(item.short, 0.0) for item in self.shifted}
        shifts = [
            (self._number(item, known) - value[item]).alias(name)
            for item, name in self._shifted_columns.items()
        ]
        rows = ready.lazy().with_columns(shifts) if shifts else ready.lazy()
        return recipe.grouped(rows, by, ready.height, value, resorted=ARRIVAL in ready.columns)

    def _about_group_means(self, ready: pl.DataFrame, by: Sequence[str], known: _Known) -> pl.DataFrame:
        """Wide partials about the mean of each group, for groups on levels far apart."""
        means, shifts = [], []
        for item, (column, reference, whole) in self._centred(known).items():
            value = self._number(item[1], known)
            mean = (value if whole is None else pl.when(whole).then(value)).mean()
            means.append(pl.when(mean.is_finite()).then(mean).otherwise(0.0).over(by).alias(reference))
            shifts.append((value - pl.col(reference)).alias(column))
        recipe = self._recipe(known, common=False)
        rows = ready.lazy().with_columns(means).with_columns(shifts)
        return recipe.grouped(rows, by, ready.height, {}, resorted=ARRIVAL in ready.columns)

    def _too_large(self, ready: pl.DataFrame) -> frozenset[Input]:
        return frozenset(item for item in self._summed if are_too_large(ready[self._columns[item]]))

    def _number(self, item: Input, known: _Known) -> pl.Expr:
        return Rows(self._columns, {}, known.complete, too_large=known.too_large).number(item)

    def _centred(self, known: _Known) -> dict[tuple[str, Input], tuple[str, str, pl.Expr | None]]:
        """By partial and input: the names of x − r and of r, and in which rows the values are whose mean r is.

        A partial of several inputs counts only rows in which none is null. Their mean may be far from that of
        all values, so it gets a reference of its own; where nothing is null, one is shared by all partials.
        """
        found: dict[tuple[str, Input], tuple[str, str, pl.Expr | None]] = {}
        for partial in self.wide:
            apart = len(partial.shifted) > 1 and not known.complete.issuperset(partial.shifted)
            for item in partial.shifted:
                if apart:
                    names = [self._columns[other] for other in partial.shifted]
                    short = f"{partial.name}_{item.short}"
                    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
                    made = (f"{PARTIAL_PREFIX}sh_{short}", f"{PARTIAL_PREFIX}ref_{short}", whole)
                    found[partial.name, item] = made
                else:
                    found["", item] = (self._shifted_columns[item], self.references[item], None)
        return found

    def _own_rows(self, partial: WidePartial, known: _Known, *, common: bool) -> Rows:
        """Where the inputs of a partial stand."""
        if not partial.shifted:
            return Rows(self._columns, self.references, known.complete, too_large=known.too_large)
        columns, references = {**self._columns, **self._shifted_columns}, dict(self.references)
        centred = {} if common else self._centred(known)
        for item in partial.shifted:
            if (partial.name, item) in centred:
                columns[item], references[item], _ = centred[partial.name, item]
        return Rows(columns, references, known.complete)

    def _recipe(self, known: _Known, *, common: bool) -> _Recipe:
        made = self._recipes.get((known, common))
        if made is None:
            expressions = {
                partial.column(part): expr
                for partial in self.wide
                for part, expr in partial.of_rows(self._own_rows(partial, known, common=common)).items()
            }
            literals = {}
            if common:
                names = {name: item for item, name in self.references.items()}
                for name, expr in expressions.items():
                    roots = expr.meta.root_names()
                    if len(roots) == 1 and roots[0] in names:
                        literals[name] = names[roots[0]]
            made = self._recipes[(known, common)] = _Recipe.of(expressions, literals, self._spreads)
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
        at = of_groups(groups, rounded_rows, by)[f"{PARTIAL_PREFIX}at"]
        return pl.repeat(value=False, n=wide.height, eager=True).scatter(at, True)


def _has_few_rows_a_group(ready: pl.DataFrame, by: Sequence[str]) -> bool:
    """Whether groups have fewer than `FEW_ROWS` rows on average, told by one of the columns `by`."""
    if ready.height > _SAMPLE_ROWS and _values(ready.head(_SAMPLE_ROWS), by) * 3 < _SAMPLE_ROWS:
        return False
    return ready.height < FEW_ROWS * _values(ready, by)


def _values(rows: pl.DataFrame, names: Sequence[str]) -> int:
    """How many values stand in the column with most of them."""
    return max(rows[name].n_unique() for name in names)


def _lost(wide: pl.DataFrame, spread: Spread) -> pl.Series:
    """Which groups lie so far off a common reference that the sums about it lost digits."""
    n, mean, m2 = (wide[name] for name in spread[:3])
    return n * mean * mean > m2 * (FAR_SIGMAS * FAR_SIGMAS)
