"""Tables that know what was delivered: rows and token in one transaction, in every database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from riverrun.errors import SinkError, SinkUnavailable
from riverrun.ports import Remembered
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.duckdb import DuckdbSink
from riverrun.sinks.sqlite import SqliteSink
from riverrun.sinks.tables import DurableTableWriter

SCHEMA = pl.Schema({"key": pl.String(), "n": pl.Int64()})
SINKS = {"duckdb": DuckdbSink, "sqlite": SqliteSink}


def rows(*values: tuple[str, int]) -> pl.DataFrame:
    return pl.DataFrame(values, schema=SCHEMA, orient="row")


@pytest.fixture(params=SINKS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.db"


def opened(
    kind: str, path: Path, mark: Remembered | None = None, stream: str = "a", **options: Any
) -> DurableTableWriter:
    sink = SINKS[kind](str(path), **options)
    return sink.open_durable(RealWorld(), SCHEMA, ("key",), stream=stream, mark=mark)


def query(kind: str, path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(path)) if kind == "duckdb" else sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_rows_and_token_come_together(kind, path):
    writer = opened(kind, path)
    assert writer.delivered == -1
    assert writer.commit() == {"unit": -1}
    writer.write(3, rows(("a", 1)))
    writer.flush()
    assert query(kind, path, "SELECT * FROM results") == []
    writer.write(3, rows(("b", 2)))
    assert writer.commit() == {"unit": 3}
    assert query(kind, path, "SELECT * FROM results") == [("a", 1), ("b", 2)]
    assert query(kind, path, "SELECT * FROM __riverrun_delivered") == [("a", 3)]
    writer.close()


def test_the_target_knows_more_than_the_mark(kind, path):
    writer = opened(kind, path)
    old = writer.commit()
    writer.write(0, rows(("a", 1)))
    writer.write(7, rows(("a", 2)))
    writer.commit()
    writer.write(8, rows(("a", 3)))
    writer.close()
    for mark in (None, old, {"unit": 7}):
        writer = opened(kind, path, mark)
        assert writer.delivered == 7
        assert writer.commit() == {"unit": 7}
        writer.close()
    assert query(kind, path, "SELECT n FROM results") == [(1,), (2,)]


def test_units_without_rows_count(kind, path):
    writer = opened(kind, path)
    writer.write(5, rows())
    assert writer.commit() == {"unit": 5}
    writer.close()
    writer = opened(kind, path)
    assert writer.delivered == 5
    writer.close()


def test_upserts_within_and_across_commits(kind, path):
    writer = opened(kind, path, mode="upsert")
    writer.write(0, rows(("a", 1), ("b", 1)))
    writer.write(1, rows(("a", 2)))
    writer.commit()
    writer.write(2, rows(("b", 3)))
    writer.commit()
    writer.close()
    assert sorted(query(kind, path, "SELECT * FROM results")) == [("a", 2), ("b", 3)]


def test_streams_do_not_see_each_other(kind, path):
    writers = [opened(kind, path, stream=stream) for stream in ("a", "b'); DROP TABLE results; --")]
    for unit, writer in enumerate(writers):
        writer.write(unit, rows(("a", unit)))
        writer.commit()
        writer.close()
    for unit, stream in enumerate(("a", "b'); DROP TABLE results; --")):
        writer = opened(kind, path, stream=stream)
        assert writer.delivered == unit
        writer.close()


def test_an_older_copy_of_the_target_is_refused(kind, path):
    writer = opened(kind, path)
    writer.write(4, rows(("a", 1)))
    writer.commit()
    writer.close()
    with pytest.raises(SinkError) as caught:
        opened(kind, path, {"unit": 9})
    assert str(caught.value) == (
        f"{kind}:{path}, table 'results': the target knows them up to unit 4 only, "
        "but unit 9 had been delivered: it is another or an older one\n"
        "  try: bring back what was there, or begin anew: another target and another state folder"
    )
    path.unlink()
    with pytest.raises(SinkError, match="the target knows nothing of these results, but unit 9 had been"):
        opened(kind, path, {"unit": 9})
    assert query(kind, path, "SELECT * FROM results") == [], "it was closed again"


def test_a_failed_commit_changes_nothing_and_ends_the_writer(kind, path):
    writer = opened(kind, path)
    writer.close()
    query(kind, path, "DROP TABLE results")
    query(kind, path, "CREATE TABLE results (key VARCHAR, n BIGINT CHECK (n < 5))")
    writer = opened(kind, path)
    writer.write(0, rows(("a", 1), ("a", 7)))
    with pytest.raises(SinkError, match="CHECK constraint"):
        writer.commit()
    with pytest.raises(SinkError, match="written to after it had been closed"):
        writer.commit()
    writer = opened(kind, path)
    assert writer.delivered == -1
    writer.write(0, rows(("a", 1)))
    writer.commit()
    writer.close()
    assert query(kind, path, "SELECT n FROM results") == [(1,)]


def test_a_lock_passes(path):
    writer = opened("sqlite", path, busy_timeout_s=0)
    mark = writer.commit()
    writer.write(0, rows(("a", 1)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkUnavailable, match="the database is locked by another connection"):
            writer.commit()
        with pytest.raises(SinkUnavailable, match="the database is locked by another connection"):
            opened("sqlite", path, mark, busy_timeout_s=0, table="another")
    writer = opened("sqlite", path, mark)
    assert writer.delivered == -1
    writer.write(0, rows(("a", 1)))
    writer.commit()
    writer.close()
    assert query("sqlite", path, "SELECT n FROM results") == [(1,)]


def test_a_conflict_passes(path):
    writer = opened("duckdb", path, mode="upsert")
    writer.write(0, rows(("a", 1)))
    mark = writer.commit()
    writer.write(1, rows(("a", 2)))
    with closing(duckdb.connect(str(path))) as other:
        other.execute("BEGIN")
        other.execute("DELETE FROM results")
        with pytest.raises(SinkUnavailable, match="another connection has changed the same rows"):
            writer.commit()
        other.execute("ROLLBACK")
    writer = opened("duckdb", path, mark, mode="upsert")
    assert writer.delivered == 0
    writer.write(1, rows(("a", 2)))
    writer.commit()
    writer.close()
    assert query("duckdb", path, "SELECT n FROM results") == [(2,)]


def test_a_closed_writer_takes_nothing(kind, path):
    writer = opened(kind, path)
    writer.close()
    writer.close()
    for act in (lambda: writer.write(0, rows(("a", 1))), writer.commit):
        with pytest.raises(SinkError, match="written to after it had been closed"):
            act()
