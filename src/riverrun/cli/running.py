"""Running a pipeline with its progress on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from riverrun.cli.latest import Latest
from riverrun.cli.screen import LiveScreen, Screen, screen_for
from riverrun.cli.staying import Stay
from riverrun.clock import parse_duration
from riverrun.plan.nodes import Output, lineage
from riverrun.plan.pipeline import Pipeline
from riverrun.plan.window_aggregate import WindowAggregate
from riverrun.runtime.health import Health
from riverrun.runtime.pump import Pump
from riverrun.runtime.real_world import RealWorld
from riverrun.runtime.run import run_outputs
from riverrun.runtime.stop import Stop
from riverrun.runtime.summary import Summary
from riverrun.state.describe import State

#: A pipeline shows results of so many of its outputs on the terminal.
SHOWN_OUTPUTS = 3


def run_shown(
    pipeline: Pipeline,
    *,
    dashboard: str | None,
    until: str | None,
    dead_letters: str | None,
    world: RealWorld,
    latest: Latest | None,
    state: str | State | None = None,
    pumps: Sequence[Pump] | None = None,
    allow_unauthenticated: bool = False,
) -> Summary:
    """Run a pipeline to its end; the summary is printed.

    Parameters
    ----------
    latest : keeps results of the outputs that go nowhere else, for showing; ``None``: only progress shows.
    state : where and how the run keeps what it must not lose.
    pumps : what takes the place of the sources.
    """
    prints = any(output.sink is not None and output.sink.url == "stdout:" for output in pipeline.outputs)
    # A live table and a pipeline that prints would write over each other.
    screen = screen_for(latest, terminal=False if prints else None)
    live = isinstance(screen, LiveScreen)
    stop = Stop()
    deadline_us = None if until is None else world.clock.monotonic_us() + parse_duration(until, where="--for")
    stay = Stay(stop, world, deadline_us, wanted=live and dashboard is not None)

    def look(health: Health) -> None:
        screen.show(health)
        if not health.running:
            stay.wait(screen)

    outputs = list(pipeline.outputs)
    if latest is not None and live:
        outputs = [_shown(output, latest) for output in outputs[:SHOWN_OUTPUTS]] + outputs[SHOWN_OUTPUTS:]
    try:
        summary = run_outputs(
            outputs,
            name=pipeline.name,
            state=state,
            pumps=pumps,
            dashboard=dashboard,
            until=until,
            dead_letters=dead_letters,
            watcher=look,
            world=world,
            stop=stop,
            on_dashboard=lambda url: _told(url, screen),
            allow_unauthenticated=allow_unauthenticated,
        )
    finally:
        screen.close()
    print(summary, file=sys.stderr, flush=True)
    return summary


def _shown(output: Output, latest: Latest) -> Output:
    """An output that goes nowhere shows on the terminal."""
    return output if output.sink is not None else replace(output, sink=latest.sink(title_of(output)))


def title_of(output: Output) -> str:
    """What an output's rows are, for people."""
    for node in lineage(output.node):
        if isinstance(node, WindowAggregate):
            by = ", ".join(key.name for key in node.keys)
            return f"by {by}, {node.window.words}" if by else node.window.words
    return output.node.label


def _told(url: str, screen: Screen) -> None:
    live = isinstance(screen, LiveScreen)
    if isinstance(screen, LiveScreen):
        screen.footer = f"dashboard: {url}   Ctrl-C stops"
    print(f"dashboard: {url}", file=sys.stdout if live else sys.stderr, flush=True)
