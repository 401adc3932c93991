"""Programs that run on a disk that is recorded, and fails on demand: `disk_shim.c`, compiled for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = HERE / "disk_shim.c"


def compiled(folder: Path) -> Path:
    """The shim as a library; the test is skipped where it cannot be made."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the simulated disk is written for Linux")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("the simulated disk needs a C compiler: apt-get install gcc libc6-dev")
    target = folder / "disk_shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the C compiler cannot make a library: {done.stderr.strip()[:200]}")
    return target


@dataclass(frozen=True, slots=True)
class TracedProgram:
    """Runs of `tests.crash.workload` on one recorded disk."""

    library: Path
    folder: Path

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    def run(
        self, frames: int, seed: int, variant: str = "", **settings: object
    ) -> subprocess.CompletedProcess[str]:
        """One run; `settings` are those of the shim: ``fail_sync=3``."""
        self.disk.mkdir(parents=True, exist_ok=True)
        given = {f"DISK_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {
            **os.environ,
            **given,
            "LD_PRELOAD": str(self.library),
            "DISK_ROOT": str(self.disk),
            "DISK_TRACE": str(self.trace),
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        }
        arguments = [str(self.disk), str(frames), str(seed), *([variant] if variant else [])]
        return subprocess.run(
            [sys.executable, "-m", "tests.crash.workload", *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
        )
