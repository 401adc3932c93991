"""What is known of the rows at one place of a plan: their columns, event time and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from riverrun.errors import PlanError

#: The column that holds the arrival time when no event time is named.
ARRIVED_AT = "arrived_at"


@dataclass(frozen=True, slots=True)
class Typed:
    """The columns of a node, and where its event time is.

    Parameters
    ----------
    time : the column of event time; ``None`` when a step has dropped it.
    time_shift_us : what is added to it: results of windows count as of the last instant of their window.
    keys : what tells one row from another, for upserts and charts.
    revised : whether rows may come again with a higher revision.
    """

    columns: Mapping[str, pl.DataType]
    time: str | None
    time_shift_us: int = 0
    keys: tuple[str, ...] = ()
    revised: bool = False

    def empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=dict(self.columns))

    def text(self) -> str:
        """The columns in words, for hints."""
        return "the columns here are " + ", ".join(f"{name} ({dtype})" for name, dtype in self.columns.items())

    def final_rows(self, where: str, *, against: str) -> None:
        """Raise `PlanError` if rows come again; `against` says what that would do."""
        if self.revised:
            raise PlanError(
                f"the rows of these results come again when they are revised, {against}",
                where=where,
                hint="leave out lateness= and emit= in the first window, or give it a longer delay= in rr.read",
            )

    def event_time(self, where: str, *, used_by: str) -> str:
        """The event-time column. Raises `PlanError` if there is none any more, or it is no instant."""
        if self.time is None:
            raise PlanError(
                f"a step before has dropped the event-time column, which {used_by}",
                where=where,
                hint="keep it in select(...), or do not drop it",
            )
        if not isinstance(self.columns[self.time], (pl.Datetime, pl.Date)):
            raise PlanError(
                f"the event-time column {self.time!r} has become {self.columns[self.time]}",
                where=where,
                hint="leave it an instant (pl.Datetime)",
            )
        return self.time
