"""The hard cases of docs/which-engine.md: riverrun answers them all exactly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks.engines import cases, riverrun_engine, shown, sums_engine

CASES = cases()
PAGE = (Path(__file__).parents[2] / "docs" / "which-engine.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_riverrun_is_exact(case):
    got = riverrun_engine()[case.kind](case.x, case.y)
    assert abs(Fraction(got) - case.exact) <= Fraction(1e-13) * Fraction(case.scale)


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_the_page_shows_what_sums_give(case):
    """Python's own arithmetic is the same everywhere: this column shows whether page and script agree."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {case.title} |"))
    assert line.endswith(f"| {shown(sums_engine()[case.kind](case.x, case.y), case)} |")
