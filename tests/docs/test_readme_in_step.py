"""The Chinese README has the same sections and the same code blocks as the English one."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.page import blocks_of

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def levels(page: Path) -> list[int]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.MULTILINE)]


def test_the_same_headings():
    assert levels(ENGLISH) == levels(CHINESE)


def test_the_same_code():
    def code(page: Path) -> list[tuple[str, str, list[tuple[str, tuple[str, ...]]]]]:
        return [(b.language, b.text, [(d.word, d.arguments) for d in b.directives]) for b in blocks_of(page)]

    assert code(ENGLISH) == code(CHINESE)


def test_the_same_links():
    def links(page: Path) -> list[str]:
        return sorted(set(re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))))

    assert links(ENGLISH) == links(CHINESE)


def test_the_same_tables():
    def rows(page: Path) -> list[int]:
        lines = page.read_text(encoding="utf-8").splitlines()
        return [line.count("|") for line in lines if line.startswith("|")]

    assert rows(ENGLISH) == rows(CHINESE)
