"""A program that uses a store as the runtime does, and says what it has acknowledged. It is made to crash.

``python -m tests.crash.workload FOLDER FRAMES SEED [variant]`` works on ``FOLDER/state`` and appends what it
acknowledges to ``FOLDER/acks``: ``f 12`` a frame, ``c 12`` a checkpoint. The variants are controls: programs
with one protection switched off, which the tests must catch.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from riverrun.errors import StateError
from riverrun.runtime.real_files import RealFiles
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash import model

Acknowledge = Callable[[str, int], None]


def acknowledging(path: Path) -> Acknowledge:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda kind, number: os.write(descriptor, f"{kind} {number}\n".encode()) and None


def acknowledged(text: bytes) -> tuple[int, int]:
    """The last acknowledged frame and checkpoint."""
    last = {b"f": 0, b"c": 0}
    for line in text.splitlines():
        kind, _, number = line.partition(b" ")
        if number:
            last[kind] = max(last[kind], int(number))
    return last[b"f"], last[b"c"]


def recover(store: Store, acknowledge: Acknowledge, *, begin: bool = True) -> int:
    """As the runtime does it: replay, a forced checkpoint, then begin; the position."""
    last = max(store.recovery.last, store.recovery.position)
    if begin:
        store.checkpoint(model.commit(store.recovery.position, last))
        acknowledge("c", last)
        store.begin()
    acknowledge("f", last)
    return last


def work(store: Store, position: int, frames: int, chance: random.Random, acknowledge: Acknowledge) -> None:
    """Batches of frames, each acknowledged when it is safe; a checkpoint now and then."""
    last = position
    while frames > 0:
        batch = chance.randint(1, min(6, frames))
        frames -= batch
        for _ in range(batch):
            last += 1
            store.append([model.body(last)])
        acknowledge("f", store.sync())
        if chance.random() < 0.3:
            target = chance.randint(position, last)
            store.checkpoint(model.commit(position, target))
            acknowledge("c", target)
            position = target


class LaxFiles(RealFiles):
    """A database that syncs only now and then, as many programs set it."""

    def open_database(self, path: str) -> sqlite3.Connection:
        class Lax(sqlite3.Connection):
            def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
                return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), parameters)

        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Lax)


class LaxWorld(RealWorld):
    @property
    def files(self) -> LaxFiles:
        return LaxFiles()


def main(folder: Path, frames: int, seed: int, variant: str = "") -> int:
    world = LaxWorld(seed) if variant == "lax-database" else RealWorld(seed)
    acknowledge = acknowledging(folder / "acks")
    before = acknowledged((folder / "acks").read_bytes())
    try:
        store = Store.open(str(folder / "state"), world, settings=model.SETTINGS)
        model.check(store, *before)
        position = recover(store, acknowledge, begin=variant != "no-begin")
        if variant == "no-begin":
            return 0
        work(store, position, frames, random.Random(seed), acknowledge)
        if variant != "unclean":
            store.close()
    except StateError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    os._exit(status)  # no tidying up: a crash does none
