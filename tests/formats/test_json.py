"""JSON lines as people send them, and as they should not."""

from __future__ import annotations

import base64
import gzip
import json as stdlib_json
import struct
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from riverrun.formats.json import Json
from riverrun.limits import Limits
from riverrun.schema import DeclaredType
from tests.formats import decoding
from tests.formats.decoding import ALWAYS, NEVER

BOTH = pytest.mark.parametrize("small", [ALWAYS, NEVER], ids=["fast", "strict"])
GOOD = b'{"ts":1700000000123,"symbol":"A","price":1.5,"size":2}\n'
MOMENT = datetime.fromisoformat("2023-11-14T22:13:20.123")
ROW = (MOMENT, "A", 1.5, 2)


@BOTH
@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b'{"size":2,"price":1.5,"symbol":"A","ts":1700000000123}', ROW),
        (b' {"ts" : "2023-11-14T22:13:20.123Z" , "symbol":"A","price":1.5,"size":2} \r', ROW),
        (b'{"ts":1700000000123,"symbol":"A","price":1.5,"size":2,"more":{"ts":[1,{}]}}', ROW),
        (b'{"ts":1700000000123,"symbol":"\\u0041","price":1.5,"size":2}', ROW),
        (b'{"ts":1700000000123,"symbol":null,"size":2}', (MOMENT, None, None, 2)),
        (b"{}", (None, None, None, None)),
        (
            b'{"ts":1700000000123,"symbol":"a\\u0000\\u001b[31m\\n","price":1,"size":2}',
            (MOMENT, "a\0\x1b[31m\n", 1.0, 2),
        ),
        (b'{"size":9007199254740993}', (None, None, None, 9007199254740993)),
        (b'{"price":18446744073709551616}', (None, None, 2.0**64, None)),
        (b'{"symbol":"first","symbol":"last"}', (None, "last", None, None)),
    ],
)
def test_what_is_accepted(line: bytes, row: tuple[object, ...], small: int) -> None:
    seen = decoding.json(GOOD + line + b"\n" + GOOD, small_bytes=small)
    assert (seen.rows, seen.reasons) == ([ROW, row, ROW], [])


@BOTH
@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"ts":1', "json", ""),
        (b"\x00\x01", "json", ""),
        (b'{"symbol":"a\x01b"}', "json", "control character"),
        (b'{"price":NaN}', "json", ""),
        (b'{"price":-Infinity}', "json", ""),
        (b'{"symbol":"\\ud800"}', "json", "surrogate"),
        (b'{"symbol":"\xff"}', "utf8", "byte 0xff at offset 11 of the record is not UTF-8"),
        (b'{"symbol":"\xc0\xaf"}', "utf8", "0xc0"),
        (b'{"price":1e400}', "number-range", "a number too large for a double"),
        (b'{"price":-1e400}', "number-range", ""),
        (b'{"price":' + b"9" * 400 + b"}", "number-range", ""),
        (b'{"size":' + b"9" * 5_000 + b"}", "number-range", ""),
        (
            b'{"size":9223372036854775808}',
            "number-range",
            "column 'size': '0000000000000000000' does not fit Int64",
        ),
        (b'{"size":18446744073709551616}', "number-range", "column 'size'"),
        (b'{"price":1e4294967295}', "number-range", ""),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "depth", "nested deeper than 32 levels"),
        (b'{"a":' * 100_000, "depth", "nested deeper than 32 levels"),
        (b"null", "shape", "expected an object, found null"),
        (b"17", "shape", "expected an object, found int '00'"),
        (b'[{"size":1}]', "shape", "see rr.Json(batch_arrays=True)"),
        (b'{"size":1} {"size":2}', "shape", "more than one JSON document on a line"),
        (
            b"{" + b",".join(b'"f%d":1' % n for n in range(100_000)) + b"}",
            "too-many-fields",
            "an object of 100000 fields",
        ),
        (b'{"size":"2"}', "schema", "column 'size': expected Int64, found string '0'"),
        (b'{"size":2.5}', "schema", "declare schema={'size': pl.Float64}"),
        (b'{"size":true}', "schema", "found boolean 'xxxx'"),
        (b'{"symbol":5}', "schema", "column 'symbol': expected String, found integer '0'"),
        (b'{"symbol":["A"]}', "schema", "found array"),
        (b'{"price":"1.5"}', "schema", "column 'price': expected Float64, found string '0.0'"),
        (b'{"ts":"yesterday"}', "timestamp", "column 'ts'"),
        (b'{"ts":true}', "schema", "column 'ts'"),
        (b'{"ts":1700000000123000000}', "time-range", "in ns it would be a time of these years"),
    ],
)
def test_what_is_refused_and_leaves_its_neighbours_alone(
    line: bytes, reason: str, detail: str, small: int
) -> None:
    limits = Limits(line_bytes=2 << 20)
    seen = decoding.json(GOOD + line + b"\n" + GOOD, limits=limits, small_bytes=small)
    assert seen.rows == [ROW, ROW]
    (rejected,) = seen.rejected
    assert (rejected.reason, rejected.position, rejected.length) == (reason, len(GOOD), len(line))
    assert detail in rejected.detail


@BOTH
def test_fields_given_twice_are_counted(small: int) -> None:
    seen = decoding.json(GOOD + b'{"size":1,"price":1.5,"size":null}\n' + GOOD, small_bytes=small)
    assert seen.rows[1] == (None, None, 1.5, None)
    assert seen.counters == {"duplicate_keys": 1}


@BOTH
def test_blank_lines_are_counted(small: int) -> None:
    seen = decoding.json(b"\n" + GOOD + b"  \t\r\n\n" + GOOD, small_bytes=small)
    assert (len(seen.rows), seen.blank) == (2, 3)


@BOTH
def test_arrays_are_batches_when_asked_for(small: int) -> None:
    line = b'[{"size":1},{"size":"x"},5,{"size":3,"size":4}]\n'
    seen = decoding.json(GOOD + line + b"[]\n" + GOOD, form=Json(batch_arrays=True), small_bytes=small)
    assert [row[3] for row in seen.rows] == [2, 1, 4, 2]
    assert (seen.reasons, seen.counters) == (["schema", "shape"], {"duplicate_keys": 1})


@BOTH
def test_nan_is_null_when_asked_for(small: int) -> None:
    data = GOOD + b'{"price":NaN}\n{"price":-Infinity,"size":1}\n{"price":nan}\n{"price":1e400}\n'
    seen = decoding.json(data, form=Json(allow_nan=True), small_bytes=small)
    assert seen.rows[1:] == [(None,) * 4, (None, None, None, 1)]
    assert seen.reasons == ["json", "number-range"]


@BOTH
def test_a_number_for_a_text_that_looks_like_one_is_found_out(small: int) -> None:
    data = b'{"id":"17"}\n' * 50 + b'{"id":17}\n' + b'{"id":"18"}\n' * 50
    seen = decoding.json(data, {"id": pl.String}, small_bytes=small)
    assert (len(seen.rows), seen.reasons) == (100, ["schema"])


@BOTH
def test_the_parsing_suite(shared_data: Path, small: int) -> None:
    raw = gzip.decompress((shared_data / "robustness" / "json_parsing.json.gz").read_bytes())
    columns: dict[str, DeclaredType] = {"good": pl.Int64}
    for case in stdlib_json.loads(raw):
        text = base64.b64decode(case["base64"])
        if b"\n" in text:
            continue
        data = b'{"good":1}\n{"v":' + text + b'}\n{"good":2}\n'
        seen = decoding.json(data, columns, small_bytes=small)
        good = [row for row in seen.rows if row != (None,)]
        assert good == [(1,), (2,)], case["name"]
        if not text.strip(b" \t\r") or case["verdict"] == "reject":
            # An element that closes the object early can be sound together with what is around it.
            assert seen.reasons or b"}" in text or b'"' in text, case["name"]
        elif case["verdict"] == "accept":
            assert seen.reasons == [], case["name"]


@BOTH
def test_decimal_text_becomes_the_nearest_double(shared_data: Path, small: int) -> None:
    lines = gzip.decompress((shared_data / "robustness" / "decimal_to_double.txt.gz").read_bytes()).split(b"\n")
    for line in (line for line in lines if line):
        text, bits = line.split()
        seen = decoding.json(b'{"x":%b}\n' % text, {"x": pl.Float64}, small_bytes=small)
        for (value,) in seen.rows:
            assert struct.pack(">d", value).hex() == bits.decode().lower(), text
        assert set(seen.reasons) <= {"number-range", "json"}
