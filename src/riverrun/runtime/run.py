"""The thin shell around a run: checks, signals, and the state folder, read while the rest is loaded."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from riverrun.clock import Clock, Duration, parse_duration
from riverrun.errors import PlanError
from riverrun.plan.nodes import Output, Read, sources_of
from riverrun.runtime.real_world import RealWorld
from riverrun.runtime.stop import Stop
from riverrun.state.describe import State
from riverrun.world import World

if TYPE_CHECKING:
    from riverrun.runtime.health import Health
    from riverrun.runtime.pump import Pump
    from riverrun.runtime.summary import Summary


def run_outputs(
    outputs: Sequence[Output],
    *,
    name: str = "pipeline",
    state: str | State | None = None,
    dashboard: str | tuple[str, int] | None = None,
    until: Duration | None = None,
    clock: Clock | None = None,
    dead_letters: str | None = None,
    watcher: Callable[[Health], None] | None = None,
    pumps: Sequence[Pump] | None = None,
    world: World | None = None,
    stop: Stop | None = None,
    on_dashboard: Callable[[str], None] | None = None,
    allow_unauthenticated: bool = False,
) -> Summary:
    """Run outputs until their inputs end, a signal comes, or `until` has passed. See `riverrun.run`."""
    _check_outputs(outputs)
    again = _run_again(pumps or ())
    for read in sources_of(*(output.node for output in outputs)):
        if read not in again:
            _check_promises(read, kept=state is not None)
    state = State(state) if isinstance(state, str) else state
    world = world if world is not None else RealWorld(clock=clock)
    stop = stop if stop is not None else Stop()
    limit_us = None if until is None else parse_duration(until, where="run(until=)")
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        store = None
        if state is not None:
            from riverrun.state.store import Store  # SQLite is loaded by who keeps state

            store = Store.open_for_run(state, world)
            stack.callback(store.close)
        # Threads are reading the frames of the state by now, which takes as long as to load the rest.
        from riverrun.runtime.opening import OpenState
        from riverrun.runtime.running import run_opened

        return run_opened(
            outputs,
            name=name,
            opened=OpenState.of(state, store) if state is not None and store is not None else None,
            dashboard=dashboard,
            limit_us=limit_us,
            dead_letters=dead_letters,
            watcher=watcher,
            pumps=pumps,
            world=world,
            stop=stop,
            on_dashboard=on_dashboard,
            allow_unauthenticated=allow_unauthenticated,
            stack=stack,
        )


def _run_again(pumps: Sequence[Pump]) -> list[Read]:
    """The sources in whose place the journal stands: it asks nobody, and so promises nothing."""
    if not pumps:
        return []
    from riverrun.runtime.history import HistoryReader

    return [pump.read for pump in pumps if isinstance(pump.reader, HistoryReader)]


def _check_promises(read: Read, *, kept: bool) -> None:
    """Refuse what only a run that keeps its state can do, and what it cannot."""
    if read.source.acknowledges and not kept:
        raise PlanError(
            "acknowledgments say what is on the disk, and this run keeps nothing there",
            where=read.label,
            hint='rr.run(..., state="state"), or leave out ack=True',
        )
    if read.limits.overload != "block" and kept:
        raise PlanError(
            f"a run that keeps its state leaves nothing out, so overload={read.limits.overload!r} cannot be",
            where=read.label,
            hint="leave out state=, or overload=",
        )


def _check_outputs(outputs: Sequence[Output]) -> None:
    if not outputs:
        raise PlanError("a pipeline needs an output", where="run", hint='stream.write("stdout:")')


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM end the run gently; a second SIGINT ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        if stop.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.now(signal.Signals(number).name)
        print("\nstopping: working through what has arrived", file=sys.stderr)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
