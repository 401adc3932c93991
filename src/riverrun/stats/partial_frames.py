"""Frames of partials: the groups of a batch, or of several, and what is done to them as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

#: From so many rows on, the streaming engine of Polars is faster than the in-memory one.
STREAMING_ROWS = 40_000


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


def engine_for(height: int) -> Literal["streaming", "in-memory"]:
    """The faster engine of Polars for so many rows."""
    return "streaming" if height >= STREAMING_ROWS else "in-memory"


def of_groups(frame: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows of those groups that also stand in another frame, in their order."""
    return frame.join(groups, on=by, how="semi", nulls_equal=True, maintain_order="left")


def in_their_places(groups: pl.DataFrame, replaced: pl.Series, others: pl.DataFrame) -> pl.DataFrame:
    """Other rows, in the same order, in place of those of some groups."""
    places = pl.int_range(groups.height, eager=True)
    behind = pl.int_range(groups.height, groups.height + others.height, eager=True)
    return pl.concat([groups, others])[places.scatter(replaced.arg_true(), behind)]


def is_constant(values: pl.Series) -> bool:
    """Whether one value stands in all rows, and no null."""
    low, high = values.min(), values.max()
    return low == high and not values.null_count()
