"""The blocks of a Markdown page and the directives that stand before them.

A directive is a hidden comment ``<!-- test: WORD ... -->``. CONTRIBUTING.md lists the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_DIRECTIVE = re.compile(r"^\s*<!--\s*test:\s*(?P<words>.*?)\s*-->\s*$")
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<ticks>`{3,})(?P<language>[\w+-]*)(?P<rest>.*)$")

#: Each directive with the number of words that may follow it, and how it is written.
DIRECTIVES: dict[str, tuple[range, str]] = {
    "server": (range(2, 4), "server PORT FEED [hold]"),
    "file": (range(2, 3), "file NAME FEED"),
    "save": (range(1, 2), "save NAME"),
    "ctrl-c": (range(2, 3), "ctrl-c after SECONDSs"),
    "run": (range(1), "run"),
    "output": (range(1), "output"),
}


class PageError(Exception):
    """A page is written in a way that cannot be tested; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One ``<!-- test: ... -->`` line."""

    line: int
    word: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its text, the line of its first line of text, its directives."""

    language: str
    text: str
    line: int
    directives: tuple[Directive, ...] = ()

    def directive(self, word: str) -> Directive | None:
        return next((item for item in self.directives if item.word == word), None)


def blocks_of(path: Path) -> list[Block]:
    """All fenced blocks of a page, in order. Raises `PageError` for a directive that is not known."""
    return blocks_in(path.read_text(encoding="utf-8"), path.name)


def blocks_in(text: str, name: str) -> list[Block]:
    """As `blocks_of`, for text."""
    found: list[Block] = []
    waiting: list[Directive] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if directive := _DIRECTIVE.match(line):
            waiting.append(_directive(directive["words"], f"{name}:{number}", number))
        elif fence := _FENCE.match(line):
            body: list[str] = []
            for _, inner in lines:
                if inner.strip().startswith(fence["ticks"]) and not inner.strip("` \t"):
                    break
                body.append(inner.removeprefix(fence["indent"]))
            else:
                raise PageError(f"{name}:{number}: the block that begins here has no end")
            found.append(Block(fence["language"], "\n".join(body) + "\n", number + 1, tuple(waiting)))
            waiting = []
        elif line.strip() and waiting and waiting[-1].word != "server":
            raise PageError(f"{name}:{waiting[-1].line}: a directive stands right before the block it is for")
    if waiting:
        raise PageError(f"{name}:{waiting[-1].line}: no block follows this directive")
    return found


def _directive(words: str, where: str, line: int) -> Directive:
    word, *arguments = words.split() or [""]
    if word not in DIRECTIVES:
        raise PageError(f"{where}: there is no directive {word!r}; there are {', '.join(DIRECTIVES)}")
    count, form = DIRECTIVES[word]
    if len(arguments) not in count:
        raise PageError(f"{where}: expected `{form}`, got `{words}`")
    return Directive(line, word, tuple(arguments))
