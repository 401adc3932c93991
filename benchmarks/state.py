"""The durable store: what a commit costs beside the bare disk, how long a start takes, acknowledgments.

All of it on the disk that holds the folder of temporary files; ratios are of the same run, interleaved.
"""

from __future__ import annotations

import os
import queue
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from riverrun.runtime.real_world import RealWorld
from riverrun.state.commit import Commit
from riverrun.state.group_commit import GroupCommit
from riverrun.state.store import Store

MIB = 1024 * 1024


def measure_commit(rounds: int = 160) -> dict[str, float]:
    """1 MiB at a time: the store, overwriting a file with a sync each, and one SQLite file."""
    body = os.urandom(MIB)
    with _folder() as folder, Store.open(str(folder / "state"), RealWorld()) as store:
        store.begin()
        writers: Mapping[str, Callable[[int], object]] = {
            "raw": _raw_writer(folder / "raw", body),
            "sqlite": _sqlite_writer(folder / "one.db", body),
            "store": lambda _: (store.append([body]), store.sync()),
        }
        times: dict[str, list[float]] = {name: [] for name in writers}
        for at in range(rounds):
            for name, write in writers.items():
                times[name].append(_seconds(lambda write=write, at=at: write(at)))  # type: ignore[misc]
            if at % 16 == 15:
                store.checkpoint(Commit(position=store.synced))
    rate = {name: 1 / statistics.mean(taken) for name, taken in times.items()}
    p99 = {name: sorted(taken)[int(0.99 * rounds)] for name, taken in times.items()}
    return {
        **{f"{name}_mib_s": value for name, value in rate.items()},
        **{f"{name}_p50_ms": 1000 * statistics.median(taken) for name, taken in times.items()},
        **{f"{name}_p99_ms": 1000 * value for name, value in p99.items()},
        "rate_against_raw": rate["store"] / rate["raw"],
        "rate_against_sqlite": rate["store"] / rate["sqlite"],
        "p99_against_raw": p99["store"] / p99["raw"],
    }


def measure_recover(blobs: int = 100, frames: int = 64, rounds: int = 5) -> dict[str, float]:
    """100 MiB of state and 64 MiB of journal behind it, up to the first acknowledgment; medians."""
    body = os.urandom(MIB)
    with _folder() as folder:
        path = folder / "state"
        with Store.open(str(path), RealWorld()) as store:
            store.begin()
            store.checkpoint(Commit(0, put_blobs=dict.fromkeys(range(blobs), body)))
            for _ in range(frames):
                store.append([body])
                store.sync()
        cold = [_recovered(path, blobs, folder / f"cold{at}", drop=True) for at in range(rounds)]
        warm = [_recovered(path, blobs, folder / f"warm{at}", drop=False) for at in range(rounds)]
    return {"cold_s": statistics.median(cold), "warm_s": statistics.median(warm)}


def measure_acks(producers: int = 64, seconds: float = 5.0) -> dict[str, float]:
    """Producers that each send 1 kB and wait until it is safe before they send again."""
    body = os.urandom(1000)
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    waiting: deque[tuple[int, float]] = deque()
    latencies: list[float] = []
    with _folder() as folder, Store.open(str(folder / "state"), RealWorld()) as store:
        store.begin()
        commit = GroupCommit(store, [told.put], on_failure=lambda _: told.put(-1))
        commit.start()
        began = time.perf_counter()
        for _ in range(producers):
            waiting.append((store.append([body]), time.perf_counter()))
        while (now := time.perf_counter()) < began + seconds:
            synced = told.get()
            now = time.perf_counter()
            while waiting and waiting[0][0] <= synced:
                latencies.append(now - waiting.popleft()[1])
                waiting.append((store.append([body]), time.perf_counter()))
        commit.stop()
    latencies.sort()
    return {
        "acks_per_s": len(latencies) / seconds,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(0.99 * len(latencies))],
    }


def _recovered(made: Path, blobs: int, copy: Path, *, drop: bool) -> float:
    """Seconds from opening a copy of a folder to the first acknowledgment."""
    shutil.copytree(made, copy)
    for path in copy.rglob("*"):
        if path.is_file():
            _on_disk(path, drop=drop)
    began = time.perf_counter()
    with Store.open(str(copy), RealWorld()) as store:
        size = sum(len(store.blob(id)) for id in range(blobs))
        size += sum(len(frame.body) for frame in store.frames(store.recovery.position))
        store.checkpoint(Commit(store.recovery.last))
        store.begin()
        store.append([b"first"])
        store.sync()
        seconds = time.perf_counter() - began
    assert size >= blobs * MIB
    shutil.rmtree(copy)
    return seconds


def _on_disk(path: Path, *, drop: bool) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    if drop:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _raw_writer(path: Path, body: bytes) -> Callable[[int], object]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, bytes(32 * MIB))
    os.fsync(descriptor)

    def write(at: int) -> None:
        os.pwrite(descriptor, body, at % 32 * MIB)
        os.fdatasync(descriptor)

    return write


def _sqlite_writer(path: Path, body: bytes) -> Callable[[int], object]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE frames (sequence INTEGER PRIMARY KEY, body BLOB)")
    return lambda _: connection.execute("INSERT INTO frames (body) VALUES (?)", (body,))


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="riverrun-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
