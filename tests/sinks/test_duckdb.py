"""A table in a DuckDB file: appended or replaced by key, and every failure explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.duckdb import DuckdbSink
from riverrun.sinks.tables import TableWriter

INSTANT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema({"key": pl.String(), "window_end": INSTANT, "n": pl.Int64()})
KEYS = ("key", "window_end")


def results(*rows: tuple[str | None, int, int]) -> pl.DataFrame:
    numbers = {"key": pl.String(), "window_end": pl.Int64(), "n": pl.Int64()}
    return pl.DataFrame(rows, schema=numbers, orient="row").cast({"window_end": INSTANT})


def opened(path: Path, keys: tuple[str, ...] = KEYS, schema: pl.Schema = SCHEMA, **options: str) -> TableWriter:
    return DuckdbSink(str(path), **options).open(RealWorld(), schema, keys)  # type: ignore[arg-type]


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(statement).fetchall()


def test_upsert_keeps_the_last_revision(tmp_path):
    path = tmp_path / "new" / "a.duckdb"
    writer = opened(path, mode="upsert")
    writer.write(results(("a", 10, 1), (None, 10, 1), ("a", 20, 1)))
    writer.flush()
    writer.write(results(("a", 10, 2), ("a", 10, 3), (None, 10, 9)))
    writer.write(results(("a", 10, 4)))
    writer.close()
    writer = opened(path, mode="upsert")
    writer.write(results(("a", 20, 7)))
    writer.close()
    statement = "SELECT key, epoch_us(window_end), n FROM results ORDER BY ALL"
    assert query(path, statement) == [("a", 10, 4), ("a", 20, 7), (None, 10, 9)]


def test_append_keeps_every_revision(tmp_path):
    writer = opened(tmp_path / "a.duckdb")
    writer.write(results(("a", 10, 1)))
    writer.write(results(("a", 10, 2)))
    writer.close()
    assert query(tmp_path / "a.duckdb", "SELECT n FROM results ORDER BY n") == [(1,), (2,)]


def test_many_rows_do_not_wait_for_a_flush(tmp_path):
    writer = opened(tmp_path / "a.duckdb")
    writer.write(results(*[("a", number, number) for number in range(60_000)]))
    with duckdb.connect(str(tmp_path / "a.duckdb")) as same_process:
        assert same_process.execute("SELECT count(*) FROM results").fetchall() == [(60_000,)]
    writer.close()


def test_two_tables_of_one_pipeline_share_a_file(tmp_path):
    writers = [opened(tmp_path / "a.duckdb", table=table) for table in ("one", "two")]
    for writer in writers:
        writer.write(results(("a", 10, 1)))
    for writer in writers:
        writer.close()
    both = "SELECT count(*) FROM one UNION ALL SELECT count(*) FROM two"
    assert query(tmp_path / "a.duckdb", both) == [(1,), (1,)]


def test_upsert_needs_keys(tmp_path):
    with pytest.raises(ConfigError, match='mode="upsert" needs columns that tell one result from another'):
        opened(tmp_path / "a.duckdb", keys=(), mode="upsert")
    with pytest.raises(
        ConfigError, match="the key column 'kye' is not among the results\n  try: did you mean 'key'"
    ):
        opened(tmp_path / "a.duckdb", keys=("kye",), mode="upsert")


def test_other_columns_are_refused_and_named(tmp_path):
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE results (KEY VARCHAR, n DOUBLE, old INTEGER)")
    with pytest.raises(SinkError) as caught:
        opened(path)
    assert str(caught.value) == (
        f"duckdb:{path}, table 'results': the table has other columns than the results: "
        "'window_end' is missing in the table; 'old' is only in the table; "
        "'n' is DOUBLE in the table and BIGINT in the results\n"
        '  try: another table="...", or another file'
    )
    assert query(path, "SELECT count(*) FROM results") == [(0,)], "the connection was given back"


def test_columns_in_another_order_are_fine(tmp_path):
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE results (n BIGINT, window_end TIMESTAMPTZ, key VARCHAR)")
    writer = opened(path)
    writer.write(results(("a", 10, 1)))
    writer.close()
    assert query(path, "SELECT n, key FROM results") == [(1, "a")]


def test_names_that_differ_by_case_only(tmp_path):
    with pytest.raises(SinkError, match="cannot tell the columns 'a' and 'A' apart"):
        opened(tmp_path / "a.duckdb", schema=pl.Schema({"a": pl.Int64(), "A": pl.Int64()}))


def test_a_failed_transaction_changes_nothing(tmp_path):
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE results (key VARCHAR, window_end TIMESTAMPTZ, n BIGINT CHECK (n < 5))")
    writer = opened(path, mode="upsert")
    writer.write(results(("a", 10, 1)))
    writer.flush()
    writer.write(results(("a", 10, 7)))
    with pytest.raises(SinkError, match="CHECK constraint"):
        writer.flush()
    with pytest.raises(SinkError):
        writer.close()
    writer.close()
    assert query(path, "SELECT n FROM results") == [(1,)]


def test_a_locked_database(tmp_path):
    path = tmp_path / "a.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(SinkError) as caught:
            opened(path)
        other.communicate()
    assert str(caught.value) == (
        f"duckdb:{path}: the database is locked by another process (PID {other.pid})\n"
        "  try: close the program that has it open, or write to another file"
    )


def test_no_database(tmp_path):
    path = tmp_path / "a.duckdb"
    path.write_text("hello " * 1000)
    with pytest.raises(SinkError, match="the file exists, but is not a DuckDB database"):
        opened(path)
    with pytest.raises(SinkError, match="this is a folder, a file was expected"):
        opened(tmp_path)


def test_open_in_this_process_with_other_settings(tmp_path):
    path = tmp_path / "a.duckdb"
    duckdb.connect(str(path)).close()
    with (
        duckdb.connect(str(path), read_only=True),
        pytest.raises(SinkError, match="has the database open already"),
    ):
        opened(path)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="the name of the file is missing"):
        DuckdbSink("")
    with pytest.raises(ConfigError, match="not a name of a table: ''"):
        DuckdbSink("a.duckdb", table="")
