"""Rows as bytes, and a process of its own that sends them over loopback TCP."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np
import polars as pl

START_MS = 1_700_000_000_000
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "ts": pl.Datetime("ms"), "symbol": pl.String, "price": pl.Float64, "size": pl.Float64,
}  # fmt: skip


def rows(count: int, keys: int = 100, rows_per_ms: int = 100, seed: int = 0, first: int = 0) -> pl.DataFrame:
    """Made-up trades in order of time; each key has a price level of its own.

    Parameters
    ----------
    rows_per_ms : event time goes on by one millisecond every so many rows.
    first : how many rows came before, for event times that go on.
    """
    random = np.random.default_rng(seed)
    key = random.integers(0, keys, count)
    level = 50 + 100 * np.random.default_rng(1).random(keys)
    return pl.DataFrame(
        {
            "ts": START_MS + (first + np.arange(count)) // rows_per_ms,
            "symbol": pl.Series(key).cast(pl.String).str.zfill(len(str(keys - 1))).str.replace("^", "SYM"),
            "price": np.round(level[key] + random.normal(size=count), 4),
            "size": np.round(random.exponential(20, count), 2),
        }
    )


def as_csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv(include_header=False).encode()


def as_json(frame: pl.DataFrame) -> bytes:
    return frame.write_ndjson().encode()


@contextmanager
def sender(blocks: list[bytes], repeat: int = 1) -> Iterator[int]:
    """Serve bytes once to the first who connects, as fast as they are taken; yields the port."""
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(child, blocks, repeat), daemon=True
    )
    process.start()
    try:
        yield parent.recv()
    finally:
        process.join(timeout=30)
        process.terminate()


def _serve(report: Connection, blocks: list[bytes], repeat: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        report.send(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            for _ in range(repeat):
                for block in blocks:
                    connection.sendall(block)


@contextmanager
def paced_sender(frame: pl.DataFrame, per_s: int, slice_ms: int = 1) -> Iterator[tuple[int, Connection]]:
    """Send rows at an even pace; yields the port and a pipe.

    What comes through the pipe in the end is a list of (last event time in ms, wall clock in s when sent).
    """
    size = max(1, per_s * slice_ms // 1_000)
    pieces = [frame[at : at + size] for at in range(0, frame.height, size)]
    # Made before the fork: the thread pool of Polars does not survive one.
    ready = [(as_csv(piece), int(piece["ts"][-1])) for piece in pieces]
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve_paced, args=(child, ready, slice_ms / 1_000), daemon=True
    )
    process.start()
    try:
        yield parent.recv(), parent
    finally:
        process.join(timeout=30)
        process.terminate()


def _serve_paced(report: Connection, ready: list[tuple[bytes, int]], pause_s: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        report.send(server.getsockname()[1])
        connection, _ = server.accept()
        sent = []
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            for number, (data, last_ms) in enumerate(ready):
                wait = began + number * pause_s - time.perf_counter()
                if wait > 0:
                    time.sleep(wait)
                connection.sendall(data)
                sent.append((last_ms, time.time()))
        report.send(sent)
