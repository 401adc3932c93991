"""One instant at a time: numbers and text to the count that a time column stores.

Rules, the same for every format:

- Integers, and text that is an integer, count the column's declared unit since 1970. A number with a
  fraction does too, rounded to the column's own precision.
- Text is RFC 3339: ``2024-01-02T03:04:05.678Z``, with an offset instead of ``Z``, with a space instead of
  ``T``, in lower case as well. More digits than the column keeps are cut off. A ``pl.Date`` column takes
  ``2024-01-02``.
- Text without a zone is read in the column's zone; without one it is refused (``time-zone``). A local time
  that happens twice (clocks go back) means the earlier instant; one that never happens (clocks go
  forward) is refused (``time-zone``): no guess would be right.
- The leap second ``23:59:60`` UTC is the last instant of its minute.
- Instants outside the years 0001 to 9999, or outside what the column can store, are refused (``time-range``);
  when the number would be a time since 1990 in another unit, the message names that unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from riverrun.errors import SchemaError
from riverrun.formats.rejection import RefusedError, shown
from riverrun.schema import LIKELY_FROM_S, LIKELY_TO_S, UNITS_PER_SECOND, Column, TimeUnit

MIN_S = -62_135_596_800  # 0001-01-01
MAX_S = 253_402_300_799  # 9999-12-31T23:59:59
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

INTEGER = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """What a time column stores, worked out once.

    Parameters
    ----------
    unit_per_s, stored_per_s : how many units of the input's integers, and of the stored count, make a second.
    low, high : the first and last integer, in the input's unit, that can be accepted.
    """

    column: Column
    unit_per_s: int
    stored_per_s: int
    low: int
    high: int
    is_date: bool

    @staticmethod
    def of(column: Column) -> TimeColumn:
        """Raises `SchemaError` when the column's zone is unknown."""
        if column.zone is not None:
            _check_zone(column.zone, column.name)
        unit_per_s = UNITS_PER_SECOND[column.unit or "us"]
        stored = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else "us"
        stored_per_s = UNITS_PER_SECOND[stored]
        low = max(MIN_S * unit_per_s, -(-INT64_MIN * unit_per_s // stored_per_s), INT64_MIN)
        high = min((MAX_S + 1) * unit_per_s - 1, INT64_MAX * unit_per_s // stored_per_s, INT64_MAX)
        return TimeColumn(column, unit_per_s, stored_per_s, low, high, isinstance(column.dtype, pl.Date))

    @property
    def stored_low(self) -> int:
        return max(MIN_S * self.stored_per_s, INT64_MIN)

    @property
    def stored_high(self) -> int:
        return min((MAX_S + 1) * self.stored_per_s - 1, INT64_MAX)

    def finish(self, counts: pl.Series) -> pl.Series:
        """The stored counts (days, for a date) as the column's own type."""
        return counts.cast(pl.Int32).cast(pl.Date) if self.is_date else counts.cast(self.column.dtype)


def from_integer(value: int, time: TimeColumn) -> int:
    """The stored count of an epoch integer."""
    if time.is_date:
        raise RefusedError(
            "timestamp",
            f"column {time.column.name!r}: expected a date such as 2024-01-02, found {shown(value)}",
        )
    if not time.low <= value <= time.high:
        raise RefusedError("time-range", _out_of_range(value, time))
    return value * time.stored_per_s // time.unit_per_s


def from_float(value: float, time: TimeColumn) -> int:
    """The stored count of an epoch number with a fraction, rounded half up."""
    if time.is_date or not math.isfinite(value):
        raise _not_a_time(value, time)
    if not time.low <= value <= time.high:
        raise RefusedError("time-range", _out_of_range(int(value), time))
    count = math.floor(value * (time.stored_per_s / time.unit_per_s) + 0.5)
    if not time.stored_low <= count <= time.stored_high:
        raise RefusedError("time-range", _out_of_range(int(value), time))
    return count


def from_text(text: str, time: TimeColumn) -> int:
    """The stored count of RFC 3339 or numeric text."""
    text = text.strip(" \t\r")
    if time.is_date:
        return _from_date(text, time)
    if INTEGER.fullmatch(text):
        if len(text) > 40:
            raise RefusedError("time-range", f"column {time.column.name!r}: a number of {len(text)} digits")
        return from_integer(int(text), time)
    if DECIMAL.fullmatch(text):
        return from_float(float(text), time)
    match = INSTANT.fullmatch(text)
    if match is None:
        raise _not_a_time(text, time)
    return _from_parts(text, match, time)


def likely_unit(value: float) -> TimeUnit | None:
    """The unit in which a number is an instant between 1990 and 2100.

    >>> likely_unit(1_700_000_000_123)
    'ms'
    """
    for unit, per_s in UNITS_PER_SECOND.items():
        if LIKELY_FROM_S * per_s <= value < LIKELY_TO_S * per_s:
            return unit
    return None


def _from_date(text: str, time: TimeColumn) -> int:
    if DATE.fullmatch(text):
        try:
            return (date.fromisoformat(text) - date(1970, 1, 1)).days
        except ValueError:
            pass
    raise RefusedError(
        "timestamp", f"column {time.column.name!r}: expected a date such as 2024-01-02, found {shown(text)}"
    )


def _from_parts(text: str, match: re.Match[str], time: TimeColumn) -> int:
    day, clock, second, fraction, zone = match.groups()
    if day.startswith("0000"):
        raise RefusedError("time-range", f"column {time.column.name!r}: {shown(text)} is before the year 1")
    leap = second == "60"
    try:
        local = datetime.fromisoformat(f"{day}T{clock}:{'59' if leap else second}")
    except ValueError:
        raise _not_a_time(text, time) from None
    local_s = (local.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    utc_s = local_s - _offset_s(zone, local, text, time)
    if leap and utc_s % 86_400 != 86_399:
        raise _not_a_time(text, time)
    per_s = time.stored_per_s
    digits = len(str(per_s)) - 1
    part = per_s - 1 if leap else int((fraction or "0")[:digits].ljust(digits, "0") or "0")
    count = utc_s * per_s + part
    if not time.stored_low <= count <= time.stored_high:
        raise RefusedError(
            "time-range",
            f"column {time.column.name!r}: {shown(text)} does not fit {time.column.dtype}",
        )
    return count


def _offset_s(zone: str | None, local: datetime, text: str, time: TimeColumn) -> int:
    if zone is None:
        return _zone_offset_s(local, text, time)
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise _not_a_time(text, time)
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _zone_offset_s(local: datetime, text: str, time: TimeColumn) -> int:
    zone = time.column.zone
    if zone is None:
        raise RefusedError(
            "time-zone",
            f"column {time.column.name!r}: {shown(text)} has no zone; declare one: rr.Timestamp(zone='UTC')",
        )
    if zone == "UTC":
        return 0
    instant = in_zone(pl.Series([local], dtype=pl.Datetime("us")), zone)[0]
    if instant is None:
        raise RefusedError("time-zone", f"column {time.column.name!r}: {shown(text)} does not exist in {zone}")
    naive_us = (local.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
    return int(naive_us - instant) // 1_000_000


def in_zone(local: pl.Series, zone: str) -> pl.Series:
    """UTC microseconds of local times; null where the local time does not exist."""
    placed = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC").cast(pl.Int64)


def _check_zone(zone: str, name: str) -> None:
    try:
        pl.Series([datetime(2024, 1, 1)], dtype=pl.Datetime("us")).dt.replace_time_zone(zone)  # noqa: DTZ001
    except pl.exceptions.PolarsError:
        raise SchemaError(
            f"column {name!r}: there is no time zone {zone!r}",
            where="schema",
            hint="a name of the tz database, such as 'UTC' or 'Europe/Vienna'",
        ) from None


def _out_of_range(value: int, time: TimeColumn) -> str:
    unit = time.column.unit or "us"
    detail = f"column {time.column.name!r}: {shown(value)} {unit} since 1970 is outside the years 0001 to 9999"
    if not MIN_S * time.unit_per_s > value and value <= (MAX_S + 1) * time.unit_per_s - 1:
        detail = f"column {time.column.name!r}: {shown(value)} {unit} does not fit {time.column.dtype}"
    likely = likely_unit(value)
    if likely is not None and likely != unit:
        detail += f"; in {likely} it would be a time of these years"
    return detail


def _not_a_time(value: object, time: TimeColumn) -> RefusedError:
    return RefusedError(
        "timestamp",
        f"column {time.column.name!r}: expected {time.column.unit or 'us'} since 1970 or RFC 3339 text "
        f"such as 2024-01-02T03:04:05Z, found {shown(value)}",
    )
