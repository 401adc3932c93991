"""A table in a SQLite file: what values become, who may write meanwhile, and every failure explained."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError, SinkUnavailable
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.sqlite import SqliteSink, sizes_of
from riverrun.sinks.tables import TableWriter

INSTANT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema({"key": pl.String(), "window_end": INSTANT, "n": pl.Int64()})
KEYS = ("key", "window_end")


def results(*rows: tuple[str | None, int, int]) -> pl.DataFrame:
    numbers = {"key": pl.String(), "window_end": pl.Int64(), "n": pl.Int64()}
    return pl.DataFrame(rows, schema=numbers, orient="row").cast({"window_end": INSTANT})


def opened(path: Path, keys: tuple[str, ...] = KEYS, schema: pl.Schema = SCHEMA, **options: Any) -> TableWriter:
    return SqliteSink(str(path), **options).open(RealWorld(), schema, keys)


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def written(path: Path, frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    writer = opened(path, (), frame.schema)
    writer.write(frame)
    writer.close()
    return query(path, "SELECT * FROM results")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def test_upsert_keeps_the_last_revision(tmp_path):
    path = tmp_path / "new" / "a.db"
    writer = opened(path, mode="upsert")
    writer.write(results(("a", 10, 1), (None, 10, 1), ("a", 20, 1)))
    writer.flush()
    writer.write(results(("a", 10, 2), ("a", 10, 3), (None, 10, 9)))
    writer.write(results(("a", 10, 4)))
    writer.close()
    writer = opened(path, mode="upsert")
    writer.write(results(("a", 20, 7)))
    writer.close()
    assert sorted(query(path, "SELECT n FROM results")) == [(4,), (7,), (9,)]
    plan = query(path, "EXPLAIN QUERY PLAN DELETE FROM results WHERE key IS 'a' AND window_end IS '1'")
    assert "USING INDEX" in plan[0][3]


def test_what_values_become(path):
    frame = pl.DataFrame(
        {
            "utc": [datetime(2024, 1, 1, 9, 30, tzinfo=UTC)],
            "vienna": pl.Series([0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("Europe/Vienna"),
            "zoneless": pl.Series([1]).cast(pl.Datetime("ns")),
            "far": pl.Series([253_402_300_800_000_000]).cast(INSTANT),
            "day": [date(2024, 2, 29)],
            "at": [time(1, 2, 3, 4)],
            "took": [timedelta(seconds=90)],
            "price": [Decimal("1.10")],
            "flag": [True],
            "raw": [b"\x00\xff"],
            "list": [[1.5, None]],
            "word": pl.Series(["a"], dtype=pl.Categorical),
            "big": pl.Series([2**63 - 1], dtype=pl.UInt64),
            "nothing": pl.Series([None], dtype=pl.Null),
        }
    )
    assert written(path, frame) == [
        (
            "2024-01-01 09:30:00.000000",
            "1970-01-01 00:00:00.000000",
            "1970-01-01 00:00:00.000000001",
            "253402300800000000",
            "2024-02-29",
            "01:02:03.000004000",
            "PT1M30S",
            "1.10",
            1,
            b"\x00\xff",
            "[1.5,null]",
            "a",
            2**63 - 1,
            None,
        )
    ]
    declared = {name: kind for _, name, kind, *_ in query(path, "PRAGMA table_info(results)")}
    assert declared["utc"] == declared["price"] == declared["list"] == "TEXT"
    assert (declared["flag"], declared["raw"], declared["big"]) == ("INTEGER", "BLOB", "INTEGER")


def test_instants_work_in_the_functions_of_sqlite_and_compare_as_text(path):
    writer = opened(path)
    writer.write(results(("a", 1_500_000, 1), ("a", 2_000_000, 2), ("a", 2_000_001, 3)))
    writer.close()
    assert query(
        path, "SELECT n FROM results WHERE window_end < datetime(3, 'unixepoch') ORDER BY window_end"
    ) == [
        (1,),
        (2,),
        (3,),
    ]
    assert query(path, "SELECT unixepoch(window_end) FROM results") == [(1,), (2,), (2,)]


def test_numbers_that_are_not_finite(path):
    frame = pl.DataFrame({"x": [math.nan, math.inf, -math.inf, 1.0]})
    assert written(path, frame) == [(None,), (math.inf,), (-math.inf,), (1.0,)]


def test_a_text_with_nul_is_kept_whole(path):
    assert written(path, pl.DataFrame({"key": ["a\0b"]})) == [("a\0b",)]
    assert query(path, "SELECT length(key) FROM results") == [(1,)], "as documented"


def test_an_integer_that_does_not_fit(path):
    writer = opened(path, (), pl.Schema({"h": pl.UInt64()}))
    writer.write(pl.DataFrame({"h": [1, 2**63]}, schema={"h": pl.UInt64()}))
    with pytest.raises(SinkError) as caught:
        writer.flush()
    assert str(caught.value) == (
        f"sqlite:{path}, table 'results': column 'h' has the value 9223372036854775808, "
        "and SQLite holds integers of 64 bits with a sign\n"
        "  try: cast it to pl.String: .with_columns(pl.col('h').cast(pl.String))"
    )
    with pytest.raises(SinkError):
        writer.close()
    assert query(path, "SELECT * FROM results") == []


def test_other_programs_read_and_write_meanwhile(path):
    writer = opened(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM results").fetchall() == [(0,)]
        writer.write(results(("a", 10, 1)))
        writer.flush()
        assert other.execute("SELECT count(*) FROM results").fetchall() == [(0,)], "its own snapshot"
        other.execute("COMMIT")
        assert other.execute("SELECT count(*) FROM results").fetchall() == [(1,)]
        other.execute("CREATE TABLE theirs (x)")
    writer.close()


def test_a_locked_database_passes(path):
    writer = opened(path, busy_timeout_s=0)
    writer.write(results(("a", 10, 1)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkUnavailable) as caught:
            writer.flush()
    assert str(caught.value) == (
        f"sqlite:{path}, table 'results': the database is locked by another connection\n"
        "  try: let the other program end its transaction, or set a larger busy_timeout_s"
    )
    writer.close()
    assert query(path, "SELECT n FROM results") == [(1,)], "what waited was not lost"


def test_a_full_database_passes(path):
    writer = opened(path, (), pl.Schema({"text": pl.String()}))
    writer._table._connection.execute("PRAGMA max_page_count = 8")
    writer.write(pl.DataFrame({"text": ["x" * 100_000]}))
    with pytest.raises(SinkUnavailable, match=r"no space left for the database\n  try: free some space"):
        writer.flush()
    with pytest.raises(SinkUnavailable):
        writer.close()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("key TEXT, n INTEGER, old TEXT", "'window_end' is missing in the table; 'old' is only in the table"),
        ("key INTEGER, window_end TEXT, n INTEGER", "'key' is INTEGER in the table, and String would not stay"),
        ("key DECIMAL, window_end TEXT, n INTEGER", "'key' is DECIMAL in the table, and String would not stay"),
        ("key TEXT, window_end REAL, n INTEGER", "'window_end' is REAL in the table, and Datetime"),
    ],
)
def test_other_columns_are_refused_and_named(path, columns, problem):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE results ({columns})")
    with pytest.raises(SinkError) as caught:
        opened(path)
    assert f"table 'results': the table has other columns than the results: {problem}" in str(caught.value)
    assert str(caught.value).endswith('  try: another table="...", or another file')


@pytest.mark.parametrize(
    "columns",
    [
        "n BIGINT, WINDOW_END TIMESTAMP, key VARCHAR(10)",
        "key, window_end, n",
        "key BLOB, window_end DATETIME, n NUMERIC",
    ],
)
def test_tables_that_others_made(path, columns):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE results ({columns})")
    writer = opened(path)
    writer.write(results(("007", 10, 1)))
    writer.close()
    assert query(path, "SELECT key, window_end, n FROM results") == [("007", "1970-01-01 00:00:00.000010", 1)]


def test_what_is_no_database(path, tmp_path):
    path.write_text("hello " * 1000)
    with pytest.raises(SinkError, match="the file exists, but is not a SQLite database"):
        opened(path)
    with pytest.raises(SinkError, match="the database cannot be opened"):
        opened(tmp_path)


def test_an_error_of_the_table_itself(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE results (key TEXT, window_end TEXT, n INTEGER CHECK (n < 5))")
    writer = opened(path)
    writer.write(results(("a", 10, 1)))
    writer.flush()
    writer.write(results(("a", 10, 7)))
    with pytest.raises(SinkError, match="CHECK constraint failed") as caught:
        writer.flush()
    assert not isinstance(caught.value, SinkUnavailable)
    with pytest.raises(SinkError):
        writer.close()
    assert query(path, "SELECT n FROM results") == [(1,)]


def test_however_many_rows_come_there_are_few_statements():
    """Each is kept by the connection, and may need a megabyte."""
    cut = {rows: list(sizes_of(rows, 500)) for rows in range(3_000)}
    assert all(sum(sizes) == rows for rows, sizes in cut.items())
    assert {size for sizes in cut.values() for size in sizes} == {500, 256, 128, 64, 32, 16, 8, 4, 2, 1}
    assert cut[1_013] == [500, 500, 8, 4, 1]
    assert (list(sizes_of(3, 1)), list(sizes_of(0, 500))) == ([1, 1, 1], [])


@pytest.mark.parametrize("rows", [1, 3, 499, 500, 501, 1_013])
def test_rows_stay_in_order_however_many_there_are(path, rows):
    writer = opened(path, schema=pl.Schema({"n": pl.Int64()}))
    writer.write(pl.DataFrame({"n": range(rows)}))
    writer.close()
    assert query(path, "SELECT n FROM results ORDER BY rowid") == [(n,) for n in range(rows)]


def test_names_that_differ_by_case_only(path):
    with pytest.raises(SinkError, match="SQLite cannot tell the columns 'a' and 'A' apart"):
        opened(path, schema=pl.Schema({"a": pl.Int64(), "A": pl.Int64()}))


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="the name of the file is missing"):
        SqliteSink("")
    with pytest.raises(ConfigError, match="a database in memory would be gone at the end"):
        SqliteSink(":memory:")
    for table in ("", "a\0b", "sqlite_master"):
        with pytest.raises(ConfigError, match="not a name of a table"):
            SqliteSink("a.db", table=table)
    with pytest.raises(ConfigError, match="busy_timeout_s must be from 0 to 3600, got -1"):
        SqliteSink("a.db", busy_timeout_s=-1)
