"""How many bytes may be on the way from the sources to the state, of all sources of a run together."""

from __future__ import annotations

import threading
from dataclasses import dataclass

#: Reading pauses when so much of the budget is used, and goes on when no more than that is.
PAUSE_SHARE, RESUME_SHARE = 0.8, 0.5


@dataclass(frozen=True, slots=True)
class Level:
    """How full a budget is.

    Two thresholds, not one: near a single one, reading would start and stop for every few bytes.

    Parameters
    ----------
    used_bytes : on the way, or held.
    paused : whether nothing more shall be read.

    >>> level = Level().at(90, limit_bytes=100)
    >>> level.paused, level.at(60, limit_bytes=100).paused, level.at(50, limit_bytes=100).paused
    (True, True, False)
    """

    used_bytes: int = 0
    paused: bool = False

    def at(self, used_bytes: int, *, limit_bytes: int) -> Level:
        """The level once so much is used."""
        threshold = RESUME_SHARE if self.paused else PAUSE_SHARE
        return Level(used_bytes, used_bytes > limit_bytes * threshold)


class Budget:
    """The bytes that all sources of a run share; may be used from several threads.

    Bytes are charged when they leave the socket and released when the engine has applied them. What a source
    holds (lines that have not ended) is in it for as long as the source holds it.

    >>> budget = Budget(100)
    >>> budget.charge(70)
    >>> budget.hold(0, 20)
    >>> budget.release(70)
    >>> budget.used_bytes, budget.paused, budget.stuck
    (20, False, False)
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._charged = 0
        self._held: dict[int, int] = {}
        self._level = Level()
        self._lock = threading.Lock()

    @property
    def paused(self) -> bool:
        """Whether nothing more shall be read for now."""
        return self._level.paused

    @property
    def stuck(self) -> bool:
        """Whether reading is paused and waiting will not help: all of it is held by the sources."""
        with self._lock:
            return self._level.paused and not self._charged

    @property
    def used_bytes(self) -> int:
        return self._level.used_bytes

    def charge(self, size: int) -> None:
        """So many bytes have come in."""
        with self._lock:
            self._change(self._charged + size)

    def release(self, size: int) -> None:
        """So many bytes have been applied."""
        with self._lock:
            self._change(self._charged - size)

    def hold(self, source: int, size: int) -> None:
        """What a source holds by now, in place of what it held before."""
        with self._lock:
            self._held[source] = size
            self._change(self._charged)

    def _change(self, charged: int) -> None:
        self._charged = charged
        used = charged + sum(self._held.values())
        self._level = self._level.at(used, limit_bytes=self._limit_bytes)
