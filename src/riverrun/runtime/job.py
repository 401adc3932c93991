"""One run of a pipeline, without threads: arrivals and time go in, results go out through a callback.

The threaded runner and the deterministic simulation drive the same `Job`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

import polars as pl

from riverrun.errors import FormatError
from riverrun.kernel.flow import Flow, Step, flow_of
from riverrun.plan.nodes import Output, Read, sources_of, walk
from riverrun.plan.stateful import Stateful
from riverrun.plan.window_aggregate import WindowAggregate
from riverrun.ports import Rejected
from riverrun.runtime.dead_letters import DeadLetter, DeadLetters
from riverrun.runtime.engine import Dropped, Emission, Engine
from riverrun.runtime.health import Health, RejectedSample, SourceHealth, StateHealth, StepHealth
from riverrun.runtime.intake import Intake, group_keys
from riverrun.runtime.log import Ticked
from riverrun.runtime.memory import resident_bytes
from riverrun.runtime.pump import Arrival, Pump
from riverrun.runtime.tables import Tables
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME
from riverrun.world import World

log = logging.getLogger("riverrun")

#: Latencies of so many results are kept for the percentiles.
LATENCIES = 2_000

#: Recent dead letters shown in health.
SAMPLES = 20


class Job:
    """A pipeline at work.

    Parameters
    ----------
    deliver : called with the position of an output and a frame for it.
    """

    def __init__(
        self,
        name: str,
        outputs: Sequence[Output],
        pumps: Sequence[Pump],
        world: World,
        dead_letters: DeadLetters,
        deliver: Callable[[int, pl.DataFrame], None],
    ) -> None:
        self.name = name
        self.outputs = tuple(outputs)
        self.pumps = tuple(pumps)
        self.world = world
        self.dead_letters = dead_letters
        self.started_us = world.clock.now_us()
        self.running = True
        self.results = 0
        self.lock = threading.Lock()
        #: Asked for health, by whoever keeps the state of this job.
        self.state_health: Callable[[], StateHealth | None] = _keeps_none
        self._deliver = deliver
        self._quiet_us: dict[int, int] = {}
        self._warned: set[int] = set()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self._rates = [_Rate() for _ in pumps]
        schemas = {pump.read: pump.schema for pump in pumps if pump.schema is not None}
        # Partitions have to be told apart only where there can be several.
        self.flow: Flow = flow_of(outputs, schemas, partitioned=_partitioned)
        self.engine = Engine(self.flow, world.clock.monotonic_us, [pump.read for pump in pumps])
        self.tables = Tables(self.engine, world)
        self.tables.open(self.started_us)
        meeting = self.flow.meeting
        self.intakes = [
            Intake(
                pump.read,
                schemas[pump.read],
                group_keys(_keys(outputs, pump.read), schemas[pump.read]),
                ordered=_partitioned(pump.read) or pump.read in meeting or _counted(outputs, pump.read),
                place=place,
            )
            for place, pump in enumerate(pumps)
        ]
        self.source_ids = distinct_names(pump.read.name for pump in pumps)
        self._early_due_us = {
            at: world.clock.monotonic_us() + step.node.emit
            for at, step in enumerate(self.flow.steps)
            if isinstance(step.node, WindowAggregate) and isinstance(step.node.emit, int)
        }

    # -- what happens -------------------------------------------------------------------------------

    def received(self, source: int, arrivals: Sequence[Arrival]) -> None:
        """Rows exist; they are in flight until `take`. May be called from the source's thread."""
        with self.lock:
            for arrival in arrivals:
                self.intakes[source].note_received(arrival)

    def shed(self, source: int, arrivals: Sequence[Arrival]) -> None:
        """Rows that were received are left out. May be called from the source's thread."""
        with self.lock:
            self.intakes[source].shed(arrivals)

    def take(self, source: int, arrivals: Sequence[Arrival], now_us: int | None = None) -> None:
        """Work arrivals that came in one go through all steps, together.

        A step has a fixed cost however few rows it gets, so a thousand senders of a line each must not cost
        a thousand times that.

        Parameters
        ----------
        now_us : what the wall clock says, or said when these were taken in for the first time.
        """
        now_us = self.world.clock.now_us() if now_us is None else now_us
        self.intakes[source].expect(arrivals)
        for together in _one_life_each(arrivals):
            self._take(source, together, now_us)

    def _take(self, source: int, arrivals: Sequence[Arrival], now_us: int) -> None:
        intake = self.intakes[source]
        taken = intake.take(arrivals, now_us)
        for arrival, rejected in taken.refused:
            self._reject(intake, arrival, rejected)
        watermark_us = intake.tracker.advance(max(arrival.received_us for arrival in arrivals) or now_us)
        emissions, dropped = self.engine.feed(intake.read, taken.frame, watermark_us, taken.refused_us)
        emissions += self.engine.early(lambda node: node.emit == "batch")
        with self.lock:
            intake.settle(arrivals, taken)
            self._drop(dropped)
            records = sum(arrival.records for arrival in arrivals)
            self._rates[source].note(self.world.clock.monotonic_us(), records)
        self._put_out(emissions, min(arrival.received_us for arrival in arrivals))

    def advance(self, source: int, watermark_us: int) -> None:
        """Something outside the rows says how far the event time of a source has come."""
        intake = self.intakes[source]
        self._advance(intake, intake.tracker.raise_to(watermark_us))

    def quiet(self, source: int) -> None:
        """A source has been asked just now, and had nothing. May be called from the source's thread."""
        self._quiet_us[source] = self.world.clock.now_us()

    def end(self, source: int) -> None:
        """A source is over: all of its windows close."""
        intake = self.intakes[source]
        self._advance(intake, intake.end())

    def _advance(self, intake: Intake, watermark_us: int) -> None:
        emissions, dropped = self.engine.advance(intake.read, watermark_us)
        with self.lock:
            self._drop(dropped)
        self._put_out(emissions, None)

    def _drop(self, dropped: Mapping[Read, Dropped]) -> None:
        for intake in self.intakes:
            if intake.read in dropped:
                intake.drop(dropped[intake.read])

    def due(self) -> Ticked | None:
        """What time alone has brought since rows came: idle partitions, early results; ``None``: nothing."""
        now_us = self.world.clock.now_us()
        watermarks = {}
        for source, intake in enumerate(self.intakes):
            tracker = intake.tracker
            if tracker.idle_us is not None and tracker.watermark_us < AFTER_TIME:
                # Rows that wait to be received while we are busy are no silence.
                watermark_us = tracker.by_silence(min(now_us, self._quiet_us.get(source, now_us)))
                if watermark_us > tracker.watermark_us:
                    watermarks[self.source_ids[source]] = watermark_us
        monotonic_us = self.world.clock.monotonic_us()
        early = tuple(at for at, due_us in self._early_due_us.items() if due_us <= monotonic_us)
        for at in early:
            node = self.flow.steps[at].node
            assert isinstance(node, WindowAggregate)
            self._early_due_us[at] = monotonic_us + cast(int, node.emit)
        steps = self.flow.steps
        return Ticked(watermarks, tuple(steps[at].id for at in early)) if watermarks or early else None

    def pass_time(self, ticked: Ticked) -> None:
        """Let happen what `due` has told."""
        for source_id, watermark_us in ticked.watermarks.items():
            self.advance(self.source_ids.index(source_id), watermark_us)
        nodes = {step.node for step in self.flow.steps if step.id in ticked.early}
        if nodes:
            self._put_out(self.engine.early(lambda node: node in nodes), None)

    def tick(self) -> None:
        """Time has passed: let happen what that brings."""
        ticked = self.due()
        if ticked is not None:
            self.pass_time(ticked)

    def next_tick_us(self) -> int | None:
        """When `tick` has something to do at the latest (monotonic)."""
        times = list(self._early_due_us.values())
        now_us = self.world.clock.now_us()
        behind_us = self.world.clock.monotonic_us() - now_us
        for intake in self.intakes:
            if intake.tracker.watermark_us < AFTER_TIME:
                times += [at_us + behind_us for at_us in self._awaited_us(intake, now_us)]
        return min(times, default=None)

    def _awaited_us(self, intake: Intake, now_us: int) -> list[int]:
        """When a partition falls idle; when all are, when the clock closes the next window."""
        if intake.tracker.idle_us is None:
            return []
        idle_us = intake.tracker.next_idle_us(now_us)
        if idle_us is not None:
            return [idle_us]
        closes = self.engine.closes(intake.read)
        instants = [intake.tracker.reaches_us(close_us, now_us) for close_us in closes]
        return [at_us for at_us in instants if at_us is not None]

    def _reject(self, intake: Intake, arrival: Arrival, rejected: tuple[Rejected, ...]) -> None:
        name = intake.read.name
        if intake.read.on_bad == "fail":
            first = rejected[0]
            raise FormatError(
                f"a record cannot be read ({first.reason}): {first.detail}",
                where=f"{name}, {arrival.partition}, byte {first.position}",
                hint='leave out on_bad="fail" to keep such records apart as dead letters',
            )
        with self.lock:
            self.dead_letters.add(name, arrival.partition, arrival.received_us, rejected)

    def _put_out(self, emissions: Sequence[Emission], received_us: int | None) -> None:
        self._warn()
        for emission in emissions:
            self.results += emission.frame.height
            self._deliver(emission.output, emission.frame)
        if emissions and received_us:
            with self.lock:
                self._latencies_ms.append((self.world.clock.now_us() - received_us) / 1_000)

    # -- what can be seen ---------------------------------------------------------------------------

    def health(self) -> Health:
        """Everything at this moment; may be called from any thread."""
        steps = self.flow.steps
        with self.lock:
            latencies = sorted(self._latencies_ms)
            sources = tuple(self._source_health(i) for i in range(len(self.pumps)))
            recent = list(self.dead_letters.recent)[-SAMPLES:]
        return Health(
            name=self.name,
            now_us=self.world.clock.now_us(),
            started_us=self.started_us,
            running=self.running,
            sources=sources,
            steps=tuple(self._step_health(at) for at in range(len(steps))),
            edges=tuple((parent, at) for at, step in enumerate(steps) for parent in step.parents),
            rejected=tuple(_sample(letter) for letter in recent),
            results=self.results,
            memory_bytes=resident_bytes(),
            latency_ms_p50=_percentile(latencies, 0.5),
            latency_ms_p99=_percentile(latencies, 0.99),
            state=self.state_health(),
        )

    def _source_health(self, at: int) -> SourceHealth:
        intake, pump = self.intakes[at], self.pumps[at]
        counts, tracker = intake.counts, intake.tracker
        counters = dict(pump.reader.counters)
        # Readers drop records that a sender has sent before, so the intake has never seen them.
        sent_again = counters.get("duplicate_records", 0)
        known = BEFORE_TIME // 2 < tracker.watermark_us < AFTER_TIME
        lag_ms = None
        if known and not intake.read.source.bounded:
            lag_ms = (self.world.clock.now_us() - tracker.watermark_us) / 1_000
        return SourceHealth(
            name=intake.read.name,
            url=intake.read.source.url,
            status="; ".join([pump.reader.status, *intake.alarms.texts]),
            received=counts.received + sent_again,
            applied=counts.applied,
            late=counts.late,
            duplicate=counts.duplicate + sent_again,
            dead_lettered=counts.dead_lettered,
            shed=counts.shed,
            overload=intake.read.limits.overload,
            in_flight=counts.in_flight,
            blank=counts.blank,
            bytes=counts.bytes,
            rows_per_s=self._rates[at].per_s(self.world.clock.monotonic_us()),
            watermark_us=tracker.watermark_us if known else None,
            newest_us=intake.newest_us,
            lag_ms=lag_ms,
            partitions=len(tracker.partitions),
            reasons=self.dead_letters.reasons(intake.read.name),
            counters={**counters, **intake.counters},
        )

    def _step_health(self, at: int) -> StepHealth:
        counts, step = self.engine.counts[at], self.flow.steps[at]
        return StepHealth(
            step.label,
            counts.rows_in,
            counts.rows_out,
            counts.late,
            counts.busy_us / 1e6,
            self.engine.state_rows(at),
            step.short,
            counts.beyond,
            _too_many_keys(step) if counts.beyond else "",
            self.tables.failures.get(step.id, {}),
        )

    def _warn(self) -> None:
        """Say once of each step that it has met too many keys."""
        for at, step in enumerate(self.flow.steps):
            if at not in self._warned and self.engine.counts[at].beyond:
                self._warned.add(at)
                log.warning("%s: %s", self.name, _too_many_keys(step))


def _too_many_keys(step: Step) -> str:
    assert isinstance(step.node, Stateful)
    return (
        f"{step.short or step.label} has met more than {step.max_keys:,} keys: "
        f"{step.node.beyond_keys}; rr.Limits(max_keys=...) raises the limit"
    )


class _Rate:
    """Rows a second over the last few seconds."""

    span_us = 3_000_000

    def __init__(self) -> None:
        self._notes: deque[tuple[int, int]] = deque()
        self._rows = 0

    def note(self, now_us: int, rows: int) -> None:
        self._notes.append((now_us, rows))
        self._rows += rows
        self._forget(now_us)

    def per_s(self, now_us: int) -> float:
        self._forget(now_us)
        return self._rows * 1e6 / self.span_us

    def _forget(self, now_us: int) -> None:
        while self._notes and self._notes[0][0] < now_us - self.span_us:
            self._rows -= self._notes.popleft()[1]


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once: the second of a kind becomes ``name #2``."""
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return tuple(made)


def _one_life_each(arrivals: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
    """Arrivals in parts, each without a partition that begins anew behind its end."""
    over: set[str] = set()
    start = 0
    for at, arrival in enumerate(arrivals):
        if arrival.partition in over:
            yield arrivals[start:at]
            start, over = at, set()
        if arrival.end:
            over.add(arrival.partition)
    if start < len(arrivals):
        yield arrivals[start:]


def _partitioned(read: Read) -> bool:
    return bool(getattr(read.source, "partitioned", False))


def _counted(outputs: Sequence[Output], read: Read) -> bool:
    """Whether some step drops rows of a source that have to be counted."""
    return any(
        isinstance(node, Stateful) and node.counts_rows and read in sources_of(node)
        for node in walk(*(output.node for output in outputs))
    )


def _keys(outputs: Sequence[Output], read: Read) -> list[str]:
    """Names of plain columns that are grouping keys somewhere behind a source."""
    return [
        key.expr.meta.output_name()
        for node in walk(*(output.node for output in outputs))
        if isinstance(node, WindowAggregate) and read in sources_of(node)
        for key in node.keys
        if key.expr.meta.is_column()
    ]


def _keeps_none() -> None:
    """The health of a state that there is not."""


def _sample(letter: DeadLetter) -> RejectedSample:
    return RejectedSample(
        letter.source,
        letter.rejected.reason,
        letter.rejected.detail,
        letter.partition,
        letter.rejected.position,
        letter.shown_head(),
        letter.received_us,
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None
