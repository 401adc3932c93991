"""The thin shell around a job: threads of the sources, the loop of the engine, signals, sinks, dashboard."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from riverrun.charts.views import published_frame, views_of
from riverrun.clock import Clock, Duration, parse_duration
from riverrun.errors import PlanError, RiverrunError, SinkError
from riverrun.plan.nodes import Node, Output, Read, sources_of
from riverrun.ports import Writer
from riverrun.registry import function
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.health import Health
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Pump
from riverrun.runtime.queue import Item, Queue
from riverrun.runtime.real_world import RealWorld
from riverrun.runtime.receiving import RECEIVE_BYTES, run_source, wait_for
from riverrun.runtime.stop import Stop
from riverrun.runtime.summary import Summary
from riverrun.world import World

#: Sinks become visible to readers at least this often.
FLUSH_US = 100_000


@dataclass(slots=True)
class Watcher:
    """What looks on while a pipeline runs: called with health about every quarter second."""

    look: Callable[[Health], None]
    every_us: int = 250_000
    _due_us: int = 0

    def tick(self, job: Job, *, force: bool = False) -> None:
        now_us = job.world.clock.monotonic_us()
        if force or now_us >= self._due_us:
            self._due_us = now_us + self.every_us
            self.look(job.health())


def run_outputs(
    outputs: Sequence[Output],
    *,
    name: str = "pipeline",
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
    _check_sources(outputs)
    world = world if world is not None else RealWorld(clock=clock)
    stop = stop if stop is not None else Stop()
    limit_us = None if until is None else parse_duration(until, where="run(until=)")
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        letters = DeadLetters(world, dead_letters)
        stack.callback(letters.close)
        if pumps is None:
            pumps = []
            for read in _reads(outputs):
                pump = Pump(read, world)
                stack.callback(pump.close)
                pumps.append(pump)
        began_us = world.clock.monotonic_us()
        deadline_us = None if limit_us is None else began_us + limit_us
        stop.on_stop(world.wake)
        if not _until_ready(pumps, world, stop, deadline_us):
            return Summary(name, 0.0, (), 0, stop.reason)
        ends = _Ends(outputs, world)
        stack.callback(ends.close)
        job = Job(name, outputs, pumps, world, letters, ends.deliver)
        ends.open(job)
        watch = Watcher(watcher) if watcher is not None else None
        loop = _Loop(job, ends, stop, watch)
        stack.callback(loop.close)
        # Before the dashboard, which takes a second or two to load: rows shall not wait for it to be received.
        loop.start()
        if dashboard is not None:
            before_us = world.clock.monotonic_us()
            page = ends.show(job, dashboard, allow_unauthenticated=allow_unauthenticated)
            stack.callback(page.stop)
            # Loading the dashboard takes a second or two, which are no part of the run.
            if deadline_us is not None:
                deadline_us += world.clock.monotonic_us() - before_us
            if on_dashboard is not None:
                on_dashboard(page.url)
            else:
                print(f"dashboard: {page.url}", file=sys.stderr)
        loop.run(deadline_us)
        loop.close()
        ends.flush()
        job.running = False
        if watch is not None:
            watch.tick(job, force=True)
        seconds = (world.clock.monotonic_us() - began_us) / 1e6
        return Summary(name, seconds, job.health().sources, job.results, stop.reason or "end of input")


def collect_node(node: Node) -> pl.DataFrame:
    """Run a bounded input to its end and return all rows of a node. See `Stream.collect`."""
    for read in sources_of(node):
        if not read.source.bounded:
            raise PlanError(
                f"{read.source.url} never ends, so it cannot be collected",
                where="collect",
                hint='rr.run(stream.write("memory:"), until="10s"), or reconnect=False if the peer will close',
            )
    frames: list[pl.DataFrame] = []
    kept = _Kept(frames)
    summary = run_outputs([Output(node, kept)], name="collect")
    assert kept.columns is not None
    if summary.stopped_by.startswith("SIG"):
        raise KeyboardInterrupt
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=kept.columns)
    return _last_revisions(frame, kept.keys)


def _last_revisions(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Of each result the last revision, ordered by window end, then keys."""
    if "window_end" not in frame.columns or "window_start" not in keys:
        return frame
    if "revision" in frame.columns:
        frame = frame.unique(keys, keep="last", maintain_order=True)
    own = [key for key in keys if key != "window_start"]
    return frame.sort("window_end", *own, "window_start", maintain_order=True, nulls_last=False)


@dataclass(slots=True)
class _Kept:
    """The sink of `collect`."""

    frames: list[pl.DataFrame]
    columns: dict[str, pl.DataType] | None = None
    keys: tuple[str, ...] = ()
    url: str = "memory:"

    def open(self, world: World, schema: Any, keys: Sequence[str]) -> Writer:
        del world
        self.columns, self.keys = dict(schema), tuple(keys)
        return self

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _Ends:
    """The sinks and the dashboard of a run."""

    def __init__(self, outputs: Sequence[Output], world: World) -> None:
        self._outputs = outputs
        self._world = world
        self._writers: list[Writer | None] = [None] * len(outputs)
        self._dirty: set[int] = set()
        self._flush_due_us = 0
        self._page: Any = None
        self._views: dict[int, str] = {}

    def open(self, job: Job) -> None:
        for number, (output, at) in enumerate(job.flow.outputs):
            if output.sink is not None:
                typed = job.flow.steps[at].typed
                self._writers[number] = output.sink.open(self._world, dict(typed.columns), typed.keys)

    def show(self, job: Job, address: str | tuple[str, int], *, allow_unauthenticated: bool) -> Any:
        views = views_of(job.flow)
        self._views = {number: view.id for number, view in views.items()}
        made = function("dashboard")(
            address,
            title=job.name,
            views=tuple(views.values()),
            health=job.health,
            clock=self._world.clock,
            allow_unauthenticated=allow_unauthenticated,
        )
        made.start()
        self._page = made
        return made

    def deliver(self, output: int, frame: pl.DataFrame) -> None:
        writer = self._writers[output]
        if writer is not None:
            self._write(output, writer, frame)
        if self._page is not None and output in self._views:
            self._page.publish(self._views[output], published_frame(frame))

    def _write(self, output: int, writer: Writer, frame: pl.DataFrame) -> None:
        try:
            writer.write(frame)
        except RiverrunError:
            raise
        except OSError as error:
            sink = self._outputs[output].sink
            raise SinkError(f"cannot write: {error}", where=sink.url if sink else None) from error
        self._dirty.add(output)

    def flush_if_due(self) -> None:
        if self._dirty and self._world.clock.monotonic_us() >= self._flush_due_us:
            self.flush()

    def flush(self) -> None:
        for output in sorted(self._dirty):
            writer = self._writers[output]
            if writer is not None:
                writer.flush()
        self._dirty.clear()
        self._flush_due_us = self._world.clock.monotonic_us() + FLUSH_US

    def close(self) -> None:
        for writer in self._writers:
            if writer is not None:
                writer.close()


class _Loop:
    """The engine's thread: takes what the sources put, and lets time pass."""

    def __init__(self, job: Job, ends: _Ends, stop: Stop, watch: Watcher | None) -> None:
        self._job = job
        self._ends = ends
        self._stop = stop
        self._watch = watch
        self._deadline_us: int | None = None
        self._look_up_us = 0
        self._threads: list[threading.Thread] = []
        self._queue = Queue(min(pump.read.limits.budget_bytes for pump in job.pumps))
        self._open = set(range(len(job.pumps)))

    def start(self) -> None:
        """Let the sources begin."""
        self._stop.on_stop(self._queue.wake)
        for at in sorted(self._open):
            arguments = (at, self._job, self._queue, self._stop)
            thread = threading.Thread(
                target=run_source, args=arguments, name=f"riverrun-source-{at}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def run(self, deadline_us: int | None) -> None:
        """Until every source has ended."""
        self._deadline_us = deadline_us
        while self._open:
            item = self._queue.take(self._timeout_s())
            if item is not None:
                self._work(item)
            if item is None or not self._queue.backlog or self._clock_us() >= self._look_up_us:
                self._pass_time()

    def close(self) -> None:
        """Let the threads of the sources end."""
        self._stop.now("error" if self._open else "end of input")
        self._queue.stop()
        for thread in self._threads:
            thread.join(timeout=5)

    def _work(self, item: Item) -> None:
        if item.error is not None:
            raise item.error
        for arrival in item.arrivals:
            self._job.take(item.source, arrival)
        if item.end:
            self._open.discard(item.source)
            self._job.end(item.source)

    def _clock_us(self) -> int:
        return self._job.world.clock.monotonic_us()

    def _pass_time(self) -> None:
        job = self._job
        self._look_up_us = self._clock_us() + FLUSH_US
        job.tick()
        self._ends.flush_if_due()
        if self._watch is not None:
            self._watch.tick(job)
        if self._deadline_us is not None and self._clock_us() >= self._deadline_us:
            self._stop.now("until")

    def _timeout_s(self) -> float:
        now_us = self._clock_us()
        due = [now_us + FLUSH_US, self._job.next_tick_us(), self._deadline_us]
        return max(0.0, (min(at for at in due if at is not None) - now_us) / 1e6)


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


def _reads(outputs: Sequence[Output]) -> list[Read]:
    return sources_of(*(output.node for output in outputs))


def _check_sources(outputs: Sequence[Output]) -> None:
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
