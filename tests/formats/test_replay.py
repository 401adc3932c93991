"""A dead letter holds all of its record: fed again it meets the same fate, or another one after a fix."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.formats.csv import Csv
from riverrun.formats.framing import BYTE_ORDER_MARK
from riverrun.formats.json import Json
from riverrun.formats.lines import Lines
from riverrun.limits import Limits
from riverrun.ports import Format, Rejected
from riverrun.schema import DeclaredType, Schema
from tests.formats import decoding
from tests.formats.decoding import TRADES
from tests.formats.test_agreement import FORMS, LIMITS, SCHEMAS, csv_lines, json_lines, streams

OVER_THE_LIMIT = ("line-too-long", "no-frame")


def again(letter: Rejected, form: Format, schema: Schema, limits: Limits) -> decoding.Seen:
    """What becomes of the record of a dead letter alone."""
    assert letter.record is not None
    if letter.form == "row":
        form = Json()
    header = [] if letter.header is None else [letter.header]
    data = b"".join(line + b"\n" for line in [*header, letter.record])
    return decoding.decode(form.open(schema, limits), [data])


def check(seen: decoding.Seen, data: bytes, form: Format, schema: Schema, limits: Limits) -> None:
    for letter in seen.rejected:
        if letter.reason in OVER_THE_LIMIT:
            assert letter.record is None
            continue
        assert letter.record is not None
        if letter.form == "record":
            assert letter.record == data[letter.position : letter.position + letter.length]
        # Cut off it may have been a row; and a mark at the start would be stripped.
        if letter.reason != "truncated" and not letter.record.startswith(BYTE_ORDER_MARK):
            assert again(letter, form, schema, limits).reasons == [letter.reason]


@settings(max_examples=150)
@given(
    data=streams(csv_lines()), columns=st.sampled_from(SCHEMAS), form=FORMS, limits=LIMITS, cut=st.booleans()
)
def test_refused_csv_is_refused_again(
    data: bytes, columns: dict[str, DeclaredType], form: Csv, limits: Limits, cut: bool
) -> None:
    schema = Schema.of(columns)
    seen = decoding.decode(form.open(schema, limits), [data], truncated=cut)
    check(seen, data, form, schema, limits)


@settings(max_examples=150)
@given(
    data=streams(json_lines()),
    columns=st.sampled_from(SCHEMAS),
    form=st.sampled_from([Json(), Json(batch_arrays=True), Json(allow_nan=True)]),
    limits=LIMITS,
    cut=st.booleans(),
)
def test_refused_json_is_refused_again(
    data: bytes, columns: dict[str, DeclaredType], form: Json, limits: Limits, cut: bool
) -> None:
    schema = Schema.of(columns)
    seen = decoding.decode(form.open(schema, limits), [data], truncated=cut)
    check(seen, data, form, schema, limits)


@settings(max_examples=100)
@given(data=streams(csv_lines()), limits=LIMITS, cut=st.booleans())
def test_refused_lines_are_refused_again(data: bytes, limits: Limits, cut: bool) -> None:
    form, schema = Lines(r"(?P<x>\d+),(?P<y>.*)"), Schema.of({"x": pl.Int64, "y": pl.String})
    seen = decoding.decode(form.open(schema, limits), [data], truncated=cut)
    check(seen, data, form, schema, limits)


def test_refused_items_of_an_array_are_fed_again_without_their_neighbours() -> None:
    line = b'[{"ts":1,"symbol":"A","price":1,"size":1},{"ts":2,"symbol":"B","price":"x","size":2},7]\n'
    seen = decoding.json(line, form=Json(batch_arrays=True))
    assert [(item.form, item.record) for item in seen.rejected] == [
        ("row", b'{"ts":2,"symbol":"B","price":"x","size":2}'),
        ("row", b"7"),
    ]
    assert {(item.position, item.length) for item in seen.rejected} == {(0, len(line) - 1)}


def test_after_a_fix_the_refused_records_are_rows_whatever_the_order_of_their_header() -> None:
    data = b"size,price,symbol,ts\n1,1.5,A,1\n2.5,2.5,B,2\n3,oops,C,3\n"
    seen = decoding.csv(data)
    assert seen.reasons == ["schema", "schema"]
    fixed = Schema.of({**TRADES, "size": pl.Float64, "price": pl.String})
    rows = [again(letter, Csv(), fixed, Limits()).rows[0][1:] for letter in seen.rejected]
    assert rows == [("B", "2.5", 2.5), ("C", "oops", 3.0)]
