"""Long partials with one row a group and lists in it.

Rows of a batch are put into lists by group as they come, which takes one grouping; they are taken out of them
when partials are merged, with a number for the group in place of its keys. Hashing text keys for every value
again would cost several times what the rest does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.partials import PARTIAL_PREFIX

GROUP = f"{PARTIAL_PREFIX}group"

#: The lower half of a number that holds a group and something about it.
_HALF = 1 << 32


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of a table, in the order of their appearance, and its rows with the number of their group."""

    groups: pl.DataFrame
    rows: pl.DataFrame

    @property
    def merged(self) -> bool:
        """Whether every group has one row already."""
        return self.groups.height == self.rows.height

    def keyed(self, table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """A table by number of group with the keys in the number's place, in the order of the groups."""
        joined = self.groups.join(table, on=GROUP, how="inner", maintain_order="left")
        return joined.select(*by, *(name for name in table.columns if name != GROUP))


def grouped(table: pl.DataFrame, by: Sequence[str]) -> Grouped:
    """The rows of a table with numbers for their groups."""
    numbered = table.select(by).unique(maintain_order=True).with_row_index(GROUP)
    if numbered.height == table.height:
        return Grouped(numbered, table.with_row_index(GROUP))
    return Grouped(numbered, table.join(numbered, on=by, how="left", nulls_equal=True, maintain_order="left"))


def packed(value: pl.Expr) -> pl.Expr:
    """The group and a 32-bit number in one, in the order of both: grouping by one integer is quickest."""
    return pl.col(GROUP).cast(pl.Int64) * _HALF + (value.cast(pl.Int64) + _HALF // 2)


def group_in(value: pl.Expr) -> pl.Expr:
    return (value // _HALF).cast(pl.UInt32)


def number_in(value: pl.Expr) -> pl.Expr:
    return value % _HALF - _HALF // 2
