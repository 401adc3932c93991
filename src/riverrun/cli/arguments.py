"""Arguments that several commands share, and how a command is added to the parser."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any

Commands = Any  # argparse keeps the type of add_subparsers() to itself


def command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Add a command with a description and examples that keep their line breaks."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=inspect.cleandoc(description),
        epilog="\nexamples:\n\n" + "\n".join(f"    {line}" for line in inspect.cleandoc(examples).splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def duration(text: str) -> str:
    """A duration, checked early. Raises ``ArgumentTypeError`` that says how one is written."""
    from riverrun.clock import parse_duration
    from riverrun.errors import ConfigError

    try:
        parse_duration(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"{error.problem} ({error.hint})") from None
    return text


def names(text: str) -> list[str]:
    """Column names separated by commas."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("expected column names separated by commas, as in price,size")
    return found


def add_for(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="for_",
        metavar="TIME",
        type=duration,
        help="stop after this long, such as 30s; otherwise at the end of the input or with Ctrl-C",
    )


def add_dead_letters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dead-letters",
        metavar="DIR",
        help="folder for the records that could not be read, with the reason of each",
    )
