"""What a state folder holds, as plain values and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from riverrun.clock import format_instant
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
    """One stateful step: its name, rows in and out, and what its state takes on the disk."""

    name: str
    rows_in: int
    rows_out: int
    late: int
    frames: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """A state folder.

    Parameters
    ----------
    recovery : what opening it found, for people.
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
        lines += ["", "steps:"]
        for step in self.steps:
            lines.append(f"  {step.name}")
            size = f"{step.bytes:,} bytes in {step.frames} frames"
            lines.append(
                f"    {step.rows_in:,} rows in, {step.rows_out:,} out, {step.late:,} late; state {size}"
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
            return Inspection(None, None, 0, store.recovery.text, (), (), (), {}, letters)
        return Inspection(
            pipeline=past.run.name,
            checkpoint=format_instant(past.run.taken_us),
            position=past.run.position,
            recovery=store.recovery.text,
            sources=tuple(_source(name, past) for name in past.sources),
            steps=tuple(_step(name, past, store) for name in past.steps),
            outputs=tuple(past.marks),
            waiting={output: len(parcels) for output, parcels in parcels_of(store).items()},
            dead_letters=letters,
        )


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
    return StepInspection(name, memory.rows_in, memory.rows_out, memory.late, len(numbers), size)


def _frames_in(value: Any) -> list[int]:
    """The numbers of the frames that a document names."""
    if isinstance(value, list):
        return [number for item in value for number in _frames_in(item)]
    if isinstance(value, dict):
        if value.get("~") in ("frame", "series"):
            return [value["of"]]
        return [number for item in value.values() for number in _frames_in(item)]
    return []
