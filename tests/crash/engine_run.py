"""One run of the real engine, as the tests that kill it start it: pipelines, and a life of its own process.

Lives are forked from a process that has imported everything and has run no query (its threads would be missing
in the forks), so that a life costs a tenth of a second. Whatever the pipeline, rows are
``time in ms,id,key,value``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

import riverrun as rr
from riverrun.plan.nodes import Output, sources_of
from riverrun.plan.stream import Stream
from riverrun.runtime.checkpoint import Writing
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.delivery import Settled
from riverrun.runtime.durable import Durable
from riverrun.runtime.ends import Page
from riverrun.runtime.health import Health
from riverrun.runtime.opening import OpenState, recovered
from riverrun.runtime.pump import Pump
from riverrun.runtime.real_files import RealFiles, WrittenInPlace
from riverrun.runtime.real_world import RealWorld
from riverrun.runtime.run import run_outputs
from riverrun.world import PlacedFile, World

SCHEMA = {"ts": rr.Timestamp("ms"), "id": pl.Int64, "key": pl.String, "x": pl.Float64}
ROWS = {"format": rr.Csv(header=False), "schema": SCHEMA, "time": "ts", "delay": "1s"}
STATE = rr.State("state", every="50ms")
#: Between two checkpoints rows go to the sink that nobody remembers: the control finds them in every loop.
RARE = rr.State("state", every="300ms")
#: What a life says of itself.
RECOVERED, KNOWN = b"r", b"k"
#: What the sink without tokens writes.
NAIVE = "naive.txt"


class PlainFile:
    """A sink without tokens: the negative control. It appends ids, and knows nothing after a crash."""

    url = f"plain:{NAIVE}"

    def open(self, world: object, schema: object, keys: object) -> PlainFile:
        self._file = Path(NAIVE).open("a")  # noqa: SIM115 - closed in `close`
        return self

    def write(self, frame: pl.DataFrame) -> None:
        self._file.writelines(f"{number}\n" for number in frame["id"])

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def statistics(rows: Stream) -> list[Output]:
    """Windows with lateness into every kind of sink; rows without repetitions; a rolling mean."""
    windows = rows.group_by("key").window(rr.tumbling("2s"), lateness="3s")
    stats = windows.agg(n=rr.count(), mean=rr.mean("x"), var=rr.var("x"), p90=rr.quantile("x", 0.9))
    once = rows.unique(["key", "id"], within="2s").group_by("key").window(rr.hopping("4s", "2s"))
    rolled = rows.group_by("key").rolling("3s").agg(n=rr.count(), mean=rr.mean("x"))
    return [
        stats.write("csv:stats.csv"),
        stats.write("sqlite:stats.sqlite"),
        stats.write("duckdb:stats.duckdb"),
        stats.write("parquet:stats"),
        stats.write("jsonl:stats.jsonl"),
        stats.late().write("jsonl:late.jsonl"),
        once.agg(n=rr.count(), sum=rr.sum("x"), last=rr.last("id")).write("csv:once.csv"),
        rolled.write("csv:rolled.csv"),
    ]


def outputs(kind: str, place: str) -> list[Output]:
    """The outputs of a kind of run.

    Parameters
    ----------
    place : the port, or the path of the file that grows.
    """
    if kind == "file":
        return statistics(rr.read(f"file:{place}", follow=True, **ROWS))
    rows = rr.read(f"tcp+listen://127.0.0.1:{place}", ack=kind != "plain", name="door", **ROWS)
    if kind == "acks":
        return statistics(rows)
    return [rows.write("csv:rows.csv")] if kind == "plain" else [rows.write(PlainFile())]


def forked(life: Callable[[], None], folder: Path) -> int:
    """Begin a life in a folder of its own; its process. What it has to complain about is in ``errors.txt``."""
    process = os.fork()
    if process:
        return process
    try:
        os.chdir(folder)
        errors = os.open("errors.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        life()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)


class BelievingFiles(RealFiles):
    """Files that say nothing of a full disk: the negative control."""

    def create_filled(self, path: str, size: int) -> PlacedFile:
        with suppress(OSError):
            super().create_filled(path, size).close()
        return BelievingFile(path)

    def open_placed(self, path: str) -> PlacedFile:
        return BelievingFile(path)

    def free_bytes(self, path: str) -> int:
        return max(super().free_bytes(path), 64 << 20)


class BelievingFile(WrittenInPlace):
    def write_at(self, position: int, parts: Sequence[bytes | memoryview]) -> None:
        with suppress(OSError):
            super().write_at(position, parts)


class BelievingWorld(RealWorld):
    @property
    def files(self) -> BelievingFiles:
        return BelievingFiles()


def live(
    kind: str,
    place: str,
    telling: int,
    partitions: int = 1,
    dashboard: tuple[str, int] | None = None,
    world: World | None = None,
    state: rr.State | None = None,
) -> None:
    """Run until killed or stopped. Says `RECOVERED`, and `KNOWN` once it knows so many partitions."""
    state = state or (RARE if kind == "naive" else STATE)
    watched(outputs(kind, place), state, telling, partitions, dashboard=dashboard, world=world)


def watched(
    made: list[Output],
    state: rr.State,
    telling: int,
    partitions: int,
    *,
    dashboard: tuple[str, int] | None = None,
    world: World | None = None,
    noted: Callable[[Health], None] = lambda health: None,
) -> None:
    """Run until killed or stopped; rows are conserved at every look. What is said is as in `live`."""
    said = b""

    def look(health: Health) -> None:
        nonlocal said
        for source in health.sources:
            assert source.conserved, f"rows are not conserved: {source}"
        words = RECOVERED + (KNOWN if health.sources[0].partitions >= partitions else b"")
        if words != said:
            os.write(telling, words[len(said) :])
            said = words
        noted(health)

    print(run_outputs(made, state=state, watcher=look, dashboard=dashboard, world=world), file=sys.stderr)


def recover(kind: str, place: str, digest: str) -> None:
    """Recover, write down a digest of what the run stands at then, and end as a crash would."""
    world = RealWorld()
    made = outputs(kind, place)
    opened = OpenState.open(STATE, world)
    reads = sources_of(*(output.node for output in made))
    pumps = [Pump(read, world, memory) for read, memory in zip(reads, opened.memories(reads), strict=True)]
    opened.resume(pumps)
    durable, _ = recovered(made, "pipeline", pumps, world, DeadLetters(world), Page(), opened)
    Path(digest).write_text(digest_of(durable))
    durable.delivery.settle(durable.position)
    os._exit(0)


def digest_of(durable: Durable) -> str:
    """Everything that a checkpoint of now would hold, but for the time at which it was taken."""
    checkpoint = durable.take()
    settled: Settled = durable.delivery.settle(checkpoint.run.position, deliver=False)
    commit, _ = Writing().commit_of(checkpoint, settled)
    parts: list[Any] = [repr(checkpoint.run.position), repr(checkpoint.run.results)]
    parts += [repr(item) for item in sorted(commit.values.items()) if item[0][0] not in ("run", "output")]
    parts += [repr(item) for item in sorted(commit.put_blobs.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
