"""Kills the real engine with SIGKILL again and again, also while it recovers, and feeds it all the while.

``python -m tests.crash.engine_kills KIND FOLDER KILLS SECONDS SEED`` runs a pipeline of `engine_run` in
``FOLDER/killed`` through that many kills, lets it end in peace, and runs it once more without kills, with the
same rows in other pieces, in ``FOLDER/whole``. Prints what happened, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from tests.crash.engine_feeds import GrowingFile, Lines, Producer, free_port
from tests.crash.engine_run import forked, live

PATIENCE_S = 60.0
#: How long a life lasts at most once it has recovered.
LIFE_S = 0.6

Feed = Producer | GrowingFile


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    kills_while_recovering: int = 0
    lines: int = 0
    stop_s: list[float] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)


class Loop:
    """One kind of run in one folder, over many lives."""

    def __init__(self, kind: str, folder: Path, seed: int, known: dict[str, list[bytes]] | None = None) -> None:
        self.kind = kind
        self.folder = folder
        self.tally = Tally()
        self.chance = random.Random(seed if known is None else -seed - 1)
        names = {"file": ["f"], "plain": ["p"]}.get(kind, ["a", "b", "c"])
        self.lines = [Lines(n, seed, known=None if known is None else known[n]) for n in names]
        folder.mkdir()
        port = free_port()
        self.place = str(folder.with_suffix(".in")) if kind == "file" else str(port)
        self.feeds: list[Feed] = [
            GrowingFile(lines, Path(self.place), self.chance)
            if kind == "file"
            else Producer(lines, port, careless=kind == "plain")
            for lines in self.lines
        ]

    def begin(self) -> tuple[int, int]:
        told, telling = os.pipe()
        process = forked(partial(live, self.kind, self.place, telling), self.folder)
        os.close(telling)
        return process, told

    def feed(self, process: int, until: float, *, told: int | None = None) -> bool:
        """Feed until an instant, or until the life says that it has recovered; whether it has."""
        while (left := until - time.monotonic()) > 0:
            if told is not None and select.select([told], [], [], 0)[0]:
                if os.read(told, 1):
                    return True
                told = None
            self.turn()
            self.check_alive(process)
            select.select([], [], [], min(left, 0.005))
        return False

    def turn(self) -> None:
        """Everybody sends a little; nobody goes on before all have begun, so that no partition is too late."""
        begun = all(feed.safe for feed in self.feeds)
        for feed in self.feeds:
            if begun:
                feed.lines.grow(self.chance.randint(0, 6))
            elif feed.safe:
                continue
            feed.turn(self.chance.randint(1, 40) if begun else 1)

    def check_alive(self, process: int) -> None:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            said = (self.folder / "errors.txt").read_text()[-2_000:]
            raise SystemExit(f"a life ended by itself with {os.waitstatus_to_exitcode(status)}: {said}")

    def kill_one(self) -> None:
        """One life and its end."""
        process, told = self.begin()
        began = time.monotonic()
        usual_s = sorted(self.tally.recovery_s[-9:])[len(self.tally.recovery_s[-9:]) // 2 :][:1] or [0.3]
        early = self.tally.kills % 3 == 0
        patience_s = self.chance.uniform(0, usual_s[0]) if early else PATIENCE_S
        recovered = self.feed(process, began + patience_s, told=told)
        if recovered:
            self.tally.recovery_s.append(time.monotonic() - began)
            self.feed(process, time.monotonic() + self.chance.uniform(0, LIFE_S))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(told)
        self.hang_up()
        self.tally.kills += 1
        self.tally.kills_while_recovering += not recovered

    def end(self) -> None:
        """A last life: everything is sent, then SIGTERM."""
        for feed in self.feeds:
            feed.lines.close()
        process, told = self.begin()
        self.feed(process, time.monotonic() + PATIENCE_S, told=told)
        end = time.monotonic() + PATIENCE_S
        while not all(feed.done for feed in self.feeds):
            assert time.monotonic() < end, "what was sent is not taken"
            self.feed(process, time.monotonic() + 0.02)
        self.tally.lines = sum(len(lines.all) for lines in self.lines)
        self.tally.stop_s.append(stopped(process, self.folder))
        os.close(told)
        self.hang_up()

    def hang_up(self) -> None:
        for feed in self.feeds:
            feed.hang_up()


def stopped(process: int, folder: Path) -> float:
    """SIGTERM; how long the end took. It must end well."""
    began = time.monotonic()
    os.kill(process, signal.SIGTERM)
    _, status = os.waitpid(process, 0)
    assert status == 0, (folder / "errors.txt").read_text()[-2_000:]
    return time.monotonic() - began


def killed(kind: str, folder: Path, kills: int, seconds: float, seed: int) -> Loop:
    """A run through many kills, up to its end in peace."""
    loop = Loop(kind, folder / "killed", seed)
    end = time.monotonic() + seconds
    while loop.tally.kills < kills and time.monotonic() < end:
        loop.kill_one()
        if loop.tally.kills % 100 == 0:
            print(f"{kind}: {loop.tally.kills} of {kills} kills", file=sys.stderr, flush=True)
    loop.end()
    return loop


def main(kind: str, folder: str, kills: str, seconds: str, seed: str) -> None:
    loop = killed(kind, Path(folder), int(kills), float(seconds), int(seed))
    if kind in ("file", "acks"):
        known = {lines.name: lines.all for lines in loop.lines}
        whole = Loop(kind, Path(folder) / "whole", int(seed), known)
        process, told = whole.begin()
        whole.feed(process, time.monotonic() + PATIENCE_S, told=told)
        while not all(feed.done for feed in whole.feeds):
            whole.feed(process, time.monotonic() + 0.02)
        stopped(process, whole.folder)
        os.close(told)
    sent = b"".join(line for lines in loop.lines for line in lines.all)
    (Path(folder) / "sent.csv").write_bytes(sent)
    print(json.dumps(asdict(loop.tally)))


if __name__ == "__main__":
    main(*sys.argv[1:])
