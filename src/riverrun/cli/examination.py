"""What `riverrun doctor` looks at."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Literal

from riverrun.demos.feeder import Feeder, Line, ToListener
from riverrun.errors import RiverrunError
from riverrun.runtime.real_world import RealWorld
from riverrun.world import TcpAddress

Mark = Literal["ok", "note", "fail"]

#: A source may have 256 connections; files, the dashboard's viewers and sockets need some, too.
DESCRIPTORS_LEAST = 512
#: Packages of each extra.
EXTRAS = {
    "dashboard": ("starlette", "uvicorn", "bokeh"),
    "duckdb": ("duckdb", "pyarrow"),
    "pandas": ("pandas", "pyarrow"),
    "arrow": ("pyarrow",),
    "numpy": ("numpy",),
}
#: Rows of the self-test.
TEST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    mark: Mark
    what: str
    found: str


def examine() -> list[Finding]:
    """Look at everything; a look that fails in an unforeseen way is a finding, too."""
    looks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("extras", _extras),
        ("terminal", _terminal),
        ("ports", _ports),
        ("clock", _clock),
        ("file descriptors", _descriptors),
        ("loopback self-test", _self_test),
    ]
    findings = []
    for what, look in looks:
        try:
            findings += look()
        except Exception as error:
            findings.append(Finding("fail", what, f"{type(error).__name__}: {error}"))
    return findings


def _python() -> list[Finding]:
    found = (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    )
    return [Finding("ok" if sys.version_info >= (3, 11) else "fail", "python", found)]


def _packages() -> list[Finding]:
    versions = [f"{name} {metadata.version(name)}" for name in ("polars", "orjson", "rich")]
    return [Finding("ok", "packages", ", ".join(versions))]


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if find_spec(name) is None]
        if missing:
            found = f"not installed ({', '.join(missing)}); to get it: pip install 'riverrun[{extra}]'"
            findings.append(Finding("note", f"extra {extra}", found))
        else:
            found = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
            findings.append(Finding("ok", f"extra {extra}", found))
    return findings


def _terminal() -> list[Finding]:
    if not sys.stdout.isatty():
        return [
            Finding(
                "note", "terminal", "standard output is not a terminal: plain lines instead of a live table"
            )
        ]
    size = shutil.get_terminal_size()
    narrow = size.columns < 100
    found = f"{size.columns} × {size.lines}, {os.environ.get('TERM', 'TERM is not set')}"
    return [
        Finding("note" if narrow else "ok", "terminal", found + ("; 100 columns show more" if narrow else ""))
    ]


def _ports() -> list[Finding]:
    network = RealWorld().network
    try:
        network.listen(TcpAddress("127.0.0.1", 0)).close()
    except OSError as error:
        return [Finding("fail", "ports", f"cannot listen on loopback: {error}")]
    try:
        network.listen(TcpAddress("127.0.0.1", 8765)).close()
    except OSError:
        return [
            Finding("note", "ports", "8765 is taken (a dashboard already?); the next free one will be used")
        ]
    return [Finding("ok", "ports", "loopback works, 8765 is free for the dashboard")]


def _clock() -> list[Finding]:
    clock = RealWorld().clock
    steps = set()
    before = clock.monotonic_us()
    for _ in range(10_000):
        now = clock.monotonic_us()
        if now != before:
            steps.add(now - before)
            before = now
    finest = min(steps, default=0)
    mark: Mark = "ok" if 0 < finest <= 1_000 else "note"
    year = 1970 + clock.now_us() // 31_556_952_000_000
    if year < 2025:
        return [
            Finding("fail", "clock", f"the clock says it is {year}: event times of live feeds will be refused")
        ]
    return [Finding(mark, "clock", f"steps of {finest} µs")]


def _descriptors() -> list[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS_LEAST:
        return [
            Finding(
                "note", "file descriptors", f"{soft} (of {hard}): many connections need more; ulimit -n 4096"
            )
        ]
    return [Finding("ok", "file descriptors", f"{soft}")]


def _self_test() -> list[Finding]:
    """Rows over a real socket, through format, window and sink; the counts must be exact."""
    import polars as pl

    import riverrun as rr

    world = RealWorld()
    listener = world.network.listen(TcpAddress("127.0.0.1", 0))
    feeder = Feeder(world, ToListener(listener, b"ts,key,x\n"), _test_lines(), speed=None)
    feeding = threading.Thread(target=feeder.run, daemon=True)
    feeding.start()
    began_us = world.clock.monotonic_us()
    try:
        rows = rr.read(
            f"tcp://{listener.address}",
            format="csv",
            schema={"ts": rr.Timestamp("ms"), "key": pl.String, "x": pl.Float64},
            time="ts",
            reconnect=False,
        )
        stats = rows.group_by("key").window(rr.tumbling("1s")).agg(n=rr.count(), total=rr.sum("x"))
        results = stats.collect()
    except RiverrunError as error:
        return [Finding("fail", "loopback self-test", str(error).replace("\n", " "))]
    finally:
        feeder.stop()
        feeding.join(timeout=2)
    took_ms = (world.clock.monotonic_us() - began_us) / 1_000
    counted, total = results["n"].sum(), results["total"].sum()
    if counted != TEST_ROWS or total != sum(range(TEST_ROWS)):
        return [Finding("fail", "loopback self-test", f"{counted} of {TEST_ROWS} rows arrived, sum {total}")]
    return [
        Finding(
            "ok",
            "loopback self-test",
            f"{TEST_ROWS:,} rows over TCP into {results.height} results, exact, {took_ms:.0f} ms",
        )
    ]


def _test_lines() -> Iterator[Line]:
    start_ms = 1_767_225_600_000
    for number in range(TEST_ROWS):
        yield Line(0, b"%d,k%d,%d\n" % (start_ms + number * 10, number % 4, number))
