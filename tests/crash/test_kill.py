"""``kill -9`` at any instant: nothing that was acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.crash.shim import ROOT

SOAK = bool(os.environ.get("RIVERRUN_SOAK"))
KILLS = 5_000 if SOAK else 300
SECONDS = 3_000 if SOAK else 40


def kill_loop(folder, kills, seconds, seed, variant=""):
    command = [sys.executable, "-m", "tests.crash.kill_loop", str(folder), str(kills), str(seconds), str(seed)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [*command, *([variant] if variant else [])],
        stdout=subprocess.PIPE,
        stderr=None if SOAK else subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=seconds + 60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(SECONDS + 100)
def test_nothing_is_lost_or_doubled_by_kills(tmp_path):
    result = kill_loop(tmp_path, KILLS, SECONDS, seed=1)
    assert result["bad"] == []
    assert result["kills"] >= 100
    assert result["kills_while_opening"] >= 0.15 * result["kills"]
    assert result["frames"] >= result["kills"]


def test_control_what_acknowledges_before_it_writes_does_lose(tmp_path):
    result = kill_loop(tmp_path, 100, 20, seed=2, variant="early")
    assert "was acknowledged" in result["bad"][0]
