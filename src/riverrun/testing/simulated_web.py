"""Web servers in memory, which a test answers for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from riverrun.testing.manual_clock import ManualClock
from riverrun.world import NotAskedError, WebAnswer, WebRequest


class SimulatedWeb:
    """Answers that a function makes up; without one every connection is refused.

    Attributes
    ----------
    answer : makes the answer to a request, or an ``OSError``.
    takes_us : how long a round of requests takes, by the clock of the world.
    asked : all requests so far.

    >>> from riverrun.testing import SimulatedWorld
    >>> world = SimulatedWorld()
    >>> world.web.answer = lambda request: WebAnswer(200, b"hello")
    >>> [answer.body for answer in world.web.get([WebRequest("http://host/x")], at_once=1, until_us=1)]
    [b'hello']
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.answer: Callable[[WebRequest], WebAnswer | OSError] = _refused
        self.takes_us = 0
        self.asked: list[WebRequest] = []

    def get(self, requests: Sequence[WebRequest], *, at_once: int, until_us: int) -> list[WebAnswer | OSError]:
        """As `Web.get`."""
        assert at_once > 0
        answers: list[WebAnswer | OSError] = []
        for first in range(0, len(requests), at_once):
            some = requests[first : first + at_once]
            if self._clock.monotonic_us() >= until_us:
                answers += [NotAskedError() for _ in some]
                continue
            self.asked += some
            self._clock.advance(self.takes_us)
            answers += [self.answer(request) for request in some]
        return answers


def _refused(request: WebRequest) -> OSError:
    del request
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
