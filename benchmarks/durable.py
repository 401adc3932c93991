"""The price of keeping state: the same job in memory and with a state folder, against one-shot Polars."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import riverrun as rr
from benchmarks.feed import as_csv, rows, sender
from benchmarks.throughput import Run, one_shot_csv, pipeline, timed


def measure(count: int, keys: int = 100, rounds: int = 5) -> dict[str, float]:
    """Interleaved rounds of one-shot Polars, a run in memory, and one that keeps its state."""
    data = as_csv(rows(count, keys))
    base: list[Run] = []
    memory: list[Run] = []
    kept: list[Run] = []
    folder = Path(tempfile.mkdtemp(prefix="riverrun-durable-"))
    try:
        for number in range(rounds):
            base.append(
                min((timed(partial(one_shot_csv, data, streaming=s)) for s in (False, True)), key=_wall)
            )
            memory.append(_run(data, count, folder / f"memory-{number}.csv", None))
            kept.append(_run(data, count, folder / f"kept-{number}.csv", str(folder / f"state-{number}")))
            shutil.rmtree(folder / f"state-{number}")
    finally:
        shutil.rmtree(folder)
    return {
        "rows": count,
        "kept_wall_ratio": _ratio(base, kept, _wall),
        "kept_cpu_ratio": _ratio(base, kept, _cpu),
        "memory_wall_ratio": _ratio(base, memory, _wall),
        "kept_of_memory_wall": _ratio(memory, kept, _wall),
        "kept_of_memory_cpu": _ratio(memory, kept, _cpu),
        "kept_rows_per_s": count / statistics.median(run.wall_s for run in kept),
    }


def _run(data: bytes, count: int, target: Path, state: str | None) -> Run:
    with sender([data]) as port:
        output = pipeline(port, "csv").write(f"csv:{target}")
        done = timed(lambda: rr.run(output, state=state))
    with target.open() as file:
        header = file.readline().rstrip("\n").split(",")
        at = header.index("n")
        assert sum(int(line.split(",")[at]) for line in file) == count
    return done


def _wall(run: Run) -> float:
    return run.wall_s


def _cpu(run: Run) -> float:
    return run.cpu_s


def _ratio(above: list[Run], below: list[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(of(a) / of(b) for a, b in zip(above, below, strict=True))
