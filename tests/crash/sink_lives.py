"""A program that writes to a sink as a run with ``state=`` would, and is killed again and again.

``python sink_lives.py KIND FOLDER KILLS SEED``. One process imports everything and then forks: each fork is a
life of the run. It opens the sink with the last mark that was noted, hands over all units after `delivered`,
commits now and then and notes the mark in a small file, now and then. It is killed with SIGKILL at a random
moment, one time in three while it opens. The last life ends in peace. Prints what happened, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from riverrun.ports import DurableSink, DurableWriter
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.csv import CsvSink
from riverrun.sinks.duckdb import DuckdbSink
from riverrun.sinks.jsonl import JsonlSink
from riverrun.sinks.parquet import ParquetSink
from riverrun.sinks.sqlite import SqliteSink

SCHEMA: dict[str, pl.DataType] = {"key": pl.Int64(), "unit": pl.Int64(), "row": pl.Int64(), "text": pl.String()}
KEYS = ("key",)
STREAM = "a-state/results"
#: Rows of somebody else that are there before.
EARLIER_ROWS = 5
#: Units that the last life hands over.
LAST_UNITS = 10
#: How long a life lasts at most after it has opened its sink.
LIFE_S = 0.06
_PATIENCE_S = 30.0


class NaiveSink:
    """Appends and keeps no token: the negative control."""

    def __init__(self, path: str) -> None:
        self.inner = JsonlSink(path)

    def open(self, *arguments: Any) -> Any:
        return self.inner.open(*arguments)

    def open_durable(self, *arguments: Any, stream: str, mark: Mapping[str, Any] | None) -> Any:
        return NaiveWriter(self.open(*arguments), -1 if mark is None else mark["unit"])


class NaiveWriter:
    def __init__(self, writer: Any, delivered: int) -> None:
        self._writer = writer
        self.delivered = self._unit = delivered

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self._writer.write(frame)
        self._unit = unit

    def commit(self) -> dict[str, int]:
        return {"unit": self._unit}

    def close(self) -> None:
        self._writer.close()


def sink_of(kind: str, folder: Path) -> Any:
    """The sink under test."""
    sinks: dict[str, Any] = {
        "csv": lambda: CsvSink(f"{folder}/a.csv"),
        "jsonl": lambda: JsonlSink(f"{folder}/a.jsonl"),
        "parquet": lambda: ParquetSink(f"{folder}/parts", rows_per_file=250),
        "duckdb": lambda: DuckdbSink(f"{folder}/a.duckdb"),
        "duckdb-upsert": lambda: DuckdbSink(f"{folder}/a.duckdb", mode="upsert"),
        "sqlite": lambda: SqliteSink(f"{folder}/a.db"),
        "sqlite-upsert": lambda: SqliteSink(f"{folder}/a.db", mode="upsert"),
        "naive": lambda: NaiveSink(f"{folder}/a.jsonl"),
    }
    return sinks[kind]()


def rows_of(unit: int) -> pl.DataFrame:
    """The rows of a unit: nothing but a function of its number. Rows of −1 are somebody else's."""
    height = EARLIER_ROWS if unit < 0 else unit * 37 % 120
    rows = pl.int_range(height, eager=True).alias("row")
    return pl.select(
        key=(rows * 7 + unit) % 500, unit=pl.lit(unit, pl.Int64), row=rows, text=rows.cast(pl.String) + " Ω"
    )


def write_earlier(sink: Any) -> None:
    writer = sink.open(RealWorld(), SCHEMA, KEYS)
    writer.write(rows_of(-1))
    writer.close()


class Marks:
    """The mark that a checkpoint would hold, in a file that is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "mark.json"

    def last(self) -> dict[str, Any] | None:
        return json.loads(self._path.read_bytes()) if self._path.exists() else None

    def note(self, mark: Mapping[str, Any]) -> None:
        aside = self._path.with_suffix(".tmp")
        aside.write_text(json.dumps(mark))
        aside.replace(self._path)


def live(sink: DurableSink, marks: Marks, chance: random.Random, units: int | None, opened: int) -> None:
    """One life: for ever, or for so many units."""
    mark = marks.last()
    writer = sink.open_durable(RealWorld(), SCHEMA, KEYS, stream=STREAM, mark=mark)
    if mark is None:
        marks.note(writer.commit())
    elif writer.delivered < mark["unit"]:
        raise AssertionError(f"the mark is {mark}, but only {writer.delivered} is delivered")
    unit = writer.delivered + 1
    os.write(opened, b"o")
    end = None if units is None else unit + units
    while unit != end:
        hand_over(writer, unit, chance)
        unit += 1
        if chance.random() < 0.5 or unit == end:
            mark = writer.commit()
            if chance.random() < 0.4 or unit == end:
                marks.note(mark)
    writer.close()


def hand_over(writer: DurableWriter, unit: int, chance: random.Random) -> None:
    rows = rows_of(unit)
    cut = chance.randint(0, rows.height)
    writer.write(unit, rows.head(cut))
    writer.write(unit, rows.slice(cut))


def forked(kind: str, folder: Path, seed: str, units: int | None) -> tuple[int, int]:
    """Begin a life; its process, and a pipe that says when it has opened its sink."""
    told, opened = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            live(sink_of(kind, folder), Marks(folder), random.Random(seed), units, opened)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    os.close(opened)
    return process, told


def killed_life(kind: str, folder: Path, seed: str, opening_s: float) -> float | None:
    """A life with its end; how long it took to open, or ``None`` when it was killed before."""
    chance = random.Random(f"death {seed}")
    process, told = forked(kind, folder, seed, None)
    started = time.monotonic()
    patience_s = chance.uniform(0, opening_s) if chance.random() < 1 / 3 else _PATIENCE_S
    ready, _, _ = select.select([told], [], [], patience_s)
    opened_s = time.monotonic() - started if ready else None
    if ready:
        os.read(told, 1)
        select.select([told], [], [], chance.uniform(0, LIFE_S))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    os.close(told)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"life {seed} ended by itself with {status}")
    return opened_s


def main(kind: str, folder: Path, kills: int, seed: str) -> None:
    process = os.fork()  # this process must not run a query: its threads would be missing in the forks
    if process == 0:
        write_earlier(sink_of(kind, folder))
        os._exit(0)
    os.waitpid(process, 0)
    opening_s, while_opening = 0.1, 0
    for life in range(kills):
        took_s = killed_life(kind, folder, f"{seed}/{life}", opening_s)
        if took_s is None:
            while_opening += 1
        else:
            opening_s = took_s
    process, told = forked(kind, folder, f"{seed}/last", LAST_UNITS)
    _, status = os.waitpid(process, 0)
    os.close(told)
    mark = Marks(folder).last()
    assert mark is not None
    print(
        json.dumps(
            {"status": status, "kills": kills, "while_opening": while_opening, "last_unit": mark["unit"]}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
