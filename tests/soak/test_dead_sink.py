"""A sink that cannot be reached: the run goes on into the outbox, then senders wait; afterwards all comes once.

4 seconds in every run of the tests, ten minutes with ``RIVERRUN_SOAK=1``, or as long as
``RIVERRUN_DEAD_SINK_S`` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.shim import ROOT

SECONDS = float(os.environ.get("RIVERRUN_DEAD_SINK_S") or (600 if os.environ.get("RIVERRUN_SOAK") else 4))


@pytest.mark.timeout(SECONDS + 250)
def test_a_dead_sink_holds_senders_up_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.dead_sink", tmp_path, str(SECONDS)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        timeout=SECONDS + 240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    dead = told["dead"]
    print(
        f"\ndead for {SECONDS:.0f} s: {dead['taken']:,} rows were taken on,"
        f" the last after {dead['until_s']:.1f} s"
        f"\nmemory {told['grown_mib']:+.0f} MiB, state {dead['disk']:.0f} MiB"
        f"\n{told['refusals']} tries; everything was there {told['back_s']:.1f} s after the sink came back"
    )
    assert told["right"], "not every row once and in order"
    assert told["refusals"] >= 2
    assert dead["taken"] > 0, "it stopped at once"
    assert dead["until_s"] < SECONDS - 1, "nobody was held up"
    # 16 MiB each for the outbox and what is on the way, several times, since they are frames and bytes.
    assert told["grown_mib"] < 128
    assert dead["disk"] < 512
