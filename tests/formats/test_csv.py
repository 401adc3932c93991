"""CSV as people send it: headers, quotes, ragged rows, wrong values, limits."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from riverrun.errors import ConfigError, SchemaError
from riverrun.formats.csv import Csv, CsvDecoder
from riverrun.limits import Limits
from riverrun.schema import DeclaredType, Schema
from tests.formats import decoding
from tests.formats.decoding import ALWAYS, NEVER, TRADES

BOTH = pytest.mark.parametrize("small", [ALWAYS, NEVER], ids=["fast", "strict"])
GOOD = b"1700000000123,A,1.5,2\n"
MOMENT = datetime.fromisoformat("2023-11-14T22:13:20.123")


@BOTH
def test_rows_come_in_order_with_the_declared_types(small: int) -> None:
    seen = decoding.csv(GOOD + b"1700000000124,B,,\n", small_bytes=small)
    assert seen.rows == [(MOMENT, "A", 1.5, 2), (MOMENT.replace(microsecond=124_000), "B", None, None)]
    assert seen.frame.schema == pl.Schema(Schema.of(TRADES).polars())


@BOTH
@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"1700000000123,A,1.5", "csv", "expected 4 fields, found 3"),
        (b"1700000000123,A,1.5,2,", "csv", "expected 4 fields, found 5"),
        (b'1700000000123,"A"x,1.5,2', "csv", "text follows the closing quote of a field"),
        (b"1700000000123,A,abc,2", "schema", "column 'price': expected Float64, found text 'xxx'"),
        (
            b"1700000000123,A,1.5,2.5",
            "schema",
            "declare schema={'size': pl.Float64}",
        ),
        (b"1700000000123,A,NaN,2", "schema", "to read it as missing, use rr.Csv(null_values=('', 'NaN'))"),
        (b"1700000000123,A,1e400,2", "number-range", "column 'price': '0x000' does not fit Float64"),
        (b"1700000000123,A,1.5,9223372036854775808", "number-range", "column 'size': '0000000000000000000'"),
        (b"1700000000123,A,1.5," + b"9" * 5_000, "number-range", "column 'size': '0000"),
        (b"1700000000123,\xff\xfe,1.5,2", "utf8", "byte 0xff at offset 14 of the record is not UTF-8"),
        (b"1700000000123,\xc0\xaf,1.5,2", "utf8", "byte 0xc0"),
        (b"1700000000123,\xed\xa0\x80,1.5,2", "utf8", "byte 0xed"),
        (b"2024-13-01T00:00:00Z,A,1.5,2", "timestamp", "column 'ts': expected ms since 1970 or RFC 3339 text"),
        (b"2024-12-01T00:00:00,A,1.5,2", "time-zone", "has no zone; declare one"),
        (b"1700000000123000,A,1.5,2", "time-range", "in us it would be a time of these years"),
    ],
)
def test_a_bad_record_is_a_dead_letter_and_its_neighbours_are_rows(
    line: bytes, reason: str, detail: str, small: int
) -> None:
    seen = decoding.csv(GOOD + line + b"\n" + GOOD, small_bytes=small)
    assert len(seen.rows) == 2
    (rejected,) = seen.rejected
    assert (rejected.reason, rejected.position, rejected.length) == (reason, len(GOOD), len(line))
    assert detail in rejected.detail
    assert rejected.head == line[:256]


@BOTH
def test_one_stray_opening_quote_does_not_swallow_the_lines_behind_it(small: int) -> None:
    data = GOOD + b'1,"open,1,1\n' + GOOD + b'2,"ok",1,1\n' + GOOD
    seen = decoding.csv(data, small_bytes=small)
    assert [row[1] for row in seen.rows] == ["A", "A", "ok", "A"]
    assert seen.reasons == ["csv"]


@BOTH
def test_a_quote_that_is_never_closed_costs_one_line_at_the_end_of_the_file(small: int) -> None:
    seen = decoding.csv(GOOD + b'1,"open,1,1\n' + GOOD * 3, small_bytes=small)
    assert (len(seen.rows), seen.reasons) == (4, ["csv"])
    assert "is not closed" in seen.details[0]


@BOTH
def test_an_open_quote_waits_no_longer_than_the_record_limit(small: int) -> None:
    decoder = CsvDecoder(Csv(), Schema.of(TRADES), Limits(line_bytes=64), small_bytes=small)
    assert decoder.feed(b'1,"open,1,1\n', 0).frame.height == 0
    out = decoder.feed(GOOD * 4, 0)
    assert (out.frame.height, [item.reason for item in out.rejected]) == (4, ["csv"])


@BOTH
def test_quotes_within_an_unquoted_field_are_text(small: int) -> None:
    seen = decoding.csv(b'1,5" pipe,1,1\n' + GOOD + b'1,a"b"c,1,1\n', small_bytes=small)
    assert [row[1] for row in seen.rows] == ['5" pipe', "A", 'a"b"c']


@BOTH
def test_a_formula_is_text(small: int) -> None:
    seen = decoding.csv(b'1,"=HYPERLINK(""http://x"",""y"")",1,1\n', small_bytes=small)
    assert seen.rows[0][1] == '=HYPERLINK("http://x","y")'


@BOTH
def test_mark_line_ends_blank_lines_and_spaces(small: int) -> None:
    data = b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") + b"\r\n   \n\n 1700000000123 ,A, 1.5,2 \r\n" + GOOD
    seen = decoding.csv(data, small_bytes=small)
    assert (len(seen.rows), seen.blank, seen.reasons) == (3, 3, [])


@BOTH
def test_a_line_over_the_limit_is_passed_over_and_not_kept(small: int) -> None:
    long = b"1," + b"x" * 3_000_000 + b",1,1"
    seen = decoding.csv(GOOD + long + b"\n" + GOOD, small_bytes=small, cuts=range(0, 3_000_000, 60_000))
    assert (len(seen.rows), seen.reasons) == (2, ["line-too-long"])
    (rejected,) = seen.rejected
    assert (rejected.length, rejected.head, rejected.position) == (len(long), long[:256], len(GOOD))
    assert rejected.detail == f"a line of {len(long)} bytes, the limit is 1048576"


@BOTH
def test_half_a_line_is_truncated_in_a_connection_and_a_record_in_a_file(
    small: int,
) -> None:
    broken = decoding.csv(GOOD + GOOD[:-1], small_bytes=small, truncated=True)
    whole = decoding.csv(GOOD + GOOD[:-1], small_bytes=small)
    assert (len(broken.rows), broken.reasons, len(whole.rows)) == (1, ["truncated"], 2)


def test_a_header_is_found_and_may_have_another_order_and_more_columns() -> None:
    data = b"size,note,ts,symbol,price\n2,hello,1700000000123,A,1.5\n" * 2
    for small in (ALWAYS, NEVER):
        seen = decoding.csv(data, small_bytes=small)
        assert seen.rows == [(MOMENT, "A", 1.5, 2)] * 2
        assert seen.counters == {"header_lines": 2}


def test_a_header_that_lacks_a_column_is_an_error_that_names_it() -> None:
    problem = "the CSV header has no column 'price'; it has 'ts', 'symbol', 'prize', 'size'"
    with pytest.raises(SchemaError, match=problem) as info:
        decoding.csv(b"ts,symbol,prize,size\n" + GOOD)
    assert "did you mean 'prize'?" in str(info.value)


def test_an_explicit_header_must_be_one_but_a_row_without_it_is_a_row() -> None:
    with pytest.raises(SchemaError, match="has no column 'ts', 'symbol'"):
        decoding.csv(b"a,b,c,d\n", form=Csv(header=True))
    seen = decoding.csv(GOOD, form=Csv(header=True))
    assert seen.rows == [(MOMENT, "A", 1.5, 2)]


def test_rubbish_before_the_header_is_refused_and_the_header_found() -> None:
    seen = decoding.csv(b"# made by hand\n\nts,symbol,price,size\n" + GOOD)
    assert (len(seen.rows), seen.reasons, seen.counters, seen.blank) == (1, ["csv"], {"header_lines": 1}, 1)


def test_no_value_is_said_as_the_settings_say() -> None:
    columns: dict[str, DeclaredType] = {"x": pl.Float64, "s": pl.String, "y": pl.Int64}
    data = b'NA,NA,1\n,,2\n1,"",3\n' * 200
    for small in (ALWAYS, NEVER):
        seen = decoding.csv(data, columns, form=Csv(header=False, null_values=("", "NA")), small_bytes=small)
        assert seen.rows[:3] == [(None, None, 1), (None, None, 2), (1.0, "", 3)]


@BOTH
def test_other_types(small: int) -> None:
    columns: dict[str, DeclaredType] = {"d": pl.Date, "b": pl.Boolean, "i": pl.UInt8, "f": pl.Float32}
    seen = decoding.csv(
        b"2024-02-29,true,255,0.1\n,FALSE,,\n2024-02-30,true,1,1\n,,256,\n,yes,1,1\n",
        columns,
        small_bytes=small,
    )
    assert seen.rows[0][:3] == (date(2024, 2, 29), True, 255)
    assert seen.rows[1] == (None, False, None, None)
    assert seen.reasons == ["timestamp", "number-range", "schema"]


def test_the_wrong_separator_is_told() -> None:
    seen = decoding.csv(GOOD.replace(b",", b";"))
    assert seen.details == ["expected 4 fields, found 1; to separate them by ';', use rr.Csv(separator=';')"]


def test_names_that_are_kept_for_riverrun_are_refused() -> None:
    with pytest.raises(SchemaError, match="names that begin with '__riverrun_' are kept for riverrun itself"):
        Csv().open(Schema.of({"__riverrun_x": pl.Int64}), Limits())


def test_types_that_text_cannot_hold_are_refused_when_opened() -> None:
    with pytest.raises(SchemaError, match=r"column 'x' is declared List\(Int64\), which CSV cannot hold"):
        Csv().open(Schema.of({"x": pl.List(pl.Int64)}), Limits())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"separator": ",,"}, "the separator must be one ASCII character, got ',,'"),
        ({"quote": "«"}, "the quote must be one ASCII character"),
        ({"separator": '"'}, "separator and quote are both"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Csv(**settings)


@BOTH
def test_the_csv_spectrum(shared_data: Path, small: int) -> None:
    for case in json.loads((shared_data / "robustness" / "csv_parsing.json").read_text()):
        data = base64.b64decode(case["base64"])
        rows = case["rows"] if isinstance(case["rows"], list) else [case["rows"]]
        columns: dict[str, DeclaredType] = dict.fromkeys(rows[0], pl.String)
        seen = decoding.csv(data, columns, form=Csv(header=True, null_values=()), small_bytes=small)
        got = [dict(zip(columns, row, strict=True)) for row in seen.rows]
        if case["name"] == "location_coordinates":  # the suite names another number than its own file holds
            got[0]["Contact Phone Number"] = "1234567890"
        wanted = [{name: text.replace("\r\n", "\n") for name, text in row.items()} for row in rows]
        assert got == wanted, case["name"]  # the file named newlines_crlf holds none


@BOTH
def test_naughty_strings_come_through_unchanged(shared_data: Path, small: int) -> None:
    texts: list[str] = json.loads((shared_data / "robustness" / "naughty_strings.json").read_text())
    columns: dict[str, DeclaredType] = {"n": pl.Int64, "s": pl.String}
    data = "".join(f'{n},"{text.replace(chr(34), chr(34) * 2)}"\n' for n, text in enumerate(texts)).encode()
    seen = decoding.csv(data, columns, form=Csv(header=False), small_bytes=small)
    assert seen.rows == list(enumerate(texts))


@BOTH
def test_decimal_text_becomes_the_nearest_double(shared_data: Path, small: int) -> None:
    lines = gzip.decompress((shared_data / "robustness" / "decimal_to_double.txt.gz").read_bytes()).split(b"\n")
    pairs = [line.split() for line in lines if line]
    wanted = [struct.unpack(">d", bytes.fromhex(bits.decode()))[0] for _, bits in pairs]
    data = b"".join(text + b"\n" for text, _ in pairs)
    seen = decoding.csv(data, {"x": pl.Float64}, form=Csv(header=False), small_bytes=small)
    finite = [value for value in wanted if value not in (float("inf"), float("-inf"))]
    assert [struct.pack(">d", value) for (value,) in seen.rows] == [
        struct.pack(">d", value) for value in finite
    ]
    assert set(seen.reasons) <= {"number-range"}
    assert seen.records == len(wanted)
