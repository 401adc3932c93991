"""Instants as numbers and text, one by one and by columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import SchemaError
from riverrun.formats.rejection import RefusedError
from riverrun.formats.time_columns import counts_of_floats, counts_of_integers, counts_of_text
from riverrun.formats.timestamps import TimeColumn, from_float, from_integer, from_text, likely_unit
from riverrun.schema import Column, TimeUnit


def column(unit: TimeUnit = "us", zone: str | None = None, dtype: pl.DataType | None = None) -> TimeColumn:
    return TimeColumn.of(Column("t", dtype or pl.Datetime("us", "UTC"), unit, zone))


MICROS = column()
UTC_TEXT = column(zone="UTC")
VIENNA = column(zone="Europe/Vienna")
DATES = TimeColumn.of(Column("t", pl.Date(), None, "UTC"))
NANOS = column("ns", "UTC", pl.Datetime("ns"))
MILLIS = column("ms", "UTC", pl.Datetime("ms"))


def reason(text: str | int, time: TimeColumn) -> str:
    with pytest.raises(RefusedError) as info:
        from_text(text, time) if isinstance(text, str) else from_integer(text, time)
    return info.value.reason


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02T03:04:05.678Z", micros("2024-01-02T03:04:05") + 678_000),
        ("2024-01-02 03:04:05z", micros("2024-01-02T03:04:05")),
        ("2024-01-02t03:04:05+02:00", micros("2024-01-02T01:04:05")),
        ("2024-01-02T03:04:05.1234569-00:30", micros("2024-01-02T03:34:05") + 123_456),
        ("1998-12-31T23:59:60Z", micros("1999-01-01T00:00:00") - 1),
        ("1998-12-31T15:59:60.123-08:00", micros("1999-01-01T00:00:00") - 1),
        ("1960-01-01T00:00:00.5Z", micros("1960-01-01T00:00:00") + 500_000),
        ("1700000000000000", 1_700_000_000_000_000),
        (" -5 ", -5),
    ],
)
def test_text(text: str, expected: int) -> None:
    assert from_text(text, MICROS) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2024-01-02T25:61:00Z", "timestamp"),
        ("2024-01-02T23:58:60Z", "timestamp"),
        ("2024-01-02", "timestamp"),
        ("02/01/2024 10:00", "timestamp"),
        ("2024-01-02T03:04:05+24:00", "timestamp"),
        ("2024-01-02T03:04:05", "time-zone"),
        ("0000-12-31T23:59:59Z", "time-range"),
        ("0001-01-01T00:00:00+00:01", "time-range"),
        ("9999-12-31T23:59:59-00:01", "time-range"),
        ("9" * 100, "time-range"),
    ],
)
def test_text_that_is_refused(text: str, code: str) -> None:
    assert reason(text, MICROS) == code


def test_local_times_when_clocks_change() -> None:
    assert reason("2024-03-31T02:30:00", VIENNA) == "time-zone"
    assert from_text("2024-10-27T02:30:00", VIENNA) == micros("2024-10-27T00:30:00")
    assert from_text("2024-07-01T12:00:00", VIENNA) == micros("2024-07-01T10:00:00")


def test_numbers_in_their_unit() -> None:
    seconds = column("s")
    assert from_integer(1_700_000_000, seconds) == 1_700_000_000_000_000
    assert from_float(1_700_000_000.123456, seconds) == 1_700_000_000_123_456
    assert from_text("1700000000.25", seconds) == 1_700_000_000_250_000
    assert from_integer(0, MICROS) == 0
    assert from_integer(1_700_000_000_123_456_789, column("ns")) == 1_700_000_000_123_456


def test_numbers_that_cannot_be_are_refused_and_the_likely_unit_is_named() -> None:
    for edge in (-(2**63), 2**63 - 1):
        assert reason(edge, MILLIS) == "time-range"
    with pytest.raises(RefusedError, match="in us it would be a time of these years"):
        from_integer(1_700_000_000_000_000, MILLIS)
    with pytest.raises(RefusedError, match="in ns it would be a time of these years"):
        from_integer(1_700_000_000_000_000_000, MILLIS)
    assert reason("2300-01-01T00:00:00Z", NANOS) == "time-range"
    assert [likely_unit(1.7 * 10**power) for power in (8, 9, 12, 15, 18)] == [None, "s", "ms", "us", "ns"]


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(SchemaError, match="column 't': there is no time zone 'Mars/Base'"):
        column(zone="Mars/Base")


def test_the_json_schema_suite(shared_data: Path) -> None:
    for case in json.loads((shared_data / "robustness" / "timestamps.json").read_text()):
        time = MICROS if case["format"] == "date-time" else DATES
        text = case["text"]
        try:
            count: int | None = from_text(text, time)
        except RefusedError:
            count = None
        # Spaces around a field are nothing; the suite wants them refused.
        valid = case["valid"] or text.strip(" ") != text
        assert (count is not None) == valid, case
        counts, bad = counts_of_text(pl.Series([text]), time)
        assert counts[0] in (None, count), case
        assert (bad is not None) == (counts[0] is None), case


ISO = st.builds(
    lambda day, separator, clock, fraction, zone: f"{day}{separator}{clock}{fraction}{zone}",
    st.one_of(
        st.dates().map(str),
        st.sampled_from(["0001-01-01", "9999-12-31", "2024-02-30", "2024-03-31", "2024-10-27"]),
    ),
    st.sampled_from(["T", "T", " ", "t", "x"]),
    st.sampled_from(["00:00:00", "02:30:00", "23:59:59", "23:59:60", "24:00:00", "12:34:56", "1:2:3"]),
    st.sampled_from(["", ".5", ".123", ".123456", ".123456789", ".9999999999999999", "."]),
    st.sampled_from(["Z", "Z", "z", "", "+02:00", "-00:30", "+23:59", "-24:00", "+0200"]),
)


@given(
    texts=st.lists(st.one_of(ISO, st.none(), st.just("1700000000"), st.dates().map(str)), max_size=12),
    time=st.sampled_from([MICROS, UTC_TEXT, VIENNA, DATES, NANOS, MILLIS]),
)
def test_columns_of_text_agree_with_single_values(texts: list[str | None], time: TimeColumn) -> None:
    counts, bad = counts_of_text(pl.Series("t", texts, dtype=pl.String), time)
    flags = [False] * len(texts) if bad is None else bad.to_list()
    for text, count, flagged in zip(texts, counts, flags, strict=True):
        if text is None:
            assert (count, flagged) == (None, False)
        elif not flagged:
            assert count == from_text(text, time)
        else:
            assert count is None


@given(
    numbers=st.lists(
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-(10**13), 10**13)), max_size=10
    ),
    time=st.sampled_from(
        [MICROS, NANOS, MILLIS, column("s"), column("ns"), column("s", None, pl.Datetime("ns"))]
    ),
)
def test_columns_of_integers_agree_with_single_values(numbers: list[int | None], time: TimeColumn) -> None:
    counts, bad = counts_of_integers(pl.Series("t", numbers, dtype=pl.Int64), time)
    flags = [False] * len(numbers) if bad is None else bad.to_list()
    for number, count, flagged in zip(numbers, counts, flags, strict=True):
        if number is None:
            assert (count, flagged) == (None, False)
        elif flagged:
            assert reason(number, time) == "time-range"
        else:
            assert count == from_integer(number, time)


@given(
    numbers=st.lists(st.one_of(st.none(), st.floats(), st.floats(-(10.0**13), 10.0**13)), max_size=10),
    time=st.sampled_from([MILLIS, column("s"), column("ms")]),
)
def test_columns_of_fractions_agree_with_single_values(numbers: list[float | None], time: TimeColumn) -> None:
    counts, bad = counts_of_floats(pl.Series("t", numbers, dtype=pl.Float64), time)
    flags = [False] * len(numbers) if bad is None else bad.to_list()
    for number, count, flagged in zip(numbers, counts, flags, strict=True):
        if number is None:
            assert (count, flagged) == (None, False)
        elif not flagged:
            assert count == from_float(number, time)
