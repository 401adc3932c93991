"""Text as it comes into proper types; what cannot be told becomes null and is counted."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from tests.kernel.streams import examples

LOST = object()


def repaired(texts, dtype, **options):
    """Values, with `LOST` for what could not be repaired."""
    rows = rr.read(pl.DataFrame({"x": pl.Series(texts, dtype=pl.String)}))
    frame = rows.repair_types({"x": dtype}, count="lost", **options).collect()
    assert frame.schema["x"] == dtype
    assert set(frame["lost"].to_list()) <= {0, 1}
    return [LOST if lost else value for value, lost in frame.select("x", "lost").iter_rows()]


def check(cases, dtype, **options):
    assert repaired(list(cases), dtype, **options) == list(cases.values())


def test_numbers():
    check(
        {
            " 1,234.50 ": 1234.5,
            "€ 12": 12.0,
            "-$5": -5.0,
            "$-1,000": -1000.0,
            "EUR 5": 5.0,
            "5 USD": 5.0,
            "12%": 0.12,
            "12 %": 0.12,
            "(1,234.5)": -1234.5,
            "− 4": -4.0,
            "+3": 3.0,
            "1e3": 1000.0,
            "1 234.5": 1234.5,
            "1\u202f234": 1234.0,
            "1'234": 1234.0,
            "1,234,567": 1234567.0,
            ".5": 0.5,
            "1.": 1.0,
        },
        pl.Float64(),
    )


def test_what_might_be_meant_otherwise_is_not_guessed():
    texts = ["1,23", "12,34,567", "1.2.3", "5kg", "cheap", "1e400", "inf", "٣", "1_000", "--5", "()"]
    assert repaired(texts, pl.Float64()) == [LOST] * len(texts)


def test_words_for_nothing_are_null_and_not_lost():
    words = ["", "  ", "N/A", "null", "None", "-", "nan", "?", None]
    for dtype in (pl.Float64(), pl.Int64(), pl.Boolean(), pl.Date(), pl.String()):
        assert repaired(words, dtype) == [None] * len(words)


def test_a_comma_before_the_fraction():
    cases = {"1.234,50": 1234.5, "12,5": 12.5, "1.234": 1234.0, "1,234.5": LOST, "€ 0,5": 0.5, "3,5 %": 0.035}
    got = repaired(list(cases), pl.Float64(), decimal=",")
    assert got[:5] == list(cases.values())[:5]
    assert math.isclose(got[5], 0.035)


def test_whole_numbers():
    check(
        {"1,234": 1234, "12.0": 12, "+7": 7, "12.5": LOST, "12%": LOST, "9223372036854775808": LOST}, pl.Int64()
    )
    check({"255": 255, "256": LOST, "-1": LOST}, pl.UInt8())
    check({"9007199254740993": 9007199254740993}, pl.Int64())


def test_smaller_floats_and_decimals():
    check({"1.5": 1.5, "1e39": LOST}, pl.Float32())
    check({"1,234.56": Decimal("1234.56"), "12%": Decimal("0.12")}, pl.Decimal(10, 2))


def test_truth():
    check({"yes": True, "NO ": False, " True": True, "0": False, "maybe": LOST}, pl.Boolean())
    assert repaired(["ja", "Nein"], pl.Boolean(), true="ja", false=["nein"]) == [True, False]


def test_dates():
    christmas = date(2025, 12, 24)
    cases = {
        "24.12.2025": christmas,
        "2025-12-24": christmas,
        "2025-12-24T10:00:00Z": christmas,
        "12/24/2025": LOST,
        "24.13.2025": LOST,
    }
    check(cases, pl.Date(), formats="%d.%m.%Y")


def test_instants():
    ten = datetime(2025, 12, 24, 10, tzinfo=UTC)
    cases = {
        "24.12.2025 11:00": ten,
        "2025-12-24T10:00:00Z": ten,
        "2025-12-24T12:00:00+02:00": ten,
        "2025-12-24 11:00:00": ten,
        "2025-03-30 02:30:00": LOST,
        "2025-10-26 02:30:00": LOST,
    }
    check(cases, pl.Datetime("ms", "Europe/Vienna"), formats=["%d.%m.%Y %H:%M"])
    check({"2025-12-24T12:00:00+02:00": ten.replace(tzinfo=None)}, pl.Datetime("us"))


def test_columns_that_hold_no_text_are_converted():
    rows = rr.read({"x": [1.0, 2.5, None], "y": [300, 3, None]})
    frame = rows.repair_types({"x": pl.Int64, "y": pl.UInt8}, count="lost").select("x", "y", "lost").collect()
    assert frame.rows() == [(1, None, 1), (2, 3, 0), (None, None, 0)]


NUMBERS = st.decimals(-(10**9), 10**9, places=2, allow_nan=False, allow_infinity=False)


@examples(60)
@given(
    st.lists(NUMBERS, min_size=1, max_size=20),
    st.sampled_from(["{}", " {} ", "€ {}", "{} EUR", "$ {}", "{}€"]),
    st.sampled_from([(".", ","), (",", "."), (".", " "), (",", "\u00a0"), (".", "")]),
)
def test_numbers_written_in_any_way_come_back(values, form, separators):
    decimal, group = separators
    swap = str.maketrans({".": decimal, ",": group})
    texts = [form.format(f"{value:,}".translate(swap)) for value in values]
    assert repaired(texts, pl.Float64(), decimal=decimal) == [float(value) for value in values]


@examples(60)
@given(st.lists(st.text(alphabet="0123456789.,-+() %$€eE'aN/", max_size=12), min_size=1, max_size=30))
def test_any_text_is_a_finite_number_or_null(texts):
    for decimal in (".", ","):
        values = repaired(texts, pl.Float64(), decimal=decimal)
        assert all(value is LOST or value is None or math.isfinite(value) for value in values)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            lambda rows: rows.repair_types({"z": pl.Float64}),
            "repair_types: there is no column 'z'\n  try: one of: x, arrived_at",
        ),
        (
            lambda rows: rows.repair_types({"x": pl.List(pl.Int64)}),
            "repair_types: 'x' cannot be made List(Int64)\n"
            "  try: numbers, pl.Boolean, pl.Date, pl.Datetime or pl.String",
        ),
        (
            lambda rows: rows.repair_types({"x": pl.Float64}, decimal=";"),
            "repair_types(decimal=): there is no ';'\n  try: one of: ., ,",
        ),
        (lambda rows: rows.repair_types({}), 'repair_types: no column is named\n  try: {"price": pl.Float64}'),
        (
            lambda rows: rows.clip("x"),
            'clip: needs a bound\n  try: .clip("price", lower=0), .clip("load", 0, 1)',
        ),
        (lambda rows: rows.clip("x", 2, 1), "clip: the lower bound 2 is above the upper one, 1"),
    ],
)
def test_refused(made, text):
    rows = rr.read({"x": ["1"]}, schema={"x": pl.String})
    with pytest.raises(rr.PlanError) as caught:
        made(rows)
    assert str(caught.value) == text


def test_its_label():
    rows = rr.read({"x": ["1"]}, schema={"x": pl.String})
    assert rows.repair_types({"x": pl.Float64}).node.label == "repair_types x to Float64"
    counted = rows.repair_types({"x": pl.Float64}, count="lost")
    assert counted.node.label == "repair_types x to Float64, counted as lost"
