"""A start after a crash: 100 MB of state, 64 MB of journal behind it, until the first new acknowledgment.

A run writes a checkpoint after 16 MiB of journal, so that a kill leaves less behind it. To measure the whole
64 MB the database of before is put back, which is as good a state as any: the journal holds all that followed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.acks import connect

KEYS = 4_000_000
#: What the checkpoint before the tail has to hold. Keys and values are drawn: others are packed to next to
#: nothing.
STATE_BYTES = 100_000_000
#: Rows of the journal behind the state: 64 MB of them.
TAIL_ROWS = 1_600_000
#: Rows that are sent at a time.
PIECE_ROWS = 400_000
#: How long the engine may take to put its state on the disk.
PATIENCE_S = 120
#: The state is complete when it has not changed for so long.
QUIET_S = 2
#: Kept though checkpoints do not need it: the journal has to reach back to before the tail.
HISTORY_BYTES = 1_000_000_000

PIPELINE = """
import sys, polars as pl, riverrun as rr
schema = {"ts": rr.Timestamp("ms"), "key": pl.Int64, **dict.fromkeys("xyz", pl.Float64)}
door = rr.read(
    f"tcp+listen://127.0.0.1:{sys.argv[1]}", ack=True,
    limits=rr.Limits(connections_per_peer=100, max_keys=10_000_000), format=rr.Csv(header=False),
    schema=schema, time="ts",
)
stats = door.group_by("key").window(rr.tumbling("1d")).agg(x=rr.var("x"), y=rr.var("y"), z=rr.var("z"))
state = rr.State(f"{sys.argv[2]}/state", every=sys.argv[3], history_bytes=int(sys.argv[4]))
rr.run(stats.write(f"csv:{sys.argv[2]}/stats.csv"), state=state)
"""


def measure() -> dict[str, float]:
    """Seconds from the start of the process, which includes imports, to the first new acknowledgment."""
    folder = Path(tempfile.mkdtemp(prefix="riverrun-recover-"))
    try:
        chance = random.Random(1)
        keys = [chance.getrandbits(62) for _ in range(KEYS)]
        with _engine(folder, "200ms") as port:
            for start in range(0, KEYS, PIECE_ROWS):
                _send(port, b"".join(_drawn(chance, keys, at) for at in range(start, start + PIECE_ROWS)))
            state_bytes = _wait_for_state(folder / "state")
        for file in _database(folder / "state"):
            shutil.copy(file, folder / file.name)
        with _engine(folder, "1h") as port:
            tail = b"".join(
                b"%d,%d,1.25,2.5,%d\n" % (1_000 + n // 1_600, keys[n * 7 % KEYS], n) for n in range(TAIL_ROWS)
            )
            _send(port, tail)
        for file in _database(folder / "state"):
            file.unlink()
        for file in _database(folder):
            shutil.move(file, folder / "state" / file.name)
        began = time.perf_counter()
        with _engine(folder, "1h") as port:
            _send(port, b"1,1,1,1,1\n")
            first_s = time.perf_counter() - began
        return {"state_MB": state_bytes / 1e6, "journal_MB": len(tail) / 1e6, "first_ack_s": first_s}
    finally:
        shutil.rmtree(folder)


def _drawn(chance: random.Random, keys: list[int], at: int) -> bytes:
    values = b"%.17g,%.17g,%.17g" % (chance.random(), chance.random(), chance.random())
    return b"%d,%d,%b\n" % (at // 3_200, keys[at], values)


def _wait_for_state(folder: Path) -> int:
    """Wait until checkpoints hold all rows; the bytes of the database."""
    end_s = time.monotonic() + PATIENCE_S
    size, since_s = 0, time.monotonic()
    while size < STATE_BYTES or time.monotonic() < since_s + QUIET_S:
        if time.monotonic() > end_s:
            raise TimeoutError(f"no checkpoint of {STATE_BYTES:,} bytes within {PATIENCE_S} s, but of {size:,}")
        if (now := sum(file.stat().st_size for file in _database(folder))) != size:
            size, since_s = now, time.monotonic()
        time.sleep(0.1)
    return size


def _database(folder: Path) -> list[Path]:
    return list(folder.glob("state.db*"))


@contextmanager
def _engine(folder: Path, every: str) -> Iterator[int]:
    """A run that is killed in the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-c", PIPELINE, str(port), str(folder), every, str(HISTORY_BYTES)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _send(port: int, data: bytes) -> None:
    """Send lines of the producer `p` on from what is acknowledged, and wait until all of them are."""
    with connect(port) as connection:
        connection.sendall(b"HELLO p\n")
        answers = connection.makefile("rb")
        target = int(answers.readline()[1:]) + data.count(b"\n")
        connection.sendall(data)
        while int(answers.readline()[1:]) < target:
            pass
