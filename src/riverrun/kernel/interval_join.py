"""Pairs of rows whose times are so far apart."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from riverrun.kernel.join_rows import Side, between, by_key, pairs, with_unmatched
from riverrun.kernel.joined import Joined
from riverrun.plan.joins import Span
from riverrun.stats.partials import EVENT_TIME


class IntervalPairs(Joined):
    """The operator for interval joins.

    Parameters
    ----------
    outer : whether left rows without a match are kept.
    """

    def __init__(
        self, left: Side, right: Side, span: Span, right_names: Mapping[str, str], *, outer: bool
    ) -> None:
        super().__init__(left, right, span, right_names)
        self.outer = outer

    def matched(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        right = by_key(self._near(due, right), self.keys)
        found = pairs(due, right, self.span, self.keys)
        return self.result(due, right, with_unmatched(found, due) if self.outer else found)

    def _near(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        """The right rows that any of the left rows may match."""
        assert self.span.lower_us is not None
        first, last = due[EVENT_TIME][0], due[EVENT_TIME][-1]
        return between(right, first + self.span.lower_us, last + self.span.upper_us + 1)
