"""The command ``riverrun dead-letters``: list them, and feed them again after a fix."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, command


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "dead-letters",
        lambda _: 0,
        help="list the records that were not accepted, or feed them again after a fix",
        description="""
            Records that a run with a state folder could not accept are kept there, with the reason of each.
            `list` shows them, newest first, and masks what they say: letters are shown as x, digits as 0.
            `replay` feeds them into the pipeline again, mended by then: what
            is accepted counts, once, as of its event time (and is late where its window is closed), what is
            refused again becomes a new dead letter. What is fed again counts as received again. No run may use
            the folder meanwhile.
            """,
        examples="""
            riverrun dead-letters list state/
            riverrun dead-letters list state/ --reason schema --raw --json
            riverrun dead-letters list state/ --id 17 --raw
            riverrun dead-letters replay state/ pipeline.py --reason schema
            """,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="list or replay")
    shown = actions.add_parser("list", help="show them, newest first")
    _common(shown)
    shown.add_argument("--limit", type=int, default=20, metavar="N", help="so many at most (default 20)")
    shown.add_argument("--id", type=int, metavar="N", help="only this one")
    shown.add_argument("--raw", action="store_true", help="what they say, not masked")
    shown.add_argument(
        "--json", action="store_true", help="one JSON object a line; with --raw it holds the whole record"
    )
    shown.set_defaults(run=list_run)
    replayed = actions.add_parser("replay", help="feed them into the pipeline again")
    _common(replayed)
    replayed.add_argument("file", metavar="FILE", help="pipeline.py or pipeline.toml, mended")
    replayed.set_defaults(run=replay_run)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("state", metavar="STATE", help="the state folder")
    parser.add_argument("--source", metavar="NAME", help="only those of this source")
    parser.add_argument("--reason", metavar="CODE", help="only those with this reason")


def list_run(args: argparse.Namespace) -> int:
    import sys

    from riverrun.clock import format_instant
    from riverrun.runtime.checkpoint import letter_of_row
    from riverrun.runtime.real_world import RealWorld
    from riverrun.state.store import Store

    with Store.open(args.state, RealWorld(), create=False) as store:
        counts = store.dead_letters.counts()
        if args.id is None:
            rows = store.dead_letters.list(source=args.source, reason=args.reason, limit=args.limit)
        else:
            found = store.dead_letters.get(args.id)
            rows = [] if found is None else [found]
    for row in rows:
        letter = letter_of_row(row)
        if args.json:
            sys.stdout.write(letter.as_json(raw=args.raw).decode())
            continue
        print(
            f"{row.id}  {format_instant(row.received_us)}  {row.source}, {row.partition}, byte {row.position}"
        )
        print(f"    {row.reason}: {row.detail}")
        print(f"    {letter.shown_head(raw=args.raw)}")
    if not args.json:
        told = ", ".join(f"{reason} {count:,}" for (_, reason), count in counts.items())
        if rows and not args.raw:
            print("letters are shown as x, digits as 0; --raw shows what came")
        print(f"{sum(counts.values()):,} kept" + (f" ({told})" if told else ""))
    return 0


def replay_run(args: argparse.Namespace) -> int:
    from riverrun.cli.pipeline_file import load
    from riverrun.runtime.real_world import RealWorld
    from riverrun.runtime.refeeding import refeed
    from riverrun.state.describe import State

    world = RealWorld()
    pipeline = load(args.file, world.files)
    done = refeed(
        pipeline.outputs, pipeline.name, State(args.state), world, source=args.source, reason=args.reason
    )
    print(
        f"{done.fed:,} fed again: {done.applied:,} accepted, {done.refused:,} refused again"
        + (f"; {done.left:,} left as they are, too long to be kept or of no source here" if done.left else "")
    )
    return 0
