"""The sinks of a run that keeps no state, and the dashboard of any run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from riverrun.charts.views import published_frame, views_of
from riverrun.errors import RiverrunError, SinkError
from riverrun.plan.nodes import Output
from riverrun.ports import Writer
from riverrun.registry import function
from riverrun.runtime.job import Job
from riverrun.world import World

#: Sinks become visible to readers at least this often.
FLUSH_US = 100_000


class Page:
    """The dashboard, when there is one."""

    def __init__(self) -> None:
        self._page: Any = None
        self._views: dict[int, str] = {}

    def show(self, job: Job, address: str | tuple[str, int], *, allow_unauthenticated: bool) -> Any:
        """Serve it; returns what can be stopped, and has a `url`."""
        views = views_of(job.flow)
        self._views = {number: view.id for number, view in views.items()}
        made = function("dashboard")(
            address,
            title=job.name,
            views=tuple(views.values()),
            health=job.health,
            clock=job.world.clock,
            allow_unauthenticated=allow_unauthenticated,
        )
        made.start()
        self._page = made
        return made

    def publish(self, output: int, frame: pl.DataFrame) -> None:
        """Show new results."""
        if self._page is not None and output in self._views:
            self._page.publish(self._views[output], published_frame(frame))


class Ends:
    """The sinks of a run that keeps no state: results are written at once, by the thread of the engine."""

    def __init__(self, outputs: Sequence[Output], world: World) -> None:
        self._outputs = outputs
        self._world = world
        self._writers: list[Writer | None] = [None] * len(outputs)
        self._dirty: set[int] = set()
        self._flush_due_us = 0

    def open(self, job: Job) -> None:
        for number, (output, at) in enumerate(job.flow.outputs):
            if output.sink is not None:
                typed = job.flow.steps[at].typed
                self._writers[number] = output.sink.open(self._world, dict(typed.columns), typed.keys)

    def deliver(self, output: int, frame: pl.DataFrame) -> None:
        writer = self._writers[output]
        if writer is None:
            return
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
