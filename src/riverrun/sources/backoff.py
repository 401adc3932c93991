"""How long to wait before trying again: longer each time, and never the same for two that failed together."""

from __future__ import annotations

from dataclasses import dataclass

#: A wait is shortened by up to this part, so that many that lost the same server do not come back at once.
JITTER = 0.5


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with jitter.

    Parameters
    ----------
    first_us, longest_us : the first wait, and what no wait goes beyond.

    >>> Backoff(first_us=200_000, longest_us=10_000_000).wait_us(3, chance=0.5)
    600000
    """

    first_us: int
    longest_us: int

    def wait_us(self, failures: int, *, chance: float) -> int:
        """The wait after so many failures in a row; `chance` between 0 and 1 shortens it by up to half."""
        # Twice as long each time. The power is capped as well: it would grow for as long as nobody answers.
        full_us = min(self.longest_us, self.first_us << min(failures - 1, 40))
        return round(full_us * (1 - JITTER * chance))
