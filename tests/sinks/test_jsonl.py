"""JSON lines: strict JSON, one object a line."""

from __future__ import annotations

import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.jsonl import JsonlSink


def write(sink: JsonlSink, frame: pl.DataFrame) -> None:
    writer = sink.open(RealWorld(), frame.schema, ())
    writer.write(frame)
    writer.close()


def test_what_a_line_looks_like(tmp_path):
    frame = pl.DataFrame(
        {
            "key": ["a\x1b\n\u2028é", None],
            "at": pl.Series([0, 1_500_000]).cast(pl.Datetime("us", "UTC")),
            "mean": [float("nan"), 0.5],
            "values": [[1.0, float("inf")], []],
            "raw": [b"\x00\xff", None],
        }
    )
    write(JsonlSink(str(tmp_path / "new" / "a.jsonl")), frame)
    assert (tmp_path / "new" / "a.jsonl").read_text().split("\n") == [
        '{"key":"a\\u001b\\n\u2028é","at":"1970-01-01T00:00:00Z","mean":null,"values":[1.0,null],"raw":"00ff"}',
        '{"key":null,"at":"1970-01-01T00:00:01.500Z","mean":0.5,"values":[],"raw":null}',
        "",
    ]


def test_a_line_that_was_never_ended_stays_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"n":1')
    write(JsonlSink(str(path)), pl.DataFrame({"n": [2]}))
    assert path.read_text() == '{"n":1\n{"n":2}\n'


def test_bytes_in_lists_are_refused(tmp_path):
    with pytest.raises(SinkError, match=r"column 'x' has bytes inside a List\(Binary\).*\n  try: write it to"):
        write(JsonlSink(str(tmp_path / "a.jsonl")), pl.DataFrame({"x": [[b"a"]]}))


def test_no_upsert():
    with pytest.raises(ConfigError, match="can only append"):
        JsonlSink("a.jsonl", mode="upsert")


def test_no_name():
    with pytest.raises(ConfigError, match="the name of the file is missing\n  try: jsonl:out"):
        JsonlSink("")
