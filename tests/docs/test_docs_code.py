"""Every code block of the README files and the documentation runs.

Each page runs in a Python of its own, in an empty folder, its blocks in order in one namespace, with warnings
as errors. How to write pages so that they can be tested stands in CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import PageError, blocks_in
from tests.docs.run_page import same_output

ROOT = Path(__file__).parents[2]
PAGE_LIMIT_S = 110


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def run_page(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one page's blocks in `folder`, which should be empty."""
    search = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_page", str(page)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, search))},
        capture_output=True,
        text=True,
        timeout=PAGE_LIMIT_S,
    )


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_all_blocks_of_the_page_run(page, tmp_path):
    done = run_page(page, tmp_path)
    assert done.returncode == 0, f"\n{done.stdout[-2000:]}\n{done.stderr}"


# --- the way of testing, tested ---------------------------------------------------------------------------


def run_text(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    return run_page(page, work)


def test_blocks_of_a_page_share_one_namespace(tmp_path):
    done = run_text("```python\nx = 1\n```\n\ntext\n\n```python\nprint(x + 1)\n```\n", tmp_path)
    assert done.returncode == 0
    assert done.stdout == "2\nran 2 blocks of page.md\n"


def test_a_failing_block_names_the_line_of_the_page(tmp_path):
    done = run_text("one\n\n```python\nx = 1\nx / 0\n```\n", tmp_path)
    assert done.returncode == 1
    assert 'page.md", line 5' in done.stderr
    assert "x / 0" in done.stderr


def test_a_warning_is_an_error(tmp_path):
    done = run_text("```python\nimport warnings\nwarnings.warn('old')\n```\n", tmp_path)
    assert "UserWarning: old" in done.stderr


def test_a_server_sends_its_feed_and_its_port_is_replaced(tmp_path):
    text = (
        "<!-- test: server 9999 trades -->\n```python\nimport socket\n"
        "host, port = 'localhost:9999'.split(':')\nwith socket.create_connection((host, int(port))) as s:\n"
        "    print(s.makefile().readline().strip())\n```\n\n"
        "<!-- test: output -->\n```text\n1767623400000,...\n```\n"
    )
    done = run_text(text, tmp_path)
    assert done.returncode == 0, done.stderr


def test_output_that_differs_fails_with_both_texts(tmp_path):
    done = run_text("```python\nprint(3)\n```\n<!-- test: output -->\n```text\n4\n```\n", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "page.md:6: the page shows\n4\n\nbut what was printed is\n3\n\n"


def test_ctrl_c_ends_a_block_that_serves_forever(tmp_path):
    block = "import signal\ntry:\n    signal.pause()\nexcept KeyboardInterrupt:\n    print('bye')\n"
    done = run_text(f"<!-- test: ctrl-c after 0.2s -->\n```python\n{block}```\n", tmp_path)
    assert done.stdout.startswith("bye\n")


def test_console_blocks_run_when_marked(tmp_path):
    marked = "<!-- test: file a.csv trades -->\n<!-- test: run -->\n"
    shown = "```console\n$ wc -l < a.csv | tr -d ' '\n3000\n```\n"
    done = run_text(marked + shown + "\n```console\n$ false\n```\n", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ran 1 blocks" in done.stdout


def test_a_console_command_that_fails_is_named(tmp_path):
    done = run_text("<!-- test: run -->\n```console\n$ cat nothing-here\n```\n", tmp_path)
    assert "page.md:3: `cat nothing-here` ended with 1" in done.stderr


def test_a_saved_pipeline_must_be_used_by_a_command(tmp_path):
    saved = "<!-- test: save pipeline.py -->\n```python\nprint('ran')\n```\n"
    assert "pipeline.py is saved, but no console block uses it" in run_text(saved, tmp_path).stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- test: srever 1 x -->\n```python\n```\n", "p.md:1: there is no directive 'srever'"),
        ("<!-- test: save -->\n```python\n```\n", "p.md:1: expected `save NAME`, got `save`"),
        ("<!-- test: run -->\ntext\n```console\n```\n", "p.md:1: a directive stands right before the block"),
        ("<!-- test: run -->\n", "p.md:1: no block follows this directive"),
        ("```python\nx = 1\n", "p.md:1: the block that begins here has no end"),
    ],
)
def test_a_page_that_cannot_be_tested_is_refused(text, message):
    with pytest.raises(PageError) as caught:
        blocks_in(text, "p.md")
    assert message in str(caught.value)


@pytest.mark.parametrize(("expected", "printed"), [("a", "a  \n"), ("a...z", "a\nb\nz"), ("a.c", "a.c")])
def test_same_output(expected, printed):
    assert same_output(expected, printed)


@pytest.mark.parametrize(("expected", "printed"), [("a", "b"), ("a.c", "abc"), ("a", "a\nb")])
def test_not_the_same_output(expected, printed):
    assert not same_output(expected, printed)
