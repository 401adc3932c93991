"""Every sink with a durable writer takes every row exactly once, whatever crashes; a naive one is found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from riverrun.ports import DurableWriter, Remembered, Sink, Writer, guarantee_of
from riverrun.registry import SINKS
from riverrun.sinks.jsonl import JsonlSink
from riverrun.testing import check_exactly_once
from riverrun.testing.delivery import SCHEMA
from riverrun.world import World
from tests.contracts.sink_harness import DURABLE, DurableHarness, parsed_jsonl


@pytest.mark.parametrize("harness", DURABLE, ids=lambda harness: harness.name)
def test_every_row_once(harness: DurableHarness, tmp_path):
    check_exactly_once(
        lambda number: harness.sink(tmp_path, number),
        lambda sink: harness.read(sink, SCHEMA),
        upsert=harness.upsert,
        histories=8,
    )


@dataclass
class FaultyWriter:
    """A writer that goes on at the end, whatever is there; `fault` says what else it gets wrong."""

    writer: Writer
    delivered: int
    fault: str
    unit: int

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self.unit = unit
        if self.fault == "loses the last row" and unit % 5 == 0:
            frame = frame.head(frame.height - 1) if frame.height else frame
        if self.fault == "turns rows around":
            frame = frame.reverse()
        self.writer.write(frame)

    def flush(self) -> None:
        self.writer.flush()

    def commit(self) -> Remembered:
        return {"unit": self.unit + (self.fault == "says too much")}

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True)
class FaultySink:
    """A sink that promises what it does not keep."""

    path: str
    fault: str

    @property
    def url(self) -> str:
        return f"faulty:{self.path}"

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> Writer:
        return JsonlSink(self.path).open(world, schema, keys)

    def open_durable(
        self,
        world: World,
        schema: Mapping[str, pl.DataType],
        keys: Sequence[str],
        *,
        stream: str,
        mark: Remembered | None,
    ) -> DurableWriter:
        if self.fault == "wipes the target" and mark is None:
            Path(self.path).write_bytes(b"")
        delivered = -1 if mark is None else int(mark["unit"])
        return FaultyWriter(self.open(world, schema, keys), delivered, self.fault, delivered)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("nothing but that", "after the opening: missing nothing, too many"),
        ("loses the last row", "missing"),
        ("turns rows around", "in another order|missing|too many"),
        ("says too much", "was never handed over as a whole|too many|missing"),
        ("wipes the target", "missing"),
    ],
)
def test_faults_are_found(fault, found, tmp_path):
    with pytest.raises(AssertionError, match=found) as caught:
        check_exactly_once(
            lambda number: FaultySink(f"{tmp_path}/{number}.jsonl", fault),
            lambda sink: parsed_jsonl(Path(sink.path).read_text(), SCHEMA),
        )
    assert "of seed 0: " in str(caught.value)
    assert "\nwhat happened:\n  " in str(caught.value)


def test_the_same_seed_finds_the_same(tmp_path):
    messages = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        with pytest.raises(AssertionError) as caught:
            check_exactly_once(
                lambda number, folder=folder: FaultySink(f"{tmp_path}/{folder}/{number}.jsonl", "appends"),
                lambda sink: parsed_jsonl(Path(sink.path).read_text(), SCHEMA),
                seed=7,
            )
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", SINKS)
def test_what_each_sink_guarantees(name):
    component = SINKS[name].load(name)
    sink: Sink = component() if name in ("stdout", "memory") else component("x")
    at_least_once = name in ("stdout", "memory")
    assert guarantee_of(sink) == ("at least once" if at_least_once else "exactly once")
