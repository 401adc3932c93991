"""The product's own source as syntax trees, for the tests that hold rules over all of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "riverrun"


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a name, by its full dotted name: an import, or a call."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"src/riverrun/{self.file}:{self.line} {self.name}"


def source_files() -> list[Path]:
    """Every module of the product, sorted by name."""
    return sorted(SOURCE.rglob("*.py"))


def uses(path: Path) -> list[Use]:
    """Every import and every call of one file, with names written out in full.

    ``from datetime import datetime as d; d.now()`` gives ``datetime.datetime`` and ``datetime.datetime.now()``;
    a method of something unknown gives ``.name()``.
    """
    return uses_in(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))


def uses_in(text: str, file: str) -> list[Use]:
    """As `uses`, for source text."""
    tree = ast.parse(text)
    known: dict[str, str] = {}
    found = list(_imports(tree, file, known))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found.append(Use(file, node.lineno, _called(node.func, known) + "()"))
            if any(keyword.arg == "shell" and not _is_false(keyword.value) for keyword in node.keywords):
                found.append(Use(file, node.lineno, "shell="))
    return found


def _imports(tree: ast.AST, file: str, known: dict[str, str]) -> Iterator[Use]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                known[item.asname or item.name.split(".")[0]] = (
                    item.name if item.asname else item.name.split(".")[0]
                )
                yield Use(file, node.lineno, item.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for item in node.names:
                known[item.asname or item.name] = f"{node.module}.{item.name}"
                yield Use(file, node.lineno, f"{node.module}.{item.name}")


def _called(function: ast.expr, known: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name) and (function.id in known or not parts):
        return ".".join([known.get(function.id, function.id), *reversed(parts)])
    return "." + parts[0] if parts else ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
