"""The commands ``riverrun savepoint`` and ``riverrun restore``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, command
from riverrun.clock import format_duration, parse_duration
from riverrun.errors import StateError, StateInUseError
from riverrun.world import World

#: An answer is looked for this often.
LOOK_UP_US = 50_000


def add(commands: Commands) -> None:
    save = command(
        commands,
        "savepoint",
        save_run,
        help="copy a state folder, checked, to keep it elsewhere",
        description="""
            Copy what a state folder holds into a new folder, with a manifest of checksums: the one way to make
            a backup. A run that uses the folder is asked to make it, and goes on meanwhile; it writes the copy
            with its own rights.
            """,
        examples="""
            riverrun savepoint state/ backups/2026-01-31
            riverrun savepoint state/ /mnt/backups/now --wait 30s
            """,
    )
    save.add_argument("state", metavar="STATE", help="the state folder")
    save.add_argument("target", metavar="TARGET", help="the folder to make")
    save.add_argument(
        "--wait",
        metavar="DURATION",
        default="5m",
        help="how long to wait for a run that uses the folder (default: 5m)",
    )
    restore = command(
        commands,
        "restore",
        restore_run,
        help="make a state folder of a savepoint",
        description="""
            Make a state folder of a savepoint, here or on another machine, after every file of it was checked.
            A run with it goes on where the savepoint was made.
            """,
        examples="""
            riverrun restore backups/2026-01-31 state/
            """,
    )
    restore.add_argument("savepoint", metavar="SAVEPOINT", help="what riverrun savepoint made")
    restore.add_argument("state", metavar="STATE", help="the state folder to make")


def save_run(args: argparse.Namespace) -> int:
    from riverrun.runtime.real_world import RealWorld
    from riverrun.state.store import Store

    world = RealWorld()
    patience_us = parse_duration(args.wait, where="--wait")
    try:
        with Store.open(args.state, world, create=False) as store:
            made = store.savepoint(args.target).text
    except StateInUseError:
        made = _asked(args.state, args.target, world, patience_us)
    print(f"{args.target}: {made}")
    return 0


def _asked(state: str, target: str, world: World, patience_us: int) -> str:
    """Let the run that uses the folder make a savepoint; what it says of it."""
    from riverrun.state.requests import answered, ask, withdraw

    files, folder = world.files, world.files.absolute(state)
    asked_us = world.clock.monotonic_us()
    request = ask(world, folder, target, world.clock.now_us() + patience_us)
    try:
        while (answer := answered(files, folder, request)) is None:
            now_us = world.clock.monotonic_us()
            if now_us >= asked_us + patience_us:
                raise StateError(
                    f"the run that uses the folder has not answered within {format_duration(patience_us)}",
                    where=folder,
                    hint="--wait 30m if its state is large, or stop the run and try again",
                )
            world.wait((), now_us + LOOK_UP_US)
    finally:
        withdraw(files, folder, request)
    if answer.error is not None:
        raise answer.error
    return answer.made


def restore_run(args: argparse.Namespace) -> int:
    from riverrun.runtime.real_world import RealWorld
    from riverrun.state.store import Store

    Store.restore(args.savepoint, args.state, RealWorld())
    print(f"{args.state}: ready; a run with it goes on where {args.savepoint} was made")
    return 0
