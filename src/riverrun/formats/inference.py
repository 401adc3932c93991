"""What the first rows tell: the type of each column, which one is the time, which one tells rows apart.

Bad rows must not decide, so each question is put to a vote: a type wins a column when nine in ten of its
values (not counting empty ones) have it. Whole numbers stay whole as long as all samples are; a later value
with a fraction is then a dead letter whose message says how to declare the column. A single fraction among
the samples makes the column ``Float64``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl

from riverrun.formats.timestamps import DATE, DECIMAL, INSTANT, INT64_MAX, INT64_MIN, INTEGER, likely_unit
from riverrun.schema import INSTANT as INSTANT_TYPE
from riverrun.schema import Column, Schema, TimeUnit

#: What share of the values must have a type for the column to get it.
_AGREEMENT = 0.8
#: A key has at most so many distinct values, and at most this share of the rows.
_MOST_KEYS, _MOST_KEY_SHARE = 1_000, 0.5

#: Names of time columns, likeliest first, and of keys.
_TIME_NAMES = (
    "event_time", "eventtime", "timestamp", "ts", "time", "datetime", "date_time", "date", "created_at",
    "at", "t",
)  # fmt: skip
_TIME_WORDS = re.compile(
    r"(?:^|[_ .-])(?:time|timestamp|ts|date|datetime|at)(?:$|[_ .-]|ms$|us$|ns$)|Time$|Date$|At$"
)
_KEY_NAMES = (
    "symbol", "sym", "ticker", "sensor", "sensor_id", "device", "device_id", "host", "hostname", "user",
    "user_id", "customer", "customer_id", "patient", "patient_id", "vehicle", "vehicle_id", "machine",
    "station", "product", "sku", "store", "region", "city", "country", "category", "key", "id", "name", "type",
)  # fmt: skip

#: Texts that stand for "no value" in columns of numbers.
NULL_TEXTS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", "?")

_EMPTY = "empty"
#: What stands around a value without being part of it.
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Sampled:
    """The values of one column in the sample; ``None`` where there was none."""

    name: str
    values: Sequence[object]


@dataclass(slots=True)
class _Guess:
    column: Column
    time_score: int = 0
    key_score: int = 0
    notes: list[str] = field(default_factory=list)


def infer_schema(samples: Sequence[Sampled]) -> Schema:
    """Types, time column and key of some sampled columns."""
    guesses = [_guess(sample) for sample in samples]
    time = max(guesses, key=lambda guess: guess.time_score, default=None)
    notes = []
    if time is not None and time.time_score > 0:
        notes.append(_time_note(time))
        notes.extend(time.notes)
    else:
        time = None
        notes.append("no column looks like the time of the event: the time of arrival is used")
    columns = tuple(
        guess.column if guess is time or not guess.time_score or _is_text_time(guess) else _plain(guess.column)
        for guess in guesses
    )
    keys = [guess for guess in guesses if guess.key_score > 0 and guess is not time]
    keys.sort(key=lambda guess: -guess.key_score)
    if len(keys) > 1:
        others = ", ".join(repr(guess.column.name) for guess in keys[1:6])
        notes.append(f"rows are told apart by {keys[0].column.name!r}; {others} could do so too")
    return Schema(
        columns,
        time=time.column.name if time else None,
        keys=tuple(guess.column.name for guess in keys[:1]),
        notes=tuple(notes),
    )


def kind_of_text(text: str) -> str:
    """What one field looks like: empty, integer, float, boolean, instant, zoneless, date or text."""
    text = text.strip(_BLANKS)  # of those characters that Python takes for blanks, not all are
    if not text:
        return _EMPTY
    if INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        leading_zero = len(digits) > 1 and digits.startswith("0")
        return "text" if leading_zero or len(digits) > 19 or not _fits(text) else "integer"
    if DECIMAL.fullmatch(text):
        return "float"
    if text.lower() in ("true", "false"):
        return "boolean"
    if DATE.fullmatch(text):
        return "date"
    match = INSTANT.fullmatch(text)
    if match:
        return "instant" if match.group(5) else "zoneless"
    return "null" if text in NULL_TEXTS else "text"


def is_number_like(sample: Sampled) -> bool:
    """Whether the column holds numbers once texts for "no value" are put aside."""
    counts = _kinds(sample)
    numbers = counts["integer"] + counts["float"]
    return numbers > 0 and numbers >= _AGREEMENT * (numbers + counts["text"] + counts["boolean"])


def _fits(text: str) -> bool:
    return INT64_MIN <= int(text) <= INT64_MAX


def _kind(value: object) -> str:
    if value is None:
        return _EMPTY
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if INT64_MIN <= value <= INT64_MAX else "float"
    if isinstance(value, float):
        return "float"
    return kind_of_text(value) if isinstance(value, str) else "nested"


def _kinds(sample: Sampled) -> Counter[str]:
    return Counter(_kind(value) for value in sample.values)


def _guess(sample: Sampled) -> _Guess:
    counts = _kinds(sample)
    # A JSON string that holds digits is a string; only CSV has no other way to write a number.
    strings = sum(isinstance(value, _JsonText) for value in sample.values)
    total = sum(number for kind, number in counts.items() if kind not in (_EMPTY, "null"))
    needed = _AGREEMENT * total
    texts_of_time = counts["instant"] + counts["zoneless"]
    if total and texts_of_time >= needed:
        return _instant_guess(sample, counts)
    if total and counts["date"] >= needed:
        column = Column(sample.name, pl.Date(), None, "UTC")
        return _Guess(column, time_score=60 + _time_name_score(sample.name))
    if total and strings < needed and counts["integer"] + counts["float"] >= needed:
        return _number_guess(sample, counts)
    if total and strings < needed and counts["boolean"] >= needed:
        return _Guess(Column(sample.name, pl.Boolean()))
    return _Guess(Column(sample.name, pl.String()), key_score=_key_score(sample))


class _JsonText(str):
    """A JSON string, as opposed to a CSV field."""


def json_text(value: str) -> str:
    """Mark a sampled value as a JSON string."""
    return _JsonText(value)


def _instant_guess(sample: Sampled, counts: Mapping[str, int]) -> _Guess:
    guess = _Guess(
        Column(sample.name, INSTANT_TYPE, "us", "UTC"), time_score=100 + _time_name_score(sample.name)
    )
    if counts["zoneless"]:
        guess.notes.append(f"{sample.name!r} does not say its time zone: UTC is assumed")
    return guess


def _number_guess(sample: Sampled, counts: Mapping[str, int]) -> _Guess:
    whole = not counts["float"]
    unit = _epoch_unit(sample.values)
    named = _time_name_score(sample.name)
    if unit is not None and (named or (whole and _mostly_rising(sample.values))):
        column = Column(sample.name, INSTANT_TYPE, unit, "UTC")
        return _Guess(column, time_score=30 + named, key_score=0)
    column = Column(sample.name, pl.Int64() if whole else pl.Float64())
    return _Guess(column, key_score=_key_score(sample) if whole and _key_name_score(sample.name) else 0)


def _plain(column: Column) -> Column:
    """A column of numbers that could be the time but is not: its numbers."""
    return Column(column.name, pl.Int64())


def _is_text_time(guess: _Guess) -> bool:
    return guess.time_score >= 60 or _time_name_score(guess.column.name) > 0


def _epoch_unit(values: Sequence[object]) -> TimeUnit | None:
    """The one unit in which nearly all numbers are instants between 1990 and 2100."""
    units = Counter(likely_unit(number) for number in _numbers(values))
    if not units:
        return None
    unit, number = units.most_common(1)[0]
    return unit if unit is not None and number >= _AGREEMENT * units.total() else None


def _numbers(values: Sequence[object]) -> list[float]:
    kinds = [(value, _kind(value)) for value in values]
    return [
        int(str(value)) if kind == "integer" else float(str(value))
        for value, kind in kinds
        if kind in ("integer", "float")
    ]


def _mostly_rising(values: Sequence[object]) -> bool:
    numbers = _numbers(values)
    rising = sum(a <= b for a, b in pairwise(numbers))
    return len(set(numbers)) > 1 and rising >= _AGREEMENT * (len(numbers) - 1)


def _time_name_score(name: str) -> int:
    lower = name.lower()
    if lower in _TIME_NAMES:
        return 30 - _TIME_NAMES.index(lower)
    return 10 if _TIME_WORDS.search(name) or _TIME_WORDS.search(lower) else 0


def _key_name_score(name: str) -> int:
    lower = name.lower()
    if lower in _KEY_NAMES:
        return 100 - _KEY_NAMES.index(lower)
    return 50 if lower.endswith(("_id", "id", "_name", "_key")) else 0


def _key_score(sample: Sampled) -> int:
    """How likely the column tells rows apart; 0 when it has too many distinct values."""
    values = [value for value in sample.values if _kind(value) != _EMPTY]
    distinct = len(set(values))
    if not values or distinct > _MOST_KEYS:
        return 0
    named = _key_name_score(sample.name)
    repeated = distinct <= max(1, _MOST_KEY_SHARE * len(values))
    if not repeated and not (named and len(values) < 20):
        return 0
    return named + (10 if distinct > 1 else 1)


def _time_note(guess: _Guess) -> str:
    column = guess.column
    if guess.time_score >= 60:
        return f"time is {column.name!r}, written as text"
    return f"time is {column.name!r}, in {column.unit} since 1970"
