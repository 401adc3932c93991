"""Scenes in the life of a real run: ``python -m tests.crash.engine_scenes SCENE FOLDER SEED`` plays one.

Prints what was measured, as JSON. Scenes run in a program of their own because lives are forked.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import riverrun as rr
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from riverrun.world import World
from tests.crash.engine_feeds import Lines, Producer, free_port
from tests.crash.engine_kills import PATIENCE_S, Loop, stopped
from tests.crash.engine_run import KNOWN, RECOVERED, STATE, BelievingWorld, forked, live, recover

#: What fills the journal in the scene of the full disk: rows with keys of this length.
KEY = b"k" * 900


def stop(folder: Path, seed: int) -> dict[str, float]:
    """SIGTERM while everybody sends as fast as the engine takes it."""
    loop = Loop("acks", folder / "killed", seed)
    process = loop.begin()
    loop.feed(process, PATIENCE_S, until=KNOWN)
    end = time.monotonic() + 1.5
    while time.monotonic() < end or not all(feed.safe for feed in loop.feeds):
        for feed in loop.feeds:
            feed.lines.grow(100)
            feed.turn(2_000)
    took_s = stopped(process, loop.folder)
    return {"stop_s": took_s, "safe": sum(feed.safe for feed in loop.feeds)}


def second(folder: Path, seed: int) -> dict[str, float | str]:
    """A second run in a folder that is in use; and a third one once the first was killed."""
    loop = Loop("file", folder / "killed", seed)
    first = loop.begin()
    loop.feed(first, PATIENCE_S, until=RECOVERED)
    began = time.monotonic()
    other = loop.begin()
    _, status = os.waitpid(other, 0)
    refused_s = time.monotonic() - began
    said = (loop.folder / "errors.txt").read_text()
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    third = loop.begin()
    recovered = loop.feed(third, PATIENCE_S, until=RECOVERED)
    stopped(third, loop.folder)
    code = os.waitstatus_to_exitcode(status)
    return {"refused_s": refused_s, "code": code, "said": said, "first": first, "opened": recovered}


def histories(folder: Path, seed: int) -> dict[str, str]:
    """What a killed run left is recovered three times: at once, after more crashes, and from a savepoint.

    Each time what it stands at is written down as a digest, and it goes on to the end in a folder of its own:
    ``once``, ``crashed`` and ``restored``.
    """
    loop = Loop("file", folder / "killed", seed)
    for _ in range(3):
        loop.kill_one()
    loop.lines[0].close()
    loop.feeds[0].turn(len(loop.lines[0].all))
    again = partial(recover, "file", loop.place, "digest.txt")
    for name in ("once", "crashed"):
        shutil.copytree(loop.folder, folder / name)
    restored(loop.folder, folder / "restored")
    chance = random.Random(seed)
    for _ in range(4):
        process = forked(again, folder / "crashed")
        time.sleep(chance.uniform(0, 0.25))  # noqa: TID251 - any instant will do
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    digests = {}
    for name in ("once", "crashed", "restored"):
        ended_well(again, folder / name)
        digests[name] = (folder / name / "digest.txt").read_text()
        to_the_end(loop.place, folder / name)
    return digests


def restored(source: Path, target: Path) -> None:
    """The run as it is on another machine: its outputs are copied, its state comes out of a savepoint."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("state"))

    def save() -> None:
        with Store.open(str(source / "state"), RealWorld(), create=False) as store:
            store.savepoint(str(target / "savepoint"))
        Store.restore(str(target / "savepoint"), str(target / "state"), RealWorld())

    ended_well(save, target)


def ended_well(life: Callable[[], None], folder: Path) -> None:
    _, status = os.waitpid(forked(life, folder), 0)
    if status:
        raise SystemExit((folder / "errors.txt").read_text()[-2_000:])


def to_the_end(place: str, folder: Path) -> None:
    told, telling = os.pipe()
    process = forked(partial(live, "file", place, telling), folder)
    assert os.read(told, 1) == RECOVERED
    stopped(process, folder)


class FullDisk:
    """Producers, a run whose state is on a small disk, and what fills that disk."""

    def __init__(self, folder: Path, seed: int, world: World | None = None, state: rr.State = STATE) -> None:
        self.folder = folder / "killed"
        self._filler = self.folder / "state" / "filler"
        self.dashboard = free_port()
        self._port = free_port()
        self._world = world
        self._state = state
        self.producer = Producer(Lines("a", seed), self._port)
        self._number = 0
        self.begin()

    def begin(self) -> None:
        """Begin a run, and wait until it has recovered."""
        told, telling = os.pipe()
        life = partial(
            live,
            "naive",
            str(self._port),
            telling,
            dashboard=("127.0.0.1", self.dashboard),
            world=self._world,
            state=self._state,
        )
        self.process = forked(life, self.folder)
        os.close(telling)
        assert os.read(told, 1) == RECOVERED, self.said
        os.close(told)

    @property
    def said(self) -> str:
        return (self.folder / "errors.txt").read_text()

    def send(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Send for some time, or until something is so."""
        lines, end = self.producer.lines.all, time.monotonic() + seconds
        while time.monotonic() < end and not until():
            if len(lines) - self.producer.sent < 200:
                first, self._number = self._number, self._number + 200
                lines += [b"%d,%d,%s,1\n" % (n, n, KEY) for n in range(first, self._number)]
            self.producer.turn(100)
            assert os.waitpid(self.process, os.WNOHANG) == (0, 0), self.said

    def send_all(self) -> None:
        """Send until all is acknowledged."""
        end = time.monotonic() + PATIENCE_S
        while not self.producer.done:
            assert time.monotonic() < end, "what was sent is not taken"
            self.producer.turn(1_000)

    def fill(self, seconds: float = PATIENCE_S) -> bool:
        """Fill the disk until nothing is acknowledged for a second, although there is something to acknowledge.

        Returns whether it came to that in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._fill_once()
            before = self.producer.acknowledged
            self.send(1)
            if self.producer.acknowledged == before:
                return True
        return False

    def health(self) -> dict[str, int]:
        with urlopen(f"http://127.0.0.1:{self.dashboard}/api/health", timeout=5) as answer:
            source: dict[str, int] = json.load(answer)["sources"][0]
        return source

    def free(self) -> None:
        self._filler.unlink()

    def _fill_once(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                return


def full(folder: Path, seed: int) -> dict[str, float]:
    """The disk of the state is full for some seconds."""
    disk = FullDisk(folder, seed)
    disk.send(1)
    assert disk.fill(), "it acknowledges although the disk is full"
    acknowledged, received = disk.producer.acknowledged, disk.health()["received"]
    disk.send(2)
    read_on = disk.health()["received"] - received
    while_full = disk.producer.acknowledged - acknowledged
    disk.free()
    began = time.monotonic()
    disk.send(PATIENCE_S, until=lambda: disk.producer.acknowledged > acknowledged)
    resumed_s = time.monotonic() - began
    disk.send_all()
    stop_s = stopped(disk.process, disk.folder)
    return {
        "while_full": while_full,
        "read_on": read_on,
        "resumed_s": resumed_s,
        "stop_s": stop_s,
        "lines": len(disk.producer.lines.all),
    }


def full_at_the_end(folder: Path, seed: int) -> dict[str, float | str]:
    """SIGTERM while the disk is full; then there is space, and it is started again."""
    disk = FullDisk(folder, seed)
    disk.send(1)
    assert disk.fill(), "it acknowledges although the disk is full"
    acknowledged = disk.producer.acknowledged
    began = time.monotonic()
    os.kill(disk.process, signal.SIGTERM)
    _, status = os.waitpid(disk.process, 0)
    stop_s = time.monotonic() - began
    said = disk.said
    disk.free()
    disk.producer.hang_up()
    disk.begin()
    disk.send_all()
    stopped(disk.process, disk.folder)
    return {
        "stop_s": stop_s,
        "code": os.waitstatus_to_exitcode(status),
        "said": said,
        "acknowledged": acknowledged,
        "lines": len(disk.producer.lines.all),
    }


def believing(folder: Path, seed: int) -> dict[str, float]:
    """Files that say nothing of a full disk; SQLite would say it, but is not asked for so long."""
    disk = FullDisk(folder, seed, BelievingWorld(), rr.State("state", every="10m"))
    silent = disk.fill(0.1)
    os.kill(disk.process, signal.SIGKILL)
    os.waitpid(disk.process, 0)
    return {"silent": silent}


SCENES: dict[str, Callable[[Path, int], dict[str, float] | dict[str, str] | dict[str, float | str]]] = {
    "stop": stop,
    "second": second,
    "histories": histories,
    "full": full,
    "full_at_the_end": full_at_the_end,
    "believing": believing,
}

if __name__ == "__main__":
    print(json.dumps(SCENES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
