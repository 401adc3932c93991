"""A decoder that is opened with the snapshot of another one goes on exactly there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import SchemaError
from riverrun.formats.csv import Csv
from riverrun.formats.json import Json
from riverrun.formats.lines import Lines
from riverrun.limits import Limits
from riverrun.ports import Decoded, Format, Remembered
from riverrun.schema import DeclaredType, Schema
from tests.formats import decoding
from tests.formats.decoding import TRADES
from tests.formats.test_agreement import CUTS, FORMS, LIMITS, SCHEMAS, csv_lines, json_lines, streams

HEADERS = st.sampled_from([b"", b"", b"size,ts,other,symbol,price\n", b'\xef\xbb\xbf"y",x\n', b"ts,symbol\n"])
LINE_FORMS = st.sampled_from([Lines(), Lines(r"(?P<line>[^,]+),(?P<y>\d+)?")])


def kept(snapshot: Remembered) -> Remembered:
    """What comes back after a snapshot was written down: plain values, and bytes."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {"map": {key: plain(inner) for key, inner in value.items()}}
        return {"hex": value.hex()} if isinstance(value, bytes) else {"is": value}

    def back(value: dict[str, object]) -> object:
        if "map" in value:
            return {key: back(inner) for key, inner in value["map"].items()}  # type: ignore[attr-defined]
        return bytes.fromhex(str(value["hex"])) if "hex" in value else value["is"]

    found = back(orjson.loads(orjson.dumps(plain(snapshot))))
    assert found == snapshot
    return found  # type: ignore[return-value]


def decode_anew_after_each(
    form: Format, schema: Schema, limits: Limits, chunks: Sequence[bytes], *, truncated: bool
) -> decoding.Seen:
    """Every chunk goes to a decoder of its own, which knows of the ones before by a snapshot alone."""
    snapshot: Remembered | None = None
    parts: list[Decoded] = []
    for chunk in chunks:
        decoder = form.open(schema, limits, snapshot)
        parts.append(decoder.feed(chunk, 0))
        snapshot = kept(decoder.snapshot())
    parts.append(form.open(schema, limits, snapshot).finish(truncated=truncated))
    return decoding.seen(parts)


def outcome(
    form: Format, schema: Schema, limits: Limits, chunks: Sequence[bytes], truncated: bool, anew: bool
) -> decoding.Seen | str:
    """What came out, or what the header lacks."""
    try:
        if anew:
            return decode_anew_after_each(form, schema, limits, chunks, truncated=truncated)
        return decoding.decode(form.open(schema, limits), chunks, truncated=truncated)
    except SchemaError as error:
        return str(error)


def check(form: Format, columns: Mapping[str, DeclaredType], limits: Limits, chunks: Sequence[bytes]) -> None:
    schema = Schema.of(columns)
    for truncated in (False, True):
        one = outcome(form, schema, limits, chunks, truncated, anew=False)
        many = outcome(form, schema, limits, chunks, truncated, anew=True)
        if isinstance(one, str) or isinstance(many, str):
            assert one == many
        else:
            assert many.same_as(one)


@settings(max_examples=150)
@given(
    header=HEADERS,
    data=streams(csv_lines()),
    columns=st.sampled_from(SCHEMAS),
    form=st.one_of(FORMS, st.just(Csv())),
    limits=LIMITS,
    cuts=CUTS,
)
def test_csv_goes_on_from_a_snapshot_at_any_cut(
    header: bytes, data: bytes, columns: dict[str, DeclaredType], form: Csv, limits: Limits, cuts: list[int]
) -> None:
    check(form, columns, limits, decoding.pieces(header + data, cuts))


@settings(max_examples=150)
@given(
    data=streams(json_lines()),
    columns=st.sampled_from(SCHEMAS),
    form=st.sampled_from([Json(), Json(batch_arrays=True), Json(allow_nan=True)]),
    limits=LIMITS,
    cuts=CUTS,
)
def test_json_goes_on_from_a_snapshot_at_any_cut(
    data: bytes, columns: dict[str, DeclaredType], form: Json, limits: Limits, cuts: list[int]
) -> None:
    check(form, columns, limits, decoding.pieces(data, cuts))


@settings(max_examples=100)
@given(data=streams(csv_lines()), form=LINE_FORMS, limits=LIMITS, cuts=CUTS)
def test_lines_go_on_from_a_snapshot_at_any_cut(
    data: bytes, form: Lines, limits: Limits, cuts: list[int]
) -> None:
    check(form, {"line": pl.String}, limits, decoding.pieces(data, cuts))


def test_a_clean_feed_goes_on_from_a_snapshot_at_every_single_byte() -> None:
    data = (
        b'\xef\xbb\xbfsize,symbol,ts,price\r\n1,"A ""x"",\nB",1,1.5\r\n2,C,2,2.5\r\n' + b"x" * 50 + b"\n3,D,3,3"
    )
    form, schema, limits = Csv(), Schema.of(TRADES), Limits(line_bytes=40)
    whole = decoding.decode(form.open(schema, limits), [data])
    assert (whole.frame.height, whole.reasons) == (3, ["line-too-long"])
    for cut in range(len(data) + 1):
        chunks = [data[:cut], data[cut:]]
        assert decode_anew_after_each(form, schema, limits, chunks, truncated=False).same_as(whole), cut


def test_a_snapshot_holds_the_open_record_and_little_else() -> None:
    decoder = Csv(header=False).open(Schema.of(TRADES), Limits())
    line = b"1700000000123,A,1.5,2\n"
    decoder.feed(line * 50_000 + line[:7], 0)
    assert sum(map(len, bytes_within(decoder.snapshot()))) == 7


def bytes_within(value: object) -> list[bytes]:
    if isinstance(value, Mapping):
        return [found for inner in value.values() for found in bytes_within(inner)]
    return [value] if isinstance(value, bytes) else []


def test_a_snapshot_of_a_header_without_a_column_that_is_declared_now_is_refused() -> None:
    decoder = Csv().open(Schema.of({"ts": pl.Int64, "price": pl.Float64}), Limits())
    decoder.feed(b"ts,price\n1,2\n", 0)
    with pytest.raises(SchemaError, match="the CSV header has no column 'volume'; it has 'ts', 'price'"):
        Csv().open(Schema.of({"ts": pl.Int64, "volume": pl.Float64}), Limits(), decoder.snapshot())
