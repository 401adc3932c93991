"""Whole pipelines in virtual time, with power cuts, failing syncs, full disks and broken connections.

What each seed proves: whatever went wrong, and whenever, every row that was acknowledged, or that stands in a
file, has affected every result exactly once, in every sink; and rows are conserved after every single turn.
The oracle is the same pipeline in a world where nothing goes wrong, with other batch cuts.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import orjson
import pytest

import riverrun as rr
from riverrun.errors import RiverrunError, SinkError, StateError
from riverrun.runtime.checkpoint import Checkpoint
from riverrun.runtime.durable import Durable
from riverrun.state.store import Store
from riverrun.testing.simulated_run import SimulatedRun
from riverrun.testing.simulated_world import SimulatedWorld
from tests.simulation.pipelines import DOOR, PIPELINES, Results, late_and_repeated, outputs
from tests.simulation.producer import Producer

Pipeline = Callable[[], Results]

#: Event time of the last row of each source, so that every window closes.
SENTINEL_MS = 10_000_000
SEEDS = int(os.environ.get("RIVERRUN_SEEDS") or (10_000 if "RIVERRUN_SOAK" in os.environ else 60))
#: Seeds that one test takes, so that a failure names a few.
CHUNK = 12


def lines(chance: random.Random, count: int) -> list[bytes]:
    """Rows that are out of order, some late, some bad."""
    made = []
    for at in range(count):
        if chance.random() < 0.02:
            made.append(b"nonsense\n")
            continue
        back = chance.choice([0, 0, 0, 500, 3_000, 20_000])
        made.append(b"%d,k%d,%d.5\n" % (max(0, at * 100 - back), chance.randrange(4), chance.randrange(1_000)))
    return [*made, b"%d,end,0\n" % SENTINEL_MS]


class Play:
    """One seed: the world, the run, and all that happens to it."""

    def __init__(self, seed: int, pipeline: Pipeline, *, faults: bool, kind: type[Durable] = Durable) -> None:
        self.chance = random.Random(seed if faults else -seed - 1)
        rows = random.Random(seed)
        self.world = SimulatedWorld(seed=self.chance.randrange(1 << 30), cut_bytes=500)
        self.file_rows = b"".join(lines(rows, 150))
        self.producer = Producer("p", lines(rows, 150), self.world, self.chance)
        self.run = SimulatedRun(
            lambda: outputs(pipeline),
            self.world,
            self.chance,
            state=rr.State("state", every="200ms"),
            kind=kind,
        )
        self.faults = faults
        self.pipeline = pipeline
        self.fed = 0
        self.write(b"")

    def play(self) -> None:
        for _ in range(20_000):
            if self.fed == len(self.file_rows) and self.producer.done and self.survives(self.run.stop):
                return
            self.step()
        raise AssertionError("the run does not come to an end")

    def survives(self, action: Callable[[], object]) -> bool:
        """Do something. When the disk fails, the process ends, and with it everything that it had in memory."""
        try:
            if not self.run.alive:
                self.run.start()
            action()
        except (StateError, SinkError, OSError):
            self.run.crash()
            return False
        return True

    def step(self) -> None:
        for _ in range(self.chance.randint(1, 12)):
            if not self.survives(self.run.turn):
                break
        self.feed()
        if self.world.files.space_bytes is not None and self.chance.random() < 0.3:
            self.world.files.space_bytes = None
        if self.faults and self.run.alive:
            self.fault()

    def feed(self) -> None:
        size = self.chance.randint(0, 300)
        if size and self.fed < len(self.file_rows):
            piece = self.file_rows[self.fed : self.fed + size]
            self.write(piece)
            self.fed += len(piece)
        if self.run.alive:
            self.producer.turn(DOOR)

    def write(self, data: bytes) -> None:
        """More of the input file. It is somebody else's, and safe: its disk is not full."""
        space_bytes, self.world.files.space_bytes = self.world.files.space_bytes, None
        file = self.world.files.open_write("in/a.csv", append=True)
        file.write(data)
        for sync in (file.sync, lambda: self.world.files.sync_folder("in")):
            with suppress(OSError):  # a failure that was meant for the run
                sync()
                continue
            sync()
        self.world.files.space_bytes = space_bytes

    def fault(self) -> None:
        draw = self.chance.random()
        if draw < 0.06:
            self.run.crash()
        elif draw < 0.08:
            self.world.files.fail_sync(after=self.chance.randrange(4))
        elif draw < 0.12:
            self.producer.hang_up()
        elif draw < 0.14:
            self.survives(self.run.stop)
        elif draw < 0.15:
            self.world.files.fill(self.chance.randrange(40_000))

    def results(self) -> dict[str, list[object]]:
        found: dict[str, list[object]] = {}
        for name in self.pipeline():
            lines = self.world.files.content(f"out/{name}.jsonl").splitlines()
            # Which of two sources is first within a window is nobody's promise.
            found[name] = [orjson.loads(line) for line in (sorted(lines) if name == "union" else lines)]
        return found


def same(found: object, expected: object) -> bool:
    """Equal, but for what is left of floats when batches were cut in other places."""
    if isinstance(found, float) and isinstance(expected, (int, float)):
        return math.isclose(found, expected, rel_tol=1e-11, abs_tol=1e-9)
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


def check(seed: int, pipeline: Pipeline = late_and_repeated, kind: type[Durable] = Durable) -> Play:
    expected = Play(seed, pipeline, faults=False)
    expected.play()
    played = Play(seed, pipeline, faults=True, kind=kind)
    played.play()
    for name, rows in expected.results().items():
        assert same(played.results()[name], rows), f"seed {seed}: {name} is not what it should be"
    return played


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_row_counts_exactly_once(first: int) -> None:
    """Each chunk of seeds has a pipeline of its own, in turn."""
    pipeline = PIPELINES[first // CHUNK % len(PIPELINES)]
    lives = [check(seed, pipeline).run.lives for seed in range(first, min(SEEDS, first + CHUNK))]
    assert sum(lives) > len(lives), "nothing went wrong, so nothing was proven"


def test_a_seed_is_the_same_run_again() -> None:
    def trail(seed: int) -> tuple[int, int, Sequence[object]]:
        played = Play(seed, late_and_repeated, faults=True)
        played.play()
        return played.run.lives, played.world.clock.now_us(), list(played.results().values())

    assert trail(7) == trail(7)


class BelievesTheDisk(Durable):
    """Takes for safe what was only handed to the system."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.store = cast(Store, Hasty(self.store))


class Hasty:
    """A store that says too early that something is safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def synced(self) -> int:
        return self._store.appended

    def sync(self) -> int:
        return self._store.appended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class LetsGoTooEarly(Durable):
    """Lets go of received bytes that nobody has applied yet."""

    def take(self) -> Checkpoint:
        made = super().take()
        return replace(made, run=replace(made.run, keep_from=made.run.position + 1))


class ForgetsTheOutbox(Durable):
    """Keeps no results that the sinks have not taken."""

    def write(self, checkpoint: Checkpoint, *, deliver: bool = True) -> None:
        settled = self.delivery.settle(checkpoint.run.position, deliver=False)
        commit, self._writing = self._writing.commit_of(checkpoint, replace(settled, waiting={}))
        self.store.checkpoint(commit)
        self.delivery.kept(settled)


class ForgetsHalfRecords(Durable):
    """Keeps no records that are not whole yet."""

    def take(self) -> Checkpoint:
        made = super().take()
        sources = {name: replace(source, partitions={}) for name, source in made.sources.items()}
        return replace(made, sources=sources)


class LooksAtTheReader(Durable):
    """Keeps where the reader stands, not where the engine stands."""

    def take(self) -> Checkpoint:
        made = super().take()
        now = {name: pump.reader.bookmark() for name, pump in zip(made.sources, self.job.pumps, strict=True)}
        sources = {name: replace(source, bookmark=now[name]) for name, source in made.sources.items()}
        return replace(made, sources=sources)


class TakesForWritten(Durable):
    """Leaves out of the next checkpoint what one had that did not fit on the disk."""

    def write(self, checkpoint: Checkpoint, *, deliver: bool = True) -> None:
        settled = self.delivery.settle(checkpoint.run.position, deliver=deliver)
        commit, self._writing = self._writing.commit_of(checkpoint, settled)
        self.store.checkpoint(commit)
        self.delivery.kept(settled)


MISTAKES = [
    *(BelievesTheDisk, LetsGoTooEarly, ForgetsTheOutbox, ForgetsHalfRecords),
    *(LooksAtTheReader, TakesForWritten),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_planted_mistake_is_found(mistake: type[Durable]) -> None:
    """The negative control: were these tests blind, a mistake would go unnoticed here, too."""
    for seed in range(300):
        try:
            check(seed, kind=mistake)
        except (AssertionError, RiverrunError):
            return
    raise AssertionError(f"no seed of 300 has found {mistake.__doc__}")
