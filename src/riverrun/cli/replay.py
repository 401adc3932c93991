"""The command ``riverrun replay``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, add_for, command


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "replay",
        run,
        help="feed the lines of a file into a socket, at their own or another pace",
        description="""
            Send the lines of a file, unchanged, as fast as their times say, or faster. To tcp:// and unix: it
            connects; at tcp+listen:// and unix+listen: it waits until somebody connects and then begins; every
            reader gets the header of a CSV first. Compressed files (.gz) are unpacked on the way.
            """,
        examples="""
            riverrun replay trades.csv --to tcp+listen://127.0.0.1:9999
            riverrun replay trades.csv.gz --to tcp://localhost:9999 --rate 10x
            riverrun replay app.log --to unix:feed.sock --rate 1000/s --loop
            """,
    )
    parser.add_argument("file", metavar="FILE", help="the file, with a record on each line")
    parser.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="tcp://host:port, tcp+listen://host:port, unix:path, unix+listen:path",
    )
    parser.add_argument(
        "--rate",
        default="1x",
        metavar="RATE",
        help="10x: ten times as fast as the times in the file; 1000/s: that many lines a second; max: as fast "
        "as the reader takes them (default 1x)",
    )
    parser.add_argument("--time", metavar="COLUMN", help="column of the times; found out when left out")
    parser.add_argument("--loop", action="store_true", help="begin again at the end, with the same times")
    add_for(parser)


def run(args: argparse.Namespace) -> int:
    from riverrun.cli.replaying import replay

    return replay(args)
