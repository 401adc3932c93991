"""What users write becomes a sink, or an error that says what to write instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.component import settings_of
from riverrun.errors import ConfigError
from riverrun.registry import SINKS
from riverrun.sinks.csv import CsvSink
from riverrun.sinks.duckdb import DuckdbSink
from riverrun.sinks.jsonl import JsonlSink
from riverrun.sinks.memory import MemorySink
from riverrun.sinks.mode import UPSERT_SINKS
from riverrun.sinks.parquet import ParquetSink
from riverrun.sinks.parse import EXTENSIONS, sink_of
from riverrun.sinks.sqlite import SqliteSink
from riverrun.sinks.stdout import StdoutSink


@pytest.mark.parametrize(
    ("target", "sink"),
    [
        ("csv:out.csv", CsvSink("out.csv")),
        ("CSV:out/odd: name.txt", CsvSink("out/odd: name.txt")),
        ("jsonl:/var/out", JsonlSink("/var/out")),
        ("parquet:dir/", ParquetSink("dir/")),
        ("duckdb:stats.duckdb", DuckdbSink("stats.duckdb")),
        ("sqlite:stats.db", SqliteSink("stats.db")),
        ("out/stats.db", SqliteSink("out/stats.db")),
        ("stats.sqlite3", SqliteSink("stats.sqlite3")),
        ("stdout:", StdoutSink()),
        ("out.csv", CsvSink("out.csv")),
        ("out.TSV", CsvSink("out.TSV", separator="\t")),
        ("./a.b/out.ndjson", JsonlSink("./a.b/out.ndjson")),
        ("out.parquet", ParquetSink("out.parquet")),
        ("C:\\out.csv", CsvSink("C:\\out.csv")),
        (Path("x") / "stats.duckdb", DuckdbSink("x/stats.duckdb")),
    ],
)
def test_targets(target, sink):
    assert sink_of(target) == sink


def test_memory():
    assert isinstance(sink_of("memory:", max_rows=10), MemorySink)


def test_options_are_settings():
    assert sink_of("duckdb:a.duckdb", table="t", mode="upsert") == DuckdbSink("a.duckdb", "t", "upsert")
    assert sink_of("a.tsv", separator=";") == CsvSink("a.tsv", separator=";")


def test_a_sink_is_given_back():
    sink = MemorySink()
    assert sink_of(sink) is sink


@pytest.mark.parametrize(
    ("target", "options", "first", "hint"),
    [
        (
            "kafka://a/b",
            {},
            "there is no sink 'kafka'",
            "one of: csv, duckdb, jsonl, memory, parquet, sqlite, stdout",
        ),
        ("jsnl:a", {}, "there is no sink 'jsnl'", "did you mean 'jsonl'?"),
        ("csv:a", {"seperator": ";"}, "csv:a: there is no option 'seperator'", "did you mean 'separator'?"),
        ("memory:", {"_kept": 1}, "memory:: there is no option '_kept'", "one of: max_rows, mode"),
        ("csv:", {}, "csv:: the name of the file is missing", "csv:out.csv"),
        ("stdout:x", {}, "stdout:: nothing was expected after 'stdout:', got 'x'", None),
        ("csv:a", {"path": "b"}, "csv:: the path was given twice, in the target and as an option", None),
        (
            "a.cvs",
            {},
            "sink: cannot tell from 'a.cvs' how to write it",
            "did you mean '.csv'? Or say it: \"csv:a.cvs\"",
        ),
        (
            "out/",
            {},
            "sink: cannot tell from 'out/' how to write it",
            '"parquet:out/" for a folder of Parquet files',
        ),
        ("stdout", {}, "sink: cannot tell from 'stdout' how to write it", '"stdout:" with a colon'),
        (
            42,
            {},
            "not a target to write to: 42",
            'a URL such as "csv:out.csv" or "duckdb:stats.duckdb", a path, or a sink object',
        ),
        (
            StdoutSink(),
            {"format": "csv"},
            "stdout:: the option 'format' was given beside a sink object",
            "StdoutSink(format=...)",
        ),
    ],
)
def test_what_is_wrong_is_said(target, options, first, hint):
    with pytest.raises(ConfigError) as caught:
        sink_of(target, **options)
    assert str(caught.value) == first + (f"\n  try: {hint}" if hint else "")


def test_the_tables_agree():
    assert set(EXTENSIONS.values()) <= set(SINKS)
    can_upsert = []
    for name, entry in SINKS.items():
        component = entry.load(name)
        options = {"path": "x"} if name not in ("stdout", "memory") else {}
        try:
            component(**options, mode="upsert")
            can_upsert.append(name)
        except ConfigError:
            pass
    assert tuple(sorted(can_upsert)) == UPSERT_SINKS


@pytest.mark.parametrize("name", SINKS)
def test_every_setting_is_explained(name):
    settings = settings_of(SINKS[name].load(name))
    assert "mode" in {setting.name for setting in settings}
    assert all(setting.help and not setting.name.startswith("_") for setting in settings)


def test_a_missing_package_names_the_extra():
    program = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from riverrun.sinks.parse import sink_of\n"
        "sink_of('duckdb:a.duckdb')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "the sink 'duckdb' needs the package 'duckdb', which is not installed" in done.stderr
    assert "try: pip install 'riverrun[duckdb]'" in done.stderr
