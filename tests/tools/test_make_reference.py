"""The reference is made from what the code declares, the same in every Python version."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

import pytest

from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.plan.stream import Stream
from riverrun.registry import Entry
from tools.make_reference import command_page, components_page, describe, names_page, out_of_step, tidy
from tools.reference_text import UndocumentedError, docstring_of, markdown, signature


def example(x: str, *, size: int = 3) -> bool:
    """Whether `x` is good.

    Parameters
    ----------
    x : a name,
        or nothing.
    size : in bytes.

    >>> 1 + 1
    2
    """
    return len(x) > size


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a source."""

    path: str = setting(help="where it is", example="data.csv")
    follow: bool = setting(False, help="go on reading")


@dataclass(frozen=True, slots=True)
class Silent:
    """A source with a setting that does not explain itself."""

    path: str = setting(help="")


def test_a_function_is_shown_with_signature_parameters_and_example():
    assert tidy(describe("example", example, "rr.")) == (
        "### `rr.example`\n\n"
        "```text\nrr.example(x: str, *, size: int = 3) -> bool\n```\n\n"
        "Whether `x` is good.\n\n"
        "**Parameters**\n\n"
        "- `x`: a name, or nothing.\n"
        "- `size`: in bytes.\n\n"
        "```pycon\n>>> 1 + 1\n2\n```\n"
    )


def test_a_long_signature_has_a_line_for_each_parameter():
    def long(
        first: dict[str, dict[str, int]], then: dict[str, dict[str, int]], *rest: dict[str, float]
    ) -> None: ...

    assert signature(long, "long").count("\n") == 4


def test_indented_drawings_stay_as_they_are():
    text = "Tree:\n\n    A\n    └── B\n\nThat is all."
    assert markdown(text) == text


def test_a_component_is_shown_with_its_settings():
    page = components_page("Sources", "Intro.", {"x": Entry(f"{__name__}:Example", "an example")})
    assert "| [`x`](#x) | an example |" in page
    assert "| `path` | `str` | required | where it is. Example: `data.csv` |" in page
    assert "| `follow` | `bool` | `False` | go on reading |" in page


def test_a_setting_without_help_is_refused():
    with pytest.raises(UndocumentedError, match="the setting 'path' has no help text"):
        components_page("Sources", "", {"x": Entry(f"{__name__}:Silent", "silent")})


@pytest.mark.parametrize("thing", [lambda: None, type("Bare", (), {}), dataclass(type("Made", (), {}))])
def test_a_public_name_without_a_docstring_is_refused(thing):
    with pytest.raises(UndocumentedError, match=r"rr\.thing is public and has no docstring"):
        docstring_of(thing, "rr.thing")


def test_an_inherited_docstring_does_not_count():
    class ChildError(ConfigError):
        pass

    with pytest.raises(UndocumentedError):
        docstring_of(ChildError, "rr.ChildError")


def test_the_command_line_is_shown_without_argparse_layout():
    parser = argparse.ArgumentParser("riverrun", description="Live analytics.")
    commands = parser.add_subparsers()
    watch = commands.add_parser("watch", help="look at a feed")
    watch.add_argument("url", metavar="URL", help="where it comes from")
    watch.add_argument("--by", metavar="COLUMN", help="group by (default: %(default)s)", default="key")
    page = command_page(parser)
    assert "| [`riverrun watch`](#riverrun-watch) | look at a feed |" in page
    assert "```text\nriverrun watch [options] URL\n```" in page
    assert "| `--by COLUMN` | group by (default: key) |" in page


def test_a_command_without_help_is_refused():
    parser = argparse.ArgumentParser("riverrun")
    parser.add_subparsers().add_parser("watch")
    with pytest.raises(UndocumentedError, match="the command 'watch' has no help text"):
        command_page(parser)


def test_pages_that_are_not_in_step_are_named():
    problems = out_of_step({"nothing.md": "# New\n\ntext\n"})
    assert problems[0].startswith("docs/reference/nothing.md is not in step with the code:\n    +# New")


def test_methods_of_the_parts_of_a_stream_are_listed() -> None:
    page = names_page({"Stream": Stream})
    listed = set(re.findall(r"^#### `\.(\w+)`", page, flags=re.M))
    assert {name for name in dir(Stream) if not name.startswith("_")} - {"node"} <= listed
