"""After a restart: what the last run left, and how the pipeline comes to stand where that one stood.

The last checkpoint is loaded, then the journal behind it happens again, record by record, as the engine did it
the first time. Results that come of it have the numbers that they had, so that sinks know which they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import zip_longest
from typing import Any

from riverrun.errors import StateError
from riverrun.kernel.flow import Step
from riverrun.plan.nodes import Read
from riverrun.ports import Chunk, Format, FrameChunk, Remembered
from riverrun.registry import FORMATS
from riverrun.runtime.checkpoint import OUTPUT, RUN, SOURCE, STEP, RunMemory, SourceMemory, StepMemory
from riverrun.runtime.delivery import Parcel
from riverrun.runtime.durable import Durable, Progress
from riverrun.runtime.job import Job
from riverrun.runtime.log import Applied, Ended, Received, Ticked, from_body, is_refed
from riverrun.runtime.pump import Arrival, Pump, PumpMemory
from riverrun.runtime.queue import Origin
from riverrun.state.snapshot import Decoder, FrameNumbers, frame_from_bytes
from riverrun.state.store import Store


@dataclass(frozen=True, slots=True)
class Past:
    """What the last run left in the store."""

    run: RunMemory
    sources: Mapping[str, SourceMemory]
    formats: Mapping[str, Format | None]
    steps: Mapping[str, StepMemory]
    marks: Mapping[str, Remembered]


@dataclass(slots=True)
class Left:
    """Chunks of a source that are safe in the journal and that nobody has applied yet.

    Parameters
    ----------
    upto : the last record that holds some of them.
    """

    chunks: list[Chunk | FrameChunk] = field(default_factory=list)
    upto: int | None = None


def past_of(store: Store) -> Past | None:
    """What the store holds; ``None`` in a new folder."""
    decoder = Decoder(store.frame)
    runs = store.values(RUN)
    if not runs:
        return None
    formats = {name: _format(decoder, body, name) for name, body in store.values("format").items()}
    return Past(
        run=decoder.decode(runs["run"], RunMemory, where="run"),
        sources={
            name: decoder.decode(body, SourceMemory, where=name) for name, body in store.values(SOURCE).items()
        },
        formats=formats,
        steps={name: decoder.decode(body, StepMemory, where=name) for name, body in store.values(STEP).items()},
        marks={name: decoder.decode(body, dict, where=name) for name, body in store.values(OUTPUT).items()},
    )


def _format(decoder: Decoder, body: bytes, where: str) -> Format | None:
    if body == b"null":
        return None
    known = tuple(entry.load("a format") for entry in FORMATS.values())
    made: Format = decoder.decode(body, object, where=where, also=known)  # type: ignore[assignment]
    return made


def pump_memory(past: Past | None, name: str, read: Read) -> PumpMemory | None:
    """What a source's pump needs to go on. Raises `StateError` when its declaration has changed since."""
    memory = past.sources.get(name) if past is not None else None
    if memory is None or past is None:
        return None
    if read.schema is not None and read.schema != memory.schema:
        raise StateError(
            f"the schema of the source is another one than when its state was written: {_change(memory, read)}",
            where=name,
            hint="begin with a new state folder, give the source another name=, or declare the old schema",
        )
    return PumpMemory(memory.schema, _settled(read.format, past.formats.get(name)), memory.partitions)


def _settled(declared: Format | None, found: Format | None) -> Format | None:
    """The format as it is declared now, with what it leaves open as it was found out then."""
    if declared is None or type(declared) is not type(found) or not is_dataclass(declared):
        return declared if declared is not None else found
    left_open = [item.name for item in fields(declared) if getattr(declared, item.name) is None]
    return replace(declared, **{name: getattr(found, name) for name in left_open})


def _change(memory: SourceMemory, read: Read) -> str:
    assert read.schema is not None
    before, now = memory.schema.polars(), read.schema.polars()
    parts = [f"{name} was {before[name]}" for name in before if now.get(name) != before[name]]
    parts += [f"{name} is new" for name in now if name not in before]
    return ", ".join(parts) or "the order of columns, or how time is written"


def progress_of(past: Past | None, job: Job, bookmarks: Sequence[Remembered]) -> list[Progress]:
    """How far each source was applied.

    Parameters
    ----------
    bookmarks : of every source, before it was asked for anything in this run.
    """
    made = []
    for name, pump, bookmark in zip(job.source_ids, job.pumps, bookmarks, strict=True):
        progress = Progress(pump.read.source.replayable, bookmark=bookmark)
        memory = past.sources.get(name) if past is not None else None
        if memory is not None:
            progress.upto, progress.bookmark, progress.ended = memory.upto, memory.bookmark, memory.ended
            progress.partitions = dict(memory.partitions)
        made.append(progress)
    return made


def restore_job(job: Job, past: Past, store: Store, drop: Sequence[str] = ()) -> FrameNumbers:
    """Give the job what the last checkpoint holds.

    Parameters
    ----------
    drop : ids of steps whose state may go, because the plan has them no more or has changed them.

    Raises `StateError` for a step whose state does not fit, naming it.
    """
    decoder = Decoder(store.frame)
    states = store.values("state")
    now = {step.id: (at, step) for at, step in enumerate(job.flow.steps) if step.operator is not None}
    _check_steps(past, {name: step for name, (_, step) in now.items()}, drop)
    for name, memory in past.steps.items():
        if name not in now or name in drop:
            continue
        at, step = now[name]
        assert step.operator is not None
        job.engine.states[at] = decoder.decode(states[name], type(step.operator.empty()), where=name)
        counts = job.engine.counts[at]
        counts.rows_in, counts.rows_out, counts.late = memory.rows_in, memory.rows_out, memory.late
        counts.beyond = memory.beyond
    for at, name in enumerate(job.source_ids):
        source = past.sources.get(name)
        if source is not None:
            job.intakes[at].restore(source.intake)
            reasons = {(job.intakes[at].read.name, reason): n for reason, n in source.reasons.items()}
            job.dead_letters.counts.update(reasons)
            job.engine.advance(job.intakes[at].read, source.intake.watermark_us)
    job.results, job.started_us = past.run.results, past.run.started_us
    return decoder.numbers()


def _check_steps(past: Past, now: Mapping[str, Step], drop: Sequence[str]) -> None:
    for name, memory in past.steps.items():
        if name in drop:
            continue
        if name not in now:
            raise StateError(
                f"the state holds the step {name!r}, which the pipeline does not have"
                + (f"; it has {', '.join(map(repr, now))}" if now else ""),
                where="state",
                hint=f"put the step back, or let its state go: state=rr.State(..., drop=[{name!r}])",
            )
        if now[name].signature != memory.signature:
            raise StateError(
                f"the step {name!r} has changed: {_difference(memory.signature, now[name].signature)}",
                where="state",
                hint=f"change it back, or let its state go: state=rr.State(..., drop=[{name!r}])",
            )


def _difference(before: str, now: str) -> str:
    """The first line in which two signatures differ."""
    for old, new in zip_longest(before.split("\n"), now.split("\n"), fillvalue="nothing"):
        if old != new:
            return f"its state was made with {old}, and it has {new} now"
    return "its state was made with something else"


def replay(durable: Durable, past: Past) -> list[Left]:
    """Let the journal behind the last checkpoint happen again. Returns what has not been applied yet."""
    job, store = durable.job, durable.store
    left = [Left() for _ in job.pumps]
    waiting: list[list[tuple[int, Received]]] = [[] for _ in job.pumps]
    places = {name: at for at, name in enumerate(job.source_ids)}
    for frame in store.frames(past.run.keep_from - 1):
        record = from_body(frame.body, where=f"journal, record {frame.sequence}")
        again = frame.sequence > past.run.position
        match record:
            case Received(source) if source in places:
                at = places[source]
                if frame.sequence > durable.progress[at].upto:
                    waiting[at].append((frame.sequence, record))
            case Applied(source) if again and source in places:
                durable.begin_again(frame.sequence, record.said)
                _apply(durable, places[source], record, waiting[places[source]])
                durable.replayed(frame.sequence)
            case Ticked() if again:
                durable.begin_again(frame.sequence, record.said)
                known = {name: at_us for name, at_us in record.watermarks.items() if name in places}
                job.pass_time(replace(record, watermarks=known))
                durable.replayed(frame.sequence)
            case Ended(source) if again and source in places:
                durable.begin_again(frame.sequence, record.said)
                durable.finish(places[source])
                durable.replayed(frame.sequence)
            case _:
                pass
    for at, records in enumerate(waiting):
        chunks = [chunk for _, record in records for chunk in record.chunks]
        left[at] = Left(from_journal(job.pumps[at], chunks), _last(records))
        durable.progress[at].pending = [number for number, _ in records]
    return left


def from_journal(pump: Pump, chunks: Sequence[Chunk | FrameChunk]) -> list[Chunk | FrameChunk]:
    """Chunks from the journal, which the reader learns of, but for those that never came from it."""
    return [chunk if is_refed(chunk.partition) else pump.reader.replay(chunk) for chunk in chunks]


def _last(records: Sequence[tuple[int, Any]]) -> int | None:
    return records[-1][0] if records else None


def _apply(durable: Durable, at: int, record: Applied, waiting: list[tuple[int, Received]]) -> None:
    job = durable.job
    pump = job.pumps[at]
    chunks: list[Chunk | FrameChunk] = [pump.reader.replay(note) for note in record.notes]
    while record.upto is not None and waiting and waiting[0][0] <= record.upto:
        chunks += from_journal(pump, waiting.pop(0)[1].chunks)
    arrivals = pump.decode(chunks)
    origin = origin_of(pump, arrivals, upto=record.upto)
    job.received(at, arrivals)
    durable.take_in(at, arrivals, record.now_us, origin)


def origin_of(pump: Pump, arrivals: Sequence[Arrival], *, upto: int | None) -> Origin:
    """Where arrivals came from that were decoded just now, once nothing is left in between."""
    return Origin(upto, (), pump.reader.bookmark(), pump.memory_of(arrivals))


def parcels_of(store: Store) -> dict[str, list[Parcel]]:
    """The results that sinks had not taken at the last checkpoint, by output."""
    found: dict[str, list[Parcel]] = {}
    for (output, unit, part), body in sorted(store.outbox()):
        found.setdefault(output, []).append(Parcel(unit, part, frame_from_bytes(body)))
    return found
