"""The table of reasons in the documentation has every reason that the code gives, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.source_tree import SOURCE

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
GIVEN = re.compile(
    r"(?:RefusedError|\breject|Rejected|_refused|checks\.append|return \[)\(+\s*\"([a-z0-9-]+)\""
)


def test_every_reason_is_explained():
    files = [*(SOURCE / "formats").rglob("*.py"), *(SOURCE / "runtime").rglob("*.py")]
    given = {reason for file in files for reason in GIVEN.findall(file.read_text(encoding="utf-8"))}
    section = PAGE.read_text(encoding="utf-8").split("## Reasons")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    explained = {reason for cell in first_cells for reason in re.findall(r"`([^`]+)`", cell)}
    assert explained == given
