"""The options of the dashboard, which several commands share."""

from __future__ import annotations

import argparse

#: Where the dashboard is when nobody says.
DEFAULT = "127.0.0.1:8765"


def add_dashboard(parser: argparse.ArgumentParser, *, default: bool) -> None:
    """Add ``--dashboard``, ``--no-dashboard`` and ``--allow-unauthenticated``."""
    parser.add_argument(
        "--dashboard",
        metavar="HOST:PORT",
        nargs="?",
        const=DEFAULT,
        help="where the live dashboard is served (default "
        + (f"{DEFAULT}, or the next free port)" if default else f"none; without HOST:PORT {DEFAULT})"),
    )
    parser.add_argument(
        "--allow-unauthenticated",
        action="store_true",
        help="let other machines see the dashboard, though it has no login",
    )
    if default:
        parser.add_argument("--no-dashboard", action="store_true", help="no dashboard, only the terminal")


def with_default(args: argparse.Namespace) -> argparse.Namespace:
    """Put the default in; ``dashboard_asked`` tells whether this very address was asked for."""
    args.dashboard_asked = args.dashboard is not None
    args.dashboard = None if getattr(args, "no_dashboard", False) else (args.dashboard or DEFAULT)
    return args
