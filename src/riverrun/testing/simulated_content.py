"""What a simulated file holds: what everyone sees, and what a power cut would leave of it."""

from __future__ import annotations

import random

#: A disk writes sectors whole or not at all.
SECTOR_BYTES = 512


class Content:
    """What a file is apart from its name."""

    def __init__(self, inode: int, now_us: int) -> None:
        self.inode = inode
        self.modified_us = now_us
        self.data = bytearray()
        self.synced_bytes = 0
        self._before: dict[int, bytes] = {}
        self._forsaken: dict[int, bytes] = {}

    def write(self, position: int, data: bytes) -> None:
        """Write in place, or behind the end."""
        self._remember(position, len(data))
        if len(self.data) < position:
            self.data += bytes(position - len(self.data))
        self.data[position : position + len(data)] = data

    def cut(self, size: int) -> None:
        """Make it shorter."""
        self._remember(size, len(self.data) - size)
        del self.data[size:]

    def sync(self) -> None:
        """What was written since the last sync survives."""
        self._before.clear()
        self.synced_bytes = len(self.data)

    def fail_sync(self) -> None:
        """As Linux does it: what was written is seen by everyone, and never tried again."""
        self._forsaken = {**self._before, **self._forsaken}
        self._before.clear()

    def lose_power(self, chance: random.Random) -> None:
        """Each sector that is not on the disk for certain is the old one or the new one, and so is the size."""
        size = chance.choice([self.synced_bytes, len(self.data)])
        self.data += bytes(max(0, self.synced_bytes - len(self.data)))
        for sector, old in sorted({**self._before, **self._forsaken}.items()):
            if chance.random() < 0.5:
                begin = sector * SECTOR_BYTES
                self.data[begin : begin + SECTOR_BYTES] = old.ljust(SECTOR_BYTES, b"\0")
        del self.data[size:]
        self._forsaken.clear()
        self.sync()

    def _remember(self, position: int, length: int) -> None:
        """Keep the sectors that are about to change as they are on the disk."""
        for sector in range(position // SECTOR_BYTES, -(-(position + length) // SECTOR_BYTES)):
            begin = sector * SECTOR_BYTES
            seen = bytes(self.data[begin : begin + SECTOR_BYTES])
            self._before.setdefault(sector, self._forsaken.pop(sector, seen))
