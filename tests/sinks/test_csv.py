"""CSV files: what the text looks like, what is escaped, and what may already be there."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.csv import CsvSink
from riverrun.testing.simulated_world import SimulatedWorld

FRAME = pl.DataFrame({"key": ["a", None, ""], "n": [1, None, 3]})


def write(sink: CsvSink, frame: pl.DataFrame, world=None) -> None:
    writer = sink.open(world or RealWorld(), frame.schema, ())
    writer.write(frame)
    writer.close()


def test_a_new_file_begins_with_the_names(tmp_path):
    path = tmp_path / "new" / "folder" / "a.csv"
    write(CsvSink(str(path)), FRAME)
    write(CsvSink(str(path)), FRAME)
    assert path.read_text() == 'key,n\na,1\n,\n"",3\n' + 'a,1\n,\n"",3\n'


def test_in_a_simulated_world():
    world = SimulatedWorld()
    write(CsvSink("out/a.csv"), FRAME, world)
    assert world.files.content("out/a.csv") == b'key,n\na,1\n,\n"",3\n'


def test_instants_are_iso_8601(tmp_path):
    frame = pl.DataFrame(
        {
            "utc": pl.Series([0, 1_500_000]).cast(pl.Datetime("us", "UTC")),
            "vienna": pl.Series([0, 0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("Europe/Vienna"),
            "zoneless": pl.Series([0, 1]).cast(pl.Datetime("us")),
            "took": pl.Series([90_000_000, None]).cast(pl.Duration("us")),
        }
    )
    write(CsvSink(str(tmp_path / "a.csv"), header=False), frame)
    assert (tmp_path / "a.csv").read_text() == (
        "1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,1970-01-01T00:00:00,PT1M30S\n"
        "1970-01-01T00:00:01.500Z,1970-01-01T00:00:00Z,1970-01-01T00:00:00.000001,\n"
    )


def test_instants_outside_the_calendar_are_numbers(tmp_path):
    numbers = [2**63 - 1, -(2**63) + 1, 253_402_300_799_999_999, 253_402_300_800_000_000, None]
    frame = pl.DataFrame({"at": pl.Series(numbers).cast(pl.Datetime("us", "UTC")), "n": range(5)})
    write(CsvSink(str(tmp_path / "a.csv"), header=False), frame)
    assert (tmp_path / "a.csv").read_text() == (
        "9223372036854775807,0\n-9223372036854775807,1\n9999-12-31T23:59:59.999999Z,2\n253402300800000000,3\n,4\n"
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formulas_are_made_harmless(tmp_path, start):
    path = tmp_path / "a.csv"
    frame = pl.DataFrame({f"{start}name": [f"{start}1+1", f"a{start}b", None], "n": [-1, -2, -3]})
    write(CsvSink(str(path)), frame)
    read = pl.read_csv(path, infer_schema=False)
    assert read.columns == [f"'{start}name", "n"]
    assert read.to_series(0).to_list() == [f"'{start}1+1", f"a{start}b", None]
    assert read["n"].to_list() == ["-1", "-2", "-3"], "numbers are not text"
    write(CsvSink(str(path)), frame)  # the escaped header is recognised


def test_formulas_stay_when_asked(tmp_path):
    path = tmp_path / "a.csv"
    write(CsvSink(str(path), escape_formulas=False), pl.DataFrame({"key": ["=1+1"]}))
    assert path.read_text() == "key\n=1+1\n"


def test_formulas_in_categories(tmp_path):
    path = tmp_path / "a.csv"
    write(CsvSink(str(path)), pl.DataFrame({"key": pl.Series(["=1", "a"], dtype=pl.Categorical)}))
    assert path.read_text() == "key\n'=1\na\n"


def test_nested_values_are_json(tmp_path):
    frame = pl.DataFrame({"xs": [[1.0, float("nan")], None], "s": [{"a": "x,y"}, {"a": None}]})
    write(CsvSink(str(tmp_path / "a.csv"), header=False), frame)
    assert (tmp_path / "a.csv").read_text() == '"[1.0,null]","{""a"":""x,y""}"\n,"{""a"":null}"\n'


def test_another_header_is_refused_and_both_are_shown(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("key,mean\na,1\n")
    with pytest.raises(SinkError) as caught:
        write(CsvSink(str(path)), FRAME)
    assert str(caught.value) == (
        f"csv:{path}: the file has other columns: its header is 'key,mean', the results have 'key,n'\n"
        "  try: write to a new file, or move the old one away"
    )
    assert path.read_text() == "key,mean\na,1\n"


def test_a_header_with_a_byte_order_mark_and_dos_line_ends_is_recognised(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfkey,n\r\nx,0\r\n")
    write(CsvSink(str(path)), FRAME.head(1))
    assert path.read_bytes() == b"\xef\xbb\xbfkey,n\r\nx,0\r\na,1\n"


def test_a_header_cell_without_end_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"' + "x" * 200_000)
    with pytest.raises(SinkError, match="the file has other columns: its header is"):
        write(CsvSink(str(path)), FRAME)


def test_a_line_that_was_never_ended_stays_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("key,n\nx,4")
    write(CsvSink(str(path)), FRAME.head(1))
    assert path.read_text() == "key,n\nx,4\na,1\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_no_permission(tmp_path):
    path = tmp_path / "a.csv"
    path.touch(mode=0o400)
    with pytest.raises(SinkError, match="no permission to write"):
        write(CsvSink(str(path)), FRAME)


def test_no_permission_simulated():
    world = SimulatedWorld()
    world.files.fail("a.csv")
    with pytest.raises(SinkError) as caught:
        write(CsvSink("a.csv"), FRAME, world)
    assert str(caught.value) == (
        "csv:a.csv: no permission to write 'a.csv'\n"
        "  try: make it writable for this user, or write somewhere else"
    )


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(SinkError, match="is a folder, a file was expected"):
        write(CsvSink(str(tmp_path)), FRAME)


def test_a_file_on_the_way_is_no_folder(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(SinkError, match=r"a part of '.*' is a file where a folder was expected"):
        write(CsvSink(str(tmp_path / "x" / "a.csv")), FRAME)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk():
    with pytest.raises(SinkError, match="no space left for '/dev/full'\n  try: free some space"):
        write(CsvSink("/dev/full"), FRAME)


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", "é"])
def test_a_bad_separator(separator):
    with pytest.raises(ConfigError, match="the separator must be one ASCII character"):
        CsvSink("a.csv", separator=separator)


def test_no_upsert():
    with pytest.raises(ConfigError) as caught:
        CsvSink("a.csv", mode="upsert")
    assert str(caught.value) == (
        "csv:a.csv: this sink can only append, it cannot replace what it has written\n"
        '  try: mode="append", or a sink that can upsert: duckdb, memory, sqlite'
    )


def test_no_such_mode():
    with pytest.raises(ConfigError, match="there is no mode 'apend'\n  try: did you mean 'append'"):
        CsvSink("a.csv", mode="apend")  # type: ignore[arg-type]
