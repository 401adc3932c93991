"""What a checkpoint holds of a pipeline, and how it becomes one transaction of the store.

A checkpoint is taken between two records of the journal, by reference: states are immutable, so that taking it
costs next to nothing and the engine goes on at once. Encoding and writing happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from riverrun.ports import Format, Rejected, Remembered
from riverrun.runtime.dead_letters import DeadLetter
from riverrun.runtime.delivery import Parcel, Settled
from riverrun.runtime.intake import IntakeMemory
from riverrun.runtime.pump import PartitionMemory
from riverrun.schema import Schema
from riverrun.state.commit import Commit
from riverrun.state.dead_letters import DeadLetterRow
from riverrun.state.snapshot import Encoder, FrameNumbers, frame_to_bytes

#: The kinds of documents in the store.
RUN, SOURCE, STEP, OUTPUT = "run", "source", "step", "output"


@dataclass(frozen=True, slots=True)
class SourceMemory:
    """One source at a checkpoint.

    Parameters
    ----------
    upto : the last record of the journal with bytes of it that has been applied.
    bookmark : where its reader goes on.
    partitions : where decoding goes on.
    ended : whether it is over for good.
    reasons : dead letters so far, by reason.
    """

    schema: Schema
    format_name: str | None
    intake: IntakeMemory
    upto: int = 0
    bookmark: Remembered = field(default_factory=dict)
    partitions: Mapping[str, PartitionMemory] = field(default_factory=dict)
    ended: bool = False
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepMemory:
    """One stateful step at a checkpoint.

    Parameters
    ----------
    signature : what the state depends on; a step with another one cannot go on from it.
    beyond : rows whose key was beyond `max_keys`.
    """

    signature: str
    rows_in: int
    rows_out: int
    late: int
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class RunMemory:
    """The run as a whole at a checkpoint.

    Parameters
    ----------
    position : the last record of the journal whose effects are in it.
    keep_from : the first record of the journal that is needed again.
    """

    name: str
    position: int
    keep_from: int
    results: int
    started_us: int
    taken_us: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A pipeline between two records of the journal, by reference.

    Parameters
    ----------
    letters : dead letters since the checkpoint before.
    dropped_letters : ids of older ones that were fed again.
    input_bytes : what this run had put into the journal when it was taken.
    """

    run: RunMemory
    sources: Mapping[str, SourceMemory]
    formats: Mapping[str, Format | None]
    steps: Mapping[str, StepMemory]
    states: Mapping[str, object]
    letters: tuple[DeadLetter, ...]
    dropped_letters: tuple[int, ...] = ()
    input_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Writing:
    """Turns checkpoints into transactions, each knowing what the one before has written.

    It does not change: who could not store a transaction makes the next one with the same.
    """

    numbers: FrameNumbers = field(default_factory=FrameNumbers)
    boxed: Mapping[tuple[str, int, int], Parcel] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    last_letter: int = 0

    def commit_of(self, checkpoint: Checkpoint, settled: Settled) -> tuple[Commit, Writing]:
        """The transaction of a checkpoint, and what makes the one after it.

        Raises `StateError` when a state cannot be kept.
        """
        encoder = Encoder(self.numbers)
        values: dict[tuple[str, str], bytes | None] = {}
        values[RUN, "run"] = encoder.encode(checkpoint.run, where="run")
        for name, source in checkpoint.sources.items():
            values[SOURCE, name] = encoder.encode(source, where=name)
            values["format", name] = encoder.encode(checkpoint.formats[name], where=name)
        for name, step in checkpoint.steps.items():
            values[STEP, name] = encoder.encode(step, where=name)
            values["state", name] = encoder.encode(checkpoint.states[name], where=name)
        for name in self.steps - set(checkpoint.steps):
            values[STEP, name] = values["state", name] = None
        for name, mark in settled.marks.items():
            values[OUTPUT, name] = encoder.encode(dict(mark), where=name)
        waiting = {(n, p.unit, p.part): p for n, parcels in settled.waiting.items() for p in parcels}
        new = {key: frame_to_bytes(p.frame) for key, p in waiting.items() if key not in self.boxed}
        gone = {name: _delivered(name, unit, waiting) for name, unit, _ in sorted(self.boxed)}
        commit = Commit(
            position=checkpoint.run.position,
            values=values,
            put_blobs=encoder.blobs,
            drop_blobs=encoder.dropped,
            put_outbox=new,
            drop_outbox=gone,
            dead_letters=self._letters(checkpoint.letters),
            dropped_letters=checkpoint.dropped_letters,
            keep_from=checkpoint.run.keep_from,
        )
        last_letter = self.last_letter + len(checkpoint.letters)
        return commit, Writing(encoder.numbers, waiting, frozenset(checkpoint.steps), last_letter)

    def _letters(self, letters: Sequence[DeadLetter]) -> list[DeadLetterRow]:
        return [letter_row(id, letter) for id, letter in enumerate(letters, start=self.last_letter + 1)]


def _delivered(name: str, unit: int, waiting: Mapping[tuple[str, int, int], Parcel]) -> int:
    """The last unit of an output that its sink has, when it had to wait for `unit` the last time."""
    still = [other for other_name, other, _ in waiting if other_name == name]
    return min(still) - 1 if still else unit


def letter_row(id: int, letter: DeadLetter) -> DeadLetterRow:
    """A dead letter as the store has it."""
    rejected = letter.rejected
    return DeadLetterRow(
        id=id,
        source=letter.source,
        partition=letter.partition,
        reason=rejected.reason,
        detail=rejected.detail,
        position=rejected.position,
        length=rejected.length,
        received_us=letter.received_us,
        head=rejected.head,
        sha256=rejected.sha256,
        form=rejected.form,
        record=rejected.record,
        header=rejected.header,
    )


def letter_of_row(row: DeadLetterRow) -> DeadLetter:
    """What `letter_row` has put into the store."""
    rejected = Rejected(
        row.reason,
        row.detail,
        row.position,
        row.length,
        row.head,
        row.sha256,
        row.record,
        "row" if row.form == "row" else "record",
        row.header,
    )
    return DeadLetter(row.source, row.partition, row.received_us, rejected)
