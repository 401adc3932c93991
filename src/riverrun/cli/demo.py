"""The command ``riverrun demo``."""

from __future__ import annotations

import argparse
import sys

from riverrun.cli.arguments import Commands, add_for, command

NAMES = ("market", "ward")


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "demo",
        run,
        help="watch real data being collected, cleaned, analysed and shown live",
        description="""
            Replay real data over a real socket of this machine, run a pipeline on it, and show the results on a
            dashboard and on the terminal, until Ctrl-C. Nothing leaves the machine.
            """,
        examples="""
            riverrun demo market
            riverrun demo ward --for 30s
            riverrun demo market --show > market.py
            riverrun demo market --feed
            """,
    )
    parser.add_argument("name", nargs="?", choices=NAMES, default="market", help="which one (default market)")
    add_for(parser)
    parser.add_argument(
        "--port", type=int, metavar="PORT", help="port of the dashboard (default 8765, or the next free)"
    )
    parser.add_argument(
        "--no-browser",
        action="store_true",
        help="no dashboard in the browser: everything stays on the terminal",
    )
    parser.add_argument("--show", action="store_true", help="print the code of its pipeline and end")
    parser.add_argument(
        "--feed",
        action="store_true",
        help="only serve its data, at ports 9101 and on, for a pipeline of your own",
    )


def run(args: argparse.Namespace) -> int:
    from riverrun.cli.demonstrating import demonstrate, serve, show

    if args.show:
        sys.stdout.write(show(args.name))
        return 0
    return serve(args) if args.feed else demonstrate(args)
