"""A block of CSV cut into what the fast path may see and what it may not, and joined again for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

#: How much is checked for UTF-8 at a time: a failed check has made room for all it was given.
_PROBE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class OddRecord:
    """A record that the fast path must not see: its place in the block and what is wrong with it, if known."""

    start: int
    end: int
    problem: str


class JoinedBlock:
    """The sound stretches of a block in one piece, with a placeholder line for each odd record."""

    def __init__(
        self, data: bytes, clean: Sequence[tuple[int, int]], odd: Sequence[OddRecord], placeholder: bytes
    ) -> None:
        self._source = data
        self._odd: dict[int, OddRecord] = {}
        self._moves: list[tuple[int, int]] = []  # (offset here, offset in the block) where each stretch begins
        if not odd and len(clean) == 1:
            start, end = clean[0]
            self._moves.append((0, start))
            self.data = data if (start, end) == (0, len(data)) else data[start:end]
            return
        parts: list[bytes | memoryview] = []
        length = 0
        view = memoryview(data)
        for start, end, item in in_order(clean, odd):
            self._moves.append((length, start))
            if item is not None:
                self._odd[length] = item
            part = view[start:end] if item is None else placeholder
            parts.append(part)
            length += len(part)
        self.data = b"".join(parts)

    def lines(self, places: Sequence[int], line_bytes: pl.Series) -> list[tuple[bytes, int, str]]:
        """Bytes, offset in the block and known problem of some lines, given the lengths of all."""
        # Columnar, since a Python loop over all lines costs as much as reading them.
        starts = ((line_bytes + 1).cum_sum() - line_bytes - 1).gather(list(places)).to_list()
        found: list[tuple[bytes, int, str]] = []
        move = 0
        for start in starts:
            while move + 1 < len(self._moves) and self._moves[move + 1][0] <= start:
                move += 1
            odd = self._odd.get(start)
            if odd is not None:
                found.append((self._source[odd.start : odd.end - 1], odd.start, odd.problem))
                continue
            here, there = self._moves[move]
            found.append((self.data[start : self.data.find(b"\n", start)], there + start - here, ""))
        return found


def in_order(
    clean: Sequence[tuple[int, int]], odd: Sequence[OddRecord]
) -> list[tuple[int, int, OddRecord | None]]:
    """Stretches and odd records as they stand in the block."""
    spans: list[tuple[int, int, OddRecord | None]] = [(start, end, None) for start, end in clean]
    spans.extend((record.start, record.end, record) for record in odd)
    return sorted(spans, key=lambda span: span[0])


def without_bad_text(
    data: bytes, clean: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[OddRecord]]:
    """The stretches cut around lines that are not UTF-8; only for blocks without quotes."""
    good: list[tuple[int, int]] = []
    bad: list[OddRecord] = []
    for start, end in clean:
        stretch = at = start
        while at < end:
            stop = data.rfind(b"\n", at, min(at + _PROBE_BYTES, end)) + 1 or data.find(b"\n", at) + 1
            try:
                str(memoryview(data)[at:stop], "utf-8")
                at = stop
                continue
            except UnicodeDecodeError as error:
                wrong = at + error.start
            line = data.rfind(b"\n", at, wrong) + 1 or at
            if line > stretch:
                good.append((stretch, line))
            stretch = at = data.find(b"\n", wrong) + 1
            bad.append(OddRecord(line, at, ""))
        if end > stretch:
            good.append((stretch, end))
    return good, bad
