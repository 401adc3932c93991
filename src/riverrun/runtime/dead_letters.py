"""Records that were not accepted: counted, kept for a while, and, if wished, written to a folder."""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from riverrun.clock import format_instant
from riverrun.limits import KIB, MIB
from riverrun.masking import masked_bytes, unmasked_bytes
from riverrun.ports import Rejected
from riverrun.world import World, WritableFile

#: So many are kept in memory; the oldest go first.
KEPT = 1_000

#: Longer records are not kept in memory; the folder has them.
KEPT_RECORD_BYTES = 4 * KIB

#: A folder takes so many bytes of dead letters in one run; what comes later is only counted.
FOLDER_BYTES = 256 * MIB


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that was not accepted, and where it came from."""

    source: str
    partition: str
    received_us: int
    rejected: Rejected

    @property
    def peer(self) -> str:
        """Who sent it: the address of the other end, or a producer's name; of a file, its path."""
        peer, _, number = self.partition.rpartition("#")
        return peer if peer and number.isdigit() else self.partition

    def as_json(self, *, raw: bool) -> bytes:
        """One line.

        Parameters
        ----------
        raw : with the record and its beginning as they came, as text where they are UTF-8, else as base64;
            otherwise only its beginning, masked.
        """
        rejected = self.rejected
        told: dict[str, object] = {
            "reason": rejected.reason,
            "detail": rejected.detail,
            "source": self.source,
            "peer": self.peer,
            "partition": self.partition,
            "position": rejected.position,
            "length": rejected.length,
            "sha256": rejected.sha256,
            "received": format_instant(self.received_us),
            "form": rejected.form,
        }
        if not raw:
            told["head_masked"] = masked_bytes(rejected.head)
            return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
        told |= _written("head", rejected.head)
        if rejected.record is not None:
            told |= _written("record", rejected.record)
        if rejected.header is not None:
            told |= _written("header", rejected.header)
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)

    def for_memory(self) -> DeadLetter:
        """The letter without its record when that is large, so that those in memory stay small."""
        record = self.rejected.record
        if record is None or len(record) <= KEPT_RECORD_BYTES:
            return self
        return replace(self, rejected=replace(self.rejected, record=None))

    def shown_head(self, limit: int = 120, *, raw: bool = False) -> str:
        """The beginning of the record as printable text: its shape, or with `raw` what it says."""
        printable = unmasked_bytes(self.rejected.head) if raw else masked_bytes(self.rejected.head)
        return printable if len(printable) <= limit else printable[: limit - 1] + "…"


@dataclass(slots=True)
class DeadLetters:
    """The dead letters of one run.

    Parameters
    ----------
    folder : where to write them as ``dead-letters.jsonl``; ``None``: in memory only.
    listener : told of every one, in order.
    """

    world: World
    folder: str | None = None
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    recent: deque[DeadLetter] = field(default_factory=lambda: deque(maxlen=KEPT))
    listener: Callable[[DeadLetter], None] | None = None
    _file: WritableFile | None = None
    _written: int = 0

    def add(self, source: str, partition: str, received_us: int, rejected: Sequence[Rejected]) -> None:
        """Count and keep."""
        letters = [DeadLetter(source, partition, received_us, item) for item in rejected]
        self.counts.update((source, item.reason) for item in rejected)
        self.recent.extend(letter.for_memory() for letter in letters[-KEPT:])
        if self.listener is not None:
            for letter in letters:
                self.listener(letter)
        if self.folder is not None:
            self._write(b"".join(letter.as_json(raw=True) for letter in letters))

    def reasons(self, source: str) -> Mapping[str, int]:
        """How many of each reason code."""
        return {reason: n for (name, reason), n in sorted(self.counts.items()) if name == source}

    def _write(self, lines: bytes) -> None:
        assert self.folder is not None
        if self._written + len(lines) > FOLDER_BYTES:
            return
        if self._file is None:
            self.world.files.make_dirs(self.folder)
            self._file = self.world.files.open_write(f"{self.folder}/dead-letters.jsonl", append=True)
        self._file.write(lines)
        self._written += len(lines)

    def close(self) -> None:
        """Put everything on the disk."""
        if self._file is not None:
            self._file.sync()
            self._file.close()
            self._file = None


def _written(name: str, data: bytes) -> dict[str, object]:
    """Bytes as a field of JSON."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
