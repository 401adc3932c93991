"""What a run did, for people and for code."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.runtime.health import SourceHealth, StateHealth, StepHealth


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Parameters
    ----------
    seconds : how long it ran.
    sources : the final counts of every source.
    results : rows put out.
    stopped_by : ``"end of input"``, ``"until"``, ``"SIGINT"`` or ``"SIGTERM"``.
    state : what is on the disk; ``None`` for a run that kept no state.
    steps : the final counts of every step.
    """

    name: str
    seconds: float
    sources: tuple[SourceHealth, ...]
    results: int
    stopped_by: str
    state: StateHealth | None = None
    steps: tuple[StepHealth, ...] = ()

    @property
    def rows(self) -> int:
        """Rows received from all sources."""
        return sum(source.received for source in self.sources)

    def __str__(self) -> str:
        rate = self.rows / self.seconds if self.seconds else 0.0
        lines = [
            f"{self.name}: {self.rows:,} rows in, {self.results:,} results out, "
            f"{self.seconds:.1f} s, {rate:,.0f} rows/s; stopped by {self.stopped_by}"
        ]
        for source in self.sources:
            parts = [f"{source.applied:,} applied", f"{source.late:,} late"]
            parts.append(f"{source.dead_lettered:,} dead-lettered")
            if source.shed:
                parts.append(f"{source.shed:,} shed ({source.overload})")
            if source.duplicate:
                parts.append(f"{source.duplicate:,} duplicate")
            if source.in_flight:
                parts.append(f"{source.in_flight:,} in flight")
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in source.reasons.items())
            lines.append(f"  {source.name}: {', '.join(parts)}" + (f" ({reasons})" if reasons else ""))
        lines += [
            f"  {step.beyond_max_keys:,} rows beyond max_keys: {step.warning}"
            for step in self.steps
            if step.beyond_max_keys
        ]
        if self.state is not None:
            plural = "" if self.state.checkpoints == 1 else "s"
            lines.append(
                f"  state in {self.state.folder}: {self.state.checkpoints:,} checkpoint{plural} written"
            )
            lines += [f"  {warning}" for warning in self.state.warnings]
        return "\n".join(lines)
