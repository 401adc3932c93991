"""What a state folder holds, as plain values and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from riverrun.clock import format_instant
from riverrun.ports import Chunk
from riverrun.runtime.log import Applied, Received, from_body
from riverrun.runtime.recovery import Past, parcels_of, past_of
from riverrun.state.store import Store
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class SourceInspection:
    """One source: what became of its rows, and how far it is."""

    name: str
    counts: Mapping[str, int]
    watermark: str | None
    open_partitions: int
    ended: bool


@dataclass(frozen=True, slots=True)
class StepInspection:
    """One stateful step: its name, rows in and out, and what its state takes on the disk.

    `beyond_max_keys` are the rows whose key was beyond the limit.
    """

    name: str
    rows_in: int
    rows_out: int
    late: int
    beyond_max_keys: int
    frames: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Unapplied:
    """What the journal holds of one source that no step has seen yet: records, their bytes, and line ends."""

    records: int
    bytes: int
    line_ends: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """A state folder.

    Parameters
    ----------
    recovery : what opening it found, for people.
    received : by source, what was received and acknowledged, is safe in the journal, and was not applied yet
        when the run ended: the next one begins with it.
    waiting : by output, how many pieces of results wait for their sinks.
    dead_letters : by source and reason, how many are kept.
    """

    pipeline: str | None
    checkpoint: str | None
    position: int
    recovery: str
    sources: tuple[SourceInspection, ...]
    steps: tuple[StepInspection, ...]
    outputs: tuple[str, ...]
    received: Mapping[str, Unapplied]
    waiting: Mapping[str, int]
    dead_letters: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @property
    def text(self) -> str:
        """For people."""
        if self.pipeline is None:
            return f"{self.recovery}\nnothing has been kept yet"
        lines = [f"pipeline {self.pipeline}, kept {self.checkpoint}", self.recovery, "", "sources:"]
        for source in self.sources:
            counts = ", ".join(f"{count:,} {name.replace('_', '-')}" for name, count in source.counts.items())
            lines.append(f"  {source.name}: {counts}")
            place = f"watermark {source.watermark}" if source.watermark else "no watermark yet"
            ended = "ended" if source.ended else f"{source.open_partitions} open partitions"
            lines.append(f"    {place}, {ended}")
            if (left := self.received.get(source.name)) is not None:
                size = f"{left.bytes:,} bytes, {left.line_ends:,} line ends"
                lines.append(f"    received and safe, not applied yet: {size}")
        lines += ["", "steps:"]
        for step in self.steps:
            lines.append(f"  {step.name}")
            size = f"{step.bytes:,} bytes in {step.frames} frames"
            beyond = f", {step.beyond_max_keys:,} beyond max_keys" if step.beyond_max_keys else ""
            lines.append(
                f"    {step.rows_in:,} rows in, {step.rows_out:,} out, {step.late:,} late{beyond}; state {size}"
            )
        lines += ["", "outputs:"]
        for output in self.outputs:
            waits = self.waiting.get(output, 0)
            lines.append(f"  {output}" + (f": {waits:,} pieces wait for the sink" if waits else ""))
        letters = ", ".join(f"{name} {count:,}" for name, count in self.dead_letters.items())
        lines += ["", f"dead letters: {letters or 'none'}"]
        return "\n".join(lines)


def inspect_state(path: str, world: World) -> Inspection:
    """Look at a state folder that nobody uses. Raises `StateError` when it is in use, damaged or none."""
    with Store.open(path, world, create=False) as store:
        past = past_of(store)
        letters = {f"{source}: {reason}": n for (source, reason), n in store.dead_letters.counts().items()}
        if past is None:
            return Inspection(None, None, 0, store.recovery.text, (), (), (), {}, {}, letters)
        return Inspection(
            pipeline=past.run.name,
            checkpoint=format_instant(past.run.taken_us),
            position=past.run.position,
            recovery=store.recovery.text,
            sources=tuple(_source(name, past) for name in past.sources),
            steps=tuple(_step(name, past, store) for name in past.steps),
            outputs=tuple(past.marks),
            received=_unapplied(past, store),
            waiting={output: len(parcels) for output, parcels in parcels_of(store).items()},
            dead_letters=letters,
        )


def _unapplied(past: Past, store: Store) -> dict[str, Unapplied]:
    """What was received, by source, less what the engine had taken in."""
    upto = {name: memory.upto for name, memory in past.sources.items()}
    received: list[tuple[int, Received]] = []
    for frame in store.frames(0):
        record = from_body(frame.body, where=store.path)
        if isinstance(record, Received):
            received.append((frame.sequence, record))
        elif isinstance(record, Applied) and record.upto is not None:
            upto[record.source] = max(record.upto, upto.get(record.source, 0))
    left: dict[str, list[bytes]] = {}
    records: Counter[str] = Counter()
    for sequence, record in received:
        if sequence > upto.get(record.source, 0):
            records[record.source] += 1
            data = [bytes(chunk.data) for chunk in record.chunks if isinstance(chunk, Chunk)]
            left.setdefault(record.source, []).extend(data)
    return {
        name: Unapplied(records[name], sum(map(len, data)), sum(part.count(b"\n") for part in data))
        for name, data in left.items()
    }


def _source(name: str, past: Past) -> SourceInspection:
    memory = past.sources[name]
    shown = ("received", "applied", "late", "dead_lettered", "duplicate", "shed")
    counts = {key: memory.intake.counts[key] for key in shown if memory.intake.counts.get(key)}
    watermark_us = memory.intake.watermark_us
    known = BEFORE_TIME // 2 < watermark_us < AFTER_TIME
    return SourceInspection(
        name, counts, format_instant(watermark_us) if known else None, len(memory.partitions), memory.ended
    )


def _step(name: str, past: Past, store: Store) -> StepInspection:
    memory = past.steps[name]
    numbers = set(_frames_in(orjson.loads(store.values("state")[name])))
    size = sum(len(store.blob(number)) for number in numbers)
    return StepInspection(name, memory.rows_in, memory.rows_out, memory.late, memory.beyond, len(numbers), size)


def _frames_in(value: Any) -> list[int]:
    """The numbers of the frames that a document names."""
    if isinstance(value, list):
        return [number for item in value for number in _frames_in(item)]
    if isinstance(value, dict):
        if value.get("~") in ("frame", "series"):
            return [value["of"]]
        return [number for item in value.values() for number in _frames_in(item)]
    return []
