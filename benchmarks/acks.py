"""Acknowledged rows: many producers that wait for each answer, against a run that keeps its state.

The producers share the machine with the engine, so they are as cheap as is honest: one process, one `epoll`,
raw descriptors, a line that is made before. Each still has a connection of its own, sends 1 kB, and sends the
next one when it has read its acknowledgment; every wait is measured. What the engine and the producers take
is told as processor seconds for each 1,000 acknowledgments, which other load on the machine changes less than
rates.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

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
        theirs.close()
        assert asking.pid is not None
        ours.recv()
        before_s = [_cpu_seconds(pid) for pid in (engine.pid, asking.pid)]
        waits_ms: list[float] = ours.recv()
        after_s = [_cpu_seconds(pid) for pid in (engine.pid, asking.pid)]
        ours.send(True)
        asking.join()
        engine_s, producers_s = (after - before for after, before in zip(after_s, before_s, strict=True))
        return {
            "producers": producers,
            "acks_per_s": len(waits_ms) / seconds,
            "engine_cpu_s_per_1000": engine_s / len(waits_ms) * 1_000,
            "producers_cpu_s_per_1000": producers_s / len(waits_ms) * 1_000,
            **percentiles(waits_ms),
        }
    finally:
        os.kill(engine.pid, signal.SIGTERM)
        engine.wait(timeout=10)
        shutil.rmtree(folder)


def _ask(report: Connection, port: int, producers: int, seconds: float, line_bytes: int) -> None:
    opened = [connect(port) for _ in range(producers)]
    line = _line(0, 0, line_bytes)
    sent_s = [0.0] * (max(peer.fileno() for peer in opened) + 1)
    turns = select.epoll()
    for number, peer in enumerate(opened):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(b"HELLO p%d\n" % number)
        peer.recv(100)
        turns.register(peer.fileno(), select.EPOLLIN)
        sent_s[peer.fileno()] = time.perf_counter()
        peer.sendall(line)
    waits_s: list[float] = []
    read, write, clock = os.read, os.write, time.perf_counter
    began = clock()
    warm_s, waiting = began + 1, True
    while (now := clock()) < warm_s + seconds:
        if waiting and now >= warm_s:
            waiting = False
            waits_s.clear()
            report.send(True)
        line = _line(int((now - began) * 1_000), 0, line_bytes)
        for descriptor, _ in turns.poll(1):
            read(descriptor, 100)
            heard = clock()
            waits_s.append(heard - sent_s[descriptor])
            sent_s[descriptor] = heard
            write(descriptor, line)
    report.send([wait_s * 1_000 for wait_s in waits_s])
    report.recv()  # what this process has taken is looked at before it ends


def _cpu_seconds(pid: int) -> float:
    """What a process has taken so far, in its own code and in the system's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
