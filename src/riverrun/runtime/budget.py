"""How many bytes may be on the way from the sources to the state, of all sources of a run together."""

from __future__ import annotations

import threading
from dataclasses import dataclass

#: Reading pauses when so much of the budget is used, and goes on when no more than that is.
PAUSE_SHARE, RESUME_SHARE = 0.8, 0.5
#: What is decoded in one go is no more than this share of the budget: up to five blocks are under way at a time
#: (being received, decoded and worked on, and two that wait), as bytes, as columns, or as both.
BLOCK_SHARE = 1 / 32
#: Smaller blocks would cost more time than they save memory.
BLOCK_BYTES_MIN = 64 * 1024


@dataclass(frozen=True, slots=True)
class Level:
    """How full a budget is.

    Two thresholds, not one: near a single one, reading would start and stop for every few bytes. What is
    charged will be released; what is held may stay for ever, so for the lower threshold nobody waits when
    nothing else is left.

    Parameters
    ----------
    charged_bytes : on the way to the state.
    held_bytes : held by sources, in lines that have not ended.
    paused : whether nothing more shall be read.

    >>> level = Level().at(90, 0, limit_bytes=100)
    >>> level.paused, level.at(60, 0, limit_bytes=100).paused, level.at(50, 0, limit_bytes=100).paused
    (True, True, False)
    >>> level.at(0, 60, limit_bytes=100).paused, level.at(0, 90, limit_bytes=100).paused
    (False, True)
    """

    charged_bytes: int = 0
    held_bytes: int = 0
    paused: bool = False

    @property
    def used_bytes(self) -> int:
        return self.charged_bytes + self.held_bytes

    def at(self, charged_bytes: int, held_bytes: int, *, limit_bytes: int) -> Level:
        """The level once so much is used."""
        threshold = RESUME_SHARE if self.paused and charged_bytes else PAUSE_SHARE
        paused = charged_bytes + held_bytes > limit_bytes * threshold
        return Level(charged_bytes, held_bytes, paused)


class Budget:
    """The bytes that all sources of a run share; may be used from several threads.

    Bytes are charged when they leave the socket and released when the engine has applied them. What a source
    holds (lines that have not ended) is in it for as long as the source holds it.

    >>> budget = Budget(100)
    >>> budget.charge(70)
    >>> budget.hold(0, 20)
    >>> budget.paused
    True
    >>> budget.release(70)
    >>> budget.used_bytes, budget.paused, budget.stuck(0)
    (20, False, False)
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: dict[int, int] = {}
        self._level = Level()
        self._changed = threading.Condition()

    @property
    def paused(self) -> bool:
        """Whether nothing more shall be read for now."""
        return self._level.paused

    def stuck(self, source: int) -> bool:
        """Whether waiting will not help, since all of it is held by sources, and this one holds the most."""
        with self._changed:
            return self._stuck(source)

    @property
    def used_bytes(self) -> int:
        return self._level.used_bytes

    def portion(self, wanted_bytes: int) -> int:
        """How much to ask for at a time: one answer to a source that was not paused stays within the limit."""
        return max(1, min(wanted_bytes, int(self._limit_bytes * (1 - PAUSE_SHARE))))

    def block(self, wanted_bytes: int) -> int:
        """How much to decode in one go, so that all that is under way fits.

        >>> MIB = 1024 * 1024
        >>> [Budget(limit * MIB).block(4 * MIB) // 1024 for limit in (256, 64, 32, 1)]
        [4096, 2048, 1024, 64]
        """
        return min(wanted_bytes, max(BLOCK_BYTES_MIN, int(self._limit_bytes * BLOCK_SHARE)))

    def charge(self, size: int) -> None:
        """So many bytes have come in."""
        with self._changed:
            self._change(size)

    def release(self, size: int) -> None:
        """So many bytes have been applied."""
        with self._changed:
            self._change(-size)

    def hold(self, source: int, size: int) -> None:
        """What a source holds by now, in place of what it held before."""
        with self._changed:
            if size != self._held.get(source, 0):
                self._held[source] = size
                self._change(0)

    def wait(self, source: int, timeout_s: float) -> None:
        """Return when a source has something to do: read on, or give up what it holds; or after a while."""
        with self._changed:
            self._changed.wait_for(lambda: not self._level.paused or self._stuck(source), timeout_s)

    def _stuck(self, source: int) -> bool:
        level = self._level
        return level.paused and not level.charged_bytes and self._held.get(source) == max(self._held.values())

    def _change(self, charged: int) -> None:
        level = self._level
        charged += level.charged_bytes
        held = sum(self._held.values())
        self._level = level.at(charged, held, limit_bytes=self._limit_bytes)
        self._changed.notify_all()
