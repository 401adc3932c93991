"""Options of commands that keep state."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from riverrun.cli.arguments import duration
from riverrun.limits import KIB

if TYPE_CHECKING:
    from riverrun.state.describe import State

_SIZE = re.compile(r"(\d+)\s*(?:([KMGT])(?:iB|B)?|B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size_bytes(text: str) -> int:
    """A size, checked early. Raises ``ArgumentTypeError`` that says how one is written.

    >>> size_bytes("64MiB"), size_bytes("1000")
    (67108864, 1000)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 64MiB or 2GiB, got {text!r}")
    unit: int = KIB ** _POWERS[(match[2] or "").upper()]
    return int(match[1]) * unit


def add_state(parser: argparse.ArgumentParser) -> None:
    """Where and how a run keeps its state, or what takes the place of its sources."""
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--state", metavar="DIR", help="folder in which the run keeps what it must not lose")
    kept.add_argument(
        "--from-journal", metavar="DIR", help="read what the run of this state folder received, and end"
    )
    parser.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=duration,
        help="with --state: write a checkpoint this often, such as 5s (1s when left out)",
    )
    parser.add_argument(
        "--history",
        metavar="SIZE",
        type=size_bytes,
        help="with --state: keep so much of what came, such as 2GiB, for --from-journal",
    )
    parser.add_argument(
        "--outbox",
        metavar="SIZE",
        type=size_bytes,
        help="with --state: so much may wait for sinks that cannot be reached (256MiB when left out)",
    )
    parser.add_argument(
        "--drop-step",
        metavar="STEP",
        action="append",
        help="with --state: throw the kept state of this step away, which the pipeline has no more or has "
        "changed; may be given several times, `riverrun inspect` lists the names",
    )


def state_of(args: argparse.Namespace) -> State | None:
    """What was asked for. Raises `ConfigError` for an option that says nothing without ``--state``."""
    from riverrun.errors import ConfigError
    from riverrun.state.describe import State

    asked = {
        "every": ("--checkpoint-every", args.checkpoint_every),
        "history_bytes": ("--history", args.history),
        "outbox_bytes": ("--outbox", args.outbox),
        "drop": ("--drop-step", args.drop_step),
    }
    given = {setting: value for setting, (_, value) in asked.items() if value is not None}
    if args.state is not None:
        return State(args.state, **given)
    if given:
        option, _ = asked[next(iter(given))]
        raise ConfigError(f"{option} goes with a state folder", where="run", hint="add --state state/")
    return None
