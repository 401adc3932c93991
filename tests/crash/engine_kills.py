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

from riverrun.runtime.inspection import inspect_state
from riverrun.runtime.real_world import RealWorld
from tests.crash.engine_feeds import GrowingFile, Lines, Producer, free_port
from tests.crash.engine_run import KNOWN, RECOVERED, forked, live

PATIENCE_S = 60.0
#: What a process ends with to say that something is left.
LEFT = 3
#: How long a life lasts at most once it has recovered.
LIFE_S = 0.6
#: At least so many are taken, in a run without kills on a busy machine.
LINES_PER_S = 2_000
#: With fewer a run says nothing.
FEWEST_KILLS = 6

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
        self._told: int | None = None
        self._said = b""
        self._known = False
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

    def begin(self) -> int:
        """Begin a life; its process."""
        if self._told is not None:
            os.close(self._told)
        self._told, telling = os.pipe()
        self._said = b""
        process = forked(partial(live, self.kind, self.place, telling, len(self.feeds)), self.folder)
        os.close(telling)
        return process

    def feed(self, process: int, seconds: float, *, until: bytes = b"-") -> bool:
        """Feed for some time, or until the life says a word: `RECOVERED`; whether it has."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and until not in self._said:
            self.turn()
            self.check_alive(process)
            assert self._told is not None
            if select.select([self._told], [], [], min(left, 0.005))[0]:
                self._said += os.read(self._told, 2)
                self._known |= KNOWN in self._said
        return until in self._said

    def turn(self) -> None:
        """Everybody sends a little.

        Nobody goes on before the engine knows of all, since it does not wait for partitions of which it knows
        nothing: results would follow from who came first.
        """
        for feed in self.feeds:
            if self._known:
                feed.lines.grow(self.chance.randint(0, 6))
            if self._known or not feed.safe:
                feed.turn(self.chance.randint(1, 40) if self._known else 1)

    def send_all(self, process: int) -> None:
        """Feed until everything is safe, and stop."""
        end = time.monotonic() + PATIENCE_S + sum(lines.count for lines in self.lines) / LINES_PER_S
        while not all(feed.done for feed in self.feeds):
            assert time.monotonic() < end, "what was sent is not taken"
            self.feed(process, 0.02)
        self.tally.lines = sum(len(lines.all) for lines in self.lines)
        self.tally.stop_s.append(stopped(process, self.folder))
        self.hang_up()
        self.work_through()

    def work_through(self) -> None:
        """A run ends in time, on a busy machine before all that is safe was applied: the next one goes on."""
        seconds = 1.0
        while is_something_left(self.folder):
            assert seconds < PATIENCE_S, "what is safe is not applied"
            process = self.begin()
            self.feed(process, PATIENCE_S, until=RECOVERED)
            self.feed(process, seconds)
            self.tally.stop_s.append(stopped(process, self.folder))
            self.hang_up()
            seconds *= 2

    def check_alive(self, process: int) -> None:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            said = (self.folder / "errors.txt").read_text()[-2_000:]
            raise SystemExit(f"a life ended by itself with {os.waitstatus_to_exitcode(status)}: {said}")

    def kill_one(self) -> None:
        """One life and its end."""
        process = self.begin()
        began = time.monotonic()
        usual_s = sorted(self.tally.recovery_s[-9:])[len(self.tally.recovery_s[-9:]) // 2 :][:1] or [0.3]
        early = self.tally.kills % 3 == 0
        patience_s = self.chance.uniform(0, usual_s[0]) if early else PATIENCE_S
        recovered = self.feed(process, patience_s, until=RECOVERED)
        if recovered:
            self.tally.recovery_s.append(time.monotonic() - began)
            self.feed(process, self.chance.uniform(0, LIFE_S))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        self.hang_up()
        self.tally.kills += 1
        self.tally.kills_while_recovering += not recovered

    def end(self) -> None:
        """A last life: everything is sent, then SIGTERM."""
        for feed in self.feeds:
            feed.lines.close()
        process = self.begin()
        self.feed(process, PATIENCE_S, until=RECOVERED)
        self.send_all(process)

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


def is_something_left(folder: Path) -> bool:
    """Whether something is safe and was not applied. Asked in a process of its own, as lives are."""
    process = forked(_tell_left, folder)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, LEFT), (folder / "errors.txt").read_text()[-2_000:]
    return code == LEFT


def _tell_left() -> None:
    os._exit(LEFT if inspect_state("state", RealWorld()).received else 0)


def killed(kind: str, folder: Path, kills: int, seconds: float, seed: int) -> Loop:
    """A run through many kills, up to its end in peace; on a busy machine longer than asked."""
    loop = Loop(kind, folder / "killed", seed)
    end = time.monotonic() + seconds
    while loop.tally.kills < kills and (time.monotonic() < end or loop.tally.kills < FEWEST_KILLS):
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
        whole.send_all(whole.begin())
    sent = b"".join(line for lines in loop.lines for line in lines.all)
    (Path(folder) / "sent.csv").write_bytes(sent)
    print(json.dumps(asdict(loop.tally)))


if __name__ == "__main__":
    main(*sys.argv[1:])
