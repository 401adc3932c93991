"""Rows behind the watermark that may touch sessions which are over: one after the other, in numbers alone.

Whether such a row revises a session, begins one or is late depends on the rows before it. That takes a loop;
but what the loop needs of each row is a few numbers, and what it finds is which pieces each result is put
together of. The aggregates themselves are merged afterwards, all in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: So many rows are judged before their results are merged: results of one session hold one another's pieces.
ROUND_ROWS = 256


@dataclass(slots=True)
class Span:
    """A session.

    Parameters
    ----------
    start, last : its first and last event time.
    seen : the number of its first row, in the order of arrival.
    revision : the number of its last result; ``None``: there was none.
    closed : whether its result as of its end has come out.
    pieces : what it is put together of: numbers of sessions as they were, and of rows.
    """

    key: int
    start: int
    last: int
    seen: int
    revision: int | None
    closed: bool
    pieces: list[int]


@dataclass(frozen=True, slots=True)
class OverdueRow:
    """A row behind the watermark `behind`; `piece` is its number."""

    key: int
    time: int
    behind: int
    seen: int
    piece: int


@dataclass(frozen=True, slots=True)
class Put:
    """A result: the session as it was then. Results come by `at`, those of closing sessions first."""

    span: Span
    at: int
    revises: bool


@dataclass(slots=True)
class Overdue:
    """Judges rows by the sessions of their keys.

    Parameters
    ----------
    gap_us : silence that ends a session.
    lateness_us : how long after its end a session is still revised.

    Attributes
    ----------
    puts : results, in the order in which they were found.
    late : the pieces of rows that are late.
    gone : pieces that stood for sessions, and do not any more.
    made : sessions that came of the rows.
    """

    gap_us: int
    lateness_us: int
    puts: list[Put] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    made: dict[int, Span] = field(default_factory=dict)
    _spans: dict[int, list[Span]] = field(default_factory=dict)

    def judge(self, spans: Iterable[Span], rows: Sequence[OverdueRow]) -> None:
        """Take rows in order of the watermarks that they came behind."""
        for span in spans:
            self._spans.setdefault(span.key, []).append(span)
        for row in rows:
            self._take(row)

    def _take(self, row: OverdueRow) -> None:
        touched: list[Span] = []
        others: list[Span] = []
        for span in self._spans.get(row.key, ()):
            near = span.start - row.time < self.gap_us and row.time - span.last < self.gap_us
            alive = span.last + self.gap_us + self.lateness_us > row.behind
            (touched if near and alive else others).append(span)
        last = max((span.last for span in touched), default=row.time)
        end = max(last, row.time) + self.gap_us
        if end + self.lateness_us <= row.behind:
            self.late.append(row.piece)
            return
        for span in touched:
            self._leave(span, row.behind)
        joined = Span(
            row.key,
            min(row.time, *(span.start for span in touched)) if touched else row.time,
            end - self.gap_us,
            min(row.seen, *(span.seen for span in touched)) if touched else row.seen,
            max((span.revision for span in touched if span.revision is not None), default=None),
            closed=False,
            pieces=[*(piece for span in touched for piece in span.pieces), row.piece],
        )
        if end <= row.behind:
            self._put(joined, row.behind, revises=True)
        self._spans[row.key] = [*others, joined]
        self.made[id(joined)] = joined

    def _leave(self, span: Span, behind: int) -> None:
        """A session becomes part of another one; if it was over before, that result comes first."""
        end = span.last + self.gap_us
        if end <= behind and not span.closed:
            self._put(span, end, revises=False)
        if self.made.pop(id(span), None) is None:
            self.gone += span.pieces

    def _put(self, span: Span, at: int, *, revises: bool) -> None:
        span.revision = 0 if span.revision is None else span.revision + 1
        span.closed = True
        now = Span(span.key, span.start, span.last, span.seen, span.revision, span.closed, list(span.pieces))
        self.puts.append(Put(now, at, revises))
