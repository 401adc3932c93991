"""Keeping a dashboard up after the input has ended, until somebody has seen enough."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from riverrun.cli.screen import LiveScreen, Screen
from riverrun.runtime.stop import Stop
from riverrun.world import World


@dataclass(slots=True)
class Stay:
    """Waits at the end of an input.

    Parameters
    ----------
    deadline_us : when to go at the latest (monotonic).
    wanted : whether anybody looks on at all.
    """

    stop: Stop
    world: World
    deadline_us: int | None
    wanted: bool

    def wait(self, screen: Screen) -> None:
        """Return when Ctrl-C or SIGTERM comes, or the time is up; at once unless the input itself has ended."""
        if not self.wanted or self.stop.reason != "end of input":
            return
        if isinstance(screen, LiveScreen):
            screen.close()
        print("the input has ended; the dashboard stays until Ctrl-C", flush=True)
        over = threading.Event()
        self.stop.on_stop(over.set)
        left_s = None
        if self.deadline_us is not None:
            left_s = max(0.0, (self.deadline_us - self.world.clock.monotonic_us()) / 1e6)
        try:
            over.wait(left_s)
        except KeyboardInterrupt:
            print()
