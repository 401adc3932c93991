"""The command ``riverrun inspect``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, command


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "inspect",
        run,
        help="show what a state folder holds",
        description="""
            Show what a state folder holds, while no run uses it: the last checkpoint and the journal behind it,
            how far every source has come, the state of every step, results that wait for their sinks, and dead
            letters. Nothing is changed. A folder that is damaged says where and how.
            """,
        examples="""
            riverrun inspect state/
            riverrun inspect state/ --json
            """,
    )
    parser.add_argument("state", metavar="STATE", help="the state folder")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(args: argparse.Namespace) -> int:
    import sys

    import orjson

    from riverrun.runtime.inspection import inspect_state
    from riverrun.runtime.real_world import RealWorld

    found = inspect_state(args.state, RealWorld())
    if args.json:
        sys.stdout.write(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        print(found.text)
    return 0
