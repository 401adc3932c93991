"""Checks what `mkdocs build --strict` does not: links of the pages outside docs/, and that the site is whole.

    python -m tools.check_docs            after `mkdocs build`

1. Every relative link of the Markdown files in the root leads to a file, and to a heading where it names one.
2. No page of site/ fetches anything from another host: no script, style, font, picture or frame.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Attributes that make a browser fetch something, by tag. A plain link (``<a>``) fetches nothing.
FETCHING: dict[str, tuple[str, ...]] = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
}

_LINK = re.compile(r"(?<!\\)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HTML_TARGET = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]+)\"")
_FENCED = re.compile(r"^(\s*)(`{3,}|~{3,}).*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(`+)[^`\n]*\1")
_CSS_FETCH = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)")


def _without_blocks(text: str) -> str:
    """The text with code blocks blanked out, line numbers kept."""
    return _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)


def links_of(text: str) -> Iterator[tuple[int, str]]:
    """The targets of all links and pictures of a Markdown text, with their line numbers."""
    plain = _INLINE.sub("", _without_blocks(text))
    for pattern in (_LINK, _HTML_TARGET):
        for match in pattern.finditer(plain):
            yield plain.count("\n", 0, match.start()) + 1, match[1]


def anchors_of(text: str) -> set[str]:
    """The anchors that headings of a Markdown text get.

    >>> sorted(anchors_of("# When *not* to use it\\n## When not to use it"))
    ['when-not-to-use-it', 'when-not-to-use-it-1']
    """
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", _without_blocks(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        unique, count = slug, 0
        while unique in found:
            count += 1
            unique = f"{slug}-{count}"
        found.add(unique)
    return found


def broken_links(page: Path) -> list[str]:
    """What is wrong with the relative links of one Markdown page."""
    problems = []
    for line, target in links_of(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:|//", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        where = f"{page.relative_to(ROOT)}:{line}"
        if not file.exists():
            problems.append(f"{where}: the link {target!r} leads to nothing")
        elif anchor and file.suffix == ".md" and anchor not in anchors_of(file.read_text(encoding="utf-8")):
            problems.append(f"{where}: there is no heading {anchor!r} in {file.relative_to(ROOT)}")
    return problems


class _Fetches(HTMLParser):
    """Collects what a page fetches from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in FETCHING.get(tag, ()) and value and re.match(r"(https?:)?//", value.strip()):
                self.found.append(f"<{tag} {name}={value!r}>")


def fetches(site: Path) -> list[str]:
    """What the pages and styles of a built site fetch from other hosts."""
    found = []
    for page in sorted(site.rglob("*.html")):
        parser = _Fetches()
        parser.feed(page.read_text(encoding="utf-8"))
        found += [f"{page.relative_to(site)}: fetches {item}" for item in parser.found]
    for style in sorted(site.rglob("*.css")):
        hits = _CSS_FETCH.findall(style.read_text(encoding="utf-8"))
        found += [f"{style.relative_to(site)}: fetches {one or other}" for one, other in hits]
    return found


def main() -> int:
    site = ROOT / "site"
    if not site.is_dir():
        print("there is no site/ to check\n  try: make docs", file=sys.stderr)
        return 1
    problems = [problem for page in sorted(ROOT.glob("*.md")) for problem in broken_links(page)]
    problems += fetches(site)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
