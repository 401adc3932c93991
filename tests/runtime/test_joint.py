"""Lines of many partitions that are decoded in one go: exactly what each of them alone would have given."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riverrun as rr
from riverrun.ports import Chunk, Format
from riverrun.runtime.joint import Joint, Piece
from riverrun.runtime.pump import Arrival, Pump
from riverrun.schema import Schema
from riverrun.testing import SimulatedWorld

SCHEMA = {"ts": rr.Timestamp("ms"), "symbol": pl.String, "price": pl.Float64}
CSV_LINES = [b"1,A,1.5\n", b"2,B,2.5\n", b"1700000000123,C,1e16\n", b"3,,\n"]
CSV_TROUBLE = [
    b"x,A,1\n", b"\n",
    b'4,"D', b'",1\n', b"5,E\n", b"6,F,6", b"\xef\xbb\xbf7,G,7\n", b"8,\xff,8\n", b"x" * 70 + b"\n",
    b"price,ts,symbol\n", b"ts,symbol,price\n", b'9,"a\nb",9\n', b"\r\n",
]  # fmt: skip
JSON_LINES = [b'{"ts":1,"symbol":"A","price":1.5}\n', b'{"symbol":"B","ts":2}\n', b'{"ts":3,"venue":"X"}\n']
JSON_TROUBLE = [
    b"{}\n", b"[]\n", b'[{"ts":1},{"ts":2}]\n', b'{"ts":1,"price":"x"}\n', b'{"ts":', b"4}\n", b"\n", b"{\n",
    b'{"ts":1,"ts":2}\n', b"\xef\xbb\xbf", b'{"ts":5}', b"y" * 70 + b"\n",
]  # fmt: skip
FORMS: list[tuple[Format, list[bytes], list[bytes]]] = [
    (rr.Csv(), CSV_LINES, CSV_TROUBLE),
    (rr.Csv(header=False), CSV_LINES, CSV_TROUBLE),
    (rr.Json(), JSON_LINES, JSON_TROUBLE),
    (rr.Json(batch_arrays=True), JSON_LINES, JSON_TROUBLE),
    (rr.Lines(r"(?P<ts>\d+),(?P<symbol>\w*),(?P<price>[0-9.]*)"), CSV_LINES, CSV_TROUBLE),
]


def pump(form: Format) -> Pump:
    limits = rr.Limits(line_bytes=64)
    read = rr.read("tcp://localhost:9", format=form, schema=SCHEMA, time="ts", limits=limits).node
    return Pump(read, SimulatedWorld())


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Format, list[list[Chunk]]]:
    """What comes of up to a dozen partitions, round by round."""
    form, lines, trouble = draw(st.sampled_from(FORMS))
    dirty = draw(st.sampled_from([0, 0, 1, 4]))  # in ten
    piece = st.integers(0, 9).flatmap(lambda n: st.sampled_from(trouble if n < dirty else lines))
    made = []
    positions: Counter[str] = Counter()
    for _ in range(draw(st.integers(1, 4))):
        chunks = []
        for number in range(draw(st.integers(1, 12))):
            name, data = f"p{number}", b"".join(draw(st.lists(piece, max_size=4)))
            end = draw(st.integers(0, 19)) == 0
            chunks.append(Chunk(name, data, positions[name], number, end, truncated=end))
            positions[name] = 0 if end else positions[name] + len(data)
        made.append(chunks)
    return form, made


@settings(max_examples=120)
@given(rounds())
def test_together_is_as_apart(feed: tuple[Format, list[list[Chunk]]]) -> None:
    form, all_rounds = feed
    together, apart = pump(form), pump(form)
    for chunks in all_rounds:
        found = together.decode(chunks)
        expected = [arrival for chunk in chunks for arrival in apart.decode([chunk])]
        assert [_told(arrival) for arrival in found] == [_told(arrival) for arrival in expected]
        assert _counted(found) == _counted(expected)
        assert together.memory_of(found) == apart.memory_of(expected)


def _told(arrival: Arrival) -> tuple[object, ...]:
    """All of an arrival but its counters."""
    return (
        arrival.partition,
        arrival.frame.rows(),
        arrival.frame.schema,
        arrival.rejected,
        arrival.blank,
        arrival.bytes,
        arrival.received_us,
        arrival.first_row,
        arrival.end,
    )


def _counted(arrivals: list[Arrival]) -> Counter[str]:
    total: Counter[str] = Counter()
    for arrival in arrivals:
        total.update(arrival.counters)
    return total


@pytest.mark.parametrize(("form", "lines", "_"), FORMS[:3])
def test_one_bad_line_among_many_senders_leaves_the_others_together(
    form: Format, lines: list[bytes], _: list[bytes]
) -> None:
    schema, limits = Schema.of(SCHEMA), rr.Limits()
    decoders = [form.open(schema, limits) for _ in range(64)]
    for decoder in decoders:
        decoder.feed(lines[0], 0)
    data = [lines[0]] * 64
    data[20] = b"oops\n"
    found = Joint(form, schema, limits).decode([Piece(*item) for item in zip(decoders, data, strict=True)])
    alone = [place for place, decoded in enumerate(found) if decoded is None]
    assert 20 in alone
    assert len(alone) <= 4
    assert all(decoded.frame.height == 1 for decoded in found if decoded is not None)
