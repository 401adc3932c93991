"""Writes docs/reference/*.md from the code: public names, aggregates, sources, formats, sinks, command line.

    python -m tools.make_reference            write the pages
    python -m tools.make_reference --check    say whether the pages are in step with the code, change nothing

The pages are committed, so that a change of a public name shows in review. Nothing in them depends on the
Python version or the machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from riverrun.component import settings_of
from riverrun.errors import RiverrunError
from riverrun.plan.grouping import Grouped, Windowed
from riverrun.plan.stream import Stream
from riverrun.ports import guarantee_of
from riverrun.registry import FORMATS, SINKS, SOURCES, Entry
from tools import aggregate_pages
from tools.reference_text import (
    UndocumentedError,
    docstring_of,
    markdown,
    signature,
    slug,
    table,
    value_text,
)

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "reference"
NOTE = "<!-- made from the code by tools/make_reference.py: change the docstring, then `make reference` -->\n"

#: Where a public name is listed, by the package that defines it; what is not here goes under "Other names".
SECTIONS: Mapping[str, str] = {
    "plan": "Streams and pipelines",
    "windows": "Windows",
    "schema": "Schemas",
    "limits": "Limits",
    "formats": "Formats",
    "runtime": "Running",
    "errors": "Errors",
}


# --- public names --------------------------------------------------------------------------------


def public_names(module: ModuleType) -> dict[str, Any]:
    """What a module lists in ``__all__``, in that order."""
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def describe(name: str, thing: object, prefix: str) -> str:
    """One public name: how it is called, what it does, and the public methods of a class."""
    text = f"### `{prefix}{name}`\n\n"
    if not callable(thing):
        return text + f"`{value_text(thing)}`\n"
    if not (isinstance(thing, type) and issubclass(thing, Exception)):
        text += f"```text\n{signature(thing, prefix + name)}\n```\n\n"
    text += markdown(docstring_of(thing, prefix + name)) + "\n"
    if isinstance(thing, type) and not issubclass(thing, Exception):
        # What a component does for the engine is no business of its users; its settings have their own page.
        text += _settings_link(thing) or "".join(_methods(name, thing))
    return text


def _settings_link(thing: type) -> str:
    for name, entry in FORMATS.items():
        if entry.target == f"{thing.__module__}:{thing.__name__}":
            return f"\nIts settings: [formats](formats.md#{slug(name)}).\n"
    return ""


def _methods(class_name: str, thing: type) -> Iterator[str]:
    # The first word on a name counts, as in Python.
    members: dict[str, object] = {}
    for part in _parts(thing):
        members = {**members, **{n: m for n, m in vars(part).items() if n not in members}}
    for name, member in members.items():
        if name.startswith("_"):
            continue
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        if isinstance(function, property):
            yield f"\n#### `.{name}`\n\n{markdown(docstring_of(function, f'{class_name}.{name}'))}\n"
        elif inspect.isfunction(function):
            doc = markdown(docstring_of(function, f"{class_name}.{name}"))
            yield f"\n#### `.{name}`\n\n```text\n.{signature(function, name)}\n```\n\n{doc}\n"


def _parts(thing: type) -> Iterator[type]:
    """A class, and behind it those of ours that it is put together of."""
    return (part for part in thing.__mro__ if part is thing or part.__module__.startswith("riverrun.plan."))


def _package(thing: object) -> str:
    parts = str(getattr(thing, "__module__", "")).split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "riverrun" else ""


def names_page(names: Mapping[str, Any]) -> str:
    """The names of ``import riverrun as rr``, but for the aggregates, which have a page of their own."""
    sections: dict[str, list[str]] = {title: [] for title in [*SECTIONS.values(), "Other names"]}
    for name, thing in names.items():
        if _package(thing) != "stats":
            sections[SECTIONS.get(_package(thing), "Other names")].append(describe(name, thing, "rr."))
        if thing is Stream:
            sections[SECTIONS["plan"]] += list(_between_group_and_results())
    body = "".join(f"## {title}\n\n" + "\n".join(items) + "\n" for title, items in sections.items() if items)
    head = "The names of `import riverrun as rr`. [Aggregates](aggregates.md) have their own page."
    return f"# Python\n\n{head}\n\n{body}"


def _between_group_and_results() -> Iterator[str]:
    """What `group_by` and `window` return has no name for users, but methods that they call."""
    for chain, thing in ((".group_by(...)", Grouped), (".group_by(...).window(...)", Windowed)):
        yield f"### `{chain}`\n\n{markdown(docstring_of(thing, thing.__name__))}\n" + "".join(
            _methods(thing.__name__, thing)
        )


def testing_page(names: Mapping[str, Any]) -> str:
    """The public testing kit."""
    body = "\n".join(describe(name, thing, "") for name, thing in names.items())
    return (
        f"# Testing kit\n\nThe names of `riverrun.testing`: scripts, hand-moved clocks, law suites.\n\n{body}"
    )


# --- components ----------------------------------------------------------------------------------


def components_page(title: str, intro: str, entries: Mapping[str, Entry]) -> str:
    """Sources, formats or sinks: each with its settings as they are declared in the code."""
    body = "\n".join(_component(name, entry, title) for name, entry in entries.items())
    rows = [(f"[`{name}`](#{slug(name)})", entry.summary) for name, entry in entries.items()]
    return f"# {title}\n\n{intro}\n\n{table(('name', 'what'), rows)}\n{body}"


def _component(name: str, entry: Entry, kind: str) -> str:
    component = entry.load(f"{kind} {name}")
    text = f"## `{name}` {{#{slug(name)}}}\n\n"
    text += markdown(docstring_of(component, entry.target)) + "\n\n"
    if kind == "Sinks":
        text += f"With `state=`: every result {guarantee_of(component)} ([how](../sinks.md)).\n\n"
    if entry.extra:
        text += f"Needs an extra package: `pip install 'riverrun[{entry.extra}]'`.\n\n"
    text += f"In Python: `{entry.target.replace(':', '.')}`.\n"
    settings = settings_of(component)
    if not settings:
        return text
    required = {
        field.name
        for field in dataclasses.fields(component)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    rows = []
    for item in settings:
        if not item.help:
            raise UndocumentedError(f"{entry.target}: the setting {item.name!r} has no help text")
        default = "required" if item.name in required else f"`{value_text(item.default)}`"
        example = f". Example: `{item.example}`" if item.example else ""
        rows.append((f"`{item.name}`", f"`{item.type}`", default, markdown(item.help).rstrip(".") + example))
    return text + "\n" + table(("setting", "type", "default", "meaning"), rows)


# --- command line --------------------------------------------------------------------------------


def command_page(parser: argparse.ArgumentParser) -> str:
    """The command line, from its argument parser; laid out here: argparse's own varies by version."""
    text = f"# Command line\n\n{parser.description or ''}\n\n"
    commands = _commands(parser)
    text += table(
        ("command", "what"),
        [(f"[`riverrun {name}`](#{slug(f'riverrun {name}')})", help_) for name, (help_, _) in commands.items()],
    )
    own = _arguments(parser)
    if own:
        text += "\n" + own
    for name, (help_, command) in commands.items():
        text += f"\n## `riverrun {name}` {{#{slug(f'riverrun {name}')}}}\n\n{command.description or help_}\n\n"
        text += f"```text\n{_usage(f'riverrun {name}', command)}\n```\n\n{_arguments(command)}"
        if command.epilog:
            text += f"\n{inspect.cleandoc(command.epilog)}\n"
    return text


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    found: dict[str, tuple[str, argparse.ArgumentParser]] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                if not helps.get(name):
                    raise UndocumentedError(f"the command {name!r} has no help text")
                found[name] = (helps[name], command)
                found |= {f"{name} {inner}": value for inner, value in _commands(command).items()}
    return found


def _shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    hidden = (argparse._HelpAction, argparse._SubParsersAction, argparse._VersionAction)
    return [item for item in parser._actions if not isinstance(item, hidden) and item.help != argparse.SUPPRESS]


def _metavar(action: argparse.Action) -> str:
    if action.metavar:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices:
        return "|".join(str(choice) for choice in action.choices)
    return action.dest.upper()


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    shown = _shown(parser)
    parts = [name]
    if any(action.option_strings for action in shown):
        parts.append("[options]")
    for action in shown:
        if not action.option_strings:
            word = _metavar(action)
            if action.nargs in ("*", "+"):
                word += " ..."
            parts.append(f"[{word}]" if action.nargs in ("?", "*") else word)
    return " ".join(parts)


def _arguments(parser: argparse.ArgumentParser) -> str:
    rows = []
    for action in _shown(parser):
        if not action.help:
            raise UndocumentedError(f"{parser.prog}: the argument {action.dest!r} has no help text")
        takes = "" if action.nargs == 0 else f" {_metavar(action)}"
        names = ", ".join(f"`{option}{takes}`" for option in action.option_strings) or f"`{_metavar(action)}`"
        rows.append((names, action.help % {**vars(action), "prog": parser.prog}))
    return table(("argument", "meaning"), rows) if rows else ""


# --- pages ---------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """All pages by file name."""
    names = public_names(importlib.import_module("riverrun"))
    testing = public_names(importlib.import_module("riverrun.testing"))
    command_line = importlib.import_module("riverrun.cli.main")
    made = {
        "python.md": names_page(names),
        **aggregate_pages.pages({n: t for n, t in names.items() if _package(t) == "stats"}, describe),
        "sources.md": components_page(
            "Sources",
            "What `rr.read` takes: a URL, or an object of these classes. Settings are options.",
            SOURCES,
        ),
        "formats.md": components_page("Formats", "What `format=` takes. Left out, it is sniffed.", FORMATS),
        "sinks.md": components_page("Sinks", "What `.write` takes: `name:path`. Settings are options.", SINKS),
        "command-line.md": command_page(command_line.build_parser()),
        "testing.md": testing_page(testing),
    }
    return {name: NOTE + "\n" + tidy(text) for name, text in made.items()}


def tidy(text: str) -> str:
    """No space at line ends, no runs of empty lines, one line end at the end."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"


def out_of_step(made: Mapping[str, str]) -> list[str]:
    """What `--check` says: pages that differ, are missing, or are left over."""
    problems = []
    for name, text in made.items():
        page = TARGET / name
        there = page.read_text(encoding="utf-8") if page.exists() else ""
        if there != text:
            changes = difflib.unified_diff(
                there.splitlines(), text.splitlines(), "committed", "code", n=0, lineterm=""
            )
            first = "\n".join(f"    {line}" for line in list(changes)[3:9])
            problems.append(f"docs/reference/{name} is not in step with the code:\n{first}")
    problems += [f"docs/reference/{name} is left over" for name in _there() if name not in made]
    return problems


def write(made: Mapping[str, str]) -> None:
    """Write all pages, and remove those that are left over."""
    for name in _there():
        if name not in made:
            (TARGET / name).unlink()
    for name, text in made.items():
        (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / name).write_text(text, encoding="utf-8")


def _there() -> list[str]:
    """The pages that are there, by name."""
    return [page.relative_to(TARGET).as_posix() for page in sorted(TARGET.rglob("*.md"))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing, say what is not in step")
    options = parser.parse_args()
    try:
        made = pages()
    except (UndocumentedError, RiverrunError, ImportError, AttributeError) as error:
        print(f"cannot make the reference: {error}", file=sys.stderr)
        return 1
    if not options.check:
        write(made)
        return 0
    problems = out_of_step(made)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print("  try: make reference", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
