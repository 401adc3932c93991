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

from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash.engine_feeds import Lines, Producer, free_port
from tests.crash.engine_kills import PATIENCE_S, Loop, stopped
from tests.crash.engine_run import KNOWN, RECOVERED, forked, live, recover

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

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder / "killed"
        self._filler = self.folder / "state" / "filler"
        self.dashboard = free_port()
        port = free_port()
        told, telling = os.pipe()
        life = partial(live, "naive", str(port), telling, 1, dashboard=("127.0.0.1", self.dashboard))
        self.process = forked(life, self.folder)
        self.producer = Producer(Lines("a", seed), port)
        self._number = 0
        os.read(told, 1)

    def send(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Send for some time, or until something is so."""
        lines, end = self.producer.lines.all, time.monotonic() + seconds
        while time.monotonic() < end and not until():
            if len(lines) - self.producer.sent < 200:
                first, self._number = self._number, self._number + 200
                lines += [b"%d,%d,%s,1\n" % (n, n, KEY) for n in range(first, self._number)]
            self.producer.turn(100)
            assert os.waitpid(self.process, os.WNOHANG) == (0, 0), (self.folder / "errors.txt").read_text()

    def stalled(self) -> bool:
        """Whether nothing has been acknowledged for a second, although there is something to acknowledge."""
        before = self.producer.acknowledged
        self.send(1)
        return self.producer.acknowledged == before

    def health(self) -> dict[str, int]:
        with urlopen(f"http://127.0.0.1:{self.dashboard}/api/health", timeout=5) as answer:
            source: dict[str, int] = json.load(answer)["sources"][0]
        return source

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        self._filler.unlink()


def full(folder: Path, seed: int) -> dict[str, float]:
    """The disk of the state is full for some seconds."""
    disk = FullDisk(folder, seed)
    disk.send(1)
    disk.fill()
    end = time.monotonic() + PATIENCE_S
    while not disk.stalled():
        assert time.monotonic() < end, "it acknowledges although the disk is full"
        disk.fill()
    acknowledged, received = disk.producer.acknowledged, disk.health()["received"]
    disk.send(2)
    read_on = disk.health()["received"] - received
    while_full = disk.producer.acknowledged - acknowledged
    disk.free()
    began = time.monotonic()
    disk.send(PATIENCE_S, until=lambda: disk.producer.acknowledged > acknowledged)
    resumed_s = time.monotonic() - began
    while not disk.producer.done:
        disk.producer.turn(1_000)
    stop_s = stopped(disk.process, disk.folder)
    return {
        "while_full": while_full,
        "read_on": read_on,
        "resumed_s": resumed_s,
        "stop_s": stop_s,
        "lines": len(disk.producer.lines.all),
    }


SCENES: dict[str, Callable[[Path, int], dict[str, float] | dict[str, str] | dict[str, float | str]]] = {
    "stop": stop,
    "second": second,
    "histories": histories,
    "full": full,
}

if __name__ == "__main__":
    print(json.dumps(SCENES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
