"""Slow, obvious cleaning steps: row by row, in plain Python, from what their docstrings say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reference import NEVER, Event, Key, Watermarks


def seen(events: Sequence[Event], delay: int | None) -> Iterator[tuple[int, Event, int]]:
    """Each row with its place and the watermark that it found."""
    marks = Watermarks(delay, dict.fromkeys(sorted({event.partition for event in events}), NEVER))
    for place, event in enumerate(events):
        yield place, event, marks.seen_by(event)
        marks.observe(event)


@dataclass
class Sorted:
    """What became of the rows, by their places."""

    passed: list[int] = field(default_factory=list)
    duplicate: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)


def unique(events: Sequence[Event], within: int, delay: int | None) -> Sorted:
    made = Sorted()
    accepted: dict[Key, list[int]] = {}
    for place, event, watermark in seen(events, delay):
        times = accepted.setdefault(event.key, [])
        if event.t + within < watermark:
            made.late.append(place)
        elif any(abs(event.t - t) <= within for t in times):
            made.duplicate.append(place)
        else:
            times.append(event.t)
            made.passed.append(place)
    return made


def forward_fill(
    events: Sequence[Event], delay: int | None, *, max_age: int | None, max_keys: int
) -> list[float | None]:
    last: dict[Key, tuple[float, int] | None] = {}
    made = []
    for _, event, watermark in seen(events, delay):
        value = event.x
        if event.key in last or len(last) < max_keys:
            held = last.setdefault(event.key, None)
            if value is not None:
                last[event.key] = (value, event.t)
            elif held is not None and _young(event, held[1], watermark, max_age):
                value = held[0]
        made.append(value)
    return made


def _young(event: Event, since: int, watermark: int, max_age: int | None) -> bool:
    if max_age is None:
        return True
    forgotten = event.t < watermark and since + max_age < watermark
    return abs(event.t - since) <= max_age and not forgotten


@dataclass(frozen=True)
class Point:
    """A row that counts for the grid; points of one time are told apart by who came last."""

    t: int
    order: tuple[int, int]
    x: float | None


def resample(
    events: Sequence[Event], every: int, delay: int | None, fill: str, max_gap: int
) -> tuple[list[tuple[int, Key, Any]], list[int]]:
    """Instant, key and value of each row of the grid, and the places of late rows."""
    points: dict[Key, list[Point]] = {}
    late = []
    partitions = sorted({event.partition for event in events})
    for place, event, watermark in seen(events, delay):
        decided_by = event.t if fill == "linear" else at_or_after(event.t, every)
        if decided_by < watermark:
            late.append(place)
        else:
            order = (partitions.index(event.partition), place)
            points.setdefault(event.key, []).append(Point(event.t, order, event.x))
    times = [point.t for held in points.values() for point in held]
    if not times:
        return [], late
    instants = range(at_or_after(min(times), every), at_or_after(max(times), every) + 1, every)
    keys = sorted(points, key=lambda key: (key is not None, key))
    found = [(g, key, _value(points[key], g, every, fill, max_gap)) for g in instants for key in keys]
    return [(g, key, value[0]) for g, key, value in found if value is not None], late


def at_or_after(t: int, every: int) -> int:
    return -(-t // every) * every


def _value(points: list[Point], g: int, every: int, fill: str, max_gap: int) -> tuple[float | None] | None:
    """The value at an instant as a tuple; ``None`` when the key is not on the grid."""
    before = [point for point in points if point.t <= g]
    if not before:
        return None
    last = max(before, key=lambda point: (point.t, point.order))
    if fill == "linear":
        return (last.x,) if last.t == g else _between(last, points, g, max_gap)
    if g - last.t > max_gap:
        return None
    return (last.x if fill == "forward" or g == at_or_after(last.t, every) else None,)


def _between(last: Point, points: list[Point], g: int, max_gap: int) -> tuple[float | None] | None:
    behind = [point for point in points if point.t > g]
    if not behind:
        return None
    after = min(behind, key=lambda point: (point.t, [-number for number in point.order]))
    if after.t - last.t > max_gap:
        return None
    if last.x is None or after.x is None:
        return (None,)
    return (last.x + (after.x - last.x) * ((g - last.t) / (after.t - last.t)),)


def interpolate(events: Sequence[Event], within: int, delay: int | None) -> tuple[list[Any], list[int]]:
    """Time, key, value and place of each row in the order of event time, and the places of late rows."""
    points: list[tuple[int, tuple[int, int], int, Event]] = []
    late = []
    partitions = sorted({event.partition for event in events})
    for place, event, watermark in seen(events, delay):
        if event.t < watermark:
            late.append(place)
        else:
            points.append((event.t, (partitions.index(event.partition), place), place, event))
    points.sort(key=lambda point: point[:2])
    return [
        (t, p[3].key, _on_line(points, at, within), p[2]) for at, p in enumerate(points) for t in [p[0]]
    ], late


def _on_line(points: Sequence[Any], at: int, within: int) -> float | None:
    t, _, _, event = points[at]
    if event.x is not None:
        return event.x
    same = [(p[0], p[3].x, n) for n, p in enumerate(points) if p[3].key == event.key and p[3].x is not None]
    before = [(time, x) for time, x, n in same if n < at]
    behind = [(time, x) for time, x, n in same if n > at]
    if not before or not behind or behind[0][0] - before[-1][0] > within:
        return None
    (since, left), (until, right) = before[-1], behind[0]
    return left if until == since else left + (right - left) * (t - since) / (until - since)
