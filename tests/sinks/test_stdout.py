"""Printing: a table for people that no key can steer, exact text for programs."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError
from riverrun.sinks.stdout import StdoutSink, StdoutWriter
from riverrun.testing.simulated_world import SimulatedWorld

FRAME = pl.DataFrame(
    {
        "symbol": ["AAPL", "IBM", None],
        "window_end": [datetime(2024, 1, 1, 0, 0, 10, tzinfo=UTC)] * 3,
        "mean": [187.123456789, float("nan"), None],
        "n": [1200, 7, 0],
    },
    schema_overrides={"window_end": pl.Datetime("us", "UTC")},
)


def printed(capsys, frame: pl.DataFrame, **options: object) -> str:
    writer = StdoutSink(**options).open(SimulatedWorld(), frame.schema, ())  # type: ignore[arg-type]
    writer.write(frame)
    writer.close()
    return capsys.readouterr().out


def test_a_table(capsys):
    assert printed(capsys, FRAME) == (
        "symbol  window_end               mean     n\n"
        "──────  ────────────────────  ───────  ────\n"
        "AAPL    2024-01-01 00:00:10Z  187.123  1200\n"
        "IBM     2024-01-01 00:00:10Z      nan     7\n"
        "null    2024-01-01 00:00:10Z     null     0\n"
    )


def test_csv_and_json_lines(capsys):
    assert printed(capsys, FRAME.head(2), format="csv", separator=";") == (
        "symbol;window_end;mean;n\n"
        "AAPL;2024-01-01T00:00:10Z;187.123456789;1200\n"
        "IBM;2024-01-01T00:00:10Z;NaN;7\n"
    )
    assert printed(capsys, FRAME.slice(1, 1), format="jsonl") == (
        '{"symbol":"IBM","window_end":"2024-01-01T00:00:10Z","mean":null,"n":7}\n'
    )


def test_no_key_can_steer_the_terminal(capsys):
    keys = ["\x1b[31mred", "a\nb", "\x00", "\x9b2J", "\u202edlrow", "日本", "x" * 60]
    out = printed(capsys, pl.DataFrame({"key\x07": keys}))
    assert out.split("\n")[2:-1] == [
        "\\x1b[31mred", "a\\nb", "\\x00", "\\x9b2J", "\\u202edlrow", "日本", "x" * 39 + "…",
    ]  # fmt: skip
    assert "key\\x07" in out


def test_csv_on_a_terminal_is_escaped(capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    frame = pl.DataFrame({"key": ["\x1b[31m", "a\tb"]})
    terminal = Terminal()
    StdoutWriter(StdoutSink(format="csv"), frame.schema, terminal).write(frame)
    assert terminal.getvalue() == "key\n\\x1b[31m\na\tb\n"
    assert printed(capsys, frame, format="csv") == "key\n\x1b[31m\na\tb\n"


def test_columns_stay_aligned_and_the_header_comes_again(capsys):
    writer = StdoutSink().open(SimulatedWorld(), {"key": pl.String(), "n": pl.Int64()}, ())
    for number in range(50):
        writer.write(pl.DataFrame({"key": ["a"], "n": [number % 10]}))
    writer.write(pl.DataFrame({"key": ["longer"], "n": [1]}))
    lines = capsys.readouterr().out.split("\n")
    assert [number for number, line in enumerate(lines) if line.startswith("key")] == [0, 42, 54]
    assert lines[54:57] == ["key     n", "──────  ─", "longer  1"]


def test_wide_characters_and_lists(capsys):
    frame = pl.DataFrame({"key": ["日本", "e\u0301"], "xs": [[1.5], None]})
    assert printed(capsys, frame).split("\n")[2:4] == ["日本  [1.5]", "e\u0301     null"]


def test_the_reader_of_the_pipe_has_gone():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    writer = StdoutWriter(StdoutSink(), FRAME.schema, Gone())
    with pytest.raises(SinkError, match="stdout:: the program that reads standard output has ended"):
        writer.write(FRAME)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="there is no format 'json'\n  try: did you mean 'jsonl'"):
        StdoutSink(format="json")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="can only append"):
        StdoutSink(mode="upsert")


def test_instants_outside_the_calendar_are_numbers(capsys):
    frame = pl.DataFrame({"at": pl.Series([2**63 - 1, 0, None]).cast(pl.Datetime("us", "UTC"))})
    assert printed(capsys, frame).split("\n")[2:5] == ["9223372036854775807", "1970-01-01 00:00:00Z", "null"]
