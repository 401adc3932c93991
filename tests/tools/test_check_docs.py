"""The checks of the documentation find what they are for."""

from __future__ import annotations

import pytest

from tools.check_docs import anchors_of, fetches, links_of


def test_links_are_found_with_their_lines():
    text = 'one [a](a.md)\n\n![b](b.png "title") <img src="c.svg">\n'
    assert list(links_of(text)) == [(1, "a.md"), (3, "b.png"), (3, "c.svg")]


def test_links_inside_code_do_not_count():
    text = "`[a](a.md)`\n\n```python\nx[0](b)\n```\n\n[c](c.md)\n"
    assert list(links_of(text)) == [(7, "c.md")]


def test_anchors_are_those_of_headings():
    text = "# One: two!\n\n```\n# not a heading\n```\n\n## `rr.read` and more\n"
    assert anchors_of(text) == {"one-two", "rrread-and-more"}


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<img src="http://example/x.png">',
        '<iframe src="https://example/"></iframe>',
    ],
)
def test_what_a_page_fetches_from_elsewhere_is_found(tmp_path, html):
    (tmp_path / "index.html").write_text(f"<html>{html}</html>", encoding="utf-8")
    assert len(fetches(tmp_path)) == 1


def test_plain_links_and_local_files_are_welcome(tmp_path):
    (tmp_path / "index.html").write_text('<a href="https://example/">x</a><img src="x.png">', encoding="utf-8")
    (tmp_path / "a.css").write_text("a { background: url(x.png) }", encoding="utf-8")
    assert fetches(tmp_path) == []


def test_a_style_that_fetches_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@import 'https://fonts.example/a.css';", encoding="utf-8")
    assert fetches(tmp_path) == ["a.css: fetches https://fonts.example/a.css"]
