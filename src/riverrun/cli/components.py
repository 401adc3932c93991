"""The commands ``sources``, ``sinks``, ``formats`` and ``aggregates``: the reference, from the code."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from riverrun.cli.arguments import Commands, command
from riverrun.component import Setting, settings_of
from riverrun.errors import ConfigError, did_you_mean
from riverrun.registry import FORMATS, SINKS, SOURCES, Entry

KINDS: dict[str, tuple[Mapping[str, Entry], str, str, str]] = {
    "sources": (SOURCES, "source", "list the sources, or show one with its settings", "tcp"),
    "sinks": (SINKS, "sink", "list the sinks, or show one with its settings", "duckdb"),
    "formats": (FORMATS, "format", "list the formats, or show one with its settings", "csv"),
}


def add(commands: Commands) -> None:
    for kind, (_, _, help_, example) in KINDS.items():
        _add(commands, kind, help_, example, partial(_run_components, kind))
    _add(
        commands,
        "aggregates",
        "list the aggregates, or show one with its arguments",
        "quantile",
        _run_aggregates,
    )


def _add(
    commands: Commands, kind: str, help_: str, example: str, run: Callable[[argparse.Namespace], int]
) -> None:
    description = f"{help_[0].upper()}{help_[1:]}. All of it comes from the code that runs."
    parser = command(
        commands,
        kind,
        run,
        help=help_,
        description=description,
        examples=f"riverrun {kind}\nriverrun {kind} {example}",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="one of them; all are listed when left out")


def _run_components(kind: str, args: argparse.Namespace) -> int:
    table, what, _, example = KINDS[kind]
    if args.name is None:
        _print_list({name: _summary(entry) for name, entry in table.items()})
        print(f"\nmore about one: riverrun {kind} {example}")
        return 0
    name = args.name.split(":")[0] if kind != "formats" else args.name
    entry = table.get(name)
    if entry is None:
        raise ConfigError(f"there is no {what} {args.name!r}", where=kind, hint=did_you_mean(name, table))
    component = entry.load(f"the {what} {name!r}")
    print(f"{name} — {_summary(entry)}\n")
    print(_docstring(component))
    _print_settings(component)
    return 0


def _run_aggregates(args: argparse.Namespace) -> int:
    from riverrun.cli.aggregate_names import aggregates

    known = aggregates()
    if args.name is None:
        _print_list({_call(name, made): _first_sentence(made) for name, made in known.items()})
        print("\nmore about one: riverrun aggregates quantile")
        return 0
    if args.name not in known:
        raise ConfigError(
            f"there is no aggregate {args.name!r}", where="aggregates", hint=did_you_mean(args.name, known)
        )
    made = known[args.name]
    print(f"rr.{_call(args.name, made)}\n\n{_docstring(made)}")
    return 0


def _summary(entry: Entry) -> str:
    return entry.summary + (f" (pip install 'riverrun[{entry.extra}]')" if entry.extra else "")


def _print_list(items: Mapping[str, str]) -> None:
    width = max(map(len, items))
    for name, text in items.items():
        print(f"  {name:<{width}}  {text}")


def _print_settings(component: type) -> None:
    settings = settings_of(component)
    if not settings:
        return
    print("\nsettings:")
    for item in settings:
        print(f"  {item.name} ({item.type}{_default(component, item)})")
        print(f"      {item.help}" + (f"; such as {item.example}" if item.example else ""))


def _default(component: type, item: Setting) -> str:
    field = component.__dataclass_fields__[item.name]  # type: ignore[attr-defined]
    missing = type(field.default).__name__ == "_MISSING_TYPE"
    return ", required" if missing else f", default {item.default!r}"


def _docstring(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "").replace("``", "`").strip()


def _first_sentence(thing: Any) -> str:
    return _docstring(thing).split("\n\n")[0].replace("\n", " ")


def _call(name: str, made: Callable[..., Any]) -> str:
    parts = []
    for parameter in inspect.signature(made).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            continue
        default = parameter.default
        parts.append(parameter.name if default is inspect.Parameter.empty else f"{parameter.name}={default!r}")
    return f"{name}({', '.join(parts)})"
