"""The fast reading of CSV: whole blocks through Polars, with checks for what Polars lets through.

Findings for Polars 2.1 that explain the checks (1 MiB blocks of 34-byte rows, 2 cores; all variants of
``read_csv``, ``scan_csv``, ``low_memory``, with and without quotes cost the same within noise):

- A record with too few fields, and a blank line, is filled with nulls. Both leave the *last* column null, so
  a last column without nulls proves that no record is short; otherwise separators are counted.
- ``1e400``, ``inf`` and ``nan`` become infinities and NaN. The sum of a column (0.005 ms) is finite unless one
  is there; ``is_finite().all()`` costs ten times as much.
- Numbers out of range, text in number columns and invalid UTF-8 raise; so do records with too many fields.
- Floats are correctly rounded (6,478 hard cases).
- A quote within an unquoted field may make it join lines. Blocks with doubtful quotes never come here.

`CsvColumns.plain` reads a block and says whether it is beyond doubt. `CsvColumns.lenient` reads a block with
bad records in it: errors become nulls, separators are counted line by line, and every row that may be bad is
flagged. The good rows need not be read again; only flagged rows go to the strict path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from riverrun.formats.columns import is_float, read_type
from riverrun.formats.csv_layout import Layout
from riverrun.formats.csv_records import Dialect
from riverrun.formats.time_columns import counts_of_floats, counts_of_integers, counts_of_text
from riverrun.formats.timestamps import DECIMAL, INTEGER, TimeColumn

TimeText = Literal["integer", "float", "text"]

_LINE = "__riverrun_line"
_READ_AS: Mapping[TimeText, pl.DataType] = {"integer": pl.Int64(), "float": pl.Float64(), "text": pl.String()}

READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def time_text(value: str, time: TimeColumn) -> TimeText:
    """How a time is written, judged by one value."""
    value = value.strip()
    if time.is_date:
        return "text"
    if INTEGER.fullmatch(value) or not value:
        return "integer"
    # Every instant counted in s or ms is an exact double; in us and ns it is not.
    return "float" if DECIMAL.fullmatch(value) and time.unit_per_s <= 1_000 else "text"


@dataclass(frozen=True, slots=True)
class LenientRows:
    """Rows of which some may be bad.

    Parameters
    ----------
    flagged : which ones may be bad.
    line_bytes : the length of each line without its newline; each line is a record.
    """

    frame: pl.DataFrame
    flagged: pl.Series
    line_bytes: pl.Series


class CsvColumns:
    """Reads blocks of one layout."""

    def __init__(self, layout: Layout, dialect: Dialect, null_values: Sequence[str]) -> None:
        self._layout = layout
        self._dialect = dialect
        self._nulls = [text for text in null_values if text]
        self._empty_is_null = "" in null_values
        self._columns = [layout.column_at(place) for place in range(layout.width)]
        self._names = [
            column.name if column is not None else f"__riverrun_skip{place}"
            for place, column in enumerate(self._columns)
        ]
        self._times = {c.name: TimeColumn.of(c) for c in layout.schema if c.is_time}
        self._written: dict[str, TimeText] = dict.fromkeys(self._times, "integer")
        self._last = self._names[-1]
        wanted = {*layout.places, layout.width - 1}
        self._project = sorted(wanted) if len(wanted) < layout.width else None
        self._in_order = self._project is None and self._names == list(layout.schema.names)

    @property
    def has_times(self) -> bool:
        return bool(self._times)

    def learn(self, fields: Sequence[str]) -> bool:
        """Look at a good record to see how its times are written; whether that changes the reading."""
        before = dict(self._written)
        for name, time in self._times.items():
            self._written[name] = time_text(fields[self._layout.names.index(name)], time)
        return self._written != before

    def plain(self, data: bytes, *, quoted: bool) -> pl.DataFrame | None:
        """The rows of a block without any bad record; ``None`` when there may be one."""
        try:
            frame = pl.read_csv(data, schema=self._types(), columns=self._project, **self._options(quoted))
        except READ_ERRORS:
            return None
        if not self._all_whole(frame, data, quoted) or not self._all_finite(frame):
            return None
        for name, time in self._times.items():
            counts, bad = self._counts(frame.get_column(name), time)
            if bad is not None:
                return None
            frame.replace_column(frame.get_column_index(name), time.finish(counts))
        return self._finished(frame)

    def lenient(self, data: bytes, *, quoted: bool) -> LenientRows | None:
        """The rows of a block with bad records in it; ``None`` when that cannot be read by columns."""
        try:
            frame = pl.read_csv(
                data,
                schema=self._types(),
                ignore_errors=True,
                missing_columns="insert",
                extra_columns="ignore",
                truncate_ragged_lines=True,
                **self._options(quoted),
            )
            # Python decodes text ten times as fast as a cast from Binary does.
            lines = pl.DataFrame({_LINE: [data.decode()]}).select(pl.col(_LINE).str.split("\n").explode())
        except (*READ_ERRORS, UnicodeDecodeError):
            return None
        if lines.height != frame.height + 1:
            return None  # quoted fields hold newlines
        # One expression for all: each single operation on a column costs 0.1 ms beside its work.
        checked = frame.hstack(lines.head(-1)).select(
            self._flag(quoted).fill_null(True).alias("flagged"),
            pl.col(_LINE).str.len_bytes().cast(pl.Int64).alias("line_bytes"),
        )
        flagged = checked.get_column("flagged")
        for name, time in self._times.items():
            counts, bad = self._counts(frame.get_column(name), time)
            if bad is not None:
                flagged |= bad
            frame.replace_column(frame.get_column_index(name), time.finish(counts))
        return LenientRows(self._finished(frame), flagged, checked.get_column("line_bytes"))

    def _flag(self, quoted: bool) -> pl.Expr:
        """Whether a record of a lenient reading may be bad."""
        flags = [self._separators(quoted) != self._layout.width - 1]
        for column in self._layout.schema:
            value = pl.col(column.name)
            if not isinstance(column.dtype, pl.String):
                flags.append(value.is_null())
            if is_float(column):
                flags.append((~value.cast(column.dtype).is_finite()).fill_null(False))
        if self._layout.width == 1:
            flags.append(pl.col(_LINE).str.strip_chars(" \t\r") == "")
        return pl.any_horizontal(flags)

    def _separators(self, quoted: bool) -> pl.Expr:
        """How many separators stand between the fields of a line."""
        separator = self._dialect.separator
        counts = pl.col(_LINE).str.count_matches(separator, literal=True).cast(pl.Int64)
        if quoted:
            for name, dtype in self._types().items():
                if isinstance(dtype, pl.String):
                    within = pl.col(name).str.count_matches(separator, literal=True).cast(pl.Int64)
                    counts -= within.fill_null(0)
        return counts

    def _options(self, quoted: bool) -> dict[str, Any]:
        return {
            "has_header": False,
            "separator": self._dialect.separator,
            "quote_char": self._dialect.quote if quoted else None,
            "null_values": self._nulls or None,
            "empty_string_is_null": self._empty_is_null,
            "raise_if_empty": False,
        }

    def _types(self) -> dict[str, pl.DataType]:
        types: dict[str, pl.DataType] = {}
        for name, column in zip(self._names, self._columns, strict=True):
            if column is None:
                types[name] = pl.String()
            else:
                types[name] = _READ_AS[self._written[name]] if column.is_time else read_type(column)
        return types

    def _counts(self, series: pl.Series, time: TimeColumn) -> tuple[pl.Series, pl.Series | None]:
        written = self._written[series.name]
        if written == "integer":
            return counts_of_integers(series, time)
        return counts_of_floats(series, time) if written == "float" else counts_of_text(series, time)

    def _all_whole(self, frame: pl.DataFrame, data: bytes, quoted: bool) -> bool:
        """Whether every record has all its fields and none is blank."""
        last = frame.get_column(self._last)
        if self._layout.width == 1:
            return not last.null_count() and not self._maybe_blank(frame).any()
        if not last.null_count():
            return self._empty_is_null or not isinstance(last.dtype, pl.String) or not (last == "").any()
        if quoted:
            return False
        separators = data.count(self._dialect.separator.encode())
        return separators == frame.height * (self._layout.width - 1)

    def _maybe_blank(self, frame: pl.DataFrame) -> pl.Series:
        only = frame.get_column(self._last)
        if isinstance(only.dtype, pl.String):
            return (only.str.strip_chars(" \t\r") == "").fill_null(True)
        return only.is_null()

    def _all_finite(self, frame: pl.DataFrame) -> bool:
        for column in self._layout.schema:
            if is_float(column):
                series = frame.get_column(column.name)
                if not math.isfinite(series.sum()) and self._not_finite(series).any():
                    return False
                if isinstance(column.dtype, pl.Float32) and self._not_finite(series.cast(pl.Float32)).any():
                    return False
        return True

    @staticmethod
    def _not_finite(series: pl.Series) -> pl.Series:
        return (~series.is_finite()).fill_null(False)

    def _finished(self, frame: pl.DataFrame) -> pl.DataFrame:
        for column in self._layout.schema:
            if isinstance(column.dtype, pl.Float32):
                single = frame.get_column(column.name).cast(pl.Float32)
                frame.replace_column(frame.get_column_index(column.name), single)
        if self._in_order:
            return frame
        return pl.DataFrame([frame.get_column(name) for name in self._layout.schema.names])
