"""Rows with what a table says of them. The table is part of the state; somebody else reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import SourceError
from riverrun.kernel.operator import NOTHING, Output


@dataclass(frozen=True, slots=True)
class LookupState:
    """What is remembered.

    Parameters
    ----------
    table : a row for each key, with the columns that are added; ``None`` before it was read.
    read_us : when it was read, by the clock of the run.
    tag : what it is shown the next time, so that it can say whether it has changed.
    """

    table: pl.DataFrame | None = None
    read_us: int = 0
    tag: str = ""


class TableLookup:
    """The operator for lookups. Rows go through it as they come, with all that is hidden in them.

    Parameters
    ----------
    columns : of the table.
    names : for each column that is added its name in the results.
    fixed : the table, if it never changes.
    ttl_us : after so long it must be read again.
    """

    def __init__(
        self,
        on: Sequence[str],
        columns: Mapping[str, pl.DataType],
        names: Mapping[str, str],
        *,
        outer: bool,
        fixed: pl.DataFrame | None,
        ttl_us: int | None,
        name: str,
    ) -> None:
        self.on = list(on)
        self.outer = outer
        self.ttl_us = ttl_us
        self._columns = dict(columns)
        self._names = dict(names)
        self._name = name
        self._fixed = None if fixed is None else self._ready(fixed)

    def empty(self) -> LookupState:
        return LookupState()

    @property
    def asks(self) -> bool:
        """Whether the table is read while rows come."""
        return self._fixed is None

    def due(self, state: LookupState, now_us: int | None) -> bool:
        """Whether the table has to be read; without a time, no table is too old."""
        if not self.asks:
            return False
        if state.table is None:
            return True
        return self.ttl_us is not None and now_us is not None and now_us - state.read_us >= self.ttl_us

    def with_table(self, state: LookupState, table: pl.DataFrame | None, tag: str, now_us: int) -> LookupState:
        """The state after a reading; without a table it has not changed.

        Raises `SourceError` if the table has other columns.
        """
        return LookupState(state.table if table is None else self._ready(table), now_us, tag)

    def _ready(self, table: pl.DataFrame) -> pl.DataFrame:
        try:
            rows = table.select(pl.col(name).cast(dtype) for name, dtype in self._columns.items())
        except pl.exceptions.PolarsError as error:
            text = str(error).split("\n")[0]
            raise SourceError(
                f"the lookup table has other columns than when the pipeline was made: {text}", where=self._name
            ) from None
        rows = rows.unique(self.on, keep="last", maintain_order=True)
        return rows.select(*self.on, *(pl.col(name).alias(called) for name, called in self._names.items()))

    def step(self, state: LookupState, frame: pl.DataFrame) -> tuple[LookupState, Output]:
        return state, Output(frames=(self.found(state, frame),))

    def found(self, state: LookupState, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with what the table says; without any where it has not been read."""
        table = self._fixed if self._fixed is not None else state.table
        if table is None:
            return frame[:0].with_columns(
                pl.lit(None, self._columns[n]).alias(c) for n, c in self._names.items()
            )
        return frame.join(table, on=self.on, how="left" if self.outer else "inner", maintain_order="left")

    def advance(self, state: LookupState, watermark_us: int) -> tuple[LookupState, Output]:
        del watermark_us
        return state, NOTHING

    def early(self, state: LookupState) -> tuple[LookupState, Output]:
        return state, NOTHING

    def next_close_us(self, state: LookupState) -> int | None:
        del state
        return None

    def rows(self, state: LookupState) -> int:
        return 0 if state.table is None else state.table.height
