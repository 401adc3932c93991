"""How long it takes until something shows: importing, and `riverrun watch` to its first result."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

from benchmarks.feed import paced_sender, rows


def measure(rounds: int = 5) -> dict[str, float]:
    """Seconds, medians of some rounds (`watch`: one)."""
    code = "import time; began = time.perf_counter(); import riverrun; print(time.perf_counter() - began)"
    bare = "import time; began = time.perf_counter(); import polars; print(time.perf_counter() - began)"
    return {
        "import_riverrun_s": statistics.median(_timed_import(code) for _ in range(rounds)),
        "import_polars_s": statistics.median(_timed_import(bare) for _ in range(rounds)),
        "watch_first_result_s": _watch(),
    }


def _timed_import(code: str) -> float:
    # Users have compiled files; a setting that forbids to write them would measure the compiler.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def _watch(port: int = 18_765) -> float:
    """From the start of the process to the first result on the dashboard, data flowing all the time."""
    with paced_sender(rows(2_000 * 12, rows_per_ms=2), 2_000, slice_ms=20) as (feed, _):
        command = [sys.executable, "-m", "riverrun", "watch", f"tcp://127.0.0.1:{feed}", "--window", "1s"]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--dashboard", f"127.0.0.1:{port}", "--for", "8s"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while time.perf_counter() - began < 8:
                if _results(port):
                    seconds = time.perf_counter() - began
                    process.terminate()
                    return seconds
                time.sleep(0.02)
            process.terminate()
    return float("nan")


def _results(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=1) as answer:
            return int(json.load(answer).get("results", 0))
    except OSError:
        return 0
