"""Session windows over several partitions, row by row, in plain Python.

A row behind the watermark of its partition is looked at when the watermark of the stream has come to that one,
by that instant, then by its place. All others are taken as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference import AT_END, NEVER, Event, Key, Late, Result, Watermarks


@dataclass
class Open:
    first: int
    last: int
    rows: list[int]
    revision: int | None = None
    closed: bool = False


@dataclass
class PartitionedSessions:
    gap: int
    delay: int | None
    lateness: int
    partitions: Sequence[str]
    results: list[Result] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)

    def run(self, events: Sequence[Event]) -> PartitionedSessions:
        self.events = events
        self.spans: dict[Key, list[Open]] = {}
        marks = Watermarks(self.delay, dict.fromkeys(self.partitions, NEVER))
        waiting: list[tuple[int, int, int]] = []
        for place, event in enumerate(events):
            seen = marks.seen_by(event)
            if event.t < seen:
                waiting.append((seen, self.partitions.index(event.partition), place))
            else:
                self.join(place, self.touched(event))
            marks.observe(event)
            waiting = self.come_to(marks.stream, waiting)
        self.come_to(AT_END, waiting)
        return self

    def come_to(self, watermark: int, waiting: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        for seen, _, place in sorted(item for item in waiting if item[0] <= watermark):
            self.close(seen)
            self.look_at(place, seen)
        self.close(watermark)
        return [item for item in waiting if item[0] > watermark]

    def touched(self, event: Event) -> list[Open]:
        spans = self.spans.setdefault(event.key, [])
        return [s for s in spans if s.first - event.t < self.gap and event.t - s.last < self.gap]

    def look_at(self, place: int, seen: int) -> None:
        event = self.events[place]
        touched = [s for s in self.touched(event) if s.last + self.gap + self.lateness > seen]
        end = max([event.t, *(s.last for s in touched)]) + self.gap
        if end + self.lateness <= seen:
            self.late.append(Late(place, event.t, event.t + self.gap))
            return
        joined = self.join(place, touched)
        if end <= seen:
            self.put_out(event.key, joined)

    def join(self, place: int, touched: list[Open]) -> Open:
        event = self.events[place]
        joined = Open(
            min([event.t, *(s.first for s in touched)]),
            max([event.t, *(s.last for s in touched)]),
            sorted([place, *(row for s in touched for row in s.rows)]),
            max((s.revision for s in touched if s.revision is not None), default=None),
        )
        rest = [s for s in self.spans[event.key] if not any(s is other for other in touched)]
        self.spans[event.key] = [*rest, joined]
        return joined

    def close(self, watermark: int) -> None:
        due = [(s.last, s.rows[0], key, s) for key, spans in self.spans.items() for s in spans if not s.closed]
        for last, _, key, span in sorted(due, key=lambda item: item[:2]):
            if last + self.gap <= watermark:
                self.put_out(key, span)
        for key, spans in self.spans.items():
            self.spans[key] = [s for s in spans if s.last + self.gap + self.lateness > watermark]

    def put_out(self, key: Key, span: Open) -> None:
        span.revision = 0 if span.revision is None else span.revision + 1
        span.closed = True
        self.results.append(Result(key, span.first, span.last + self.gap, tuple(span.rows), span.revision))
