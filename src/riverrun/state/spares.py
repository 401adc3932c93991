"""Segments that wait for their use: full of zeros, or of frames that nobody needs any more."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from riverrun.state.settings import StoreSettings
from riverrun.world import Files, PlacedFile

_PREFIX = "spare-"


@dataclass(slots=True)
class Spares:
    """The spare segments of one journal."""

    files: Files
    folder: str
    settings: StoreSettings
    _names: list[str] = field(default_factory=list)
    _made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def adopt(self) -> None:
        """Take what an earlier run left; what is not whole is removed."""
        for name in self.files.names(self.folder):
            if not name.startswith(_PREFIX):
                continue
            status = self.files.status(f"{self.folder}/{name}")
            number = name.removeprefix(_PREFIX)
            if status is not None and status.size == self.settings.segment_bytes and number.isdigit():
                self._made = max(self._made, int(number))
                self._names.append(name)
            else:
                self.files.remove(f"{self.folder}/{name}")

    def prepare(self) -> None:
        """Have at least one. Raises ``OSError`` when there is no space for it."""
        if not self._names:
            name = self._next_name()
            self._fill(name, self.settings.segment_bytes).close()
            with self._lock:
                self._names.append(name)

    def take(self, needed: int) -> tuple[str, PlacedFile, int]:
        """A segment with room for so many bytes: its name, the open file, its size."""
        if needed <= self.settings.segment_bytes:
            with self._lock:
                name = self._names.pop() if self._names else None
            if name is not None:
                return name, self.files.open_placed(f"{self.folder}/{name}"), self.settings.segment_bytes
        size = max(needed, self.settings.segment_bytes)
        name = self._next_name()
        return name, self._fill(name, size), size

    def give(self, segment: str) -> None:
        """A segment that is no longer needed. The order of numbers makes its old content harmless."""
        path = f"{self.folder}/{segment}"
        status = self.files.status(path)
        whole = status is not None and status.size == self.settings.segment_bytes
        if not whole or len(self._names) >= self.settings.spare_segments:
            self.files.remove(path)
            return
        name = self._next_name()
        self.files.replace(path, f"{self.folder}/{name}")
        with self._lock:
            self._names.append(name)

    def _next_name(self) -> str:
        with self._lock:
            self._made += 1
            return f"{_PREFIX}{self._made}"

    def _fill(self, name: str, size: int) -> PlacedFile:
        path = f"{self.folder}/{name}"
        try:
            return self.files.create_filled(path, size)
        except OSError:
            if self.files.status(path) is not None:
                self.files.remove(path)
            raise
