"""The producer of the docs and a pipeline, both killed again and again: every line arrives once, in order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "sources-and-acks.md"

ORDERS = 6_000

PIPELINE = """
import sys, polars as pl, riverrun as rr
orders = rr.read(f"tcp+listen://127.0.0.1:{sys.argv[1]}", ack=True, format="json", schema={"order": pl.Int64})
rr.run(orders.write("jsonl:orders.jsonl"), state="state")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def started(*arguments: str) -> subprocess.Popen[bytes]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, "PYTHONPATH": source}, stderr=subprocess.PIPE
    )


def wait_until(holds, seconds: float) -> bool:
    """Whether it holds in time; asked for as often as the processes leave us a processor."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        os.sched_yield()
    return False


def test_producer_and_pipeline_are_killed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"save producer.py -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    Path("producer.py").write_text(code[1])
    Path("pipeline.py").write_text(PIPELINE)
    Path("orders.txt").write_text("".join(f'{{"order": {number}}}\n' for number in range(ORDERS)))
    results, port = Path("orders.jsonl"), str(free_port())

    def lines() -> int:
        return results.read_bytes().count(b"\n") if results.exists() else 0

    pipeline = started("pipeline.py", port)
    producer = started("producer.py", "shop", port, "orders.txt")
    try:
        for kill in range(4):
            goal = min(ORDERS, lines() + 1)
            wait_until(lambda goal=goal: lines() >= goal, 15)
            victim = pipeline if kill % 2 == 0 else producer
            victim.kill()
            victim.communicate()
            if kill % 2 == 0:
                pipeline = started("pipeline.py", port)
            else:
                producer = started("producer.py", "shop", port, "orders.txt")
        assert producer.wait(40) == 0
        assert wait_until(lambda: lines() >= ORDERS, 20)
        pipeline.send_signal(signal.SIGTERM)
        _, errors = pipeline.communicate(timeout=20)
        assert pipeline.returncode == 0, errors.decode()
    finally:
        for process in (pipeline, producer):
            process.kill()
            process.communicate()
    assert [json.loads(line)["order"] for line in results.read_text().splitlines()] == list(range(ORDERS))
