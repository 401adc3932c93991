"""The demos, end to end in a process of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.calling import Call, program


@pytest.mark.parametrize("name", ["market", "ward"])
def test_a_demo_runs_and_ends_with_a_summary(name: str) -> None:
    done = program("demo", name, "--for", "3s", "--port", "0")

    assert done.code == 0, done.err
    assert re.search(r"dashboard: http://127\.0\.0\.1:\d+/", done.err)
    summary = re.search(rf"{name}: ([\d,]+) rows in, ([\d,]+) results out", done.err)
    assert summary is not None, done.err
    assert int(summary[1].replace(",", "")) > 30
    assert int(summary[2].replace(",", "")) > 4
    assert " 0 late" in done.err
    assert "stopped by until" in done.err


def test_without_a_browser() -> None:
    done = program("demo", "ward", "--for", "1s", "--no-browser")
    assert done.code == 0
    assert "http://" not in done.err + done.out


def test_the_code_of_a_demo_is_a_pipeline_to_copy(call: Call, tmp_path: Path) -> None:
    for name in ("market", "ward"):
        shown = call("demo", name, "--show").out
        copy = tmp_path / f"{name}.py"
        copy.write_text(shown)
        assert call("check", str(copy)).code == 0


def test_unknown_demo(call: Call) -> None:
    done = call("demo", "fleet")
    assert done.code == 2
    assert "invalid choice: 'fleet'" in done.err
