"""Two real runs side by side for a long time: one is killed again and again, the other one lives through.

``python -m tests.soak.endurance FOLDER SECONDS [leaky]`` measures how many rows per second both take together,
feeds them `SHARE` of that for so long, and checks that every row counts once. Prints what was measured as JSON;
``FOLDER/samples.csv`` has the series. What lives long may leak, and what is killed may lose: so there are two.
With ``leaky`` a sink keeps everything that it gets, which has to be found.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import polars as pl

import riverrun as rr
from riverrun.plan.nodes import Output
from riverrun.runtime.health import Health
from tests.crash.engine_feeds import free_port
from tests.crash.engine_kills import PATIENCE_S, stopped
from tests.crash.engine_run import KNOWN, ROWS, forked, watched
from tests.soak.measures import Point, quantile, slope, thinned, thirds
from tests.soak.steady_feed import WINDOW_MS, SteadyProducer

#: Of what both runs take together.
SHARE = 0.7
#: The last this often, or six times in a shorter run.
KILL_EVERY_S = 60.0
#: What is measured sooner is warming up: allocators, caches, the first segments. At most a third of the time.
WARM_S = 300.0
MEASURE_S = 20.0
SAMPLES = 1_500
MIB = 1024 * 1024


class Keeping:
    """The leak: a sink that keeps all it gets."""

    url = "keeping:"

    def open(self, world: object, schema: object, keys: object) -> Keeping:
        self._kept: list[pl.DataFrame] = []
        return self

    def write(self, frame: pl.DataFrame) -> None:
        self._kept.append(frame)

    def flush(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to close."""


def outputs(port: int, *, leaky: bool) -> list[Output]:
    rows = rr.read(f"tcp+listen://127.0.0.1:{port}", ack=True, name="door", **ROWS)
    windows = rows.group_by("key").window(rr.tumbling(f"{WINDOW_MS}ms"))
    counted = windows.agg(n=rr.count(), total=rr.sum("id"), mean=rr.mean("x"), p90=rr.quantile("x", 0.9))
    made = [counted.write("csv:counted.csv"), counted.write("sqlite:counted.sqlite")]
    return [*made, rows.write(Keeping())] if leaky else made


def endure(port: int, telling: int, partitions: int, parent: int, *, leaky: bool) -> None:
    """A life of a run. It holds no socket of its parent, or the producers' connections would outlive them."""
    os.closerange(3, telling)
    os.closerange(telling + 1, 1_024)

    def note(health: Health) -> None:
        # A file that is always whole: the parent may read at any instant.
        Path("applied.new").write_text(str(health.sources[0].applied))
        Path("applied.new").rename("applied")
        if os.getppid() != parent:
            os._exit(1)

    watched(outputs(port, leaky=leaky), rr.State("state"), telling, partitions, noted=note)


@dataclass(frozen=True, slots=True)
class Sample:
    """How one run stood at one moment."""

    at_s: float
    run: str
    life: int
    resident_bytes: int
    open_files: int
    threads: int
    state_bytes: int
    acknowledged: int
    applied: int


class Run:
    """One of the two: its producers and its process, which may be killed and begun anew."""

    def __init__(self, name: str, folder: Path, *, leaky: bool) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.kills = self.life = 0
        (self.folder / "applied").write_text("0")
        self.away_s: list[float] = []
        self._leaky = leaky
        self._port = free_port()
        self.producers = [SteadyProducer(letter, self._port) for letter in "ab"]
        self._told: int | None = None
        self.known = False
        self._killed_at: float | None = None
        self.begin()

    def begin(self) -> None:
        if self._told is not None:
            os.close(self._told)
        self._told, telling = os.pipe()
        life = partial(endure, self._port, telling, len(self.producers), os.getpid(), leaky=self._leaky)
        self.process = forked(life, self.folder)
        self.life += 1
        os.close(telling)

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        for producer in self.producers:
            producer.hang_up()
        self.kills += 1
        self._killed_at = time.monotonic()
        self._safe = self.acknowledged
        self.begin()

    @property
    def acknowledged(self) -> int:
        return sum(producer.acknowledged for producer in self.producers)

    @property
    def applied(self) -> int:
        """Rows that the run has worked through, as of its last look."""
        return int((self.folder / "applied").read_text())

    @property
    def done(self) -> bool:
        return all(producer.done for producer in self.producers)

    def go_on(self) -> None:
        """Everybody sends a little; nobody more than a row before the run knows of all."""
        self._listen()
        for producer in self.producers:
            if self.known:
                producer.go_on()
            elif not producer.acknowledged:
                producer.steady.rows = max(producer.steady.rows, 1)
                producer.turn(1)
        if self._killed_at is not None and self.acknowledged > self._safe:
            self.away_s.append(time.monotonic() - self._killed_at)
            self._killed_at = None

    def _listen(self) -> None:
        assert self._told is not None
        if not self.known and select.select([self._told], [], [], 0)[0]:
            self.known = KNOWN in os.read(self._told, 2)
        ended, status = os.waitpid(self.process, os.WNOHANG)
        if ended:
            said = (self.folder / "errors.txt").read_text()[-2_000:]
            raise SystemExit(f"{self.name} ended by itself with {os.waitstatus_to_exitcode(status)}: {said}")

    def sample(self, at_s: float) -> Sample:
        process = Path(f"/proc/{self.process}")
        pages = int((process / "statm").read_text().split()[1])
        files = sum(1 for _ in (process / "fd").iterdir())
        threads = sum(1 for _ in (process / "task").iterdir())
        state = disk_bytes(self.folder / "state")
        held = pages * resource.getpagesize()
        rows = (self.acknowledged, self.applied)
        return Sample(at_s, self.name, self.life, held, files, threads, state, *rows)

    def end(self) -> float:
        """SIGTERM; how long the end took."""
        return stopped(self.process, self.folder)

    def wrong(self) -> list[str]:
        """What is lost or doubled in the sinks."""
        due = sorted(row for producer in self.producers for row in producer.steady.expected())
        found = {"counted.csv": in_csv(self.folder), "counted.sqlite": in_sqlite(self.folder)}
        return [f"{self.name}: {name}: {amiss(rows, due)}" for name, rows in found.items() if rows != due]


Counted = list[tuple[int, str, int, int]]


def in_csv(folder: Path) -> Counted:
    with (folder / "counted.csv").open(newline="") as file:
        rows = [
            (_ms(row["window_start"]), row["key"], int(row["n"]), int(row["total"]))
            for row in csv.DictReader(file)
        ]
    return sorted(rows)


def in_sqlite(folder: Path) -> Counted:
    with closing(sqlite3.connect(folder / "counted.sqlite")) as database:
        rows = database.execute("SELECT window_start, key, n, total FROM results").fetchall()
    return sorted((_ms(start), key, n, total) for start, key, n, total in rows)


def _ms(text: str) -> int:
    [instant] = pl.Series([text]).str.to_datetime(time_unit="ms", time_zone="UTC").dt.epoch("ms")
    return int(instant)


def amiss(found: Counted, due: Counted) -> str:
    """In what the counts differ."""
    lost, added = sorted(set(due) - set(found)), sorted(set(found) - set(due))
    again = len(found) - len(set(found))
    return f"{len(lost)} of {len(due)} missing {lost[:2]}, {len(added)} not expected {added[:2]}, {again} twice"


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:  # it was removed just now
            continue
    return total


class Endurance:
    """The scene."""

    def __init__(self, folder: Path, seconds: float, *, leaky: bool) -> None:
        self.folder = folder
        self._seconds = seconds
        self._kill_every_s = min(KILL_EVERY_S, max(seconds / 6, 3.5))
        self.killed, self.steady = (Run(name, folder, leaky=leaky) for name in ("killed", "steady"))
        self.runs = (self.killed, self.steady)
        self.samples: list[Sample] = []
        self.per_s = 0.0

    def play(self) -> dict[str, object]:
        try:
            self.measure_capacity()
            self.soak()
            self.finish()
            return self.figures()
        finally:
            for run in self.runs:
                end_in_any_case(run.process)
            self._write_samples()

    def feed(self, until: float) -> None:
        """Feed both up to an instant."""
        while time.monotonic() < until:
            for run in self.runs:
                run.go_on()
            sockets = [p.connection for run in self.runs for p in run.producers if p.connection is not None]
            select.select(sockets, [], [], 0.002)

    def _feed_until(self, met: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not met():
            assert time.monotonic() < end, otherwise
            self.feed(time.monotonic() + 0.05)

    def measure_capacity(self) -> None:
        """How many rows both work through: what is only received is acknowledged, too, until memory is full."""
        self._feed_until(lambda: all(run.known for run in self.runs), "the runs do not begin")
        span_s = min(MEASURE_S, self._seconds / 4)
        self._pace(float("inf"))
        self.feed(time.monotonic() + span_s / 2)
        before, begun = self._applied, time.monotonic()
        self.feed(begun + span_s)
        self.per_s = (self._applied - before) / (time.monotonic() - begun)
        self._pace(0)
        self._feed_until(
            lambda: self._applied >= self._acknowledged, "the runs do not work through what they have"
        )

    def soak(self) -> None:
        self._pace(SHARE * self.per_s / sum(len(run.producers) for run in self.runs))
        for run in self.runs:
            for producer in run.producers:
                producer.waits_s.clear()
        self._began = begun = time.monotonic()
        self._first = self._acknowledged
        every_s = self._seconds / SAMPLES
        kill_at, number = begun + self._kill_every_s, 0
        while (now := time.monotonic()) < begun + self._seconds:
            if now >= kill_at:
                self.killed.kill()
                kill_at += self._kill_every_s
            self.samples += [run.sample(now - begun) for run in self.runs]
            number += 1
            self.feed(max(time.monotonic() + every_s / 10, begun + number * every_s))
        self.taken_per_s = (self._acknowledged - self._first) / (time.monotonic() - begun)

    def finish(self) -> None:
        for run in self.runs:
            for producer in run.producers:
                producer.pace(0)
                producer.steady.close()
        self._feed_until(lambda: all(run.done for run in self.runs), "what was sent is not taken")
        self.stop_s = [run.end() for run in self.runs]

    def figures(self) -> dict[str, object]:
        warm_s = min(WARM_S, self._seconds / 3)
        warm = [sample for sample in self.samples if sample.at_s >= warm_s]
        lived = [sample for sample in warm if sample.run == "steady"]
        waits_s = [(at - self._began, wait) for p in self.steady.producers for at, wait in p.waits_s]
        waits_s = [point for point in waits_s if point[0] >= warm_s]
        resident: list[Point] = [(s.at_s, s.resident_bytes / MIB) for s in lived]
        disk = {
            run.name: [(s.at_s, s.state_bytes / MIB) for s in warm if s.run == run.name] for run in self.runs
        }
        return {
            "capacity_per_s": round(self.per_s),
            "taken_per_s": round(self.taken_per_s),
            "share": self.taken_per_s / self.per_s,
            "forgiven_s": sum(p.forgiven_s for run in self.runs for p in run.producers),
            "rows": self._acknowledged,
            "behind_rows": max(s.acknowledged - s.applied for s in lived),
            "kills": self.killed.kills,
            "away_s": self.killed.away_s,
            "stop_s": self.stop_s,
            "resident_mib": resident[-1][1],
            "resident_mib_per_10min": 600 * slope(thinned(resident)),
            "open_files": [max(third) for third in thirds([(s.at_s, s.open_files) for s in lived])],
            "threads": [max(third) for third in thirds([(s.at_s, s.threads) for s in lived])],
            "disk_mib": {name: [max(third) for third in thirds(points)] for name, points in disk.items()},
            "p50_ms": [1e3 * quantile(third, 0.5) for third in thirds(waits_s)],
            "p99_ms": [1e3 * quantile(third, 0.99) for third in thirds(waits_s)],
            "wrong": [problem for run in self.runs for problem in run.wrong()],
        }

    @property
    def _acknowledged(self) -> int:
        return sum(run.acknowledged for run in self.runs)

    @property
    def _applied(self) -> int:
        return sum(run.applied for run in self.runs)

    def _pace(self, rows_per_s: float) -> None:
        for run in self.runs:
            for producer in run.producers:
                producer.pace(rows_per_s)

    def _write_samples(self) -> None:
        with (self.folder / "samples.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, Sample.__slots__)
            table.writeheader()
            table.writerows(map(asdict, self.samples))


def end_in_any_case(process: int) -> None:
    """Kill what is left of a life."""
    try:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    except (ProcessLookupError, ChildProcessError):
        return


if __name__ == "__main__":
    place, seconds, *how = sys.argv[1:]
    print(json.dumps(Endurance(Path(place), float(seconds), leaky="leaky" in how).play()))
