"""Lookup tables: what they can be read from, and what is said when they cannot."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import polars as pl
import pytest

import riverrun as rr

TABLE = pl.DataFrame({"sku": [7, 8, 8], "name": ["lamp", "table", "desk"]})
ROWS = rr.read({"sku": [8, 9, None, 7]}, schema={"sku": pl.Int64})


def looked_up(stream):
    return stream.collect().select("sku", "name").rows()


FOUND = [(8, "desk"), (9, None), (None, None), (7, "lamp")]


def database(path):
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE products (sku INTEGER, name TEXT)")
        made.executemany("INSERT INTO products VALUES (?, ?)", TABLE.rows())
        made.commit()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv", TABLE.write_csv),
        ("t.parquet", TABLE.write_parquet),
        ("t.json", TABLE.write_json),
        ("t.jsonl", TABLE.write_ndjson),
    ],
)
def test_files(tmp_path, name, write):
    write(tmp_path / name)
    assert looked_up(ROWS.lookup(str(tmp_path / name), on="sku")) == FOUND


def test_sqlite(tmp_path):
    database(tmp_path / "shop.db")
    stream = ROWS.lookup(f"sqlite:{tmp_path}/shop.db", on="sku", query="SELECT sku, name FROM products")
    assert looked_up(stream) == FOUND


def test_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect(str(tmp_path / "shop.duckdb"))) as made:
        made.execute("CREATE TABLE products (sku BIGINT, name TEXT)")
        made.executemany("INSERT INTO products VALUES (?, ?)", [list(row) for row in TABLE.rows()])
    stream = ROWS.lookup(f"duckdb:{tmp_path}/shop.duckdb", on="sku", query="SELECT sku, name FROM products")
    assert looked_up(stream) == FOUND


@pytest.mark.parametrize("table", [TABLE, TABLE.lazy(), TABLE.to_dict(as_series=False), TABLE.to_dicts()])
def test_frames(table):
    assert looked_up(ROWS.lookup(table, on="sku")) == FOUND


def test_rows_without_a_match_can_be_left_out():
    assert looked_up(ROWS.lookup(TABLE, on="sku", how="inner")) == [(8, "desk"), (7, "lamp")]


def test_a_name_that_both_have_gets_a_suffix():
    rows = rr.read({"sku": [7], "name": ["mine"]}, schema={"sku": pl.Int64, "name": pl.String})
    assert rows.lookup(TABLE, on="sku").select("name", "name_right").collect().rows() == [("mine", "lamp")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"table": "table.xlsx", "on": "sku"}, "lookup: a lookup table cannot be read from 'table.xlsx'"),
        ({"table": "missing.csv", "on": "sku"}, "missing.csv: the lookup table cannot be read: "),
        ({"table": "sqlite:shop.db", "on": "sku"}, "lookup: a lookup in a database needs a query"),
        (
            {"table": "missing.csv", "on": "sku", "query": "SELECT 1"},
            "lookup: only databases take a query, and 'missing.csv' is none",
        ),
        (
            {"table": "sqlite:missing.db", "on": "sku", "query": "SELECT 1"},
            "sqlite:missing.db: there is no such file",
        ),
        ({"table": 7, "on": "sku"}, "lookup: not a table: "),
        ({"table": TABLE, "on": []}, "lookup: no key is named"),
        ({"table": TABLE, "on": "skew"}, "lookup: there is no column 'skew' in the stream"),
        ({"table": TABLE.rename({"sku": "id"}), "on": "sku"}, "lookup: there is no column 'sku' in the table"),
        (
            {"table": TABLE.cast({"sku": pl.String}), "on": "sku"},
            "lookup: the key 'sku' is Int64 in the stream and String in the table\n"
            '  try: .cast({"sku": pl.String}) before the lookup',
        ),
        (
            {"table": TABLE, "on": "sku", "headers": {"Accept": "text/csv"}},
            "lookup(headers=): only web servers take headers\n  try: leave headers= out",
        ),
        (
            {"table": TABLE, "on": "sku", "schema": {"name": pl.String}},
            "lookup(schema=): what a whole table holds is found out when it is read\n  try: leave schema= out",
        ),
        (
            {"table": "ftp://shop/{key}", "on": "sku", "schema": {"name": pl.String}},
            "lookup: one key at a time can be asked for over HTTP only, not with 'ftp://shop/{key}'\n"
            '  try: "https://shop/products/{key}"',
        ),
        (
            {"table": TABLE, "on": "sku", "on_failure": "null"},
            "lookup(on_failure=): a table that cannot be read has no rows to leave null\n"
            '  try: "stale" goes on with the table that was read before',
        ),
        (
            {"table": TABLE, "on": "sku", "on_failure": "stahle"},
            "lookup(on_failure=): 'stahle' is not among 'stop', 'stale', 'null'\n  try: did you mean 'stale'?",
        ),
        ({"table": TABLE, "on": "sku", "ttl": "1m"}, "lookup(ttl=): a frame does not change"),
        ({"table": TABLE, "on": "sku", "how": "outer"}, "lookup(how=): 'outer' is not among 'left', 'inner'"),
    ],
    ids=str,
)
def test_what_is_refused(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(rr.RiverrunError) as caught:
        ROWS.lookup(**arguments)
    assert str(caught.value).startswith(text)


def test_a_file_that_is_none_is_said(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(rr.SourceError, match="the lookup table is not parquet"):
        ROWS.lookup(str(tmp_path / "t.parquet"), on="sku")


def test_a_query_that_is_wrong_is_said(tmp_path):
    database(tmp_path / "shop.db")
    with pytest.raises(rr.SourceError, match="the query failed: no such table: things"):
        ROWS.lookup(f"sqlite:{tmp_path}/shop.db", on="sku", query="SELECT * FROM things")


def test_a_lookup_behind_results_keeps_them_results():
    rows = rr.read({"sku": [7, 7, 8]}, schema={"sku": pl.Int64})
    counts = rows.group_by("sku").window(rr.tumbling("1h"), emit="batch").agg(n=rr.count())
    found = counts.lookup(TABLE, on="sku").collect()
    assert found.select("sku", "n", "name", "final").rows() == [(7, 2, "lamp", True), (8, 1, "desk", True)]
