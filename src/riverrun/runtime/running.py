"""A whole run: everything is loaded and opened, the loop runs, everything is closed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import polars as pl

from riverrun.plan.nodes import Output, Read, sources_of
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.ends import Ends, Page
from riverrun.runtime.health import Health
from riverrun.runtime.job import Job
from riverrun.runtime.loop import InMemory, Kept, Loop, Watcher
from riverrun.runtime.opening import OpenState, start_kept
from riverrun.runtime.pump import Pump
from riverrun.runtime.receiving import RECEIVE_BYTES, Intaking, wait_for
from riverrun.runtime.stop import Stop
from riverrun.runtime.summary import Summary
from riverrun.world import World


def run_opened(
    outputs: Sequence[Output],
    *,
    name: str,
    opened: OpenState | None,
    dashboard: str | tuple[str, int] | None,
    limit_us: int | None,
    dead_letters: str | None,
    watcher: Callable[[Health], None] | None,
    pumps: Sequence[Pump] | None,
    world: World,
    stop: Stop,
    on_dashboard: Callable[[str], None] | None,
    allow_unauthenticated: bool,
    stack: ExitStack,
) -> Summary:
    """Run checked outputs; what is opened is closed by `stack`. See `riverrun.runtime.run.run_outputs`."""
    letters = DeadLetters(world, dead_letters)
    stack.callback(letters.close)
    if pumps is None:
        pumps = _pumps(sources_of(*(output.node for output in outputs)), world, opened, stack)
    began_us = world.clock.monotonic_us()
    deadline_us = None if limit_us is None else began_us + limit_us
    stop.on_stop(world.wake)
    if not _until_ready(pumps, world, stop, deadline_us):
        return Summary(name, 0.0, (), 0, stop.reason)
    page = Page()
    job, engaged, intakings = _engaged(outputs, name, pumps, world, letters, page, opened, stop, stack)
    watch = Watcher(watcher) if watcher is not None else None
    loop = Loop(job, engaged, intakings, stop, watch)
    stack.callback(loop.close)
    # Before the dashboard, which takes a second or two to load: rows shall not wait for it to be received.
    loop.start()
    if dashboard is not None:
        before_us = world.clock.monotonic_us()
        shown = page.show(job, dashboard, allow_unauthenticated=allow_unauthenticated)
        stack.callback(shown.stop)
        # Loading the dashboard takes a second or two, which are no part of the run.
        if deadline_us is not None:
            deadline_us += world.clock.monotonic_us() - before_us
        if on_dashboard is not None:
            on_dashboard(shown.url)
        else:
            print(f"dashboard: {shown.url}", file=sys.stderr)
    loop.run(deadline_us)
    loop.close()
    engaged.close()
    job.running = False
    if watch is not None:
        watch.tick(job, force=True)
    seconds = (world.clock.monotonic_us() - began_us) / 1e6
    last = job.health()
    reason = stop.reason or "end of input"
    return Summary(name, seconds, last.sources, job.results, reason, last.state, last.steps)


def _engaged(
    outputs: Sequence[Output],
    name: str,
    pumps: Sequence[Pump],
    world: World,
    letters: DeadLetters,
    page: Page,
    opened: OpenState | None,
    stop: Stop,
    stack: ExitStack,
) -> tuple[Job, InMemory | Kept, list[Intaking]]:
    """The job, and what is done with all that happens to it."""
    if opened is not None:
        return start_kept(outputs, name, pumps, world, letters, page, opened, stop, stack)
    ends = Ends(outputs, world)
    stack.callback(ends.close)

    def deliver(output: int, frame: pl.DataFrame) -> None:
        ends.deliver(output, frame)
        page.publish(output, frame)

    job = Job(name, outputs, pumps, world, letters, deliver)
    ends.open(job)
    return job, InMemory(job, ends), [Intaking(at, job) for at in range(len(pumps))]


def _pumps(reads: Sequence[Read], world: World, opened: OpenState | None, stack: ExitStack) -> list[Pump]:
    pumps = []
    for read, memory in zip(reads, opened.memories(reads) if opened else [None] * len(reads), strict=True):
        pump = Pump(read, world, memory)
        stack.callback(pump.close)
        pumps.append(pump)
    if opened is not None:
        opened.resume(pumps)
    return pumps


def _until_ready(pumps: Sequence[Pump], world: World, stop: Stop, deadline_us: int | None) -> bool:
    """Look at what comes until every schema is known; whether the run may begin, or was stopped before."""
    while not all(pump.ready for pump in pumps):
        for pump in pumps:
            if not pump.ready:
                pump.look(pump.receive(RECEIVE_BYTES))
        if deadline_us is not None and world.clock.monotonic_us() >= deadline_us:
            stop.now("until")
        if stop.asked:
            return False
        waiting = [pump for pump in pumps if not pump.ready]
        if waiting:
            wait_for(waiting[0], world)
    return True
