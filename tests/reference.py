"""A slow, obvious engine: row by row, in plain Python, from the text of DESIGN section 3.

It knows nothing of batches, panes, runs or columns. The real engine must agree with it on any input, however
that is cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

NEVER = -(10**18)
AT_END = 10**18

Key = str | None
#: Start and end of a window, and a key.
Group = tuple[int, int, Key]


@dataclass(frozen=True)
class Event:
    """A row: times are plain integers."""

    t: int
    key: Key
    x: float | None
    partition: str = "p"


@dataclass(frozen=True)
class Result:
    """One result: which rows it holds, by their place in the input."""

    key: Key
    start: int
    end: int
    rows: tuple[int, ...]
    revision: int = 0


@dataclass(frozen=True)
class Late:
    """A row that was too late for a window."""

    row: int
    start: int
    end: int


@dataclass
class Watermarks:
    """Of each partition and of the stream."""

    delay: int | None
    newest: dict[str, int]
    stream: int = NEVER

    def own(self, partition: str) -> int:
        newest = self.newest[partition]
        return NEVER if self.delay is None or newest == NEVER else newest - self.delay

    def seen_by(self, event: Event) -> int:
        """What decides whether a row is late, before it is looked at."""
        return max(self.own(event.partition), self.stream)

    def observe(self, event: Event) -> None:
        self.newest[event.partition] = max(self.newest[event.partition], event.t)
        self.stream = max(self.stream, min(self.own(name) for name in self.newest))


@dataclass
class Fixed:
    """Tumbling and hopping windows; with `step`, cumulating ones.

    `base` are the rows that came before the window closed for their partition; `waiting` those that came after,
    while it was open for the stream: each of them makes a revision of its own.
    """

    size: int
    every: int
    offset: int = 0
    delay: int | None = 0
    lateness: int = 0
    partitions: Sequence[str] = ("p",)
    step: int | None = None
    results: list[Result] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> Fixed:
        marks = Watermarks(self.delay, dict.fromkeys(self.partitions, NEVER))
        self._base: dict[Group, list[int]] = {}
        self._waiting: dict[Group, list[int]] = {}
        self._revision: dict[Group, int] = {}
        self._behind: set[int] = set()
        self._closed = NEVER
        for place, event in enumerate(events):
            seen = marks.seen_by(event)
            windows = list(self.windows(event.t))
            if windows and seen >= windows[0][1]:
                self._behind.add(place)
            for start, end in windows:
                self._take(place, event, start, end, seen)
            marks.observe(event)
            self._close(marks.stream)
        self._close(AT_END)
        return self

    def windows(self, t: int) -> Iterator[tuple[int, int]]:
        """The bounds of the windows that hold an instant, earliest first."""
        if self.step is not None:
            start = self.offset + (t - self.offset) // self.size * self.size
            ends = range(start + self.step, start + self.size + 1, self.step)
            yield from ((start, end) for end in ends if t < end)
            return
        start = self.offset + (t - self.offset) // self.every * self.every
        starts = []
        while start > t - self.size:
            starts.append(start)
            start -= self.every
        yield from ((start, start + self.size) for start in reversed(starts))

    def _take(self, place: int, event: Event, start: int, end: int, seen: int) -> None:
        group = (start, end, event.key)
        if seen >= end + self.lateness:
            self.late.append(Late(place, start, end))
        elif end <= self._closed:
            self._revise(group, place)
        elif seen >= end:
            self._waiting.setdefault(group, []).append(place)
        else:
            self._base.setdefault(group, []).append(place)

    def _close(self, watermark: int) -> None:
        due = [g for g in self._base if self._closed < g[1] <= watermark]
        for group in sorted(due, key=lambda g: (g[1], self._appearance(g))):
            self._put_out(group)
        waiting = [(g, p) for g, places in self._waiting.items() if g[1] <= watermark for p in places]
        for group, place in sorted(waiting, key=lambda item: (item[0][1], item[1])):
            self._revise(group, place)
        for group, _ in waiting:
            self._waiting.pop(group, None)
        self._closed = max(self._closed, watermark)

    def _appearance(self, group: Group) -> tuple[bool, int]:
        """Keys come as they appear; a row that was late for its first window does not count."""
        places = self._base[group]
        in_time = [place for place in places if place not in self._behind]
        return not in_time, (in_time or places)[0]

    def _revise(self, group: Group, place: int) -> None:
        self._base.setdefault(group, []).append(place)
        self._put_out(group)

    def _put_out(self, group: Group) -> None:
        revision = self._revision[group] = self._revision.get(group, -1) + 1
        start, end, key = group
        held = tuple(sorted(self._base[group]))
        self.results.append(Result(key, start, end, held, revision))


@dataclass
class _Span:
    first: int
    last: int
    rows: list[int]
    revision: int | None = None


@dataclass
class Sessions:
    """Session windows: rows of a key less than `gap` apart."""

    gap: int
    delay: int | None = 0
    lateness: int = 0
    partitions: Sequence[str] = ("p",)
    results: list[Result] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> Sessions:
        marks = Watermarks(self.delay, dict.fromkeys(self.partitions, NEVER))
        self._spans: dict[Key, list[_Span]] = {}
        self._closed = NEVER
        for place, event in enumerate(events):
            self._take(place, event, marks.seen_by(event))
            marks.observe(event)
            self._close(marks.stream)
        self._close(AT_END)
        return self

    def _take(self, place: int, event: Event, seen: int) -> None:
        spans = self._spans.setdefault(event.key, [])
        touched = [s for s in spans if s.first - event.t < self.gap and event.t - s.last < self.gap]
        joined = _Span(event.t, event.t, [place])
        for span in touched:
            joined.first, joined.last = min(joined.first, span.first), max(joined.last, span.last)
            joined.rows += span.rows
            if span.revision is not None:
                joined.revision = max(span.revision, -1 if joined.revision is None else joined.revision)
        joined.rows.sort()
        end = joined.last + self.gap
        if end + self.lateness <= seen:
            self.late.append(Late(place, event.t, event.t + self.gap))
            return
        self._spans[event.key] = [s for s in spans if s not in touched] + [joined]
        if end <= self._closed:
            self._put_out(event.key, joined)

    def _close(self, watermark: int) -> None:
        due = [
            (span.last, span.rows[0], key, span)
            for key, spans in self._spans.items()
            for span in spans
            if self._closed < span.last + self.gap <= watermark
        ]
        for _, _, key, span in sorted(due, key=lambda item: item[:2]):
            self._put_out(key, span)
        self._closed = max(self._closed, watermark)
        for key, spans in self._spans.items():
            self._spans[key] = [s for s in spans if s.last + self.gap + self.lateness > self._closed]

    def _put_out(self, key: Key, span: _Span) -> None:
        span.revision = 0 if span.revision is None else span.revision + 1
        self.results.append(Result(key, span.first, span.last + self.gap, tuple(span.rows), span.revision))


@dataclass
class InOrder:
    """What rolling, running and counting windows and sessions of limited length have in common.

    A row is late when the watermark that it came with had passed it. All others are taken by event time,
    those of one instant partition by partition.
    """

    delay: int | None = 0
    partitions: Sequence[str] = ("p",)
    late: list[int] = field(default_factory=list)

    def taken(self, events: Sequence[Event]) -> list[int]:
        """The places of the rows that are not late, in order."""
        marks = Watermarks(self.delay, dict.fromkeys(self.partitions, NEVER))
        found = []
        for place, event in enumerate(events):
            if event.t < marks.seen_by(event):
                self.late.append(place)
            else:
                found.append(place)
            marks.observe(event)
        numbers = list(self.partitions)
        return sorted(found, key=lambda p: (events[p].t, numbers.index(events[p].partition), p))


@dataclass
class Trailing(InOrder):
    """Rolling windows ``(t - period, t]``; without a period running ones, up to the row itself."""

    period: int | None = None
    results: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> Trailing:
        taken = self.taken(events)
        for number, place in enumerate(taken):
            row = events[place]
            same = [p for p in taken if events[p].key == row.key]
            if self.period is None:
                held = [p for p in same if p in taken[: number + 1]]
            else:
                held = [p for p in same if row.t - self.period < events[p].t <= row.t]
            self.results.append((place, tuple(sorted(held))))
        return self


@dataclass
class Counting(InOrder):
    """Windows of `size` rows of a key, one beginning every `every` rows. Ends lie 1 after the last row here."""

    size: int = 1
    every: int = 1
    results: list[Result] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> Counting:
        taken = self.taken(events)
        windows = []
        for key in {event.key for event in events}:
            own = [p for p in taken if events[p].key == key]
            windows += [own[at : at + self.size] for at in range(0, len(own), self.every)]
        order = {place: number for number, place in enumerate(taken)}
        windows.sort(key=lambda held: (events[held[-1]].t, order[held[0]]))
        for held in windows:
            first, last = events[held[0]], events[held[-1]]
            self.results.append(Result(first.key, first.t, last.t, tuple(sorted(held))))
        return self


@dataclass
class BoundedSessions(InOrder):
    """Sessions that are cut every `maximum` from their first row on."""

    gap: int = 1
    maximum: int = 1
    results: list[Result] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> BoundedSessions:
        taken = self.taken(events)
        pieces: list[tuple[int, list[int]]] = []
        for key in {event.key for event in events}:
            origin, last, cut = NEVER, NEVER, NEVER
            for place in (p for p in taken if events[p].key == key):
                t = events[place].t
                if t - last >= self.gap:
                    origin, cut = t, t + self.maximum
                    pieces.append((cut, []))
                elif t >= cut:
                    cut = origin + ((t - origin) // self.maximum + 1) * self.maximum
                    pieces.append((cut, []))
                pieces[-1][1].append(place)
                last = t
        order = {place: number for number, place in enumerate(taken)}
        found = [(min(cut, events[held[-1]].t + self.gap), held) for cut, held in pieces]
        for end, held in sorted(found, key=lambda item: (item[0], order[item[1][0]])):
            first = events[held[0]]
            self.results.append(Result(first.key, first.t, end, tuple(sorted(held))))
        return self
