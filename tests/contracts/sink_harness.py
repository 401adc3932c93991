"""How to read back what each sink has written, so that one suite holds all of them to one contract."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from riverrun.ports import DurableSink, Sink
from riverrun.sinks.csv import CsvSink
from riverrun.sinks.duckdb import DuckdbSink
from riverrun.sinks.jsonl import JsonlSink
from riverrun.sinks.memory import MemorySink
from riverrun.sinks.parquet import ParquetSink
from riverrun.sinks.sqlite import SqliteSink
from riverrun.sinks.stdout import StdoutSink

Schema = Mapping[str, pl.DataType]
Read = Callable[[Sink, Schema], pl.DataFrame]


@dataclass(frozen=True)
class Harness:
    """One sink under test.

    `loses` names what the system cannot hold, as its documentation says: ``"non-finite"`` (null instead),
    ``"nan"`` (likewise, while infinities stay).
    """

    name: str
    sink: Sink
    read: Read
    loses: frozenset[str] = field(default_factory=frozenset)
    appends: bool = True  # whether a second run finds the rows of the first


def parsed_csv(text: str, separator: str, schema: Schema) -> pl.DataFrame:
    """CSV as any other program would read it."""
    texts = pl.read_csv(io.StringIO(text), separator=separator, infer_schema=False)
    assert next(csv.reader(io.StringIO(text, newline=""), delimiter=separator)) == list(schema)
    texts.columns = list(schema)  # Polars leaves doubled quotes in names as they are
    return texts.select(_from_text(texts[name], dtype) for name, dtype in schema.items())


def parsed_jsonl(text: str, schema: Schema) -> pl.DataFrame:
    """JSON lines as any other program would read them."""
    rows = [json.loads(line, parse_constant=_refuse) for line in text.split("\n")[:-1]]
    columns = {name: [row[name] for row in rows] for name in schema}
    return pl.DataFrame([_from_json(name, values, schema[name]) for name, values in columns.items()])


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _from_text(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Boolean:
        return cells.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
    if dtype.is_nested():
        values = [None if cell is None else json.loads(cell) for cell in cells]
        return _from_json(cells.name, values, dtype)
    return _from_json(cells.name, cells.to_list(), dtype)


def _from_json(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, dtype=pl.String).str.to_datetime(
            time_unit="us", time_zone="UTC", strict=True
        )
    if dtype == pl.Binary:
        return pl.Series(name, values, dtype=pl.String).str.decode("hex")
    if isinstance(dtype, (pl.Date, pl.Time)):
        return pl.Series(name, values, dtype=pl.String).str.strptime(dtype)
    if any(isinstance(value, str) for value in values):
        return pl.Series(name, values, dtype=pl.String).cast(dtype)
    return pl.Series(name, values, dtype=dtype)


def _read_csv(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, CsvSink)
    return parsed_csv(Path(sink.path).read_bytes().decode(), sink.separator, schema)


def _read_jsonl(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, JsonlSink)
    return parsed_jsonl(Path(sink.path).read_bytes().decode(), schema)


def _read_parquet(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, ParquetSink)
    return pl.read_parquet(f"{sink.path}/*.parquet")


def _read_duckdb(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, DuckdbSink)
    quoted = sink.table.replace('"', '""')
    with duckdb.connect(sink.path) as connection:
        rows = connection.sql(f'SELECT * FROM "{quoted}"').to_arrow_table()
    frame = pl.DataFrame(rows)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _read_sqlite(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, SqliteSink)
    quoted = sink.table.replace('"', '""')
    with closing(sqlite3.connect(sink.path)) as connection:
        rows = connection.execute(f'SELECT * FROM "{quoted}"').fetchall()
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pl.DataFrame(
        [
            _from_sqlite(name, list(values), dtype)
            for (name, dtype), values in zip(schema.items(), columns, strict=True)
        ]
    )


def _from_sqlite(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Boolean):
        return pl.Series(name, [None if value is None else bool(value) for value in values], dtype=dtype)
    if isinstance(dtype, pl.Datetime):
        texts = [None if value is None else value.replace(" ", "T") + "Z" for value in values]
        return _from_json(name, texts, dtype)
    if dtype.is_nested():
        return _from_json(name, [None if value is None else json.loads(value) for value in values], dtype)
    if isinstance(dtype, pl.Binary):
        return pl.Series(name, values, dtype=dtype)
    return _from_json(name, values, dtype)


def _read_memory(sink: Sink, schema: Schema) -> pl.DataFrame:
    assert isinstance(sink, MemorySink)
    return sink.rows()


#: How other programs read what each kind of sink has written to.
READERS: Mapping[type, Read] = {
    CsvSink: _read_csv,
    JsonlSink: _read_jsonl,
    ParquetSink: _read_parquet,
    DuckdbSink: _read_duckdb,
    SqliteSink: _read_sqlite,
    MemorySink: _read_memory,
}


@dataclass(frozen=True)
class DurableHarness:
    """One kind of exactly-once sink: a new target for each number, and how to read it."""

    name: str
    sink: Callable[[Path, int], DurableSink]
    read: Read
    upsert: bool = False


DURABLE = (
    DurableHarness("csv", lambda folder, n: CsvSink(f"{folder}/{n}.csv", escape_formulas=False), _read_csv),
    DurableHarness("jsonl", lambda folder, n: JsonlSink(f"{folder}/{n}.jsonl"), _read_jsonl),
    DurableHarness("parquet", lambda folder, n: ParquetSink(f"{folder}/{n}"), _read_parquet),
    DurableHarness(
        "parquet, small files", lambda folder, n: ParquetSink(f"{folder}/{n}", rows_per_file=5), _read_parquet
    ),
    DurableHarness("duckdb", lambda folder, n: DuckdbSink(f"{folder}/{n}.duckdb"), _read_duckdb),
    DurableHarness(
        "duckdb, upsert",
        lambda folder, n: DuckdbSink(f"{folder}/{n}.duckdb", mode="upsert"),
        _read_duckdb,
        upsert=True,
    ),
    DurableHarness("sqlite", lambda folder, n: SqliteSink(f"{folder}/{n}.db"), _read_sqlite),
    DurableHarness(
        "sqlite, upsert",
        lambda folder, n: SqliteSink(f"{folder}/{n}.db", mode="upsert"),
        _read_sqlite,
        upsert=True,
    ),
)


def harnesses(folder: Path, captured: Callable[[], str]) -> dict[str, Harness]:
    """Every sink, writing below `folder`; `captured` gives what has been printed so far."""
    path = folder / "out"
    all_of_them = [
        Harness("csv", CsvSink(f"{path}/a.csv", escape_formulas=False), _read_csv),
        Harness("csv;", CsvSink(f"{path}/b.csv", separator=";", escape_formulas=False), _read_csv),
        Harness("jsonl", JsonlSink(f"{path}/a.jsonl"), _read_jsonl, frozenset({"non-finite"})),
        Harness("parquet", ParquetSink(f"{path}/parts"), _read_parquet),
        Harness("parquet, small files", ParquetSink(f"{path}/small", rows_per_file=2), _read_parquet),
        Harness("duckdb", DuckdbSink(f"{path}/a.duckdb", table='odd "name"; --'), _read_duckdb),
        Harness("duckdb, upsert", DuckdbSink(f"{path}/b.duckdb", mode="upsert"), _read_duckdb),
        Harness("sqlite", SqliteSink(f"{path}/a.db", table='odd "name"; --'), _read_sqlite, frozenset({"nan"})),
        Harness("sqlite, upsert", SqliteSink(f"{path}/b.db", mode="upsert"), _read_sqlite, frozenset({"nan"})),
        Harness("memory", MemorySink(), _read_memory),
        Harness("memory, upsert", MemorySink(mode="upsert"), _read_memory),
        Harness(
            "stdout csv",
            StdoutSink(format="csv"),
            lambda sink, schema: parsed_csv(captured(), ",", schema),
            appends=False,
        ),
        Harness(
            "stdout jsonl",
            StdoutSink(format="jsonl"),
            lambda sink, schema: parsed_jsonl(captured(), schema),
            frozenset({"non-finite"}),
            appends=False,
        ),
    ]
    return {harness.name: harness for harness in all_of_them}


#: All names, for parametrisation.
NAMES = tuple(harnesses(Path(), str))
