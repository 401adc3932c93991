"""A world in memory: virtual time, a scripted network, files and chance from a seed.

Nothing here sleeps, and nothing comes from outside: the same script and seed give the same bytes at the
same instants, each time. For one thread.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from itertools import count

from riverrun.clock import Duration, parse_duration
from riverrun.testing.manual_clock import ManualClock
from riverrun.testing.simulated_files import SimulatedFiles
from riverrun.testing.simulated_network import ByteStream, SimulatedNetwork
from riverrun.testing.simulated_web import SimulatedWeb
from riverrun.world import Waitable

#: Where the wall clock of a simulation begins: 2026-01-01 00:00:00Z.
START_US = 1_767_225_600_000_000


class SimulationStuck(AssertionError):  # noqa: N818 - a finding, not an error of the input
    """Everything waits, and nothing that the test has scripted will ever happen."""


class SimulatedWorld:
    """A `World` in memory. Every wait moves the clock to the next thing that happens.

    Parameters
    ----------
    seed : of `random`.
    now_us : where the wall clock begins.
    cut_bytes : when given, each receive hands out a random number of bytes, this many at most: for tests
        that results do not depend on how bytes are cut.

    >>> world = SimulatedWorld()
    >>> world.files.append("a.csv", b"x,1\\n")
    >>> world.after("2s", lambda: world.files.append("a.csv", b"x,2\\n"))
    >>> world.wait([], until_us=3_000_000)
    >>> world.clock.monotonic_us(), world.files.content("a.csv")
    (2000000, b'x,1\\nx,2\\n')
    """

    def __init__(self, *, seed: int = 0, now_us: int = START_US, cut_bytes: int | None = None) -> None:
        self.clock = ManualClock(now_us)
        self.random = random.Random(seed)  # noqa: S311 - chance that can be repeated
        self.network = SimulatedNetwork(self.after_us, self._cut(cut_bytes))
        self.web = SimulatedWeb(self.clock)
        self.files = SimulatedFiles(self.clock)
        self.stdin = SimulatedInput(self._cut(cut_bytes))
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._woken = False

    def after(self, duration: Duration, action: Callable[[], None]) -> None:
        """Let something happen in a while: ``world.after("2s", peer.close)``."""
        self.after_us(parse_duration(duration), action)

    def after_us(self, duration_us: int, action: Callable[[], None]) -> None:
        """Let something happen in `duration_us`; things of the same instant happen in the order given here."""
        when_us = self.clock.monotonic_us() + duration_us
        heapq.heappush(self._agenda, (when_us, next(self._numbers), action))

    def advance(self, duration: Duration) -> None:
        """Let time pass, with all that happens meanwhile."""
        end_us = self.clock.monotonic_us() + parse_duration(duration)
        while self._agenda and self._agenda[0][0] <= end_us:
            self._next_event()
        self.clock.advance(end_us - self.clock.monotonic_us())

    def wait(self, ready: Sequence[Waitable], until_us: int | None) -> None:
        """Move to the instant when one of `ready` can be read, something happens, or `until_us` is reached.

        Raises `SimulationStuck` when that instant will never come.
        """
        if self._woken or any(_is_ready(waitable) for waitable in ready):
            self._woken = False
            return
        if self._agenda and (until_us is None or self._agenda[0][0] <= until_us):
            self._next_event()
        elif until_us is not None:
            self.clock.advance(max(0, until_us - self.clock.monotonic_us()))
        else:
            raise SimulationStuck("the pipeline waits for ever: nothing more is scripted, and no time is set")

    def readable(self, among: Sequence[Waitable]) -> list[int]:
        """The places of those that can be read now."""
        return [place for place, waitable in enumerate(among) if _is_ready(waitable)]

    def wake(self) -> None:
        """End the next `wait` at once."""
        self._woken = True

    def _next_event(self) -> None:
        when_us, _, action = heapq.heappop(self._agenda)
        self.clock.advance(max(0, when_us - self.clock.monotonic_us()))
        action()

    def _cut(self, cut_bytes: int | None) -> Callable[[int], int]:
        if cut_bytes is None:
            return lambda size: size
        return lambda size: min(size, self.random.randint(1, cut_bytes))


class SimulatedInput:
    """Standard input that a test feeds."""

    def __init__(self, cut: Callable[[int], int]) -> None:
        self._stream = ByteStream(cut)

    def feed(self, data: bytes) -> None:
        """Bytes piped into the process."""
        self._stream.put(data)

    def end(self) -> None:
        """The other side of the pipe has closed."""
        self._stream.end()

    @property
    def ready(self) -> bool:
        return self._stream.ready

    def fileno(self) -> int:
        return 0

    def receive(self, size: int) -> bytes | None:
        return self._stream.take(size)


def _is_ready(waitable: Waitable) -> bool:
    return bool(getattr(waitable, "ready", False))
