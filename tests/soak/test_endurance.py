"""A long run under load: memory, open files, threads, latency and disk do not grow, and every row counts once.

10 seconds in every run of the tests, two minutes with ``RIVERRUN_SOAK=1``, and as long as ``RIVERRUN_SOAK_S``
says: ``RIVERRUN_SOAK_S=1800`` is the half hour of the goals, with a kill every minute. Only that is long enough
to hold the run to all of them; see `limits`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.shim import ROOT

HALF_HOUR_S = 1_800
SHORT_S = 10
SECONDS = float(os.environ.get("RIVERRUN_SOAK_S") or (120 if os.environ.get("RIVERRUN_SOAK") else SHORT_S))


@dataclass(frozen=True)
class Limits:
    """What a run of some length is held to."""

    resident_mib_per_10min: float
    p99_ratio: float
    open_files: int


def limits(seconds: float) -> Limits:
    """A short run still warms up, and one pause of the machine decides its p99."""
    if seconds >= HALF_HOUR_S:
        return Limits(1.0, 1.2, 0)
    return Limits(100.0, 3.0, 2) if seconds > SHORT_S else Limits(1_500.0, float("inf"), 5)


def endured(folder: Path, seconds: float, *how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.endurance", folder, str(seconds), *how],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        timeout=seconds + 290,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def say(told: dict[str, Any], folder: Path) -> None:
    away = sorted(told["away_s"])
    print(
        f"\n{told['rows']:,} rows, {told['taken_per_s']:,} a second,"
        f" {told['share']:.0%} of {told['capacity_per_s']:,}"
        f"\n{told['kills']} kills, back after {away[len(away) // 2]:.1f} s, at most {away[-1]:.1f} s"
        f"\nmemory {told['resident_mib']:.0f} MiB, {told['resident_mib_per_10min']:+.2f} MiB in 10 minutes"
        f"\nfirst and last third: open files {told['open_files']}, threads {told['threads']},"
        f" p50 {told['p50_ms'][0]:.1f} and {told['p50_ms'][1]:.1f} ms,"
        f" p99 {told['p99_ms'][0]:.1f} and {told['p99_ms'][1]:.1f} ms, disk in MiB {told['disk_mib']}"
        f"\nthe series: {folder / 'samples.csv'}",
        flush=True,
    )


@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows_and_every_row_counts_once(tmp_path: Path) -> None:
    told = endured(tmp_path, SECONDS)
    say(told, tmp_path)
    most = limits(SECONDS)
    assert told["wrong"] == []
    assert told["kills"] >= 2
    assert told["share"] >= 0.5, "too little was sent: was the machine busy with something else?"
    assert told["resident_mib_per_10min"] < most.resident_mib_per_10min
    for name, slack in (("open_files", most.open_files), ("threads", 0)):
        first, last = told[name]
        assert last <= first + slack, name
    first, last = told["p99_ms"]
    assert last <= most.p99_ratio * first
    for first, last in told["disk_mib"].values():
        # A few segments of the journal more or less are a matter of the moment.
        assert last <= first + 3 * 32 + 1
        assert last <= 512


@pytest.mark.timeout(330)
def test_a_sink_that_keeps_everything_is_found(tmp_path: Path) -> None:
    """The negative control of the memory: what is kept are some MiB a second."""
    told = endured(tmp_path, SHORT_S, "leaky")
    say(told, tmp_path)
    assert told["resident_mib_per_10min"] > limits(SHORT_S).resident_mib_per_10min
