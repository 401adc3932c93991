"""Segments that wait for their use: full of zeros, or of frames that nobody needs any more."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from riverrun.state.settings import LEAST_BYTES, StoreSettings, fitting
from riverrun.world import Files, PlacedFile

#: The name says the size, so that one that was not filled to its end is known.
_NAME = re.compile(r"spare-(\d+)-(\d+)")
_PREFIX = "spare-"


@dataclass(frozen=True, slots=True)
class Spare:
    """One of them."""

    number: int
    size: int

    def __str__(self) -> str:
        return f"{_PREFIX}{self.number}-{self.size}"


@dataclass(slots=True)
class Spares:
    """The spare segments of one journal."""

    files: Files
    folder: str
    settings: StoreSettings
    _waiting: list[Spare] = field(default_factory=list)
    _made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def adopt(self) -> None:
        """Take what an earlier run left; what is not whole is removed."""
        for name in self.files.names(self.folder):
            if not name.startswith(_PREFIX):
                continue
            spare = _parsed(name)
            status = self.files.status(f"{self.folder}/{name}")
            if spare is not None and status is not None and status.size == spare.size:
                self._made = max(self._made, spare.number)
                self._waiting.append(spare)
            else:
                self.files.remove(f"{self.folder}/{name}")

    def prepare(self) -> None:
        """Have at least one. Raises ``OSError`` when there is no space for it."""
        if not self._waiting:
            spare = self._next(self._fitting_bytes())
            self._fill(spare).close()
            with self._lock:
                self._waiting.append(spare)

    def take(self, needed: int) -> tuple[str, PlacedFile, int]:
        """A segment with room for so many bytes: its name, the open file, its size."""
        with self._lock:
            spare = next((spare for spare in self._waiting if spare.size >= needed), None)
            if spare is not None:
                self._waiting.remove(spare)
        if spare is not None:
            return str(spare), self.files.open_placed(f"{self.folder}/{spare}"), spare.size
        # Round sizes can take each other's place later.
        step = min(LEAST_BYTES, self.settings.segment_bytes)
        spare = self._next(max(-(-needed // step) * step, self._fitting_bytes()))
        return str(spare), self._fill(spare), spare.size

    def give(self, segment: str) -> None:
        """A segment that is no longer needed. The order of numbers makes its old content harmless."""
        path = f"{self.folder}/{segment}"
        status = self.files.status(path)
        size = 0 if status is None else status.size
        usual = self._fitting_bytes() <= size <= self.settings.segment_bytes
        if not usual or len(self._waiting) >= self.settings.spare_segments:
            self.files.remove(path)
            return
        spare = self._next(size)
        self.files.replace(path, f"{self.folder}/{spare}")
        with self._lock:
            self._waiting.append(spare)

    def _fitting_bytes(self) -> int:
        return fitting(self.files.free_bytes(self.folder), self.settings.segment_bytes)

    def _next(self, size: int) -> Spare:
        with self._lock:
            self._made += 1
            return Spare(self._made, size)

    def _fill(self, spare: Spare) -> PlacedFile:
        path = f"{self.folder}/{spare}"
        try:
            return self.files.create_filled(path, spare.size)
        except OSError:
            if self.files.status(path) is not None:
                self.files.remove(path)
            raise


def _parsed(name: str) -> Spare | None:
    match = _NAME.fullmatch(name)
    return Spare(int(match[1]), int(match[2])) if match else None
