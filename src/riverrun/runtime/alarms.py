"""What a source's status says when its rows go wrong in a way that its sender should know of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from riverrun.ports import Rejected

#: So many event times out of range, with no good row between them, are no accident.
WRONG_TIMES = 100
#: More than this share of rows from the future says that a clock is wrong.
FUTURE_SHARE = 0.01


@dataclass(slots=True)
class Alarms:
    """Watches the rows of one source."""

    records: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    wrong_times: int = 0
    last_wrong_time: str = ""

    def note(self, accepted: int, rejected: Sequence[Rejected]) -> None:
        """Take note of what became of some rows that came together."""
        self.records += accepted + len(rejected)
        if accepted:
            self.wrong_times = 0
        if not rejected:
            return
        self.reasons.update(item.reason for item in rejected)
        wrong = [item.detail for item in rejected if item.reason == "time-range"]
        if wrong and not accepted:
            self.wrong_times += len(wrong)
            self.last_wrong_time = wrong[-1]

    @property
    def texts(self) -> list[str]:
        """What is to be said now; nothing when all is well."""
        found = []
        if self.wrong_times >= WRONG_TIMES:
            found.append(f"the last {self.wrong_times:,} event times were refused: {self.last_wrong_time}")
        future = self.reasons["future"]
        if future > FUTURE_SHARE * self.records:
            share = future / self.records
            found.append(f"{share:.0%} of its rows lie in the future: is the clock of a sender wrong?")
        return found
