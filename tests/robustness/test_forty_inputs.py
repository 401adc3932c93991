"""Forty kinds of bad input, each with its exact verdict.

For every one: the process lives, the good records before and behind are rows, the bad ones are counted under
their reason, the watermark is moved by accepted rows alone, nothing takes a second or 64 MiB. Each is read
both record by record (among few rows) and by columns (among many). The numbers are those of a list that was
drawn up for stream processors in general; `ELSEWHERE` says where the rest of it is tested, or why it does not
apply.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pytest

import riverrun as rr
from riverrun.errors import SchemaError
from riverrun.plan.stream import Stream
from riverrun.runtime.memory import resident_bytes
from riverrun.sinks.memory import MemorySink
from riverrun.testing import ManualClock, Script, Transcript, advance_clock, end, malformed, play, rows
from tests.robustness.serving import serving

ELSEWHERE = {
    3: "slow HTTP bodies: there is no HTTP source",
    4: "silent connections: tests/sources/test_listening.py, tests/robustness/test_many_senders.py",
    22: "gzip: no source decompresses",
    23: "zstd: no source decompresses",
    24: "WebSocket compression: there is no WebSocket source",
    25: "WebSocket frames: there is no WebSocket source",
    26: "HTTP framing: there is no HTTP source",
    27: "HTTP heads: there is no HTTP source",
    36: "markup in keys: tests/dashboard/test_browser.py",
    37: "paths in keys: tests/sinks",
    39: "UDP: there is no UDP source",
}

SCHEMA = {"ts": rr.Timestamp("ms"), "key": pl.String, "x": pl.Float64, "n": pl.Int64}
NOW_MS = 1_767_225_600_000  # where the clock of a script stands
DAY_MS = 86_400_000
MANY = 3_000
MIB = 1024 * 1024


def feed(form: str | rr.Json | rr.Csv = "json", **options: object) -> Stream:
    schema = options.pop("schema", SCHEMA)
    return rr.read("tcp://localhost:9", format=form, schema=schema, time="ts", **options)


def good(form: object, number: int) -> bytes:
    if "csv" in str(form).lower():
        return b"%d,good,1.5,%d\n" % (NOW_MS + number, number)
    return b'{"ts":%d,"key":"good","x":1.5,"n":%d}\n' % (NOW_MS + number, number)


def record(**fields: object) -> bytes:
    """One line of JSON with the fields given; texts that begin with ``=`` are put in as they are."""
    written = {"ts": NOW_MS, "key": "odd", "x": 1.5, "n": 1, **fields}
    values = [v[1:] if isinstance(v, str) and v.startswith("=") else json.dumps(v) for v in written.values()]
    return ("{" + ",".join(f'"{k}":{v}' for k, v in zip(written, values, strict=True)) + "}\n").encode()


@dataclass(frozen=True)
class Verdict:
    reasons: list[str]
    details: list[str]
    odd: list[tuple[object, ...]]
    counters: Mapping[str, int]
    blank: int
    letters: list[rr.ports.Rejected]


def judged(bad: bytes, form: str | rr.Json | rr.Csv = "json", **options: object) -> Verdict:
    """What becomes of some bytes between good lines; the same among few lines and among many."""
    few, many = (_judged(bad, form, number, **options) for number in (1, MANY))
    assert few[:4] == many[:4]
    verdict = few[-1]
    assert isinstance(verdict, Verdict)
    return verdict


def _judged(bad: bytes, form: object, number: int, **options: object) -> tuple[object, ...]:
    before = b"".join(good(form, i) for i in range(number))
    # The last good line is the newest of all accepted rows, so the watermark must stand there.
    script = Script([malformed(before + bad + good(form, number))])
    resident, begun = resident_bytes(), time.perf_counter()
    seen = play(feed(form, **options), script)  # type: ignore[arg-type]
    assert time.perf_counter() - begun < 1.0
    assert resident_bytes() - resident <= 64 * MIB
    is_good = pl.col("key").eq_missing("good")
    assert seen.results.filter(is_good)["n"].to_list() == list(range(number + 1))
    assert seen.watermark_after(0) == (NOW_MS + number) * 1_000
    counts = seen.counts
    assert (counts.applied, counts.dead_lettered) == (seen.results.height, len(seen.reasons))
    assert sum(counts.reasons.values()) == len(seen.reasons)
    letters = [letter.rejected for letter in seen.dead_letters]
    odd = seen.results.filter(~is_good).rows()
    details = [letter.detail for letter in letters]
    verdict = Verdict(seen.reasons, details, odd, counts.counters, counts.blank, letters)
    return seen.reasons, odd, dict(counts.counters), counts.blank, verdict


def test_every_number_has_its_place() -> None:
    tested = {int(n) for name in globals() for n in re.findall(r"(?<=_)\d\d(?=_)", name)}
    assert tested.isdisjoint(ELSEWHERE)
    assert tested | set(ELSEWHERE) == set(range(1, 41))


# ---------------------------------------------------------------- framing


def test_01_a_line_beyond_the_limit() -> None:
    line = record(key="k" * 2 * MIB)
    verdict = judged(line)
    assert verdict.reasons == ["line-too-long"]
    (letter,) = verdict.letters
    assert (letter.length, letter.head, letter.record) == (len(line) - 1, line[:256], None)
    hashed = b""
    for at in range(0, len(line) - 1, 65_536):
        hashed = hashlib.sha256(hashed + line[: len(line) - 1][at : at + 65_536]).digest()
    assert letter.sha256 == hashed.hex()


def _over_loopback(*parts: bytes) -> tuple[pl.DataFrame, rr.runtime.summary.Summary]:
    sink = MemorySink()
    with serving(*parts) as port:
        stream = rr.read(
            f"tcp://127.0.0.1:{port}", format="json", schema=SCHEMA, time="ts", reconnect=False
        ).select("key", "n")
        summary = rr.run(stream.write(sink))
    return sink.rows(), summary


def test_02_no_line_end_for_ever() -> None:
    resident = resident_bytes()
    found, summary = _over_loopback(good("json", 1), *[b"x" * 65_536] * 64)
    (source,) = summary.sources
    assert (found.rows(), dict(source.reasons)) == ([("good", 1)], {"no-frame": 1})
    assert resident_bytes() - resident <= 64 * MIB


def test_05_half_a_line_and_gone() -> None:
    found, summary = _over_loopback(good("json", 1), good("json", 2)[:20])
    (source,) = summary.sources
    assert (found.rows(), dict(source.reasons)) == ([("good", 1)], {"truncated": 1})


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_06_07_bytes_that_are_no_text(text: bytes, form: str) -> None:
    bad = good(form, 1).replace(b"good", text)
    verdict = judged(bad, form)
    assert verdict.reasons == ["utf8"]
    assert verdict.letters[0].record == bad[:-1]


def test_08_raw_control_bytes() -> None:
    assert judged(record(key='="a\0b"') + record(key='="a\x1bb"')).reasons == ["json", "json"]


def test_09_escaped_control_characters_in_a_key() -> None:
    text = "a\0b\x1b[31mc\nd"
    verdict = judged(record(key=text) + record(key="\x1b[2J" * 30, n="\x1b"))
    assert (verdict.reasons, [row[1] for row in verdict.odd]) == (["schema"], [text])
    assert verdict.details[0].isprintable()


def test_10_mark_line_ends_blanks_and_spaces() -> None:
    line = good("json", 0).rstrip(b"\n")
    data = b"\xef\xbb\xbf" + line + b"\r\n" + b"\n" + b"  \r\n" + line + b"  \n" + b"\xef\xbb\xbf" + line
    transcript = play(feed(), [malformed(data)])
    assert (transcript.reasons, transcript.counts.blank) == (["json"], 2)
    assert transcript.results["key"].to_list() == ["good", "good"]


# ---------------------------------------------------------------- numbers


def test_11_nan_and_infinity() -> None:
    bad = record(x="=NaN") + record(x="=Infinity") + record(x="=-Infinity")
    assert judged(bad).reasons == ["json"] * 3
    allowed = judged(bad, rr.Json(allow_nan=True))
    assert (allowed.reasons, [row[2] for row in allowed.odd]) == ([], [None] * 3)


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400])
def test_12_beyond_a_double(number: str, form: str) -> None:
    bad = record(x="=" + number) if form == "json" else b"%d,odd,%s,1\n" % (NOW_MS, number.encode())
    assert judged(bad, form).reasons == ["number-range"]


def test_13_beyond_an_int64_and_beyond_what_a_double_tells_apart() -> None:
    bad = record(n=2**63) + record(n=2**64) + record(n=2**53 + 1)
    verdict = judged(bad)
    assert (verdict.reasons, [row[3] for row in verdict.odd]) == (["number-range"] * 2, [2**53 + 1])
    assert "inexact_numbers" not in verdict.counters
    inexact = judged(record(x=2**53 + 1) + record(x=-(2**60)) + record(x=2**53 - 1))
    assert (inexact.reasons, inexact.counters["inexact_numbers"]) == ([], 2)


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("column", ["x", "n"])
def test_14_five_thousand_digits_take_no_time(form: str, column: str) -> None:
    digits = "7" * 5_000
    values = {"x": b"1.5", "n": b"1", column: digits.encode()}
    bad = record(**{column: "=" + digits}) if form == "json" else b"%d,odd,%b,%b\n" % (NOW_MS, *values.values())
    assert judged(bad, form).reasons == ["number-range"]
    read = feed(form).node
    decoder = read.format.open(read.schema, rr.Limits())
    assert min(_seconds(lambda: decoder.feed(bad, 0)) for _ in range(20)) < 0.001


def _seconds(call: object) -> float:
    begun = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - begun


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_15_nested_a_hundred_thousand_deep(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    closed = record(key="=" + opening * 100_000 + "1" + closing * 100_000)
    opened = record(key="=" + opening * 100_000)
    assert judged(closed + opened).reasons == ["depth", "depth"]


def test_16_duplicate_keys() -> None:
    bad = b'{"ts":%d,"key":"a","key":"b","x":1,"n":1}\n' % NOW_MS
    verdict = judged(bad)
    assert (verdict.reasons, verdict.odd[0][1], verdict.counters["duplicate_keys"]) == ([], "b", 1)
    strict = judged(bad, rr.Json(duplicate_keys="refuse"))
    assert (strict.reasons, strict.details) == (["duplicate-key"], ["the field 'key' is there twice"])


def test_17_what_is_no_object() -> None:
    line = record()
    array = b"[" + line.strip() + b"," + line.strip() + b"]\n"
    bad = b"7\n" + b'"a"\n' + b"null\n" + array + line.strip() + b" " + line
    verdict = judged(bad)
    assert (verdict.reasons, verdict.odd) == (["shape"] * 5, [])
    batch = judged(array + b"[1]\n", rr.Json(batch_arrays=True))
    assert (batch.reasons, len(batch.odd)) == (["shape"], 2)


def test_18_a_hundred_thousand_fields() -> None:
    fields = ",".join(f'"f{n}":1' for n in range(100_000))
    bad = b'{"ts":%d,%s}\n' % (NOW_MS, fields.encode())
    assert judged(bad, limits=rr.Limits(line_bytes=4 * MIB)).reasons == ["too-many-fields"]


def test_19_missing_null_and_wrong_type() -> None:
    verdict = judged(b'{"key":"odd"}\n' + record(ts=None) + record(x="text") + record(key=5) + record(n=True))
    missing = "the event-time field 'ts' is missing or null"
    assert verdict.reasons == ["schema"] * 5
    assert verdict.details == [
        "column 'x': expected Float64, found string 'xxxx'",
        "column 'key': expected String, found integer '0'",
        "column 'n': expected Int64, found boolean 'xxxx'",
        missing,
        missing,
    ]


def test_20_drift() -> None:
    verdict = judged(record(n=2.5) + record(n="seven") + record(volume=1, more={"inner": 2}))
    assert verdict.reasons == ["schema", "schema"]
    hint = "; if fractions are right here, declare schema={'n': pl.Float64}"
    assert verdict.details[0] == "column 'n': expected Int64, found number '0.0'" + hint
    assert verdict.counters["new_fields"] == 3
    with pytest.raises(SchemaError, match="a record has the field 'volume', which the schema does not name"):
        judged(record(volume=1), rr.Json(on_new_field="fail"))


@pytest.mark.parametrize(("later", "dtype"), [("2.5", pl.Int64), ("3", pl.Float64)])
def test_20_inferred_numbers_are_whole_only_while_the_first_ones_are(later: str, dtype: pl.DataType) -> None:
    head = b'{"ts":"2026-01-01T00:00:00Z","n":1}\n{"ts":"2026-01-01T00:00:01Z","n":%b}\n'
    first = b"2" if dtype == pl.Int64 else b"2.5"
    form, schema = rr.Json().infer(head % first, complete=True)
    decoded = form.open(schema, rr.Limits()).feed(b'{"n":%b}\n' % later.encode(), 0)
    assert schema["n"].dtype == dtype
    if dtype == pl.Int64:
        assert decoded.rejected[0].detail.endswith("declare schema={'n': pl.Float64}")
    else:
        assert decoded.frame["n"].to_list() == [3.0]


def test_21_csv_ragged_open_quote_and_formula() -> None:
    few, many, formula = b"%d,odd,1\n", b"%d,odd,1,1,1\n", b'%d,"=HYPERLINK(""x"")",1,1\n'
    verdict = judged(b"".join(line % NOW_MS for line in (few, many, formula)), "csv")
    assert (verdict.reasons, [row[1] for row in verdict.odd]) == (["csv", "csv"], ['=HYPERLINK("x")'])


def test_21_an_open_quote_costs_one_line() -> None:
    lines = b"".join(good("csv", n) for n in range(MANY))
    bad = b'%d,"open,1,1\n' % NOW_MS
    seen = play(feed("csv", limits=rr.Limits(line_bytes=4_096)), [malformed(lines + bad + lines), end()])
    assert (seen.reasons, seen.results.height) == (["csv"], 2 * MANY)
    short = play(feed("csv"), [malformed(lines + bad + lines), end()])
    assert (short.reasons, short.results.height) == (["csv"], 2 * MANY)


# ---------------------------------------------------------------- time


def test_28_a_year_far_ahead() -> None:
    verdict = judged(record(ts=253_402_300_799_000) + record(ts=NOW_MS + 301_000))
    assert verdict.reasons == ["future", "future"]


@pytest.mark.parametrize(("bad", "alarm"), [(10, False), (11, True)])
def test_28_an_alarm_when_more_than_one_in_a_hundred_is_ahead(bad: int, alarm: bool) -> None:
    ahead = [(NOW_MS + DAY_MS, "odd", 1.0, 1)] * bad
    seen = play(feed(), [rows(*ahead, *[(NOW_MS, "good", 1.0, 1)] * (1_000 - bad))])
    assert ("1% of its rows lie in the future" in seen.counts.status) == alarm


@pytest.mark.parametrize(
    ("unit", "number", "said"),
    [
        ("ms", NOW_MS // 1_000, "its numbers look like s, the schema says ms"),
        ("ms", NOW_MS * 1_000, "in us it would be a time of these years"),
        ("ms", NOW_MS * 10**6, "in ns it would be a time of these years"),
        ("us", NOW_MS, "its numbers look like ms, the schema says us"),
        ("us", NOW_MS // 1_000, "its numbers look like s, the schema says us"),
    ],
)
def test_29_times_in_another_unit(unit: str, number: int, said: str) -> None:
    stream = feed(schema={**SCHEMA, "ts": rr.Timestamp(unit)})
    seen = play(stream, [malformed(record(ts=number) * 99), malformed(record(ts=number))])
    assert seen.reasons == ["time-range"] * 100
    assert all(said in letter.rejected.detail for letter in seen.dead_letters)
    assert "event times were refused" not in seen.moments[0].counts.status
    assert "the last 100 event times were refused" in seen.moments[1].counts.status
    assert said in seen.moments[1].counts.status
    assert seen.results.height == 0


def test_29_one_good_row_ends_the_alarm_and_history_is_welcome() -> None:
    wrong = malformed(record(ts=NOW_MS // 1_000) * 200)
    seen = play(feed(), [wrong, rows((NOW_MS, "good", 1.0, 1))])
    assert "refused" in seen.moments[0].counts.status
    assert "refused" not in seen.moments[1].counts.status
    old = [-62_135_596_800_000, -1, 0, 1, 86_400_000, 5_000_000_000, NOW_MS - 20_000 * DAY_MS]
    assert play(feed(), [rows(*[(ms, "old", 1.0, 1) for ms in old])]).reasons == []


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (str(2**63 - 1), "time-range"),
        (str(-(2**63)), "time-range"),
        ("2025-12-31T25:61:00Z", "timestamp"),
        ("2025-12-31T00:00:60Z", "timestamp"),
        ("2025-12-31T00:00:00", "time-zone"),
    ],
)
def test_30_times_that_are_none(written: str, reason: str, form: str) -> None:
    bare = form == "csv" or written.lstrip("-").isdigit()
    bad = record(ts="=" + written if bare else written) if form == "json" else f"{written},odd,1,1\n".encode()
    assert judged(bad, form).reasons == [reason]


def test_30_odd_times_that_are_some() -> None:
    vienna = {**SCHEMA, "ts": rr.Timestamp("ms", zone="Europe/Vienna")}
    bad = b"".join(
        [
            record(ts=-1),
            record(ts=0),
            record(ts="1998-12-31T23:59:60Z"),
            record(ts="2025-10-26T02:30:00"),  # happens twice: the earlier one
            record(ts="2025-03-30T02:30:00"),  # never happens
        ]
    )
    verdict = judged(bad, schema=vienna)
    assert verdict.reasons == ["time-zone"]
    assert [f"{row[0]:%Y-%m-%dT%H:%M:%S.%f}" for row in verdict.odd] == [
        "1969-12-31T23:59:59.999000",
        "1970-01-01T00:00:00.000000",
        "1998-12-31T23:59:59.999999",
        "2025-10-26T00:30:00.000000",
    ]


def _counted_by_minute(**options: object) -> Stream:
    return feed(**options).group_by("key").window(rr.tumbling("1m")).agg(n=rr.count())


def test_31_one_producer_two_hours_ahead_and_one_behind() -> None:
    hour = 3_600_000
    ahead = rows((NOW_MS + 2 * hour, "fast", 1.0, 1), partition="fast")
    behind = [rows((NOW_MS - 2 * hour + n * 1_000, "slow", 1.0, 1), partition="slow") for n in range(3)]
    now = rows((NOW_MS, "good", 1.0, 1), partition="fast")
    seen = play(_counted_by_minute(), [behind[0], ahead, now, *behind[1:], end()])
    assert seen.reasons == ["future"]
    assert {seen.watermark_after(step) for step in range(3)} == {(NOW_MS - 2 * hour) * 1_000}
    assert (seen.results["n"].sum(), seen.late.height) == (4, 0)


def test_32_a_partition_falls_silent_and_comes_back() -> None:
    first = [rows((NOW_MS, name, 1.0, 1), partition=name) for name in ("a", "b")]
    on = [rows((NOW_MS + 120_000, "a", 1.0, 1), partition="a")]
    back = rows((NOW_MS + 1_000, "b", 1.0, 1), partition="b")
    seen = play(_counted_by_minute(idle="30s"), [*first, advance_clock("31s"), *on, back, end()])
    assert seen.results.select("key", "n").rows() == [("a", 1), ("b", 1), ("a", 1)]
    assert seen.late["key"].to_list() == ["b"]
    assert (seen.counts.applied, seen.counts.late) == (3, 1)


class _Jumping(ManualClock):
    """A wall clock that goes back an hour after ten seconds, and forth by two after twenty."""

    def now_us(self) -> int:
        passed = self.monotonic_us()
        hours = 0 if passed < 10_000_000 else -1 if passed < 20_000_000 else 1
        return super().now_us() + hours * 3_600_000_000


def test_33_the_wall_clock_jumps() -> None:
    script = [
        rows((NOW_MS, "good", 1.0, 1)),
        advance_clock("10s"),
        rows((NOW_MS + 60_000, "good", 1.0, 1)),
        advance_clock("10s"),
        rows((NOW_MS + 120_000, "good", 1.0, 1)),
        end(),
    ]
    seen = play(_counted_by_minute(limits=rr.Limits(future="2h")), script, clock=_Jumping(NOW_MS * 1_000))
    assert (seen.reasons, seen.results["n"].to_list()) == ([], [1, 1, 1])


# ---------------------------------------------------------------- keys


def test_34_more_keys_than_the_limit() -> None:
    stream = feed(limits=rr.Limits(max_keys=100)).group_by("key").window(rr.tumbling("1m")).agg(n=rr.count())
    seen = play(stream, [rows(*[(NOW_MS, f"k{n}", 1.0, n) for n in range(1_000)]), end()])
    counts = dict(seen.results.select("key", "n").rows())
    assert (len(counts), counts["__other__"], sum(counts.values())) == (101, 900, 1_000)
    (alarm,) = (step for step in seen.moments[-1].steps if step.warning)
    assert (alarm.beyond_max_keys, alarm.warning.split(": ")[0]) == (
        900,
        "aggregate by key, tumbling 1m has met more than 100 keys",
    )


def test_35_long_empty_and_twin_keys() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    grouped = feed().group_by("key").window(rr.tumbling("1m")).agg(n=rr.count())
    keys = ["k" * (MIB - 100), "", None, composed, decomposed]
    data = b"".join(record(key=key) for key in keys)
    seen = play(grouped, [malformed(data), end()])
    assert seen.reasons == ["key-too-long"]
    assert dict(seen.results.select("key", "n").rows()) == {"": 1, None: 1, composed: 1, decomposed: 1}
    normal = feed().with_columns(pl.col("key").str.normalize("NFC"))
    twins = normal.group_by("key").window(rr.tumbling("1m")).agg(n=rr.count())
    assert dict(play(twins, [malformed(data), end()]).results.select("key", "n").rows())[composed] == 2


def test_38_a_line_that_is_sent_again_counts_again() -> None:
    seen: Transcript = play(feed(), [malformed(good("json", 1)), malformed(good("json", 1))])
    assert seen.counts.applied == 2


def test_40_many_connections_each_one_byte_under_the_limit() -> None:
    limits = rr.Limits(line_bytes=64 * 1024)
    read = feed(limits=limits).node
    line = b"x" * limits.line_bytes
    resident = resident_bytes()
    decoders = [read.format.open(read.schema, limits) for _ in range(1_000)]
    for decoder in decoders:
        for at in range(0, len(line), 4_096):
            assert decoder.feed(line[at : at + 4_096], 0).frame.height == 0
    assert resident_bytes() - resident <= 1.25 * 1_000 * limits.line_bytes
