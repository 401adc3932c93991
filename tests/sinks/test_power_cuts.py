"""Files after simulated power cuts and failed syncs: what a noted mark says is there, and nothing twice.

Whatever was not synced may be lost sector by sector, name by name. The databases bring their own guarantee.
"""

from __future__ import annotations

import io
import random

import polars as pl
import pytest

from riverrun.errors import SinkError
from riverrun.ports import DurableSink, DurableWriter, Remembered
from riverrun.sinks.csv import CsvSink
from riverrun.sinks.jsonl import JsonlSink
from riverrun.sinks.parquet import ParquetSink
from riverrun.testing.simulated_content import Content
from riverrun.testing.simulated_files import SimulatedFiles
from riverrun.testing.simulated_world import SimulatedWorld

SCHEMA = pl.Schema({"n": pl.Int64(), "text": pl.String()})
EARLIER = 3


def rows(unit: int) -> pl.DataFrame:
    """More than a sector of rows, most of the time."""
    count = unit * 13 % 40
    return pl.DataFrame({"n": range(unit * 100, unit * 100 + count), "text": ["x" * 40] * count}, schema=SCHEMA)


def earlier() -> pl.DataFrame:
    return pl.DataFrame({"n": range(-EARLIER, 0), "text": ["before"] * EARLIER}, schema=SCHEMA)


def read(world: SimulatedWorld, sink: DurableSink) -> list[int]:
    if isinstance(sink, CsvSink):
        return pl.read_csv(world.files.content(sink.path))["n"].to_list()
    if isinstance(sink, JsonlSink):
        return pl.read_ndjson(world.files.content(sink.path))["n"].to_list()
    parts = [world.files.content(path) for path in world.files.glob("out/parts/part-*.parquet")]
    return pl.concat(pl.read_parquet(io.BytesIO(part)) for part in parts)["n"].to_list()


class History:
    """Lives of one run, each of which ends by a power cut."""

    def __init__(self, sink: DurableSink, seed: int) -> None:
        self.world = SimulatedWorld(seed=seed)
        self.failed_syncs = 0
        self.chance = random.Random(seed)
        self.sink = sink
        self.mark: Remembered | None = None
        writer = sink.open(self.world, SCHEMA, ())
        writer.write(earlier())
        writer.close()
        for path in self.world.files.glob("out/**"):  # it has been there for long
            self.world.files.open_write(path, append=True).sync()
        for folder in ("", "out", "out/parts"):
            self.world.files.sync_folder(folder)

    def open(self) -> DurableWriter:
        """Open it, again after each sync that fails, and note the mark."""
        while True:
            try:
                writer = self.sink.open_durable(self.world, SCHEMA, (), stream="a", mark=self.mark)
                self.mark = writer.commit()
                return writer
            except SinkError as error:
                if "Input/output error" not in error.problem:
                    raise
                self.failed_syncs += 1

    def live(self, units: int, fail_sync_after: int | None) -> None:
        """Hand over some units, and again what has to be after a sync that failed."""
        writer = self.open()
        unit = writer.delivered
        end = unit + units
        if fail_sync_after is not None:
            self.world.files.fail_sync(after=fail_sync_after)
        while unit < end:
            try:
                unit += 1
                writer.write(unit, rows(unit))
                if self.chance.random() < 0.4:
                    noted = writer.commit()
                    self.mark = noted if self.chance.random() < 0.6 else self.mark
            except SinkError:
                self.failed_syncs += 1
                writer = self.open()
                unit = writer.delivered

    def cut_power(self) -> None:
        """And look at what is left."""
        noted = -1 if self.mark is None else self.mark["unit"]
        self.world.files.crash(self.chance)
        writer = self.open()
        assert writer.delivered >= noted
        self.check(writer.delivered)

    def check(self, unit: int) -> None:
        expected = pl.concat([earlier(), *(rows(each) for each in range(unit + 1))])["n"].to_list()
        assert read(self.world, self.sink) == expected


SINKS = {
    "csv": CsvSink("out/a.csv"),
    "jsonl": JsonlSink("out/a.jsonl"),
    "parquet": ParquetSink("out/parts", rows_per_file=25),
}


@pytest.mark.parametrize("kind", SINKS)
def test_power_cuts(kind):
    for seed in range(25):
        history = History(SINKS[kind], seed)
        for _ in range(6):
            history.live(history.chance.randint(0, 8), None)
            history.cut_power()


@pytest.mark.parametrize("kind", SINKS)
def test_syncs_that_fail_and_then_power_cuts(kind):
    failed_syncs = 0
    for seed in range(25):
        history = History(SINKS[kind], seed)
        for _ in range(6):
            history.live(history.chance.randint(0, 8), history.chance.randrange(12))
            history.cut_power()
        failed_syncs += history.failed_syncs
    assert failed_syncs > 25


class ForgetfulFiles(SimulatedFiles):
    """A disk that says it has written what it has not."""

    def sync(self, content: Content) -> None:
        pass


def test_without_syncs_rows_are_lost():
    lost = 0
    for seed in range(25):
        history = History(SINKS["csv"], seed)
        history.world.files = ForgetfulFiles(history.world.clock)
        history.live(8, None)
        try:
            history.cut_power()
        except (SinkError, AssertionError, pl.exceptions.PolarsError, OSError):
            lost += 1
    assert lost > 5, "the simulated disk keeps everything: these tests find nothing"
