"""Play a script to a stream and write down what it put out: the real engine, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from riverrun.errors import ConfigError, did_you_mean
from riverrun.limits import Limits
from riverrun.plan.nodes import Late, Node, Output, Read, sources_of, walk
from riverrun.plan.stateful import Stateful
from riverrun.plan.stream import Stream
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Reader, Remembered, Wait
from riverrun.runtime.dead_letters import DeadLetter, DeadLetters
from riverrun.runtime.health import SourceHealth, StepHealth
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Arrival, Pump
from riverrun.schema import UNITS_PER_SECOND, Column, Schema
from riverrun.testing.manual_clock import ManualClock
from riverrun.testing.script import (
    AdvanceClock,
    End,
    FrameRows,
    Malformed,
    Row,
    Rows,
    Script,
    Step,
    Watermark,
)
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import World

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """What one step brought.

    Parameters
    ----------
    results, late : rows put out by this step.
    sources : for each source the counts after it, and its watermark (microseconds; ``None`` before any row).
    steps : for each step of the plan the counts after it.
    """

    results: pl.DataFrame
    late: pl.DataFrame
    sources: tuple[SourceHealth, ...]
    steps: tuple[StepHealth, ...] = ()

    @property
    def counts(self) -> SourceHealth:
        """Those of the source; of the first one, when there are several."""
        return self.sources[0]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a stream put out while a script was played.

    Parameters
    ----------
    moments : one for each step of the script.
    dead_letters : the records that were not accepted, in order.
    """

    moments: tuple[Moment, ...]
    dead_letters: tuple[DeadLetter, ...]
    _empty: Moment = field(repr=False)

    def after(self, step: int) -> pl.DataFrame:
        """What step number `step` put out (0 is the first); no rows when it put out nothing."""
        return self.moments[step].results

    def late_after(self, step: int) -> pl.DataFrame:
        """The rows that were found late in a step."""
        return self.moments[step].late

    def watermark_after(self, step: int) -> int | None:
        """The stream's watermark after a step, microseconds; ``None`` while it has none, and at the end."""
        return self.moments[step].counts.watermark_us

    @property
    def results(self) -> pl.DataFrame:
        """All that was put out, in order."""
        return pl.concat([self._empty.results, *(moment.results for moment in self.moments)])

    @property
    def late(self) -> pl.DataFrame:
        """For results of windows: the rows that came too late for one, with its bounds, as of `Stream.late`."""
        return pl.concat([self._empty.late, *(moment.late for moment in self.moments)])

    @property
    def counts(self) -> SourceHealth:
        """The counts at the end; of the first source, when there are several."""
        return self.counts_of(None)

    def counts_of(self, source: str | None) -> SourceHealth:
        """The counts of a source at the end, by its name."""
        at_end = self.moments[-1] if self.moments else self._empty
        if source is None:
            return at_end.counts
        return next(counts for counts in at_end.sources if counts.name == source)

    @property
    def reasons(self) -> list[str]:
        """The reason code of every dead letter, in order."""
        return [letter.rejected.reason for letter in self.dead_letters]


def play(stream: Stream, script: Script | Sequence[Step], *, clock: ManualClock | None = None) -> Transcript:
    """Let a script happen to a stream, and write down what comes out of it.

    The engine is that of every run; only the source is replaced by the script, which keeps the stream's
    schema, event time, delay, idle time, format and limits. Nothing waits: time goes on in
    `advance_clock` steps alone.

    Parameters
    ----------
    stream : any stream whose `rr.read` declares a schema.
    script : what happens.
    clock : where virtual time begins; 2026-01-01 00:00:00Z when left out.

    Raises
    ------
    AssertionError : when a row is not accounted for after some step (the conservation law).
    ConfigError : when the script does not fit the stream.
    RiverrunError : what a run of the stream would raise, such as `FormatError` with ``on_bad="fail"``.

    >>> import riverrun as rr
    >>> from riverrun.testing import malformed, play, rows
    >>> feed = rr.read("tcp://localhost:9", format="json", schema={"x": pl.Int64})
    >>> large = feed.filter(pl.col("x") > 1).select("x")
    >>> transcript = play(large, [rows({"x": 1}, {"x": 2}), malformed(b"oops")])
    >>> transcript.results["x"].to_list(), transcript.reasons, transcript.counts.applied
    ([2], ['json'], 2)
    """
    made = script if isinstance(script, Script) else Script(script)
    world = SimulatedWorld()
    if clock is not None:
        world.clock = clock
    return _Player(stream.node, made, world).play()


@dataclass(slots=True)
class _Feed:
    """One source of the stream, as the script stands in for it."""

    position: int
    read: Read
    schema: Schema
    pump: Pump
    told: set[str] = field(default_factory=set)

    @property
    def time(self) -> Column | None:
        return None if self.read.time is None else self.schema[self.read.time]


class _Player:
    """One performance."""

    def __init__(self, node: Node, script: Script, world: SimulatedWorld) -> None:
        self.script = script
        self.clock = world.clock
        self.letters = DeadLetters(world)
        self.caught: list[list[pl.DataFrame]] = [[], []]
        played = {read: _played(read, script) for read in sources_of(node)}
        self.feeds = [
            _Feed(at, read, schema, Pump(read, world)) for at, (read, schema) in enumerate(played.values())
        ]
        node, late = _on(node, {old: read for old, (read, _) in played.items()})
        outputs = [Output(node, None)] + ([] if late is None else [Output(late, None)])
        pumps = [feed.pump for feed in self.feeds]
        self.job = Job("script", outputs, pumps, world, self.letters, self._deliver)
        empty = [
            pl.DataFrame(schema=dict(self.job.flow.steps[at].typed.columns)) for _, at in self.job.flow.outputs
        ]
        self.empty = empty if late is not None else [empty[0], pl.DataFrame()]

    def play(self) -> Transcript:
        moments = []
        letters: list[DeadLetter] = []
        for number, step in enumerate(self.script):
            where = f"step {number} ({type(step).__name__})"
            self._happen(step, where)
            self.job.tick()
            moments.append(self._moment(where))
            letters += self.letters.recent
            self.letters.recent.clear()
        nothing = Moment(self.empty[0], self.empty[1], self.job.health().sources)
        return Transcript(tuple(moments), tuple(letters), nothing)

    def _happen(self, step: Step, where: str) -> None:
        if isinstance(step, AdvanceClock):
            self._pass_time(step.duration_us)
        elif isinstance(step, Watermark):
            for feed in self._feeds_of(step.source, where):
                self.job.advance(feed.position, _instant_us(step.at, feed.time))
        elif isinstance(step, End):
            for feed in self._feeds_of(step.source, where):
                self._end(feed, step, where)
        else:
            self._bring(self._feed_of(step.source, where), step, where)

    def _feeds_of(self, name: str | None, where: str) -> list[_Feed]:
        return self.feeds if name is None else [self._feed_of(name, where)]

    def _feed_of(self, name: str | None, where: str) -> _Feed:
        """The source of a name, which only a stream with several needs."""
        if name is None and len(self.feeds) == 1:
            return self.feeds[0]
        found = [feed for feed in self.feeds if feed.read.name == name]
        if len(found) == 1:
            return found[0]
        names = [feed.read.name for feed in self.feeds]
        if name is None:
            raise ConfigError(
                f"the stream has several sources: {', '.join(names)}", where=where, hint=f"source={names[0]!r}"
            )
        problem = "several sources are" if found else "no source is"
        raise ConfigError(f"{problem} called {name!r}", where=where, hint=did_you_mean(name, names))

    def _bring(self, feed: _Feed, step: Rows | FrameRows | Malformed, where: str) -> None:
        if isinstance(step, Malformed):
            self._bytes(feed, step, where)
            return
        frame = step.frame if isinstance(step, FrameRows) else _frame(step.items, feed.schema, where)
        chunk = FrameChunk(step.partition, frame, 0, self.clock.now_us())
        self._arrive(feed, feed.pump.decode([chunk]), where)

    def _bytes(self, feed: _Feed, step: Malformed, where: str) -> None:
        if feed.read.format is None:
            raise ConfigError(
                "bytes need a format to go through, and the stream declares none",
                where=where,
                hint='rr.read(..., format="csv")',
            )
        data = step.data if step.data.endswith(b"\n") else step.data + b"\n"
        feed.told.add(step.partition)
        chunk = Chunk(step.partition, data, 0, self.clock.now_us())
        self._arrive(feed, feed.pump.decode([chunk]), where)

    def _arrive(self, feed: _Feed, arrivals: Sequence[Arrival], where: str) -> None:
        for arrival in arrivals:
            self.job.received(feed.position, [arrival])
            _check_conservation(self.job, f"{where}, before the rows are taken")
            self.job.take(feed.position, [arrival])

    def _pass_time(self, duration_us: int) -> None:
        """As the loop of a run: wake whenever something is due."""
        until_us = self.clock.monotonic_us() + duration_us
        while (due_us := self.job.next_tick_us()) is not None and due_us <= until_us:
            self.clock.advance(max(0, due_us - self.clock.monotonic_us()))
            self.job.tick()
            if self.job.next_tick_us() == due_us:
                break
        self.clock.advance(until_us - self.clock.monotonic_us())

    def _end(self, feed: _Feed, step: End, where: str) -> None:
        partitions = feed.told if step.partition is None else {step.partition}
        for partition in sorted(partitions):
            if partition in feed.told:
                chunk = Chunk(partition, b"", 0, self.clock.now_us(), end=True, truncated=True)
                self._arrive(feed, feed.pump.decode([chunk]), where)
            else:
                self._arrive(feed, [Arrival(partition, feed.schema.empty(), end=True)], where)
        if step.partition is None:
            self.job.end(feed.position)

    def _moment(self, where: str) -> Moment:
        sources = _check_conservation(self.job, where)
        frames = [pl.concat([empty, *caught]) for empty, caught in zip(self.empty, self.caught, strict=True)]
        self.caught = [[], []]
        return Moment(frames[0], frames[1], sources, self.job.health().steps)

    def _deliver(self, output: int, frame: pl.DataFrame) -> None:
        self.caught[output].append(frame)


def _check_conservation(job: Job, where: str) -> tuple[SourceHealth, ...]:
    sources = job.health().sources
    for counts in sources:
        if not counts.conserved:
            raise AssertionError(
                f"rows of {counts.name} are not conserved after {where}: received {counts.received}, applied "
                f"{counts.applied}, late {counts.late}, dead-lettered {counts.dead_lettered}, duplicate "
                f"{counts.duplicate}, in flight {counts.in_flight}"
            )
    return sources


def _played(read: Read, script: Script) -> tuple[Read, Schema]:
    """The same source, but for its rows, which the script brings."""
    if read.schema is None:
        raise ConfigError(
            "a stream that a script is played to needs a declared schema",
            where=f"play, {read.label}",
            hint='rr.read(..., schema={"ts": rr.Timestamp("s"), "x": pl.Float64})',
        )
    several = len(script.partitions(read.name)) > 1
    source = _ScriptSource(read.source.url, read.source.bounded, several)
    return replace(read, source=source), read.schema


def _on(node: Node, reads: Mapping[Read, Read]) -> tuple[Node, Late | None]:
    """The same plan over other sources, and the late rows of its last step that has some."""
    made: dict[int, Node] = {}
    late = None
    for old in walk(node):
        if isinstance(old, Read):
            made[id(old)] = reads[old]
            continue
        new = replace(old, parents=tuple(made[id(parent)] for parent in old.parents))
        made[id(old)] = new
        if isinstance(new, Stateful) and new.has_late:
            late = Late((new,))
    return made[id(node)], late


def _frame(items: Sequence[Row], schema: Schema, where: str) -> pl.DataFrame:
    """Rows as a frame in the types of the schema; instants may be numbers, datetimes or text."""
    named = [_named(item, schema, where) for item in items]
    columns = {c.name: [row.get(c.name) for row in named] for c in schema}
    return pl.DataFrame([_series(schema[name], values, where) for name, values in columns.items()])


def _named(item: Row, schema: Schema, where: str) -> Mapping[str, object]:
    if isinstance(item, Mapping):
        for name in item:
            if name not in schema:
                raise ConfigError(
                    f"the stream has no column {name!r}", where=where, hint=did_you_mean(name, schema.names)
                )
        return item
    if len(item) != len(schema.names):
        raise ConfigError(
            f"a row of {len(item)} values for {len(schema.names)} columns: {item!r}",
            where=where,
            hint=f"a tuple of {', '.join(schema.names)}, or a dict",
        )
    return dict(zip(schema.names, item, strict=True))


def _series(column: Column, values: Sequence[object], where: str) -> pl.Series:
    present = [value for value in values if value is not None]
    if column.is_time and present and all(isinstance(value, (int, str)) for value in present):
        return pl.Series(column.name, values)
    if column.is_time and present and isinstance(column.dtype, pl.Datetime):
        return pl.Series(column.name, values, pl.Datetime("us", "UTC" if _zoned(present) else None))
    try:
        return pl.Series(column.name, values, column.dtype)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"the values of {column.name!r} are not {column.dtype}: {error}",
            where=where,
            hint="malformed(b'...') sends bytes that do not fit the schema",
        ) from None


def _zoned(values: Sequence[object]) -> bool:
    return any(isinstance(value, datetime) and value.tzinfo is not None for value in values)


def _instant_us(at: int | datetime, time: Column | None) -> int:
    if isinstance(at, datetime):
        moment = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    per_s = UNITS_PER_SECOND[(time.unit if time is not None else None) or "us"]
    return at * 1_000_000 // per_s


@dataclass(frozen=True, slots=True)
class _ScriptSource:
    """Stands in for the source of a stream; the player hands rows over itself."""

    url: str
    bounded: bool
    partitioned: bool
    pace: float | None = None
    format_hint: str | None = "frame"
    replayable: bool = False
    acknowledges: bool = False

    def open(self, world: World, limits: Limits) -> Reader:
        del world, limits
        return _ScriptReader()


class _ScriptReader:
    finished = False
    status = "a script"
    counters: Mapping[str, int] = {}

    def poll(self, max_bytes: int) -> Sequence[Chunk | FrameChunk]:
        del max_bytes
        return ()

    def wait(self) -> Wait:
        return Wait()

    def bookmark(self) -> Remembered:
        return {}

    def resume(self, bookmark: Remembered) -> None:
        del bookmark

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote)
        return chunk

    def close(self) -> None: ...
