"""What every node has that comes behind others, and what a stateful one says of itself.

A new stateful step is one node here in the plan (a `Stateful`), one operator in the kernel, one line in
`riverrun.kernel.operators`, and one method of `Stream`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from riverrun.plan.typed import Typed

if TYPE_CHECKING:
    from riverrun.plan.nodes import Node


@dataclass(frozen=True, eq=False, slots=True)
class Inner:
    """A node whose rows come from other nodes.

    Parameters
    ----------
    parents : where its rows come from, in the order of its inputs.
    """

    parents: tuple[Node, ...]

    @property
    def parent(self) -> Node:
        """Where the rows come from that a step with one input works on."""
        return self.parents[0]


@dataclass(frozen=True, eq=False, slots=True)
class Stateful(Inner, ABC):
    """A step that remembers something from row to row. How it does so stands in the kernel."""

    #: Whether rows can come too late for it.
    has_late: ClassVar[bool] = False
    #: Whether it drops rows that must be counted, so that each has to carry its place (`ROW_ORDER`).
    counts_rows: ClassVar[bool] = False
    #: Whether what comes out are the rows that came in: at their event time, with their columns.
    passes_rows: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """The step in one line."""

    @property
    def short(self) -> str:
        """What it is called where there is little room; the beginning of its id, so it must stay stable."""
        return self.label

    @property
    def settings(self) -> tuple[str, ...]:
        """Further lines for `explain`."""
        return ()

    @property
    def lags_us(self) -> tuple[int, ...]:
        """For each input: how far its watermark must be past an instant before results as of then are final."""
        return (0,) * len(self.parents)

    def keeps_times(self, side: int) -> bool:
        """Whether what comes out stands at the event times of the rows of an input."""
        del side
        return self.passes_rows

    def keeps_rows(self, side: int) -> bool:
        """Whether each row of an input comes out, at its event time, with its columns and perhaps others."""
        del side
        return self.passes_rows

    @property
    def beyond_keys(self) -> str:
        """What becomes of rows whose key is beyond `Limits.max_keys`, where keys are limited."""
        return ""

    @abstractmethod
    def typed(self, *before: Typed) -> Typed:
        """The columns that it makes of its inputs. Raises `PlanError` where it cannot work on them."""

    def late(self, *before: Typed) -> Typed:
        """The columns of rows that came too late, where `has_late`."""
        (rows, *_) = before
        return Typed(rows.columns, rows.time, rows.time_shift_us)
