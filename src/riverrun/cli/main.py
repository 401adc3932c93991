"""The command ``riverrun``: which commands there are, and how errors and Ctrl-C end them."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from inspect import cleandoc

from riverrun import __version__
from riverrun.cli import (
    check,
    components,
    dead_letters,
    demo,
    doctor,
    inspect,
    replay,
    run,
    savepoint,
    watch,
)
from riverrun.errors import RiverrunError

DESCRIPTION = (
    "Live analytics for Python people: correct event-time statistics from any feed, shown at once. "
    "Begin with `riverrun demo`, then point `riverrun watch` at a feed of your own."
)

EXAMPLES = """
    Try it:

        riverrun demo market
        riverrun watch tcp://localhost:9999
        riverrun watch trades.csv --by symbol --window 10s
        tail -F app.jsonl | riverrun watch stdin:
        riverrun run pipeline.py --dashboard

    `riverrun COMMAND --help` shows what a command takes.
    """


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; the reference page is made from it."""
    parser = argparse.ArgumentParser(
        prog="riverrun",
        description=DESCRIPTION,
        epilog=cleandoc(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"riverrun {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where in the code an error was raised")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in (watch, run, demo, replay, check, doctor, inspect, savepoint, dead_letters, components):
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 a check failed, 2 something is wrong.

    Parameters
    ----------
    argv : the arguments; those of the process when left out.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except RiverrunError as error:
        if args.debug:
            raise
        print(f"riverrun: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Ctrl-C is how one leaves; nothing went wrong.
        return 0
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); closed now, Python cannot complain again at the end.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
