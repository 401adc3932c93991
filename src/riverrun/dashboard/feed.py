"""From results to messages: takes what the engine published, a few times a second."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

import polars as pl

from riverrun.charts.view import View
from riverrun.clock import Clock
from riverrun.dashboard import wire
from riverrun.dashboard.history import Bounds, Change, History
from riverrun.dashboard.hub import Hub
from riverrun.runtime.health import Health

#: Numbers in one delta; above, viewers are told to fetch a snapshot.
DELTA_VALUES_MAX = 100_000

log = logging.getLogger("riverrun.dashboard")


def _nobody() -> None:
    pass


class Inbox:
    """Frames on their way from the engine's thread to the dashboard's. Putting one in never waits.

    Parameters
    ----------
    rows_max : when the dashboard falls so far behind, the oldest frames are dropped and counted.
    """

    def __init__(self, rows_max: int = 2_000_000) -> None:
        self._frames: deque[tuple[str, pl.DataFrame]] = deque()
        self._rows = 0
        self._rows_max = rows_max
        self._lock = threading.Lock()
        self.dropped_rows = 0
        #: Called from the engine's thread when the first frame since `take` is put in.
        self.wake: Callable[[], None] = _nobody

    def put(self, view_id: str, frame: pl.DataFrame) -> None:
        """From any thread."""
        if frame.is_empty():
            return
        with self._lock:
            first = not self._frames
            self._frames.append((view_id, frame))
            self._rows += frame.height
            while self._rows > self._rows_max and len(self._frames) > 1:
                lost = self._frames.popleft()[1].height
                self._rows -= lost
                self.dropped_rows += lost
        if first:
            self.wake()

    def take(self) -> dict[str, list[pl.DataFrame]]:
        """All frames by view, in order."""
        with self._lock:
            frames, self._frames, self._rows = self._frames, deque(), 0
        out: dict[str, list[pl.DataFrame]] = {}
        for view_id, frame in frames:
            out.setdefault(view_id, []).append(frame)
        return out


class Feed:
    """The state behind the page: histories of all views, and the hub that tells viewers what changed."""

    def __init__(
        self, views: Sequence[View], hub: Hub, health: Callable[[], Health], clock: Clock, bounds: Bounds
    ) -> None:
        self.inbox = Inbox()
        self.hub = hub
        self._histories = {view.id: History(view, bounds) for view in views}
        self._health = health
        self._clock = clock
        self._snapshot: tuple[int, bytes] = (-1, b"")
        self._failures = 0

    def publish_results(self) -> None:
        """Take in what came since the last call, and send the difference."""
        changes = [
            change
            for view_id, frames in self.inbox.take().items()
            if (change := self._absorb(self._histories[view_id], frames)) is not None
        ]
        if not changes:
            return
        if sum(change.values.size for change in changes) > DELTA_VALUES_MAX:
            # A burst, as when history is replayed at full speed: a snapshot is less work for everybody.
            self.hub.broadcast("reset", b"{}")
        else:
            self.hub.broadcast("delta", wire.delta(changes, self._clock.now_us()))

    def publish_health(self) -> None:
        """Send the pipeline's health."""
        self.hub.broadcast("health", self.health_json())

    def health_json(self) -> bytes:
        """The pipeline's health now."""
        own = {
            "viewers": len(self.hub.viewers),
            "dropped_rows": self.inbox.dropped_rows,
            "thinned_rows": sum(history.thinned_rows for history in self._histories.values()),
            "failures": self._failures,
        }
        return wire.health(self._health(), own)

    def ready(self) -> bool:
        """Whether the pipeline runs."""
        return self._health().running

    def snapshot(self) -> bytes:
        """All histories at the current sequence; encoded once for all who ask between two messages."""
        if self._snapshot[0] != self.hub.sequence:
            now = self._clock.now_us()
            whole = wire.snapshot(self.hub.epoch, self.hub.sequence, now, list(self._histories.values()))
            self._snapshot = (self.hub.sequence, whole)
        return self._snapshot[1]

    def _absorb(self, history: History, frames: list[pl.DataFrame]) -> Change | None:
        # Whatever is wrong with one frame, the page and the engine go on.
        try:
            return history.absorb(frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed"))
        except Exception:
            self._failures += 1
            if self._failures <= 3:
                log.exception("dashboard: results of view %r cannot be shown", history.view.id)
            return None
