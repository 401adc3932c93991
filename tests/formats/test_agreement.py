"""The fast and the strict path agree, cuts change nothing, and nothing is lost: tried on random bad input."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from riverrun.errors import SchemaError
from riverrun.formats.csv import Csv
from riverrun.formats.json import Json
from riverrun.formats.lines import Lines
from riverrun.formats.sniff import sniff
from riverrun.limits import Limits
from riverrun.ports import Format
from riverrun.schema import DeclaredType, Schema, Timestamp
from tests.formats import decoding
from tests.formats.decoding import ALWAYS, NEVER, TRADES

MIXED: dict[str, DeclaredType] = {
    "a": pl.Int8,
    "t": Timestamp("s", zone="Europe/Vienna"),
    "b": pl.Boolean,
    "f": pl.Float32,
    "u": pl.UInt64,
    "d": pl.Date,
    "s": pl.String,
}
TEXTS: dict[str, DeclaredType] = {"x": pl.String, "y": pl.String}
ONE: dict[str, DeclaredType] = {"x": pl.String}
NUMBER: dict[str, DeclaredType] = {"n": pl.Float64}
SCHEMAS = [TRADES, MIXED, TEXTS, ONE, NUMBER]

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "17",
        "1.5",
        "-0",
        "-0.0",
        "1e5",
        "1E-400",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "+3",
        " 4",
        "4 ",
        "\t5",
        "007",
        "1_0",
        ".5",
        "5.",
        "1e",
        "--1",
        "0x1",
        "127",
        "128",
        "-129",
        "3.5e38",
        "16777217",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1" * 45,
        "1e4294967295",
        "1700000000123",
        "1700000000",
        "1700000000.25",
        "1700000000123000",
        "",
        "null",
        "NaN",
        "٣",
    ]
)
TIMES = st.sampled_from(
    [
        "2024-01-02T03:04:05.678Z",
        "2024-01-02 03:04:05",
        "2024-03-31T02:30:00",
        "2024-10-27T02:30:00",
        "2024-01-02",
        "1998-12-31T23:59:60Z",
        "1998-12-31T22:59:60Z",
        "2024-01-02T25:61:00Z",
        "2024-01-02t03:04:05+02:00",
        "2024-13-02T03:04:05Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59.9999999Z",
        "2024-01-02T03:04:05.1-23:59",
        "1960-01-01T00:00:00.5Z",
        "2024-02-30",
    ]
)
WORDS = st.sampled_from(
    ["A", "true", "False", "SYM1", "a b", "é", "x:y", "[1]", "{}", "-", "ts", "symbol", "=1+1", "''"]
)
FIELD = st.one_of(NUMBERS, TIMES, WORDS, st.text('ab1.,;"\n\r\\{}[]: -e', max_size=6))

JUNK = st.sampled_from(
    [
        b"",
        b"\n",
        b" \n",
        b"\r\n",
        b"\xff\xfe\n",
        b"\xc0\xaf,1\n",
        b"\xed\xa0\x80\n",
        b"\x00\n",
        b'"',
        b'"\n',
        b'a"b\n',
        b'"a"b,1\n',
        b"\xef\xbb\xbf",
        b",,,\n",
        b"1,2\n",
        b'1,"open\n',
        b"\r\r\n",
        b'""\n',
        b"ts,symbol,price,size\n",
        b"x" * 70 + b"\n",
        b'"' + b"q" * 50 + b"\n",
    ]
)


@st.composite
def csv_lines(draw: st.DrawFn) -> bytes:
    width = draw(st.sampled_from([4, 4, 4, 7, 2, 1, 1, 3]))
    good = draw(
        st.sampled_from(["1700000000123,A,1.5,2", "1,1700000000,true,1.5,3,2024-01-02,x", "a,b", "1", None])
    )
    if good is not None and draw(st.booleans()):
        return good.encode() + draw(st.sampled_from([b"\n", b"\r\n"]))
    quoted = draw(st.booleans())
    fields = draw(st.lists(FIELD, min_size=width, max_size=width))
    texts = ['"' + field.replace('"', '""') + '"' if quoted else field for field in fields]
    return ",".join(texts).encode() + draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))


def json_value() -> st.SearchStrategy[str]:
    quoted = st.one_of(TIMES, WORDS, NUMBERS).map(
        lambda text: '"' + text.replace("\\", "").replace('"', "") + '"'
    )
    odd = st.sampled_from(
        [
            "true",
            "false",
            "null",
            "[]",
            "{}",
            "[1,[2]]",
            '{"a":{"ts":1}}',
            '"\\u0041"',
            '"\\ud800"',
            '"\\n"',
            '"\\u0000"',
            "NaN",
            "[" * 40 + "]" * 40,
            '"ts"',
            '"\\"ts\\":1"',
            "01",
            "1" * 45,
            '"a\x01"',
        ]
    )
    return st.one_of(NUMBERS, NUMBERS, quoted, odd)


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        good = ['{"ts":1700000000123,"symbol":"A","price":1.5,"size":2}', '{"x":"a","y":"b"}', '{"n":1}']
        return draw(st.sampled_from(good)).encode() + b"\n"
    names = [
        "ts",
        "symbol",
        "price",
        "size",
        "a",
        "t",
        "b",
        "f",
        "u",
        "d",
        "s",
        "x",
        "y",
        "n",
        "other",
        "\\u0074s",
        "",
    ]
    keys = draw(st.lists(st.sampled_from(names), max_size=6))
    colon = draw(st.sampled_from([":", ": ", " :"]))
    inner = ",".join(f'"{key}"{colon}{draw(json_value())}' for key in keys)
    shape = draw(st.sampled_from(["{%s}", "{%s}", "{%s}", " {%s} ", "[{%s}]", "{%s} {}", "{%s", "%s"]))
    return (shape % inner).encode() + draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))


def streams(lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    parts = st.lists(st.one_of(lines, lines, lines, JUNK, st.binary(max_size=8)), max_size=14)
    return st.tuples(parts, st.integers(0, 3)).map(
        lambda pair: b"".join(pair[0]) + b"".join(pair[0][: pair[1]])
    )


CUTS = st.lists(st.integers(0, 2_000), max_size=12)
LIMITS = st.sampled_from([Limits(), Limits(line_bytes=40), Limits(line_bytes=64, json_depth=3, json_fields=4)])
FORMS = st.sampled_from(
    [
        Csv(header=False),
        Csv(header=False, quote=None),
        Csv(header=False, null_values=("", "NaN", "null")),
        Csv(header=False, null_values=("A",)),
    ]
)


@settings(max_examples=200)
@given(
    data=streams(csv_lines()),
    columns=st.sampled_from(SCHEMAS),
    form=FORMS,
    limits=LIMITS,
    cuts=CUTS,
    cut_off=st.booleans(),
)
def test_csv_is_the_same_however_it_is_read_and_cut(
    data: bytes, columns: dict[str, DeclaredType], form: Csv, limits: Limits, cuts: list[int], cut_off: bool
) -> None:
    strict = decoding.csv(data, columns, form=form, limits=limits, small_bytes=NEVER, truncated=cut_off)
    for small, places in ((ALWAYS, []), (ALWAYS, cuts), (NEVER, cuts), (60, cuts)):
        other = decoding.csv(
            data, columns, form=form, limits=limits, small_bytes=small, cuts=places, truncated=cut_off
        )
        assert other.same_as(strict), (small, places, other, strict)
    assert_positions_are_true(data, strict)


@settings(max_examples=200)
@given(
    data=streams(json_lines()),
    columns=st.sampled_from(SCHEMAS),
    form=st.sampled_from(
        [Json(), Json(batch_arrays=True), Json(allow_nan=True), Json(duplicate_keys="refuse")]
    ),
    limits=LIMITS,
    cuts=CUTS,
    cut_off=st.booleans(),
)
def test_json_is_the_same_however_it_is_read_and_cut(
    data: bytes, columns: dict[str, DeclaredType], form: Json, limits: Limits, cuts: list[int], cut_off: bool
) -> None:
    strict = decoding.json(data, columns, form=form, limits=limits, small_bytes=NEVER, truncated=cut_off)
    for small, places in ((ALWAYS, []), (ALWAYS, cuts), (NEVER, cuts), (60, cuts)):
        other = decoding.json(
            data, columns, form=form, limits=limits, small_bytes=small, cuts=places, truncated=cut_off
        )
        assert other.same_as(strict), (small, places, other, strict)
    assert_positions_are_true(data, strict)
    if not form.batch_arrays:
        assert strict.records + strict.blank == lines_of(data)


@settings(max_examples=150)
@given(
    data=streams(csv_lines()),
    pattern=st.sampled_from([None, r"(?P<x>\w+),(?P<y>[^,]*)", r"^(?P<x>\d+)(?P<y>.)?"]),
    limits=LIMITS,
    cuts=CUTS,
    cut_off=st.booleans(),
)
def test_lines_are_the_same_however_they_are_cut(
    data: bytes, pattern: str | None, limits: Limits, cuts: list[int], cut_off: bool
) -> None:
    form = Lines(pattern)
    columns: dict[str, DeclaredType] = (
        {"line": pl.String} if pattern is None else {"y": pl.String, "x": pl.Int64}
    )
    whole = decoding.decode(form.open(Schema.of(columns), limits), [data], truncated=cut_off)
    cut = decoding.decode(form.open(Schema.of(columns), limits), decoding.pieces(data, cuts), truncated=cut_off)
    assert cut.same_as(whole)
    assert whole.records + whole.blank == lines_of(data)


@pytest.mark.parametrize("form", [Csv(), Json(), Json(batch_arrays=True), Lines()])
@settings(max_examples=100)
@given(head=st.one_of(streams(csv_lines()), streams(json_lines())), complete=st.booleans())
@example(head=b"\x1c1700000000123,A,1.5,2\n", complete=False)
def test_inference_gives_a_schema_or_says_why_not(
    form: Csv | Json | Lines, head: bytes, complete: bool
) -> None:
    assert describes(form, head, complete)
    try:
        found = sniff(head, complete)
    except SchemaError as error:
        found = None
        problem = error.problem
    assert describes(found, head, complete) if found is not None else problem


def describes(form: Format, head: bytes, complete: bool) -> bool:
    """Infer a schema and decode with it; a refusal must say why."""
    try:
        found, schema = form.infer(head, complete=complete)
    except SchemaError as error:
        return bool(error.problem)
    decoding.decode(found.open(schema, Limits()), [head])
    return True


def lines_of(data: bytes) -> int:
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def assert_positions_are_true(data: bytes, seen: decoding.Seen) -> None:
    """Every dead letter stands where it says, and they come in order."""
    positions = [item.position for item in seen.rejected]
    assert positions == sorted(positions)
    for item in seen.rejected:
        assert data[item.position : item.position + item.length].startswith(item.head)


def test_large_blocks_of_quoted_csv_agree_with_the_strict_path() -> None:
    """Polars reads large blocks in parts; quoted newlines must not confuse it."""
    lines = [
        b'%d,"text with ""quotes"", commas\nand newlines %d",%d.5,%d\n' % (n, n, n, n)
        if n % 3
        else b"%d,plain,%d.25,\n" % (n, n)
        for n in range(30_000)
    ]
    data = b"".join(lines)
    strict = decoding.csv(data, small_bytes=NEVER)
    assert (strict.frame.height, strict.rejected) == (30_000, ())
    assert decoding.csv(data).same_as(strict)
    assert decoding.csv(data, cuts=range(0, len(data), 70_001)).same_as(strict)


def test_large_blocks_with_one_bad_record_in_a_hundred_agree_with_the_strict_path() -> None:
    bad = [
        b"x,A,1,1\n",
        b"1,A,1\n",
        b"\n",
        b"1,A,1,1,1\n",
        b"1,\xff,1,1\n",
        b'1,"A,1,1\n',
        b"1,A,1e999,1\n",
        b"1,A,,\n",
    ]
    lines = [b"%d,SYM%d,%d.5,%d\n" % (n, n % 9, n, n) for n in range(30_000)]
    for n in range(50, len(lines), 100):
        lines[n] = bad[n // 100 % len(bad)]
    data = b"".join(lines)
    strict = decoding.csv(data, small_bytes=NEVER)
    assert strict.records + strict.blank == 30_000
    assert decoding.csv(data).same_as(strict)
    assert decoding.csv(data, cuts=range(0, len(data), 70_001)).same_as(strict)


def test_large_blocks_of_json_agree_with_the_strict_path() -> None:
    bad = [
        b'{"size":"x"}\n',
        b"{\n",
        b" \n",
        b"[1]\n",
        b'{"size":1,"size":2}\n',
        b'{"symbol":"\\u0041"}\n',
        b"{}\n",
    ]
    lines = [b'{"ts":%d,"symbol":"s:%d","price":%d.5,"size":%d}\n' % (n, n % 9, n, n) for n in range(20_000)]
    clean = b"".join(lines)
    for n in range(50, len(lines), 100):
        lines[n] = bad[n // 100 % len(bad)]
    for data in (clean, b"".join(lines)):
        strict = decoding.json(data, small_bytes=NEVER)
        assert strict.records + strict.blank == 20_000
        assert decoding.json(data).same_as(strict)
        assert decoding.json(data, cuts=range(0, len(data), 70_001)).same_as(strict)
