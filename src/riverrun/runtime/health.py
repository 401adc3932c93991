"""The state of a running pipeline at one moment, as plain values: for the terminal, the dashboard and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riverrun.errors import without_credentials


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
    """One step of the plan.

    Parameters
    ----------
    late : how many rows were too late for it; a row that is too late for several windows counts once.
    short : its name where there is little room, empty when `name` is short.
    beyond_max_keys : how many rows had a key beyond `max_keys`.
    warning : what becomes of such rows, once there are any.
    counters : what went wrong since the run began; in a lookup ``answers_failed`` (what ``on_failure=`` was
        about), ``keys_not_asked`` of these (no time was left), ``table_not_read``.
    """

    name: str
    rows_in: int = 0
    rows_out: int = 0
    late: int = 0
    busy_s: float = 0.0
    state_rows: int = 0
    short: str = ""
    beyond_max_keys: int = 0
    warning: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedSample:
    """One recent dead letter, for people to look at: `detail` and `head` are masked, as in the docs."""

    source: str
    reason: str
    detail: str
    partition: str
    position: int
    head: str
    received_us: int


@dataclass(frozen=True, slots=True)
class StateHealth:
    """What a run that keeps its state has on the disk.

    Parameters
    ----------
    appended, synced : the last record of the journal, and the last one that is on the disk for certain.
    applied : the last record whose effects are in the results.
    checkpoints : how many this run has written.
    checkpoint_applied, checkpoint_us : the last record that the newest one covers, and when it was written.
    checkpoint_s, checkpoint_bytes : how long writing it took, handing results over included, and its bytes.
    uncovered_bytes : input in the journal that came after the newest checkpoint was taken.
    full : whether the disk is full, so that nothing is stored or acknowledged.
    waiting_bytes : results that no sink has committed yet.
    troubles : by URL, why a sink takes nothing just now.
    recovery, recovery_s : what the start found in the folder, and how long opening it took.
    """

    folder: str
    appended: int = 0
    synced: int = 0
    applied: int = 0
    checkpoints: int = 0
    checkpoint_applied: int = 0
    checkpoint_us: int | None = None
    checkpoint_s: float = 0.0
    checkpoint_bytes: int = 0
    uncovered_bytes: int = 0
    full: bool = False
    waiting_bytes: int = 0
    troubles: Mapping[str, str] = field(default_factory=dict)
    recovery: str = ""
    recovery_s: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look after, a sentence each.

        >>> StateHealth("state", troubles={"sqlite:out.db": "database is locked"}).warnings
        ('sqlite:out.db takes no results (database is locked): they wait, and it is tried again',)
        """
        texts = [
            f"{without_credentials(url)} takes no results ({reason}): they wait, and it is tried again"
            for url, reason in self.troubles.items()
        ]
        if self.full:
            texts.insert(
                0,
                f"the disk of {self.folder} is full: nothing is stored or acknowledged; "
                "remove something from it, and it goes on by itself",
            )
        return tuple(texts)


@dataclass(frozen=True, slots=True)
class Health:
    """Everything at one moment.

    Parameters
    ----------
    now_us, started_us : wall clock.
    edges : pairs of positions in `steps`: rows go from the first to the second.
    latency_ms_p50, latency_ms_p99 : last row of a window received to result out, over the last minute.
    state : what is on the disk; ``None`` in a run that keeps no state.
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
    state: StateHealth | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look after, a sentence each.

        >>> step = StepHealth("latest by key", warning="latest by key has met more than 100 keys")
        >>> Health("sensors", 0, 0, running=True, steps=(step,)).warnings
        ('latest by key has met more than 100 keys',)
        """
        kept = self.state.warnings if self.state is not None else ()
        return (*kept, *(step.warning for step in self.steps if step.warning))
