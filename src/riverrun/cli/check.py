"""The command ``riverrun check``."""

from __future__ import annotations

import argparse
import sys

from riverrun.cli.arguments import Commands, command


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "check",
        run,
        help="look over a pipeline without connecting to anything",
        description="""
            Load a pipeline, check every step that can be checked without data (names and types of columns
            where the schema is declared, windows, aggregates, outputs), and explain what it does. Nothing is
            connected, read or written. Exit code 0: nothing wrong was found; 1: something was, and standard
            error says what.
            """,
        examples="""
            riverrun check pipeline.py
            riverrun check pipeline.toml && riverrun run pipeline.toml
            """,
    )
    parser.add_argument("file", metavar="FILE", help="pipeline.py or pipeline.toml")
    parser.add_argument("--quiet", action="store_true", help="only say what is wrong")


def run(args: argparse.Namespace) -> int:
    from riverrun.cli.pipeline_file import load
    from riverrun.errors import RiverrunError
    from riverrun.plan.explain import explain_outputs
    from riverrun.plan.nodes import sources_of
    from riverrun.plan.typing import typed
    from riverrun.runtime.real_world import RealWorld

    try:
        pipeline = load(args.file, RealWorld().files)
        open_ends = []
        for output in pipeline.outputs:
            reads = sources_of(output.node)
            unknown = [read.source.url for read in reads if read.schema is None]
            open_ends += [url for url in unknown if url not in open_ends]
            if not unknown:
                typed(output.node, {read: read.schema for read in reads if read.schema is not None})
        told = explain_outputs(pipeline.outputs)
    except RiverrunError as error:
        if args.debug:
            raise
        print(f"riverrun check: {error}", file=sys.stderr)
        return 1
    if args.quiet:
        return 0
    print(told)
    print()
    for url in open_ends:
        print(f"not checked: columns of {url}, found out when it runs (declare schema= to check them)")
    print(f"ok: {pipeline.name}, {len(pipeline.outputs)} output{'s' if len(pipeline.outputs) != 1 else ''}")
    return 0
