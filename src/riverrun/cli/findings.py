"""What `riverrun watch` found out about a feed, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.clock import format_duration
from riverrun.ports import Format
from riverrun.schema import Column, Schema
from riverrun.sinks.table import printable


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found out or decided.

    Parameters
    ----------
    asked : the names of the options that the user gave, which need no hint any more.
    """

    url: str
    format: Format | None
    schema: Schema
    by: tuple[str, ...]
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    window_us: int
    window_why: str
    delay_us: int | None
    delay_why: str
    idle_us: int | None
    notes: tuple[str, ...]
    asked: frozenset[str] = frozenset()

    def lines(self) -> list[str]:
        """A line for each finding, and how to say it otherwise."""
        schema = self.schema
        lines = [
            self._line("format", self._format(), "format"),
            self._line("columns", ", ".join(_column(column) for column in schema), "schema"),
            self._line("time", self._time(), "time"),
            self._line("keys", ", ".join(map(printable, self.by)) or "none: all rows in one group", "by"),
            self._line("statistics of", self._columns(), "columns"),
            self._line("window", f"{format_duration(self.window_us)}, {self.window_why}", "window"),
        ]
        if schema.time is not None:
            lines.append(self._line("waits for late rows", self._delay(), "delay"))
        said = [note for note in (*schema.notes, *self.notes) if not _told(note)]
        return lines + [f"  {'note':<20} {printable_line(note)}" for note in said]

    def _line(self, what: str, found: str, option: str) -> str:
        how = "as you say" if option in self.asked else f"--{option} to change"
        return f"  {what:<20} {found}  [{how}]"

    def _format(self) -> str:
        if self.format is None:
            return "a table"
        parts = [
            {"csv": "CSV", "json": "JSON lines", "lines": "text lines"}.get(self.format.name, self.format.name)
        ]
        separator = getattr(self.format, "separator", None)
        if separator:
            parts.append("separated by " + {"\t": "tabs"}.get(separator, f"{separator!r}"))
        header = getattr(self.format, "header", None)
        if header is not None:
            parts.append("with a header" if header else "without a header")
        return ", ".join(parts)

    def _time(self) -> str:
        name = self.schema.time
        if name is None:
            return "the time of arrival (no column was taken for the time of the event)"
        column = self.schema[name]
        if isinstance(column.dtype, pl.Date):
            return f"{printable(name)}, dates, in UTC"
        if self.format is None:
            return printable(name)
        if any("written as text" in note for note in self.schema.notes):
            return f"{printable(name)}, written as text"
        return f"{printable(name)}, in {_UNIT[column.unit or 'us']} since 1970"

    def _columns(self) -> str:
        if not self.columns:
            return "no numeric column, so counts and rates only"
        found = ", ".join(map(printable, self.columns))
        if self.left_out:
            found += f" (not of {len(self.left_out)} more: {', '.join(map(printable, self.left_out[:4]))} …)"
        return found

    def _delay(self) -> str:
        if self.delay_us is None:
            return f"until the end, {self.delay_why}"
        idle = (
            ""
            if self.idle_us is None
            else f"; after {format_duration(self.idle_us)} of silence windows close by the clock"
        )
        return f"{format_duration(self.delay_us)}, {self.delay_why}{idle}"


_UNIT = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def _column(column: Column) -> str:
    dtype = "time" if isinstance(column.dtype, pl.Datetime) else str(column.dtype)
    return f"{printable(column.name)} {_WORDS.get(dtype, dtype.lower())}"


_WORDS = {"String": "text", "Float64": "number", "Int64": "whole number", "Boolean": "yes/no"}


def _told(note: str) -> bool:
    """Whether the lines above say it already."""
    return note.startswith(("fields are separated", "time is ", "no column looks like the time"))


def printable_line(text: str) -> str:
    """Text of any length without anything that could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
