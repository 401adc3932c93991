"""The state of a running pipeline at one moment, as plain values: for the terminal, the dashboard and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One source. ``received = applied + late + dead_lettered + shed + duplicate + in_flight``, always.

    `overload` is the policy by which rows are shed.
    """

    name: str
    url: str
    status: str
    received: int = 0
    applied: int = 0
    late: int = 0
    dead_lettered: int = 0
    shed: int = 0
    duplicate: int = 0
    in_flight: int = 0
    blank: int = 0
    bytes: int = 0
    rows_per_s: float = 0.0
    watermark_us: int | None = None
    newest_us: int | None = None
    lag_ms: float | None = None
    partitions: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    overload: str = "block"

    @property
    def conserved(self) -> bool:
        """Whether every received row is accounted for."""
        parts = (self.applied, self.late, self.dead_lettered, self.shed, self.duplicate, self.in_flight)
        return self.received == sum(parts)


@dataclass(frozen=True, slots=True)
class StepHealth:
    """One step of the plan. `short` is its name where there is little room, empty when `name` is short."""

    name: str
    rows_in: int = 0
    rows_out: int = 0
    late: int = 0
    busy_s: float = 0.0
    state_rows: int = 0
    short: str = ""


@dataclass(frozen=True, slots=True)
class RejectedSample:
    """One recent dead letter, for people to look at. `head` is text with control characters escaped."""

    source: str
    reason: str
    detail: str
    partition: str
    position: int
    head: str
    received_us: int


@dataclass(frozen=True, slots=True)
class Health:
    """Everything at one moment.

    Parameters
    ----------
    now_us, started_us : wall clock.
    edges : pairs of positions in `steps`: rows go from the first to the second.
    latency_ms_p50, latency_ms_p99 : last row of a window received to result out, over the last minute.
    """

    name: str
    now_us: int
    started_us: int
    running: bool
    sources: tuple[SourceHealth, ...] = ()
    steps: tuple[StepHealth, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    rejected: tuple[RejectedSample, ...] = ()
    results: int = 0
    memory_bytes: int = 0
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None
