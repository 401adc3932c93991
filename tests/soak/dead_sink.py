"""A sink that is dead for a long time, behind a run that goes on receiving.

``python -m tests.soak.dead_sink FOLDER SECONDS`` runs a pipeline whose only sink cannot be reached for so long,
while a producer sends as much as is taken, and revives it. Prints what was measured, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

import riverrun as rr
from riverrun.errors import SinkUnavailable
from riverrun.ports import Remembered
from riverrun.runtime.memory import resident_bytes
from riverrun.runtime.run import run_outputs
from riverrun.runtime.stop import Stop
from tests.crash.engine_feeds import free_port
from tests.crash.engine_run import ROWS
from tests.soak.endurance import PATIENCE_S, disk_bytes
from tests.soak.steady_feed import FIRST_MS, SteadyProducer

MIB = 1024 * 1024
OUTBOX_BYTES, BUDGET_BYTES = 16 * MIB, 16 * MIB
#: Before, and after.
HEALTHY_S = 1.0


@dataclass(eq=False)
class Mortal:
    """A sink that keeps the numbers of rows, and takes nothing while it is dead. What it knows lives on."""

    url: str = "mortal:"
    dead: bool = False
    numbers: list[pl.Series] = field(default_factory=list)
    refusals: int = 0
    delivered: int = -1
    _written: list[pl.Series] = field(default_factory=list)
    _last: int = -1

    def open(self, world: object, schema: object, keys: object) -> Mortal:
        raise NotImplementedError("only for runs that keep their state")

    def open_durable(
        self, world: object, schema: object, keys: object, *, stream: str, mark: Remembered | None
    ) -> Mortal:
        self._check()
        self._written, self._last = [], self.delivered
        return self

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self._check()
        self._written.append(frame["id"])
        self._last = unit

    def flush(self) -> None:
        """Only a commit shows anything."""

    def commit(self) -> Remembered:
        self._check()
        self.numbers += self._written
        self._written = []
        self.delivered = self._last
        return {"unit": self.delivered}

    def close(self) -> None:
        """What was not committed is forgotten by `open_durable`."""

    def _check(self) -> None:
        if self.dead:
            self.refusals += 1
            raise SinkUnavailable("nobody answers", where=self.url)


class Scene:
    """A run in a thread, and its producer."""

    def __init__(self, folder: Path) -> None:
        self.sink = Mortal()
        self._folder = folder / "state"
        self._stop = Stop()
        self._failure: BaseException | None = None
        port = free_port()
        source = f"tcp+listen://127.0.0.1:{port}"
        limits = rr.Limits(budget_bytes=BUDGET_BYTES)
        rows = rr.read(source, ack=True, name="door", limits=limits, **ROWS)
        self._output = rows.write(self.sink)
        self.producer = SteadyProducer("a", port)
        self.producer.pace(float("inf"))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            state = rr.State(str(self._folder), outbox_bytes=OUTBOX_BYTES)
            run_outputs([self._output], state=state, stop=self._stop)
        except BaseException as error:
            self._failure = error

    def feed(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < end and not until():
            self.producer.go_on()
            pause.wait(0.001)
            assert self._failure is None, self._failure

    def die(self, seconds: float) -> dict[str, float]:
        """The sink is dead for so long; when the last row was acknowledged, and what was held at most."""
        before = self.producer.acknowledged
        self.sink.dead = True
        begun = last = time.monotonic()
        safe, memory, disk = before, 0, 0
        while (now := time.monotonic()) < begun + seconds:
            self.feed(min(0.25, seconds))
            if self.producer.acknowledged > safe:
                safe, last = self.producer.acknowledged, now
            memory, disk = max(memory, resident_bytes()), max(disk, disk_bytes(self._folder))
        return {"taken": safe - before, "until_s": last - begun, "resident": memory / MIB, "disk": disk / MIB}

    def revive(self) -> float:
        """The sink is back; after how long everything was there that had been acknowledged by then."""
        self.sink.dead = False
        due, begun = self.producer.acknowledged, time.monotonic()
        self.feed(PATIENCE_S, lambda: sum(map(len, self.sink.numbers)) >= due)
        return time.monotonic() - begun

    def end(self) -> None:
        self.producer.pace(0)
        self.producer.steady.close()
        self.feed(PATIENCE_S, lambda: self.producer.done)
        self.feed(PATIENCE_S, lambda: sum(map(len, self.sink.numbers)) >= self.producer.lines.count)
        self._stop.now("the end")
        self._thread.join(PATIENCE_S)


def play(folder: Path, seconds: float) -> dict[str, object]:
    scene = Scene(folder)
    try:
        scene.feed(PATIENCE_S, lambda: bool(scene.sink.numbers))
        scene.feed(HEALTHY_S)
        resident = resident_bytes()
        dead = scene.die(seconds)
        refusals = scene.sink.refusals
        back_s = scene.revive()
        scene.feed(HEALTHY_S)
        scene.end()
        found = pl.concat(scene.sink.numbers)
        # The last row of all is the sentinel, with the number 0.
        due = pl.int_range(FIRST_MS, FIRST_MS + scene.producer.steady.rows, dtype=pl.Int64, eager=True)
        return {
            "dead": dead,
            "grown_mib": dead["resident"] - resident / MIB,
            "refusals": refusals,
            "back_s": back_s,
            "rows": len(found),
            "right": found.equals(due.extend(pl.Series([0])), check_names=False),
        }
    finally:
        scene._stop.now("the end")


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]), float(sys.argv[2]))), flush=True)
    os._exit(0)
