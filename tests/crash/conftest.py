"""What the crash tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.shim import TracedProgram, compiled


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path:
    """The library of the simulated disk."""
    return compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def traced(shim, fast_folder) -> Callable[[str], TracedProgram]:
    """Makes programs on recorded disks, each with a folder of its own."""
    return lambda name: TracedProgram(shim, fast_folder / name)


@pytest.fixture
def fast_folder(tmp_path) -> Path:
    """A folder in memory where there is one: images are opened by the hundred, and syncs add nothing there."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="riverrun-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def scale() -> int:
    """How much more than in a usual run: `make soak` sets RIVERRUN_SOAK=1."""
    return 25 if os.environ.get("RIVERRUN_SOAK") else 1
