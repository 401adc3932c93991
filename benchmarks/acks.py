"""Acknowledged rows: many producers that wait for each answer, against a run that keeps its state."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from benchmarks.latency import percentiles

#: The program that is measured, in a process of its own.
PIPELINE = """
import sys, polars as pl, riverrun as rr
schema = {"ts": rr.Timestamp("ms"), "key": pl.String, "x": pl.Float64}
door = rr.read(
    f"tcp+listen://127.0.0.1:{sys.argv[1]}", ack=True, limits=rr.Limits(connections_per_peer=100),
    format=rr.Csv(header=False), schema=schema, time="ts",
)
stats = door.group_by("key").window(rr.tumbling("1s")).agg(n=rr.count(), mean=rr.mean("x"))
rr.run(stats.write(f"csv:{sys.argv[2]}/stats.csv"), state=f"{sys.argv[2]}/state")
"""


def measure(producers: int = 64, seconds: float = 8, line_bytes: int = 1_000) -> dict[str, float]:
    """Acknowledgments per second, and how long each producer waits for one, in milliseconds."""
    folder = Path(tempfile.mkdtemp(prefix="riverrun-acks-"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    engine = subprocess.Popen(
        [sys.executable, "-c", PIPELINE, str(port), str(folder)], stderr=subprocess.DEVNULL
    )
    try:
        ours, theirs = multiprocessing.Pipe()
        asking = multiprocessing.get_context("fork").Process(
            target=_ask, args=(theirs, port, producers, seconds, line_bytes), daemon=True
        )
        asking.start()
        waits_ms: list[float] = ours.recv()
        asking.join()
        return {"producers": producers, "acks_per_s": len(waits_ms) / seconds, **percentiles(waits_ms)}
    finally:
        os.kill(engine.pid, signal.SIGTERM)
        engine.wait(timeout=10)
        shutil.rmtree(folder)


def _ask(report: Connection, port: int, producers: int, seconds: float, line_bytes: int) -> None:
    selector = DefaultSelector()
    sent_s: dict[int, float] = {}
    for number in range(producers):
        opened = connect(port)
        opened.sendall(b"HELLO p%d\n" % number)
        opened.recv(100)
        selector.register(opened, EVENT_READ, number)
    waits_ms: list[float] = []
    began = time.perf_counter()
    line = _line(0, 0, line_bytes)
    for key in selector.get_map().values():
        key.fileobj.send(line)  # type: ignore[union-attr]
        sent_s[key.fd] = time.perf_counter()
    warm_s = began + 1
    while (now := time.perf_counter()) < warm_s + seconds:
        line = _line(int((now - began) * 1_000), 0, line_bytes)
        for key, _ in selector.select(1):
            key.fileobj.recv(100)  # type: ignore[union-attr]
            heard = time.perf_counter()
            if heard >= warm_s:
                waits_ms.append((heard - sent_s[key.fd]) * 1_000)
            sent_s[key.fd] = heard
            key.fileobj.send(line)  # type: ignore[union-attr]
    report.send(waits_ms)


def _line(ms: int, key: int, size: int) -> bytes:
    start = b"%d,k%d,1." % (ms, key)
    return start + b"0" * (size - len(start) - 1) + b"\n"


def connect(port: int) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
