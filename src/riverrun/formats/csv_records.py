"""The strict reading of CSV, record by record, after RFC 4180.

A field that begins with the quote character runs to the closing quote, may hold separators and newlines, and
must be followed by a separator or the end of the line. A quote elsewhere in a field is an ordinary
character. A record whose quoting is broken (text behind the closing quote, or no closing quote within the
record limit) costs one line: it is refused up to its first newline, and reading goes on behind it. So one
stray quote never swallows its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from riverrun.formats.rejection import RefusedError


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart: one ASCII character each; no `quote` means that quotes are ordinary."""

    separator: str
    quote: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """Where one record ends (behind its newline), and why it is broken, if it is."""

    end: int
    problem: str = ""


class RecordScanner:
    """Finds where records end. Made once for a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._separator = dialect.separator.encode()
        self._quote = dialect.quote.encode() if dialect.quote else b""
        self._before_quoted = self._separator + self._quote
        s, q = re.escape(self._separator), re.escape(self._quote)
        # Text in which every quote belongs to a well formed quoted field. Possessive: it never backtracks.
        self._sound = (
            re.compile(
                rb"(?:[^%b]*+(?<![^%b\n])%b[^%b]*+(?:%b%b[^%b]*+)*+%b(?=%b|\r?\n))*+[^%b]*+"
                % (q, s, q, q, q, q, q, q, s, q)
            )
            if q
            else None
        )
        self._quoted = re.compile(rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % (q, q, q, q, q, q)) if q else None

    def has_quote(self, data: bytes) -> bool:
        return bool(self._quote) and self._quote in data

    def sound_until(self, data: bytes, start: int) -> int:
        """The end of the last record, from the record start `start` on, before any doubtful quote."""
        quote = data.find(self._quote, start) if self._sound is not None else -1
        if self._sound is None or quote < 0:
            return data.rfind(b"\n", start) + 1 or start
        # What comes before the first quote is searched, not matched, which is far cheaper.
        line = data.rfind(b"\n", start, quote) + 1 or start
        match = self._sound.match(data, line)
        return self._last_end(data, line, match.end() if match else line)

    def _last_end(self, data: bytes, start: int, stop: int) -> int:
        """The last record end in ``data[start:stop]``, given that `stop` is outside quotes."""
        odd, upper = 0, stop
        while True:
            newline = data.rfind(b"\n", start, upper)
            if newline < 0:
                return start
            odd ^= data.count(self._quote, newline, upper) & 1
            if not odd:
                return newline + 1
            upper = newline

    def longest_fits(self, data: bytes, start: int, stop: int, limit: int) -> int:
        """The end of the last record before the first one that is longer than `limit`; `stop` if none is."""
        at = start
        while stop - at > limit + 1:
            end = at
            upper = at + limit + 1
            while (newline := data.rfind(b"\n", at, upper)) >= 0:
                if not self._quote or not data.count(self._quote, at, newline) & 1:
                    end = newline + 1
                    break
                upper = newline
            if end == at:
                return at
            at = end
        return stop

    def next_record(self, data: bytes, start: int, limit: int, *, complete: bool) -> Record | None:
        """The record at `start`; ``None`` when more bytes are needed to tell. `data` ends with a newline.

        `complete` says that nothing will follow.
        """
        first_newline = data.find(b"\n", start)
        at = start
        while True:
            if self._quoted is not None and data.startswith(self._quote, at):
                match = self._quoted.match(data, at)
                if match is None or match.end() - start > limit:
                    return self._open_quote(data, start, first_newline + 1, limit, complete)
                at = match.end()
                if data.startswith((b"\n", b"\r\n"), at):
                    end = data.find(b"\n", at) + 1
                    break
                if at == len(data):
                    return self._open_quote(data, start, first_newline + 1, limit, complete)
                if not data.startswith(self._separator, at):
                    return Record(first_newline + 1, "text follows the closing quote of a field")
                at += 1
                continue
            newline = data.find(b"\n", at)
            separator = data.find(self._before_quoted, at, newline)
            if separator < 0:
                end = newline + 1
                break
            at = separator + 1
        if end - 1 - start > limit:
            return Record(
                first_newline + 1, f"a quoted field makes the record longer than the limit of {limit} bytes"
            )
        return Record(end)

    def _open_quote(self, data: bytes, start: int, line_end: int, limit: int, complete: bool) -> Record | None:
        if complete or len(data) - start > limit + 1:
            return Record(line_end, f"a quoted field is not closed (within the limit of {limit} bytes)")
        return None


class FieldParser:
    """Cuts one record, without its line end, into fields."""

    def __init__(self, dialect: Dialect) -> None:
        self._separator = dialect.separator
        self._quote = dialect.quote

    def fields(self, record: str) -> tuple[list[str], Collection[int]]:
        """The fields, and the places of the quoted ones. Raises `RefusedError` (``csv``) for broken quoting."""
        quote, separator = self._quote, self._separator
        if quote is None or quote not in record:
            return record.split(separator), ()
        fields: list[str] = []
        quoted: set[int] = set()
        at = 0
        while True:
            if record.startswith(quote, at):
                text, at = self._quoted(record, at + 1, quote)
                quoted.add(len(fields))
                fields.append(text)
            else:
                end = record.find(separator, at)
                end = len(record) if end < 0 else end
                fields.append(record[at:end])
                at = end
            if at == len(record):
                return fields, quoted
            if record[at] != separator:
                raise RefusedError("csv", "text follows the closing quote of a field")
            at += 1

    def _quoted(self, record: str, start: int, quote: str) -> tuple[str, int]:
        """The text of a quoted field, and the place behind its closing quote."""
        parts: list[str] = []
        while True:
            end = record.find(quote, start)
            if end < 0:
                raise RefusedError("csv", "a quoted field is never closed")
            parts.append(record[start:end])
            if not record.startswith(quote, end + 1):
                return quote.join(parts), end + 1
            start = end + 2
