"""Whatever bytes come: no crash, no hang, documented errors only, and what others read too we read alike."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import math
import random
import subprocess
import sys
import zlib
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.cli.toml_pipeline import pipeline_from_toml
from riverrun.errors import RiverrunError, SchemaError
from riverrun.formats.framing import Block, LineBuffer
from riverrun.formats.lines import Lines
from riverrun.formats.rejection import RefusedError
from riverrun.formats.sniff import sniff
from riverrun.formats.timestamps import TimeColumn, from_text
from riverrun.limits import Limits
from riverrun.ports import Format
from riverrun.schema import Schema, Timestamp
from riverrun.sinks.parse import sink_of
from riverrun.sources.parse import source_of
from tests.formats import decoding
from tests.formats.decoding import ALWAYS, NEVER
from tests.robustness.fuzzing import NEW, SECONDS, hunt

pytestmark = pytest.mark.timeout(SECONDS + 120)

LIMITS = [Limits(), Limits(line_bytes=48), Limits(line_bytes=200, json_depth=3, json_fields=4)]
CSV_SEEDS = [
    b"ts,symbol,price,size\n1700000000123,A,1.5,2\n1700000000124,B,2.5,3\n",
    b'1,"a ""b"", c\nd",1e5,7\r\n2,,,\n\n3,x,0.1,-9223372036854775808\n',
    b'"a","b"\n"","x"\ny,z\n',
    b"\xef\xbb\xbfa;b;c\n1;2;3\n",
    b"2024-01-02T03:04:05Z,A,1,1\n2024-01-02 03:04:05+01:00,B,1,1\n",
]
CSV_TOKENS = [
    b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff", b"\0", b"1e400", b"nan", b"2024-02-30",
    b"-0", b"9" * 30, b'"\n', b',"', b'",', b" ", b"\t", b"ts,symbol,price,size\n", b"x" * 60, b"true",
    b"\xc3\xa9",
]  # fmt: skip
JSON_SEEDS = [
    b'{"ts":1700000000123,"symbol":"A","price":1.5,"size":2}\n' * 3,
    b'{"ts":"2024-01-02T03:04:05Z","symbol":"\\u00e9\\n","price":1e5,"size":null}\n{}\n',
    b'[{"ts":1},{"ts":2}]\n{"a":{"b":[1,2,{"c":null}]}}\n\n{"ts":1,"ts":2}\n',
]
JSON_TOKENS = [
    b'"', b"{", b"}", b"[", b"]", b":", b",", b"\n", b"\\", b"\\u0000", b"\\ud800", b"null", b"true", b"NaN",
    b"1e400", b"-0", b"9" * 30, b"0.1", b'"ts":', b'"symbol":"', b'"price":', b'"size":', b'":', b" :", b"\xff",
    b"[" * 40, b"{}", b"\xef\xbb\xbf", b"\r\n", b"1E-400", b"18446744073709551616", b'"x" : ', b"x" * 60,
]  # fmt: skip


def test_a_planted_fault_is_found() -> None:
    def target(data: bytes) -> Hashable:
        count = data.count(b'"')
        if count == 5 and b"[[" in data:
            raise RecursionError("planted")
        return count, b"[" in data

    with pytest.raises(AssertionError, match="RecursionError: planted"):
        hunt(target, JSON_SEEDS[:1], JSON_TOKENS)


def test_the_whole_hunt_is_short_or_asked_for() -> None:
    assert NEW or SECONDS * 9 < 60


def _said(error: RiverrunError | RefusedError) -> str:
    """What a documented error says; one that says nothing would not help."""
    text = str(error)
    if not text:
        raise ValueError("an error without a word")
    return text


def _chance(data: bytes) -> random.Random:
    """Choices that an input makes for itself, so that it alone repeats what went wrong."""
    return random.Random(zlib.crc32(data))


def _summary(seen: decoding.Seen) -> Hashable:
    reasons = tuple(sorted(set(seen.reasons)))
    return reasons, min(seen.frame.height, 3), bool(seen.blank), tuple(sorted(seen.counters))


def _agreed(ways: Sequence[decoding.Seen]) -> Hashable:
    """All ways of reading gave the same."""
    for other in ways[1:]:
        assert other.same_as(ways[0]), (ways[0], other)
    return _summary(ways[0])


def _shared(data_folder: Path, name: str) -> list[dict[str, str]]:
    raw = (data_folder / "robustness" / name).read_bytes()
    found: list[dict[str, str]] = json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)
    return found


@pytest.fixture
def corpus(request: pytest.FixtureRequest) -> dict[str, list[bytes]]:
    """Seeds from the reference data, where they are there."""
    beside = (folder / "shared" / "data" for folder in Path(__file__).parents[2:])
    folder = next((folder for folder in beside if folder.is_dir()), None)
    if folder is None:
        return {"csv": [], "json": [], "text": []}
    return {
        "csv": [base64.b64decode(case["base64"]) for case in _shared(folder, "csv_parsing.json")],
        "json": [base64.b64decode(case["base64"])[:5_000] for case in _shared(folder, "json_parsing.json.gz")],
        "text": [case["text"].encode() for case in _shared(folder, "timestamps.json")],
    }


# ---------------------------------------------------------------- decoders


def test_csv(corpus: dict[str, list[bytes]]) -> None:
    forms = [rr.Csv(), rr.Csv(header=False), rr.Csv(header=False, quote=None), rr.Csv(header=True)]

    def target(data: bytes) -> Hashable:
        chance = _chance(data)
        form, limits, cut = chance.choice(forms), chance.choice(LIMITS), chance.random() < 0.5
        cuts = [chance.randint(0, 500) for _ in range(3)]
        _as_the_standard_library_reads_csv(data)
        try:
            ways = [
                decoding.csv(data, form=form, limits=limits, small_bytes=small, cuts=places, truncated=cut)
                for small, places in ((NEVER, ()), (ALWAYS, ()), (ALWAYS, cuts))
            ]
        except SchemaError as error:
            return type(error).__name__
        return _agreed(ways)

    hunt(target, CSV_SEEDS + corpus["csv"], CSV_TOKENS)


def _as_the_standard_library_reads_csv(data: bytes) -> None:
    """Two columns of text: where both accept all of it, the rows are equal."""
    if b"\r" in data or data.startswith(b"\xef\xbb\xbf"):
        return  # it takes a lone carriage return for a line end
    form = rr.Csv(header=False, null_values=())
    seen = decoding.csv(data, {"a": pl.String, "b": pl.String}, form=form, small_bytes=ALWAYS)
    if seen.rejected or seen.blank or seen.counters:
        return
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(data.decode(), newline=""), strict=True) if row]
    except csv.Error:
        return
    assert seen.rows == rows


def test_json(corpus: dict[str, list[bytes]]) -> None:
    forms = [rr.Json(), rr.Json(batch_arrays=True), rr.Json(allow_nan=True), rr.Json(duplicate_keys="refuse")]

    def target(data: bytes) -> Hashable:
        chance = _chance(data)
        form, limits, cut = chance.choice(forms), chance.choice(LIMITS), chance.random() < 0.5
        cuts = [chance.randint(0, 500) for _ in range(3)]
        _as_the_standard_library_reads_json(data)
        return _agreed(
            [
                decoding.json(data, form=form, limits=limits, small_bytes=small, cuts=places, truncated=cut)
                for small, places in ((NEVER, ()), (ALWAYS, ()), (ALWAYS, cuts))
            ]
        )

    hunt(target, JSON_SEEDS + corpus["json"], JSON_TOKENS)


def _as_the_standard_library_reads_json(data: bytes) -> None:
    """Where both accept a line, the values are equal."""
    columns = {"symbol": pl.String, "price": pl.Float64, "size": pl.Int64}
    for line in data.split(b"\n")[:3]:
        seen = decoding.json(line, columns)
        if seen.frame.height != 1 or line.startswith(b"\xef\xbb\xbf"):
            continue
        try:
            found = json.loads(line)
        except ValueError:
            raise AssertionError(f"we accept {line!r}, the standard library does not") from None
        (row,) = seen.rows
        assert row == tuple(found.get(name) for name in columns)


def test_lines(corpus: dict[str, list[bytes]]) -> None:
    form = Lines(r"^(?P<x>\d+)[,;](?P<y>.*)")
    schema = Schema.of({"x": pl.Int64, "y": pl.String})

    def target(data: bytes) -> Hashable:
        chance = _chance(data)
        limits, cut = chance.choice(LIMITS), chance.random() < 0.5
        chunks = decoding.pieces(data, [chance.randint(0, 500) for _ in range(3)])
        return _agreed(
            [decoding.decode(form.open(schema, limits), parts, truncated=cut) for parts in ([data], chunks)]
        )

    hunt(target, CSV_SEEDS + corpus["csv"], CSV_TOKENS)


def test_framing() -> None:
    def target(data: bytes) -> Hashable:
        buffer = LineBuffer(20)
        chunks = decoding.pieces(data, [_chance(data).randint(0, 200) for _ in range(4)])
        found = [item for chunk in chunks for item in buffer.feed(chunk)] + buffer.finish(truncated=False)
        bare = data.removeprefix(b"\xef\xbb\xbf")
        lines = bare.split(b"\n")
        lines = lines[:-1] if not lines[-1] else lines
        kept = b"".join(item.data for item in found if isinstance(item, Block))
        assert kept == b"".join(line + b"\n" for line in lines if len(line) <= 20)
        long = [(item.length, item.head) for item in found if not isinstance(item, Block)]
        assert long == [(len(line), line[:256]) for line in lines if len(line) > 20]
        for item in found:
            whole = item.data.removesuffix(b"\n") if isinstance(item, Block) else item.head
            assert data[item.position :].startswith(whole)
        return len(long), kept.count(b"\n")

    hunt(
        target,
        [b"abc\n", b"x" * 30 + b"\ny", b"\xef\xbb\xbfa\nb"],
        [b"\n", b"x" * 25, b"\xef\xbb\xbf", b"\xef", b"\r"],
    )


def test_inference(corpus: dict[str, list[bytes]]) -> None:
    forms: list[Format | None] = [None, rr.Csv(), rr.Json(), rr.Json(batch_arrays=True), Lines()]

    def target(data: bytes) -> Hashable:
        chance = _chance(data)
        form, complete = chance.choice(forms), chance.random() < 0.5
        try:
            found, schema = (form or sniff(data, complete)).infer(data, complete=complete)
        except SchemaError as error:
            return bool(_said(error)), error.where
        decoding.decode(found.open(schema, Limits()), [data])
        return (
            found.name,
            tuple(str(column.dtype) for column in schema)[:4],
            schema.time is None,
            schema.keys == (),
        )

    hunt(target, CSV_SEEDS + JSON_SEEDS + corpus["csv"] + corpus["json"], CSV_TOKENS + JSON_TOKENS)


# ---------------------------------------------------------------- times, configuration


def test_timestamps(corpus: dict[str, list[bytes]]) -> None:
    columns = Schema.of(
        {
            "a": Timestamp("s"),
            "b": Timestamp("us", zone="Europe/Vienna"),
            "c": pl.Datetime("ns", "UTC"),
            "d": pl.Date,
        }
    )
    times = [TimeColumn.of(column) for column in columns]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def target(data: bytes) -> Hashable:
        text = data.decode(errors="replace")
        told: list[Hashable] = []
        for time in times:
            try:
                count = from_text(text, time)
            except RefusedError as refused:
                told.append((bool(_said(refused)), refused.reason))
                continue
            told.append("read")
            if time is times[0] and len(text) >= 20 and "T" in text:
                expected = datetime.fromisoformat(text.strip(" \t\r").replace(":60", ":59").upper())
                assert 0 <= count - (expected - epoch) // timedelta(microseconds=1) < 1_000_000
                assert math.isfinite(count)
        return tuple(told)

    seeds = [b"2024-01-02T03:04:05.678Z", b"1700000000", b"-1.5e3", b"2024-02-29", b"1998-12-31T23:59:60Z"]
    tokens = [
        b"-",
        b":",
        b"T",
        b"Z",
        b"+",
        b"00",
        b"60",
        b"9999",
        b"0001",
        b".",
        b"e",
        b"1" * 20,
        b" ",
        b"\xd9\xa3",
    ]
    hunt(target, seeds + corpus["text"], tokens)


TOML = b"""
name = "market"
[source]
url = "tcp://localhost:9999?reconnect=false"
format = "csv"
time = "ts"
delay = "2s"
schema = { ts = "timestamp[ms]", symbol = "text", price = "float" }
[[steps]]
filter = "price > 0 and symbol in ['A', 'B']"
[[steps]]
with_columns = { notional = "price * 2" }
[window]
by = ["symbol"]
tumbling = "10s"
[aggregates]
n = "count()"
p99 = "quantile(price, 0.99)"
[[outputs]]
to = "jsonl:out.jsonl"
"""
TOML_TOKENS = [
    b"[", b"]", b'"', b"=", b"\n", b"{", b"}", b"'", b".", b"(", b")", b"-1", b"1e999", b"price", b"()",
    b"[[steps]]",
    b"hopping", b"session", b"lambda: 0", b"__import__('os')", b"price.__class__", b"**", b"true", b"''",
    b"#", b"0",
    b"not ", b" and ", b"drop_nulls", b"select", b"1" * 400, b"((((", b"url", b"file:", b"\xc3\xa9", b"inf",
    b"nan",
]  # fmt: skip


def test_pipelines_in_toml() -> None:
    def target(data: bytes) -> Hashable:
        try:
            pipeline = pipeline_from_toml(data.decode(errors="replace"), name="fuzz")
        except RiverrunError as error:
            return type(error).__name__, error.where, _said(error)[:12]
        return len(pipeline.outputs)

    hunt(target, [TOML, b'[source]\nurl = "file:a.csv"\n'], TOML_TOKENS)


def test_urls() -> None:
    seeds = [
        b"tcp://localhost:9999", b"tcp-listen://[::1]:9?per_peer=3", b"file:a.csv?follow=true", b"unix:/tmp/x",
        b"generate:trades?rows=5&rate=2.5", b"stdin:", b"a/b.jsonl", b"duckdb:stats.duckdb",
        b"csv:out.csv?mode=append",
    ]  # fmt: skip
    tokens = [
        b"://", b":", b"?", b"&", b"=", b"%00", b"%2e%2e/", b"..", b"[", b"]", b"@", b"#", b"user:secret@",
        b"-1",
        b"99999", b"1e999", b"true", b"\0", b"\n", b"\xc3\xa9", b"a" * 300, b"rows", b"follow", b"unix-listen:",
    ]  # fmt: skip

    def target(data: bytes) -> Hashable:
        text = data.decode(errors="replace")
        told: list[Hashable] = []
        for parse in (source_of, sink_of):
            try:
                told.append(type(parse(text)).__name__)
            except RiverrunError as error:
                told.append((bool(_said(error)), (error.where or "")[:8]))
        return tuple(told)

    hunt(target, seeds, tokens)


# ---------------------------------------------------------------- memory safety


def test_pyarrow_never_sees_a_byte() -> None:
    """Its readers have had memory errors on hostile input; ours must not even load it."""
    code = """
import sys, polars as pl, riverrun as rr
from riverrun.formats.sniff import sniff
for head in (b'{"ts":1700000000123,"k":"a"}\\n', b"ts,k\\n1700000000123,a\\n", b"plain text\\n"):
    data = head + head.split(b"\\n")[-2] * 2_000 + b"\\xff\\n{\\n"
    form, schema = sniff(head, True).infer(head, complete=True)
    decoder = form.open(schema, rr.Limits())
    decoder.feed(data, 0)
    decoder.finish(truncated=True)
sys.exit("pyarrow" in sys.modules)
"""
    environment = {"PYTHONPATH": str(Path(rr.__file__).parents[1]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
