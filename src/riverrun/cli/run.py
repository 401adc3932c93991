"""The command ``riverrun run``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, add_dead_letters, add_for, command
from riverrun.cli.dashboard_options import DEFAULT, add_dashboard
from riverrun.cli.state_options import add_state, state_of


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "run",
        run,
        help="run a pipeline from a Python or TOML file",
        description="""
            Run the pipeline in a file, with its progress on the terminal, until its input ends, Ctrl-C or
            SIGTERM comes, or the time is up. However it stops, what has been received is worked through first.

            A Python file holds an rr.Pipeline called `pipeline`, or a list of outputs called `outputs`. A TOML
            file declares a pipeline without Python; `riverrun run --help-toml` shows one with everything in it.

            With --state, the run keeps what it must not lose in a folder: after a stop or a crash the same
            command goes on where it stood, and no row counts twice. With --from-journal, what another run has
            received and kept (--history) takes the place of the sources, once.
            """,
        examples="""
            riverrun run pipeline.py
            riverrun run pipeline.toml --dashboard --for 10m
            riverrun run pipeline.py --dashboard 127.0.0.1:9000 --dead-letters bad/
            riverrun run pipeline.py --state state/
            riverrun run pipeline.py --state state/ --checkpoint-every 5s --history 2GiB
            riverrun run changed.py --from-journal state/
            """,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="pipeline.py or pipeline.toml")
    parser.add_argument(
        "--help-toml", action="store_true", help="show a TOML pipeline with everything in it, and end"
    )
    add_state(parser)
    add_dashboard(parser, default=False)
    add_for(parser)
    add_dead_letters(parser)


def run(args: argparse.Namespace) -> int:
    from riverrun.errors import ConfigError

    if args.help_toml:
        from riverrun.cli import toml_pipeline

        print(toml_pipeline.__doc__)
        return 0
    if args.file is None:
        raise ConfigError("which file?", where="run", hint="riverrun run pipeline.py")
    from riverrun.cli.dashboard_door import free_address
    from riverrun.cli.latest import Latest
    from riverrun.cli.pipeline_file import load
    from riverrun.cli.running import run_shown
    from riverrun.plan.nodes import sources_of
    from riverrun.runtime.history import pumps_from_journal
    from riverrun.runtime.real_world import RealWorld

    world = RealWorld()
    state = state_of(args)
    pipeline = load(args.file, world.files)
    dashboard = args.dashboard
    if dashboard == DEFAULT:
        dashboard = free_address(DEFAULT, world)
    pumps = None
    if args.from_journal is not None:
        reads = sources_of(*(output.node for output in pipeline.outputs))
        pumps = pumps_from_journal(args.from_journal, reads, world)
    run_shown(
        pipeline,
        state=state if state is not None or pumps is not None else pipeline.state,
        pumps=pumps,
        dashboard=dashboard,
        until=args.for_,
        dead_letters=args.dead_letters,
        world=world,
        latest=Latest(),
        allow_unauthenticated=args.allow_unauthenticated,
    )
    return 0
