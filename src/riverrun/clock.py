"""Instants and durations, and the one door to real time.

Inside riverrun an instant is an ``int``: microseconds since 1970-01-01 UTC. A duration is an ``int``
of microseconds. Nothing but a `Clock` tells the time; code that needs it is handed one.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from riverrun.errors import ConfigError

#: Microseconds in each unit that a duration may be written in.
DURATION_UNITS_US: dict[str, int] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}

#: Longer ones are a slip, and would not fit into the 64 bits of an instant when they are added to one.
LONGEST_YEARS = 10_000
_LONGEST_US = LONGEST_YEARS * 365 * DURATION_UNITS_US["d"]

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)\s*")

Duration = str | timedelta


class Clock(Protocol):
    """What tells the time. `SystemClock` is the real one, `riverrun.testing.ManualClock` the hand-moved one."""

    def now_us(self) -> int:
        """The wall clock: microseconds since 1970-01-01 UTC."""
        ...

    def monotonic_us(self) -> int:
        """A clock that never goes back, for measuring how long something took."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1_000


def parse_duration(value: Duration, *, where: str = "duration") -> int:
    """Microseconds of a duration such as ``"10s"``, ``"250ms"``, ``"1h30m"`` or a ``timedelta``.

    Raises `ConfigError` for anything else, negative durations and those of more than 10,000 years included.

    >>> parse_duration("1m30s")
    90000000
    >>> parse_duration("0.5s")
    500000
    """
    if isinstance(value, timedelta):
        return _within_bounds(value // timedelta(microseconds=1), value, where)
    text = value.strip() if isinstance(value, str) else ""
    position, total = 0, 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            break
        number, unit = match.groups()
        scale = DURATION_UNITS_US[unit]
        total += int(number) * scale if number.isdigit() else round(float(number) * scale)
        position = match.end()
    if text.startswith("-"):
        raise ConfigError(f"a duration cannot be negative, got {value!r}", where=where, hint='"10s"')
    if not text or position < len(text):
        raise ConfigError(
            f"not a duration: {value!r}",
            where=where,
            hint='a number with a unit, as in "10s", "250ms", "1h30m"; units are us, ms, s, m, h, d, w',
        )
    return _within_bounds(total, value, where)


def _within_bounds(duration_us: int, value: Duration, where: str) -> int:
    if duration_us < 0:
        raise ConfigError(f"a duration cannot be negative, got {str(value)!r}", where=where, hint='"10s"')
    if duration_us > _LONGEST_US:
        raise ConfigError(
            f"a duration of more than {LONGEST_YEARS:,} years is too long, got {str(value)!r}",
            where=where,
            hint='"3650d" is ten years',
        )
    return duration_us


def parse_offset(value: Duration, *, where: str = "offset") -> int:
    """As `parse_duration`, and negative with a minus sign before it: ``"-5s"``.

    >>> parse_offset("-1m30s")
    -90000000
    """
    if isinstance(value, timedelta):
        return (
            parse_duration(value, where=where) if value >= timedelta() else -parse_duration(-value, where=where)
        )
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.startswith("-"):
        return -parse_duration(text[1:], where=where)
    return parse_duration(text, where=where)


def format_duration(duration_us: int) -> str:
    """A duration as `parse_duration` reads it, with the largest units that fit.

    >>> format_duration(90_000_000)
    '1m30s'
    >>> format_duration(30 * 86_400_000_000)
    '30d'
    >>> format_duration(0)
    '0s'
    """
    if duration_us < 0:
        return "-" + format_duration(-duration_us)
    parts = []
    rest = duration_us
    for unit, scale in sorted(DURATION_UNITS_US.items(), key=lambda item: -item[1]):
        if unit == "w" and rest % scale:
            continue  # "30d" says more than "4w2d"
        count, rest = divmod(rest, scale)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_instant(instant_us: int) -> str:
    """An instant in UTC, for people.

    >>> format_instant(0)
    '1970-01-01 00:00:00Z'
    """
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_us)
    except OverflowError:
        return f"{instant_us} us"
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
