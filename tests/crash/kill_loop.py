"""Kills a program with SIGKILL again and again, at any instant, also while it recovers from the last time.

``python -m tests.crash.kill_loop FOLDER KILLS SECONDS SEED [variant]`` ends after that many kills or seconds,
and prints what it found as JSON. It forks instead of starting Python anew, so that a life costs milliseconds,
and runs as a program of its own, without threads. The variant ``early`` acknowledges before it writes, which
must lose.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.group_commit import GroupCommit
from riverrun.state.store import Store
from tests.crash import model
from tests.crash.workload import acknowledged, recover

#: Frames that wait for their sync at one time.
WAITING = 64


@dataclass
class Result:
    """What came of it."""

    kills: int = 0
    kills_while_opening: int = 0
    frames: int = 0
    position: int = 0
    bad: list[str] = field(default_factory=list)
    opening_ms: list[float] = field(default_factory=list)


def live(folder: str, frames: int, position: int, pipe: int, seed: int, variant: str) -> None:
    """One life: open, check, recover, work until killed."""

    def say(kind: str, number: int) -> None:
        os.write(pipe, f"{kind} {number}\n".encode())

    store = Store.open(folder, RealWorld(seed), settings=model.SETTINGS)
    model.check(store, frames, position)
    last = recover(store, say)
    os.write(pipe, b"begun\n")
    synced = threading.Semaphore(WAITING)
    told = last

    def tell(number: int) -> None:
        nonlocal told
        if not variant:
            say("f", number)
        synced.release(number - told)
        told = number

    commit = GroupCommit(store, [tell], on_failure=lambda error: os._exit(4))
    commit.start()
    threading.Thread(target=keep_checkpoints, args=(store, last, say, seed), daemon=True).start()
    chance, pause = random.Random(seed), threading.Event()
    while True:
        for _ in range(chance.randint(1, 20)):
            synced.acquire()
            last += 1
            if variant == "early":
                say("f", last)
            store.append([model.body(last)])
        pause.wait(chance.choice([0, 0, 0.001]))


def keep_checkpoints(store: Store, position: int, say, seed: int) -> None:
    chance, pause = random.Random(seed), threading.Event()
    while True:
        pause.wait(chance.random() * 0.005)
        target = chance.randint(position, store.appended)
        store.checkpoint(model.commit(position, target))
        say("c", target)
        position = target


def loop(folder: Path, kills: int, seconds: float, seed: int, variant: str, report) -> Result:
    result, chance, end = Result(), random.Random(seed), time.monotonic() + seconds
    while result.kills < kills and time.monotonic() < end and not result.bad:
        one_life(folder, result, chance, variant)
        if result.kills % 500 == 0:
            report(result)
    return result


def one_life(folder: Path, result: Result, chance: random.Random, variant: str) -> None:
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            seed = chance.randint(0, 1 << 30)
            live(str(folder / "state"), result.frames, result.position, writing, seed, variant)
        except (StateError, AssertionError) as error:
            os.write(writing, b"bad " + str(error).replace("\n", " ").encode() + b"\n")
        os._exit(3)
    os.close(writing)
    usual_ms = sorted(result.opening_ms[-20:])[len(result.opening_ms[-20:]) // 2] if result.opening_ms else 30
    said = b""
    if chance.random() < 0.3:
        said += listen(reading, until=time.monotonic() + chance.random() * usual_ms / 1000)
    else:
        said += listen(reading, until=time.monotonic() + 5, stop_at=b"begun\n")
        if b"begun" in said:
            result.opening_ms.append((time.monotonic() - began) * 1000)
        said += listen(reading, until=time.monotonic() + chance.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said += listen(reading, until=time.monotonic() + 5)
    os.close(reading)
    take_note(said, result)


def listen(reading: int, until: float, stop_at: bytes | None = None) -> bytes:
    """What the child says until an instant, its end, or a word."""
    said = b""
    while (left := until - time.monotonic()) > 0 and not (stop_at and stop_at in said):
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 65536)
            if not part:
                break
            said += part
    return said


def take_note(said: bytes, result: Result) -> None:
    result.kills += 1
    result.kills_while_opening += b"begun" not in said
    lines = said[: said.rfind(b"\n") + 1]
    frames, position = acknowledged(
        b"\n".join(line for line in lines.splitlines() if line[:2] in (b"f ", b"c "))
    )
    result.frames = max(result.frames, frames)
    result.position = max(result.position, position)
    result.bad += [line.decode() for line in lines.splitlines() if line.startswith(b"bad ")]


def main(folder: str, kills: str, seconds: str, seed: str, variant: str = "") -> None:
    def report(result: Result) -> None:
        print(f"kill loop: {result.kills} of {kills}, {result.frames} frames", file=sys.stderr, flush=True)

    result = loop(Path(folder), int(kills), float(seconds), int(seed), variant, report)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main(*sys.argv[1:])
