"""The commands ``riverrun savepoint`` and ``riverrun restore``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, command


def add(commands: Commands) -> None:
    save = command(
        commands,
        "savepoint",
        save_run,
        help="copy a state folder, checked, to keep it elsewhere",
        description="""
            Copy what a state folder holds into a new folder, with a manifest of checksums: the one way to make
            a backup. No run may use the folder meanwhile; stop it with Ctrl-C or SIGTERM, which loses nothing.
            """,
        examples="""
            riverrun savepoint state/ backups/2026-01-31
            """,
    )
    save.add_argument("state", metavar="STATE", help="the state folder")
    save.add_argument("target", metavar="TARGET", help="the folder to make")
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

    with Store.open(args.state, RealWorld(), create=False) as store:
        manifest = store.savepoint(args.target)
    print(f"{args.target}: {manifest.text}")
    return 0


def restore_run(args: argparse.Namespace) -> int:
    from riverrun.runtime.real_world import RealWorld
    from riverrun.state.store import Store

    Store.restore(args.savepoint, args.state, RealWorld())
    print(f"{args.state}: ready; a run with it goes on where {args.savepoint} was made")
    return 0
