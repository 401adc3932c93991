"""What a refused record says is in none of what people see: health, dashboard, log, list, error messages."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.cli.progress import progress_line
from riverrun.dashboard import wire
from riverrun.errors import FormatError
from riverrun.masking import masked, masked_bytes
from riverrun.runtime.health import Health
from riverrun.sinks.memory import MemorySink
from riverrun.testing import Transcript, malformed, play

NOW_S = 1_767_225_600
SCHEMA = {"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64, "n": pl.Int64}
#: What must be found nowhere: a word, a number, a time.
CANARY = re.compile("quetzal|48151623|1815-12-10|1815", re.IGNORECASE)

CSV_LINES = [
    b"Quetzal,quetzal,1,1",
    b"1815-12-10T10:00:00,a,1,1",
    b"48151623481516234815,a,1,1",
    b"%d,quetzal,48151623" % NOW_S,
    b"%d,a,quetzal,1" % NOW_S,
    b"%d,a,1,48151623481516234815" % NOW_S,
    b"%d,a,1,48151623.5" % NOW_S,
    b'%d,"quetzal" 48151623,1,1' % NOW_S,
    b"%d,quetzal\xff,1,1" % NOW_S,
    b",quetzal,48151623,1",
    b"%d,quetzal,1,48151623" % (NOW_S + 86_400),
    b"%d,%b,1,48151623" % (NOW_S, b"quetzal" * 100),
]
JSON_LINES = [
    b'"quetzal 48151623"',
    b'{"ts": quetzal}',
    b'{"ts": %d, "x": "quetzal"}' % NOW_S,
    b'{"ts": "1815-12-10", "n": 48151623481516234815}',
    b'{"ts": %d, "n": {"quetzal": 48151623}}' % NOW_S,
    b'{"ts": %d} {"quetzal": 48151623}' % NOW_S,
    b'{"ts": %d, "x": 48151623e4815}' % NOW_S,
]


def judged(form: object, *lines: bytes, on_bad: str = "dead_letter") -> Transcript:
    feed = rr.read("tcp://localhost:9", format=form, schema=SCHEMA, time="ts", on_bad=on_bad)
    counted = feed.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    return play(counted, [malformed(line + b"\n") for line in lines])


@pytest.mark.parametrize(
    ("form", "lines"), [(rr.Csv(header=False), CSV_LINES), (rr.Json(), JSON_LINES)], ids=["csv", "json"]
)
def test_no_canary_is_seen(form, lines) -> None:
    seen = judged(form, *lines)
    assert len(seen.dead_letters) == len(lines)
    for letter in seen.dead_letters:
        assert CANARY.search(letter.rejected.record.decode(errors="replace")), "the record is kept whole"
        assert not CANARY.search(letter.rejected.detail)
        assert not CANARY.search(letter.shown_head(limit=256))
        assert not CANARY.search(letter.as_json(raw=False).decode())


@pytest.mark.parametrize(
    ("form", "lines"), [(rr.Csv(header=False), CSV_LINES), (rr.Json(), JSON_LINES)], ids=["csv", "json"]
)
def test_no_canary_is_on_the_dashboard_or_in_a_log(form, lines, tmp_path, capfd) -> None:
    (tmp_path / "feed").write_bytes(b"\n".join(lines) + b"\n")
    feed = rr.read(f"file:{tmp_path}/feed", format=form, schema=SCHEMA, time="ts", name="feed")
    counted = feed.group_by("x").window(rr.tumbling("10s")).agg(n=rr.count())
    looks: list[Health] = []
    summary = rr.run(counted.write(MemorySink()), watcher=looks.append)
    (source,) = looks[-1].sources
    # A file may hold times in the future, and `x` is no text that could be too long.
    assert len(looks[-1].rejected) >= len(lines) - 2
    for text in (
        wire.health(looks[-1], {}).decode(),
        repr(looks[-1]),
        progress_line(source, looks[-1]),
        str(summary),
        *capfd.readouterr(),
    ):
        assert not CANARY.search(text)


@pytest.mark.parametrize(
    ("form", "line"),
    [*((rr.Csv(header=False), line) for line in CSV_LINES), *((rr.Json(), line) for line in JSON_LINES)],
)
def test_no_canary_is_in_the_error_that_ends_a_run(form, line) -> None:
    with pytest.raises(FormatError) as failed:
        judged(form, line, on_bad="fail")
    assert not CANARY.search(str(failed.value))


@given(st.text())
def test_the_shape_stays(text: str) -> None:
    shape = masked(text)
    assert len(shape) == len(text)
    assert masked(shape) == shape
    for mask, character in zip(shape, text, strict=True):
        assert mask in "x0" or (mask == character and character.isascii() and not character.isalnum())


@given(st.binary())
def test_bytes_are_printable_and_say_nothing(data: bytes) -> None:
    shown = masked_bytes(data)
    assert shown.isprintable()
    # Control characters are spelled out in letters and digits of their own.
    said = re.sub(r"\\(x[01?][0-9a-f?]|[tnr]|x7f)", "", shown)
    assert not [character for character in said if character.isalnum() and character not in "x0"]
