"""The command ``riverrun watch``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, add_dead_letters, add_for, command, duration, names
from riverrun.cli.dashboard_options import add_dashboard, with_default


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "watch",
        run,
        help="watch any feed without code: statistics per key and window, and a live dashboard",
        description="""
            Open a feed, find out from its first rows what it is (format, columns, the time of the event, keys),
            and show live statistics per key and window on the terminal and on a dashboard. All that was found
            out is printed, with the option that changes it.

            Piped into a program, results are CSV on standard output, all else goes to standard error.
            """,
        examples="""
            riverrun watch tcp://localhost:9999
            riverrun watch trades.csv --by symbol --window 10s
            tail -F app.jsonl | riverrun watch stdin: --time ts
            riverrun watch tcp+listen://127.0.0.1:9999 --write duckdb:stats.duckdb
            riverrun watch generate:trades --columns price,size
            """,
    )
    parser.add_argument(
        "url",
        metavar="URL",
        help="tcp://host:port, unix:path, stdin:, a file, ...; `riverrun sources` lists them",
    )
    _add_question(parser)
    _add_format(parser)
    _add_patience(parser)
    parser.add_argument(
        "--write",
        metavar="TARGET",
        action="append",
        default=[],
        help="also write results there: out.csv, parquet:folder, duckdb:file, ...; may be repeated",
    )
    parser.add_argument("--name", metavar="NAME", help="what to call the feed; its URL when left out")
    add_dead_letters(parser)
    add_for(parser)
    add_dashboard(parser, default=True)


def _add_question(parser: argparse.ArgumentParser) -> None:
    """What is asked: of which columns, by which keys, in which windows, by which time."""
    parser.add_argument("--by", metavar="COLUMNS", type=names, help='keys, such as symbol,venue; "-": no keys')
    parser.add_argument("--window", metavar="TIME", type=duration, help="length of a window, such as 10s")
    parser.add_argument(
        "--time", metavar="COLUMN", help="column of the event time; arrival: the time of arrival"
    )
    parser.add_argument(
        "--columns", metavar="COLUMNS", type=names, help="numeric columns to look at, such as x,y"
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    """How the feed is read, where that should not be found out."""
    parser.add_argument("--format", metavar="NAME", help="csv, json or lines; found out when left out")
    parser.add_argument(
        "--names", metavar="COLUMNS", type=names, help="names for the columns of a CSV without a header"
    )
    parser.add_argument(
        "--schema",
        metavar="TYPES",
        help='types of some columns, such as "ts:timestamp[ms],price:float" (float, int, text, bool, date, '
        "timestamp[s|ms|us|ns])",
    )


def _add_patience(parser: argparse.ArgumentParser) -> None:
    """How long rows are waited for."""
    parser.add_argument(
        "--delay",
        metavar="TIME",
        type=duration,
        help="how far out of order rows may be; told from the first rows",
    )
    parser.add_argument(
        "--lateness",
        metavar="TIME",
        type=duration,
        default="0s",
        help="how long after a window closed late rows still correct its result (default 0s)",
    )
    parser.add_argument(
        "--idle",
        metavar="TIME",
        type=duration,
        help="silence after which windows close by the clock (default 5s for live feeds)",
    )


def run(args: argparse.Namespace) -> int:
    from riverrun.cli.watching import watch

    return watch(with_default(args))
