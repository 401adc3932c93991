"""Sinks of the terminal: the newest result of each key, and results that are final."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from riverrun.ports import Sink, Writer
from riverrun.sinks.table import printable
from riverrun.world import World

#: Rows of each frame and of the whole that are kept: more keys than that fit on no terminal.
KEPT_ROWS = 200
#: Columns shown beside the keys.
SHOWN_COLUMNS = 9


@dataclass(slots=True)
class Latest:
    """The newest results of some outputs, for showing."""

    parts: list[LatestSink] = field(default_factory=list)

    def sink(self, title: str) -> LatestSink:
        """A sink whose rows show under `title`."""
        made = LatestSink(title)
        self.parts.append(made)
        return made

    def tables(self, rows_most: int) -> list[tuple[str, list[str], list[list[str]]]]:
        """Title, column names and cells of each output, with about `rows_most` rows in all."""
        shown = [part for part in self.parts if part.rows is not None]
        if not shown:
            return []
        each = max(2, rows_most // len(shown) - 4 * (len(shown) - 1))
        return [part.table(each) for part in shown]


@dataclass(slots=True)
class LatestSink:
    """Keeps the newest row of each key."""

    title: str
    rows: pl.DataFrame | None = None
    keys: list[str] = field(default_factory=list)
    url: str = "terminal:"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> Writer:
        del world, schema
        self.keys = [key for key in keys if key != "window_start"]
        return self

    def write(self, frame: pl.DataFrame) -> None:
        new = frame.tail(KEPT_ROWS)
        rows = new if self.rows is None else pl.concat([self.rows, new])
        if self.keys:
            rows = rows.unique(self.keys, keep="last", maintain_order=True)
        self.rows = rows.tail(KEPT_ROWS if self.keys else 1)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def table(self, rows_most: int) -> tuple[str, list[str], list[list[str]]]:
        """What to show: a line for each key, in the order of keys."""
        assert self.rows is not None
        rows = self.rows.sort(self.keys, nulls_last=True) if self.keys else self.rows
        names = [*self.keys, *(name for name in rows.columns if name not in (*self.keys, *_HIDDEN))]
        names = names[: len(self.keys) + SHOWN_COLUMNS]
        left_out = rows.height - rows_most
        cells = [[_cell(value) for value in row] for row in rows.select(names).head(rows_most).iter_rows()]
        title = f"{self.title} — newest of each key" if self.keys else self.title
        return title + (f" ({left_out} more)" if left_out > 0 else ""), [printable(n) for n in names], cells


_HIDDEN = ("window_start", "revision", "final")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.5g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if hasattr(value, "isoformat"):
        return str(value)[:19]
    return printable(str(value))


@dataclass(frozen=True, slots=True)
class FinalOnly:
    """Hands only final results on to another sink: what is written to a file shall not be preliminary.

    Parameters
    ----------
    revisions : whether late rows may revise a final result, so that its number is worth keeping.
    """

    inner: Sink
    revisions: bool = False

    @property
    def url(self) -> str:
        return self.inner.url

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> Writer:
        hidden = {"final"} if self.revisions else {"final", "revision"}
        columns = {name: dtype for name, dtype in schema.items() if name not in hidden}
        return _FinalWriter(self.inner.open(world, columns, keys), tuple(columns))


class _FinalWriter:
    def __init__(self, inner: Writer, columns: tuple[str, ...]) -> None:
        self._inner = inner
        self._columns = columns

    def write(self, frame: pl.DataFrame) -> None:
        if "final" in frame.columns:
            frame = frame.filter(pl.col("final"))
        if frame.height:
            self._inner.write(frame.select(self._columns))

    def flush(self) -> None:
        self._inner.flush()

    def close(self) -> None:
        self._inner.close()
