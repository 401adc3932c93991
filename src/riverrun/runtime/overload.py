"""What to do with arrivals when the engine does not keep up. Pure: the queue asks, and acts.

Whole arrivals are shed, never parts of one, and what is shed is counted under the name of the policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from riverrun.limits import Overload

#: With ``sample``: so many arrivals in a row find room before more of them are kept again.
CALM_ARRIVALS = 16
#: With ``sample``: at least one in so many is kept.
STRIDE_MAX = 1024


class Verdict(Enum):
    """What becomes of an arrival."""

    PUT = "it goes into the queue"
    WAIT = "its source waits until there is room"
    SHED = "it is left out"
    SHED_OLDEST = "it goes into the queue in place of the oldest one of its source"


@dataclass(frozen=True, slots=True)
class Shedding:
    """One source's policy, and what it goes by.

    With ``sample`` one in `stride` arrivals is kept, by their numbers. The stride doubles when even those find
    the queue full, and halves when there was room for a while.

    Parameters
    ----------
    policy : see `riverrun.limits.Limits`.
    stride : how many arrivals there are for one that is kept.
    number : of the next arrival.
    calm : arrivals in a row that found room.

    >>> shedding, kept = Shedding("sample", stride=4), []
    >>> for _ in range(8):
    ...     shedding, verdict = shedding.judge(full=False)
    ...     kept.append(verdict is Verdict.PUT)
    >>> kept
    [True, False, False, False, True, False, False, False]
    """

    policy: Overload = "block"
    stride: int = 1
    number: int = 0
    calm: int = 0

    @property
    def sheds(self) -> bool:
        """Whether anything is ever left out."""
        return self.policy != "block"

    def judge(self, *, full: bool) -> tuple[Shedding, Verdict]:
        """What becomes of the next arrival, and how things stand behind it."""
        match self.policy:
            case "block":
                return self, Verdict.WAIT if full else Verdict.PUT
            case "drop_newest":
                return self, Verdict.SHED if full else Verdict.PUT
            case "drop_oldest":
                return self, Verdict.SHED_OLDEST if full else Verdict.PUT
            case "sample":
                return self._sampled(full=full)

    def _sampled(self, *, full: bool) -> tuple[Shedding, Verdict]:
        turn = self.number % self.stride == 0
        behind = replace(self, number=self.number + 1, calm=0 if full else self.calm + 1)
        if full and turn:
            return replace(behind, stride=min(STRIDE_MAX, self.stride * 2)), Verdict.SHED
        if behind.calm >= CALM_ARRIVALS and self.stride > 1:
            behind = replace(behind, stride=self.stride // 2, calm=0)
        return behind, Verdict.PUT if turn else Verdict.SHED
