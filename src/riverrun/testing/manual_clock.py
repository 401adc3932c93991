"""A clock that moves only when told to."""

from __future__ import annotations


class ManualClock:
    """A hand-moved clock: time stands still until `advance`.

    Parameters
    ----------
    now_us : where the wall clock begins, microseconds since 1970-01-01 UTC. The monotonic one begins at 0.

    >>> clock = ManualClock(now_us=1_000)
    >>> clock.advance(500)
    >>> clock.now_us(), clock.monotonic_us()
    (1500, 500)
    """

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        """The wall clock: microseconds since 1970-01-01 UTC."""
        return self._now_us

    def monotonic_us(self) -> int:
        """Microseconds moved so far."""
        return self._monotonic_us

    def advance(self, duration_us: int) -> None:
        """Move both clocks on. Raises ``ValueError`` for a negative duration: time does not go back."""
        if duration_us < 0:
            raise ValueError(f"time does not go back: advance by {duration_us} us")
        self._now_us += duration_us
        self._monotonic_us += duration_us
