"""Rows as an aligned table of text, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import polars as pl

from riverrun.sinks.cells import instant_text, is_text, nested_as_json

#: Longer cells are cut.
CELL_WIDTH_MAX = 40
#: The header is repeated after so many rows.
HEADER_EVERY_ROWS = 40
_NULL = "null"


class TextTable:
    """Turns frames into lines whose columns stay aligned from frame to frame.

    Columns grow when a wider cell comes; then the header is shown again.
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._names = [printable(name) for name in schema]
        self._right = [dtype.is_numeric() for dtype in schema.values()]
        self._widths = [text_width(name) for name in self._names]
        self._rows_since_header = HEADER_EVERY_ROWS

    def lines(self, frame: pl.DataFrame) -> str:
        """The rows of `frame`, each line ended; with the header where it is due."""
        columns = [_cells(column) for column in frame.iter_columns()]
        self._widen(columns)
        lines = []
        for row in zip(*columns, strict=True):
            if self._rows_since_header >= HEADER_EVERY_ROWS:
                lines += self._header()
            lines.append(self._line(row))
            self._rows_since_header += 1
        return "".join(f"{line}\n" for line in lines)

    def _widen(self, columns: list[list[str]]) -> None:
        widths = [
            max(width, *(text_width(cell) for cell in cells)) if cells else width
            for width, cells in zip(self._widths, columns, strict=True)
        ]
        if widths != self._widths:
            self._widths = widths
            self._rows_since_header = HEADER_EVERY_ROWS

    def _header(self) -> list[str]:
        self._rows_since_header = 0
        return [self._line(self._names), "  ".join("─" * width for width in self._widths)]

    def _line(self, cells: list[str] | tuple[str, ...]) -> str:
        padded = [
            _padded(cell, width, right)
            for cell, width, right in zip(cells, self._widths, self._right, strict=True)
        ]
        return "  ".join(padded).rstrip()


def printable(text: str) -> str:
    r"""`text` without anything that could steer a terminal, cut to `CELL_WIDTH_MAX` columns.

    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    safe = text if text.isprintable() else escaped(text)
    if text_width(safe) <= CELL_WIDTH_MAX:
        return safe
    while text_width(safe) >= CELL_WIDTH_MAX:
        safe = safe[: -max(1, (text_width(safe) - CELL_WIDTH_MAX) // 2)]
    return safe + "…"


def escaped(text: str, *, keep: str = "") -> str:
    """`text` with every character that is not printable written as Python would; those of `keep` stay."""
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def text_width(text: str) -> int:
    """How many columns of a terminal `text` takes: Chinese characters take two, combining accents none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - text_width(cell))
    return space + cell if right else cell + space


def _cells(column: pl.Series) -> list[str]:
    dtype = column.dtype
    if dtype.is_float():
        return [_NULL if value is None else f"{value:.6g}" for value in column]
    if isinstance(dtype, pl.Datetime):
        text = instant_text(pl.col(column.name), dtype, "%Y-%m-%d %H:%M:%S%.f")
        return [_NULL if value is None else value for value in column.to_frame().select(text).to_series()]
    if dtype.is_nested():
        column = nested_as_json(column.to_frame()).to_series()
    if is_text(dtype) or column.dtype == pl.String:
        return [_NULL if value is None else printable(value) for value in column]
    return [_NULL if value is None else printable(str(value)) for value in column]
