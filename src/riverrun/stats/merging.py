"""Partials of the same groups merged into one: about common references, or about a centre of each group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from riverrun.stats.partial_frames import engine_for, in_their_places, is_constant, of_groups
from riverrun.stats.partials import WidePartial

#: Where more than this part of the partials are about other references than most, groups are merged about
#: centres of their own at once: a merge about common references would have to be done again for many of them.
_FEW = 0.05

_Named = dict[str, pl.Expr]
_MergeExpressions = tuple[_Named, _Named, _Named, _Named, _Named]


class Merging:
    """Merges wide partials."""

    def __init__(self, wide: Sequence[WidePartial]) -> None:
        self.wide = wide
        self._spreads = [spread for p in wide for spread in p.spreads()]
        self._merges: dict[bool, _MergeExpressions] = {}

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """One row a group; groups in the order of their first appearance."""
        first, rest = by[0], by[1:]
        if not rest or not frame.height or not is_constant(frame[first]):
            return self._merge(frame, by)
        # One window only: the keys alone tell groups apart, and grouping by less is faster.
        merged = self._merge(frame.drop(first), rest)
        return merged.insert_column(0, frame[first][:1].new_from_index(0, merged.height))

    def _merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
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
        again = of_groups(frame, merged.filter(doubtful), by)
        return in_their_places(merged, doubtful, self._merged(again, by, None))

    def _common_references(self, frame: pl.DataFrame) -> Mapping[str, float] | None:
        """By column, the references of nearly all partials, if there are others; ``None``: others are many."""
        references = [name for partial in self.wide for name in partial.references()]
        if all(is_constant(frame[name]) for name in references):
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
        return query.collect(engine=engine_for(frame.height))[frame.columns]

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


def _named(
    partials: Sequence[WidePartial], expressions: Callable[[WidePartial], dict[str, pl.Expr]]
) -> dict[str, pl.Expr]:
    return {p.column(part): expr for p in partials for part, expr in expressions(p).items()}
