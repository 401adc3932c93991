"""Ten times the rows: time and memory, each run in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import riverrun as rr
from benchmarks.feed import as_csv, rows, sender
from benchmarks.throughput import pipeline


def measure(count: int = 1_000_000, times: int = 10) -> dict[str, float]:
    """Time and peak memory for `count` rows and for `times` as many."""
    small, large = (_in_own_process(count, repeat) for repeat in (1, times))
    steady = (large["seconds"] - small["seconds"]) / (times - 1)
    return {
        "rows": count,
        "times": times,
        "seconds_small": small["seconds"],
        "seconds_large": large["seconds"],
        "time_ratio": large["seconds"] / small["seconds"],
        "steady_seconds_per_million_rows": steady / (count / 1e6),
        "peak_mb_small": small["peak_mb"],
        "peak_mb_large": large["peak_mb"],
    }


def _in_own_process(count: int, repeat: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scale", str(count), str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    made: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return made


def _run(count: int, repeat: int) -> dict[str, float]:
    with _sender_apart(count, repeat) as port:
        stream = pipeline(port, "csv")
        began = time.perf_counter()
        total = rr.run(stream.write("memory:")).rows
        seconds = time.perf_counter() - began
    assert total == count * repeat
    return {"seconds": seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory ever resident since this program began; ``ru_maxrss`` would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def _sender_apart(count: int, repeat: int) -> Iterator[int]:
    """A sender that makes its rows itself, so that they are not in this process's memory."""
    command = [sys.executable, "-m", "benchmarks.scale", "send", str(count), str(repeat)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def _send(count: int, repeat: int) -> None:
    # Event time goes on from block to block; a window of 10 s holds a million rows.
    blocks = [as_csv(rows(count, seed=at, first=at * count)) for at in range(repeat)]
    with sender(blocks) as port:
        print(port, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        _send(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(json.dumps(_run(int(sys.argv[1]), int(sys.argv[2]))))
