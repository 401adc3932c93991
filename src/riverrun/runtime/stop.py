"""Why and that a run shall end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stop:
    """Set by a signal, a time limit or another thread; the first reason stays."""

    reason: str = ""
    _wake: list[Callable[[], None]] = field(default_factory=list)

    def on_stop(self, wake: Callable[[], None]) -> None:
        """Call this when the run is asked to end, to wake what waits."""
        self._wake.append(wake)

    def now(self, reason: str) -> None:
        """Ask the run to end: what has been received is still worked through."""
        self.reason = self.reason or reason
        for wake in self._wake:
            wake()

    @property
    def asked(self) -> bool:
        return bool(self.reason)
