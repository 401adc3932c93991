"""Lookup tables of a run: when they are read, by the clock of the run."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.lookups.file import TableFile
from riverrun.plan.lookup import Lookup
from riverrun.plan.nodes import Output, sources_of
from riverrun.plan.stream import Stream
from riverrun.ports import FrameChunk
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Pump
from riverrun.testing import SimulatedWorld

COLUMNS = {"sku": pl.Int64(), "name": pl.String()}


class Work:
    """A job over a feed of keys and a table in simulated files."""

    def __init__(self, table: bytes, ttl_us: int | None) -> None:
        self.world = SimulatedWorld()
        self.write(table)
        feed = rr.read("tcp://localhost:9", format="csv", schema={"sku": pl.Int64})
        node = Lookup((feed.node,), ("sku",), TableFile("names.csv"), COLUMNS, ttl_us, "left")
        (read,) = sources_of(node)
        self.pump = Pump(read, self.world)
        self.out: list[pl.DataFrame] = []
        outputs = [Output(Stream(node).node, None)]
        letters = DeadLetters(self.world)
        self.job = Job(
            "work", outputs, [self.pump], self.world, letters, lambda _, frame: self.out.append(frame)
        )

    def write(self, table: bytes) -> None:
        file = self.world.files.open_write("names.csv", append=False)
        file.write(table)
        file.close()

    def name_of(self, sku: int) -> str | None:
        chunk = FrameChunk("p", pl.DataFrame({"sku": [sku]}), 0, self.world.clock.now_us())
        (arrival,) = self.pump.decode([chunk])
        self.job.received(0, [arrival])
        self.job.take(0, [arrival])
        return self.out[-1]["name"].item()


def test_a_table_is_read_again_when_it_is_old():
    work = Work(b"sku,name\n1,old\n", 10_000_000)
    work.write(b"sku,name\n1,new\n")
    assert work.name_of(1) == "old"
    work.world.advance("9s")
    assert work.name_of(1) == "old"
    work.world.advance("1s")
    assert work.name_of(1) == "new"


def test_without_a_time_to_live_it_is_read_once():
    work = Work(b"sku,name\n1,old\n", None)
    work.write(b"sku,name\n1,new\n")
    work.world.advance("1d")
    assert work.name_of(1) == "old"


def test_a_table_that_is_gone_or_changed_stops_the_run():
    work = Work(b"sku,name\n1,old\n", 1_000_000)
    work.world.advance("1s")
    work.write(b"sku,title\n1,new\n")
    with pytest.raises(rr.SourceError, match="has other columns than when the pipeline was made"):
        work.name_of(1)
    work.world.files.remove("names.csv")
    with pytest.raises(rr.SourceError, match="the lookup table cannot be read"):
        work.name_of(1)
