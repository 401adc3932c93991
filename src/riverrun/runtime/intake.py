"""What happens to rows between a source and the first step: event time, guards, watermark marks, and the count.

Pure: time is an argument. The conservation law holds here, exactly and always:
received = applied + late + dead-lettered + shed + duplicate + in flight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import orjson
import polars as pl

from riverrun.batch import ROW_ORDER, Batch
from riverrun.clock import format_instant, parse_duration
from riverrun.kernel.window_frame import event_times
from riverrun.plan.nodes import Read
from riverrun.plan.typed import ARRIVED_AT
from riverrun.ports import Rejected
from riverrun.runtime.alarms import Alarms
from riverrun.runtime.engine import Dropped
from riverrun.runtime.pump import Arrival
from riverrun.schema import INSTANT, Schema, mistaken_for
from riverrun.windows.watermark import AFTER_TIME, Partition, WatermarkTracker

#: Rows of one partition that are told apart by `ROW_ORDER`.
PARTITION_ROWS = 1 << 42

#: Partitions of one source that are told apart by it.
SOURCE_PARTITIONS = 1 << 14

HEAD_BYTES = 256


@dataclass(slots=True)
class Counts:
    """The rows of one source, by what became of them."""

    received: int = 0
    applied: int = 0
    late: int = 0
    duplicate: int = 0
    dead_lettered: int = 0
    shed: int = 0
    in_flight: int = 0
    blank: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TrackedPartition:
    """How far one partition has come."""

    newest_us: int
    seen_us: int
    rows: int


@dataclass(frozen=True, slots=True)
class IntakeMemory:
    """One source's intake at a checkpoint. Rows in flight are not in it: they will be received again.

    Parameters
    ----------
    counts : what became of rows, by the names of `Counts`.
    numbers : the places of partitions among each other.
    counters : what the decoders counted.
    """

    counts: Mapping[str, int]
    newest_us: int | None
    watermark_us: int
    tracked: Mapping[str, TrackedPartition]
    numbers: Mapping[str, int]
    counters: Mapping[str, int]


@dataclass(slots=True)
class Intake:
    """One source's rows on their way into the plan.

    Parameters
    ----------
    keys : text columns of the source that are grouping keys, whose length is limited.
    ordered : whether every row carries its place, because partitions or sources have to be told apart, or rows
        that some step drops have to be counted.
    place : of the source among all; what its rows carry does not collide with those of others.
    """

    read: Read
    schema: Schema
    keys: tuple[str, ...]
    ordered: bool
    place: int = 0
    tracker: WatermarkTracker = field(init=False)
    counts: Counts = field(default_factory=Counts)
    newest_us: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    alarms: Alarms = field(default_factory=Alarms)
    _numbers: dict[str, int] = field(default_factory=dict)
    _time: str = field(init=False)
    _future_us: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.tracker = WatermarkTracker(self.read.delay_us, self.read.idle_us)
        self._time = self.read.time or ARRIVED_AT
        live = not self.read.source.bounded and self.read.time is not None
        self._future_us = parse_duration(self.read.limits.future, where="limits.future") if live else None

    def note_received(self, arrival: Arrival) -> None:
        """The rows exist from here on; until `settle` they are in flight."""
        self.counts.received += arrival.records
        self.counts.in_flight += arrival.records
        self.tracker.heard(arrival.partition, arrival.received_us)

    def expect(self, arrivals: Sequence[Arrival]) -> None:
        """These are taken next, in one go: none of their partitions is silent meanwhile."""
        for arrival in arrivals:
            self.tracker.arrives(arrival.partition, arrival.received_us)

    def measured(self, arrival: Arrival) -> Arrival:
        """The arrival with the lengths of its keys, which its source's thread can find out beforehand."""
        return replace(arrival, longest_keys={key: _longest(arrival.frame[key]) for key in self.keys})

    def take(self, arrival: Arrival, now_us: int) -> tuple[Batch, tuple[Rejected, ...]]:
        """The batch to feed, and the rows that are refused, those of the decoder included."""
        frame = arrival.frame
        if self.read.time is None:
            now = pl.Series(ARRIVED_AT, [arrival.received_us], dtype=INSTANT)
            frame = frame.hstack([now.new_from_index(0, frame.height)])
        frame, refused = self._guard(frame, arrival, now_us)
        frame = self._marked(frame, arrival, now_us)
        if arrival.end:
            self.tracker.end_partition(arrival.partition)
        rejected = (*arrival.rejected, *refused)
        self.alarms.note(frame.height, rejected)
        return Batch(frame, arrival.received_us), rejected

    def settle(self, arrival: Arrival, applied: int, dropped: Dropped, dead_lettered: int) -> None:
        """What has become of the rows of an arrival."""
        self.counts.blank += arrival.blank
        self.counts.bytes += arrival.bytes
        for name, number in arrival.counters.items():
            self.counters[name] = self.counters.get(name, 0) + number
        self.counts.in_flight -= arrival.records
        self.counts.applied += applied - dropped.late - dropped.duplicate
        self.counts.late += dropped.late
        self.counts.duplicate += dropped.duplicate
        self.counts.dead_lettered += dead_lettered

    def shed(self, arrivals: Sequence[Arrival]) -> None:
        """The rows of arrivals are left out, good or bad."""
        records = sum(arrival.records for arrival in arrivals)
        self.counts.in_flight -= records
        self.counts.shed += records

    def remember(self) -> IntakeMemory:
        """What another intake needs to go on from here."""
        counts = {item.name: getattr(self.counts, item.name) for item in fields(self.counts)}
        counts["received"] -= counts.pop("in_flight")
        partitions = self.tracker.partitions.items()
        tracked = {name: TrackedPartition(p.newest_us, p.seen_us, p.rows) for name, p in partitions}
        return IntakeMemory(
            counts=counts,
            newest_us=self.newest_us,
            watermark_us=self.tracker.watermark_us,
            tracked=tracked,
            numbers=dict(self._numbers),
            counters=dict(self.counters),
        )

    def restore(self, memory: IntakeMemory) -> None:
        """Go on from there."""
        self.counts = Counts(**memory.counts)
        self.newest_us = memory.newest_us
        self.tracker.watermark_us = memory.watermark_us
        self.tracker.partitions = {
            name: Partition(p.newest_us, p.seen_us, p.rows, p.seen_us) for name, p in memory.tracked.items()
        }
        self._numbers = dict(memory.numbers)
        self.counters = dict(memory.counters)

    def end(self) -> int:
        """The input is over: the watermark is after every instant."""
        self.tracker.watermark_us = AFTER_TIME
        return AFTER_TIME

    # -- guards -------------------------------------------------------------------------------------

    def _guard(self, frame: pl.DataFrame, arrival: Arrival, now_us: int) -> tuple[pl.DataFrame, list[Rejected]]:
        """Part with rows that have no event time, lie in the far future, or have an over-long key."""
        refused: list[Rejected] = []
        gone: pl.Series | None = None
        for reason, bad, detail in self._checks(frame, arrival, now_us):
            # A row is refused once, for the first reason.
            places = (bad if gone is None else bad & ~gone).arg_true()
            rows = frame.select(self.schema.names)[places].iter_rows(named=True)
            refused += [
                _rejected(reason, detail, row, arrival.first_row + place)
                for place, row in zip(places, rows, strict=True)
            ]
            gone = bad if gone is None else gone | bad
        return (frame if gone is None else frame.filter(~gone)), refused

    def _wrong_unit(self, frame: pl.DataFrame) -> list[tuple[str, pl.Series, str]]:
        """Event times that are long past, while their numbers are a time of these years in a coarser unit."""
        column = self.schema[self._time]
        if column.unit is None or not frame.height:
            return []
        times = event_times(frame, self._time)
        checks = []
        for unit, low_us, high_us in mistaken_for(column.unit):
            bad = times.is_between(low_us, high_us, closed="left").fill_null(value=False)
            if bad.any():
                first = frame[self._time].filter(bad)[0]
                detail = (
                    f"event time {self._time!r}: {first:%Y-%m-%d %H:%M:%S} is long past for a live source; "
                    f"its numbers look like {unit}, the schema says {column.unit}"
                )
                checks.append(("time-range", bad, detail))
        return checks

    def _checks(self, frame: pl.DataFrame, arrival: Arrival, now_us: int) -> list[tuple[str, pl.Series, str]]:
        checks = []
        time = self.read.time
        if time is not None and frame[time].null_count():
            detail = f"the event-time field {time!r} is missing or null"
            checks.append(("schema", frame[time].is_null(), detail))
        if self._future_us is not None and frame.height:
            checks += self._wrong_unit(frame)
            latest = now_us + self._future_us
            times = event_times(frame, self._time)
            newest = times.max()
            if isinstance(newest, int) and newest > latest:
                ahead = f"more than {self.read.limits.future} after {format_instant(now_us)}"
                detail = f"event time {time!r} lies {ahead}"
                checks.append(("future", (times > latest).fill_null(value=False), detail))
        limit = self.read.limits.key_bytes
        for key in self.keys:
            longest = arrival.longest_keys.get(key)
            if (_longest(frame[key]) if longest is None else longest) > limit:
                detail = f"the key {key!r} is longer than {limit} bytes"
                too_long = (frame[key].str.len_bytes() > limit).fill_null(value=False)
                checks.append(("key-too-long", too_long, detail))
        return checks

    # -- order --------------------------------------------------------------------------------------

    def _marked(self, frame: pl.DataFrame, arrival: Arrival, now_us: int) -> pl.DataFrame:
        times = event_times(frame, self._time)
        # Silence is measured by when rows arrived: if we were busy, their partition was not silent.
        behind = self.tracker.observe(arrival.partition, times, arrival.received_us or now_us)
        newest = times.max()
        if isinstance(newest, int):
            self.newest_us = newest if self.newest_us is None else max(self.newest_us, newest)
        if behind is None and not self.ordered:
            return frame
        number = self._numbers.setdefault(arrival.partition, len(self._numbers))
        first = (self.place * SOURCE_PARTITIONS + number) * PARTITION_ROWS + arrival.first_row
        order = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True).alias(ROW_ORDER)
        return frame.hstack([order] if behind is None else [order, behind])


def _longest(texts: pl.Series) -> int:
    """The bytes of the longest text; 0 when there is none."""
    longest = texts.str.len_bytes().max()
    return longest if isinstance(longest, int) else 0


def _rejected(reason: str, detail: str, row: dict[str, object], place: int) -> Rejected:
    """A dead letter for a row whose bytes are gone: its values as JSON stand in for them."""
    # Instants without a zone are UTC in our frames; written so, they can be read again.
    raw = orjson.dumps(row, default=str, option=orjson.OPT_NAIVE_UTC)
    hashed = hashlib.sha256(raw).hexdigest()
    return Rejected(reason, detail, place, len(raw), raw[:HEAD_BYTES], hashed, raw, "row")


def group_keys(columns: Sequence[str], schema: Schema) -> tuple[str, ...]:
    """Those grouping keys that are text columns of the source itself."""
    return tuple(name for name in dict.fromkeys(columns) if name in schema and schema[name].dtype == pl.String)
