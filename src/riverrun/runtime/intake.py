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

from riverrun.batch import PARTITION_ROWS, ROW_ORDER, SOURCE_PARTITIONS
from riverrun.clock import format_instant, parse_duration
from riverrun.kernel.window_frame import event_times
from riverrun.plan.nodes import Read
from riverrun.plan.typed import ARRIVED_AT
from riverrun.ports import Rejected
from riverrun.runtime.alarms import Alarms
from riverrun.runtime.engine import Dropped
from riverrun.runtime.pump import Arrival
from riverrun.schema import INSTANT, Schema, mistaken_for
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME, Partition, Stretch, WatermarkTracker

HEAD_BYTES = 256

NO_ARRIVALS = pl.Series(ARRIVED_AT, [], dtype=INSTANT)

#: Texts up to so many are looked at one by one, which is sooner done than a query.
FEW_ROWS = 500

#: Records of an arrival that are no rows.
Refusals = tuple[Arrival, tuple[Rejected, ...]]

#: A reason to refuse rows, which ones, and what is said of them.
Check = tuple[str, pl.Series, str]


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


@dataclass(frozen=True, slots=True)
class Taken:
    """Arrivals that have passed the intake.

    Parameters
    ----------
    frame : the rows to feed, with hidden columns where needed.
    refused : what is refused, by the decoder or here, of each arrival of which something is.
    refused_us : for each refused record, the newest event time (Int64, microseconds) that its partition had
        reached before it; ``None``: there was none.
    """

    frame: pl.DataFrame
    refused: list[Refusals]
    refused_us: pl.Series | None = None


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

    def measured(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """The arrivals with the lengths of their keys, which the source's thread can find out beforehand."""
        if not self.keys or not arrivals:
            return list(arrivals)
        columns = {key: pl.concat([arrival.frame[key] for arrival in arrivals]) for key in self.keys}
        longest = {key: _longest(column) for key, column in columns.items()}
        return [replace(arrival, longest_keys=longest) for arrival in arrivals]

    def take(self, arrivals: Sequence[Arrival], now_us: int) -> Taken:
        """What to feed of arrivals that came in one go, and what is refused.

        Lateness is decided in each partition by itself, so that it does not matter which ones came together.
        """
        frames = [self._timed(arrival) for arrival in arrivals]
        timed = {arrival.partition: frame for arrival, frame in zip(arrivals, frames, strict=True)}
        whole, times, refused = self._guarded(frames, arrivals, now_us)
        refused_us = self._refused_us(timed, refused) if refused else None
        whole = self._marked(whole, times, frames, arrivals, now_us)
        for arrival in arrivals:
            if arrival.end:
                self.tracker.end_partition(arrival.partition)
        self.alarms.note(whole.height, [item for _, items in refused for item in items])
        return Taken(whole, refused, refused_us)

    def settle(self, arrivals: Sequence[Arrival], taken: Taken) -> None:
        """What has become of the rows of arrivals."""
        for arrival in arrivals:
            self.counts.blank += arrival.blank
            self.counts.bytes += arrival.bytes
            self.counts.in_flight -= arrival.records
            for name, number in arrival.counters.items():
                self.counters[name] = self.counters.get(name, 0) + number
        self.counts.applied += taken.frame.height
        self.counts.dead_lettered += sum(len(items) for _, items in taken.refused)

    def drop(self, dropped: Dropped) -> None:
        """Rows that were applied did not get through; of some that is known only later on."""
        self.counts.applied -= dropped.late + dropped.duplicate
        self.counts.late += dropped.late
        self.counts.duplicate += dropped.duplicate

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

    def _guarded(
        self, frames: list[pl.DataFrame], arrivals: Sequence[Arrival], now_us: int
    ) -> tuple[pl.DataFrame, pl.Series, list[Refusals]]:
        """The rows that may pass, of all arrivals together, their event times, and what is refused.

        `frames` are cut likewise.
        """
        whole = _together(frames)
        times = event_times(whole, self._time)
        refused: list[list[Rejected]] = [[] for _ in arrivals]
        checks = self._checks(whole, times, _longest_keys(arrivals), now_us)
        if checks:
            # That is rare. Each row is told with its place in its own partition.
            for at, arrival in enumerate(arrivals):
                if len(arrivals) > 1:
                    own = event_times(frames[at], self._time)
                    checks = self._checks(frames[at], own, arrival.longest_keys, now_us)
                frames[at], refused[at] = self._parted(frames[at], arrival, checks)
            whole = _together(frames)
            times = event_times(whole, self._time)
        pairs = zip(arrivals, refused, strict=True)
        found = [(arrival, (*arrival.rejected, *gone)) for arrival, gone in pairs]
        return whole, times, [(arrival, items) for arrival, items in found if items]

    def _parted(
        self, frame: pl.DataFrame, arrival: Arrival, checks: Sequence[Check]
    ) -> tuple[pl.DataFrame, list[Rejected]]:
        """Part with rows that have no event time, lie in the far future, or have an over-long key."""
        refused: list[Rejected] = []
        gone: pl.Series | None = None
        for reason, bad, detail in checks:
            # A row is refused once, for the first reason.
            places = (bad if gone is None else bad & ~gone).arg_true()
            rows = frame.select(self.schema.names)[places].iter_rows(named=True)
            refused += [
                replace(_rejected(reason, detail, row, arrival.first_row + place), rows_before=place)
                for place, row in zip(places, rows, strict=True)
            ]
            gone = bad if gone is None else gone | bad
        return (frame if gone is None else frame.filter(~gone)), refused

    def _checks(
        self, frame: pl.DataFrame, times: pl.Series, longest_keys: Mapping[str, int], now_us: int
    ) -> list[Check]:
        checks: list[Check] = []
        time = self.read.time
        if time is not None and frame[time].null_count():
            detail = f"the event-time field {time!r} is missing or null"
            checks.append(("schema", frame[time].is_null(), detail))
        if self._future_us is not None and frame.height:
            newest = times.max()
            if isinstance(newest, int):
                checks += self._wrong_unit(times, newest)
                checks += self._future(times, newest, now_us)
        limit = self.read.limits.key_bytes
        for key in self.keys:
            longest = longest_keys.get(key)
            if (_longest(frame[key]) if longest is None else longest) > limit:
                too_long = (frame[key].str.len_bytes() > limit).fill_null(value=False)
                if too_long.any():
                    checks.append(("key-too-long", too_long, f"the key {key!r} is longer than {limit} bytes"))
        return checks

    def _wrong_unit(self, times: pl.Series, newest_us: int) -> list[Check]:
        """Event times that are long past, while their numbers are a time of these years in a coarser unit."""
        column = self.schema[self._time]
        oldest_us = times.min()
        assert isinstance(oldest_us, int)
        checks: list[Check] = []
        for unit, low_us, high_us in mistaken_for(column.unit) if column.unit is not None else ():
            if newest_us < low_us or oldest_us >= high_us:
                continue
            bad = times.is_between(low_us, high_us, closed="left").fill_null(value=False)
            if bad.any():
                detail = (
                    f"event time {self._time!r}: it is long past for a live source; "
                    f"its numbers look like {unit}, the schema says {column.unit}"
                )
                checks.append(("time-range", bad, detail))
        return checks

    def _future(self, times: pl.Series, newest_us: int, now_us: int) -> list[Check]:
        assert self._future_us is not None
        latest_us = now_us + self._future_us
        if newest_us <= latest_us:
            return []
        ahead = f"more than {self.read.limits.future} after {format_instant(now_us)}"
        bad = (times > latest_us).fill_null(value=False)
        return [("future", bad, f"event time {self.read.time!r} lies {ahead}")]

    def _refused_us(self, timed: Mapping[str, pl.DataFrame], refused: Sequence[Refusals]) -> pl.Series:
        """When records were refused, in event time: what their partition had reached.

        Those that come before the first good row of a partition are left out.
        """
        found: list[int] = []
        for arrival, rejected in refused:
            partition = self.tracker.partitions.get(arrival.partition)
            newest_us = BEFORE_TIME if partition is None else partition.newest_us
            if not timed[arrival.partition].height:
                # Nothing has come with them that would move it: thousands of senders who hang up in a line.
                found += [newest_us] * len(rejected)
                continue
            before = pl.Series([newest_us], dtype=pl.Int64)
            # Rows that are refused here, and not by the decoder, move nothing.
            guarded = [item.rows_before for item in rejected[len(arrival.rejected) :]]
            times = event_times(timed[arrival.partition], self._time).alias("").scatter(guarded, BEFORE_TIME)
            reached = pl.concat([before, times]).cum_max()
            found += reached.gather([item.rows_before for item in rejected]).to_list()
        return pl.Series([at_us for at_us in found if at_us > BEFORE_TIME], dtype=pl.Int64)

    # -- order --------------------------------------------------------------------------------------

    def _timed(self, arrival: Arrival) -> pl.DataFrame:
        """The rows with an event time: when they arrived, if they have no other."""
        if self.read.time is not None:
            return arrival.frame
        if not arrival.frame.height:
            return arrival.frame.hstack([NO_ARRIVALS])
        now = pl.Series(ARRIVED_AT, [arrival.received_us], dtype=INSTANT)
        return arrival.frame.hstack([now.new_from_index(0, arrival.frame.height)])

    def _marked(
        self,
        whole: pl.DataFrame,
        times: pl.Series,
        frames: Sequence[pl.DataFrame],
        arrivals: Sequence[Arrival],
        now_us: int,
    ) -> pl.DataFrame:
        """The rows with what the steps have to know of each, as hidden columns."""
        pairs = list(zip(arrivals, frames, strict=True))
        # Silence is measured by when rows arrived: if we were busy, their partition was not silent.
        behind = self.tracker.observe_all(
            [
                Stretch(arrival.partition, frame.height, arrival.received_us or now_us)
                for arrival, frame in pairs
            ],
            times,
        )
        newest = times.max()
        if isinstance(newest, int):
            self.newest_us = newest if self.newest_us is None else max(self.newest_us, newest)
        if behind is None and not self.ordered:
            return whole
        firsts = [self._first(arrival) for arrival in arrivals]
        order = _orders(firsts, [frame.height for frame in frames])
        return whole.hstack([order] if behind is None else [order, behind])

    def _first(self, arrival: Arrival) -> int:
        """The place of its first row among all rows of all sources."""
        number = self._numbers.setdefault(arrival.partition, len(self._numbers))
        return (self.place * SOURCE_PARTITIONS + number) * PARTITION_ROWS + arrival.first_row


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One frame of all that have rows."""
    filled = [frame for frame in frames if frame.height]
    if len(filled) > 1:
        return pl.concat(filled, rechunk=True)
    return filled[0] if filled else frames[0]


def _orders(firsts: Sequence[int], lengths: Sequence[int]) -> pl.Series:
    """The places of rows, given that of the first one of each stretch."""
    ranges = [(first, first + length) for first, length in zip(firsts, lengths, strict=True) if length]
    if len(ranges) <= 1:
        first, end = ranges[0] if ranges else (0, 0)
        return pl.int_range(first, end, dtype=pl.Int64, eager=True).alias(ROW_ORDER)
    bounds = pl.DataFrame(ranges, schema={"first": pl.Int64, "end": pl.Int64}, orient="row")
    return bounds.select(pl.int_ranges("first", "end").explode().alias(ROW_ORDER)).to_series()


def _longest_keys(arrivals: Sequence[Arrival]) -> Mapping[str, int]:
    """By key, the bytes that no value of it exceeds, where that is known of all arrivals."""
    if len(arrivals) == 1:
        return arrivals[0].longest_keys
    known = set.intersection(*(set(arrival.longest_keys) for arrival in arrivals))
    return {key: max(arrival.longest_keys[key] for arrival in arrivals) for key in known}


def _longest(texts: pl.Series) -> int:
    """The bytes of the longest text; 0 when there is none."""
    if len(texts) <= FEW_ROWS:
        return max((len(text.encode()) for text in texts.to_list() if text is not None), default=0)
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
