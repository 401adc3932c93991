"""Importing riverrun is cheap: it loads no connector and no optional package."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: What belongs to one connector, one format or one screen, and is loaded when it is first used.
LAZY = [
    "bokeh", "duckdb", "matplotlib", "numpy", "pandas", "plotly", "pyarrow", "rich", "seaborn", "starlette",
    "uvicorn", "asyncio", "http.server", "riverrun.sources.", "riverrun.sinks.", "riverrun.formats.",
    "riverrun.dashboard", "riverrun.demos", "riverrun.cli", "riverrun.testing",
]  # fmt: skip


def modules_after(statement: str) -> list[str]:
    """The modules that a fresh Python has loaded after `statement`."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def belongs(module: str, name: str) -> bool:
    return module.startswith(name) if name.endswith(".") else module == name or module.startswith(name + ".")


@pytest.fixture(scope="module")
def after_riverrun() -> set[str]:
    # Polars alone is the ground line: what it loads is not ours.
    return set(modules_after("import riverrun")) - set(modules_after("import polars"))


@pytest.mark.parametrize("name", LAZY)
def test_importing_riverrun_does_not_load(after_riverrun, name):
    loaded = sorted(module for module in after_riverrun if belongs(module, name))
    assert not loaded, f"`import riverrun` loads {', '.join(loaded[:8])}"
