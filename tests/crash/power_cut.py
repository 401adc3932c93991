"""Disks as a power cut may leave them, from the trace that `disk_shim.c` writes.

A disk writes sectors of 512 bytes whole or not at all, and in any order between two syncs. So for every sector
that was written since the last sync of its file, the disk may hold what was there at the sync or after any of
the writes since. Of the changes of names in a folder that was not synced, all may be there (as on most file
systems), none (as POSIX allows), or the first ones.

A sync that fails leaves what it was to write in the memory of the system only: programs see it, no later sync
writes it, and a power cut loses it. That is what Linux does.
"""

from __future__ import annotations

import posixpath
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("<ciqqq")

#: What may have happened to names that were not synced.
NAME_RULES = ("all", "none", "first")


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the trace."""

    kind: str
    descriptor: int
    position: int
    path: str
    data: bytes


def read_trace(path: Path) -> Iterator[Event]:
    """The events, in the order in which they happened."""
    data, at = path.read_bytes(), 0
    while at + _HEAD.size <= len(data):
        kind, descriptor, position, path_bytes, data_bytes = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = data[at : at + path_bytes].decode()
        at += path_bytes
        yield Event(kind.decode(), descriptor, position, name, data[at : at + data_bytes])
        at += data_bytes


@dataclass(slots=True, eq=False)
class Node:
    """One file: what is on the disk for certain, and what was done to it since."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)
    forsaken: dict[int, list[tuple[str, int, bytes]]] = field(default_factory=dict)

    def change(self, kind: str, position: int, data: bytes) -> None:
        """A write, or a truncation (``t``)."""
        for sector in range(position // SECTOR, -(-(position + len(data)) // SECTOR)):
            # Written again, a sector that a failed sync left behind comes to the disk with the next sync.
            self.pending += self.forsaken.pop(sector, [])
        self.pending.append((kind, position, data))

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.safe, change)
        self.pending.clear()

    def fail_sync(self) -> None:
        """Writes are forsaken, sector by sector; a size belongs to the file system, which tries again."""
        for kind, position, data in self.pending:
            if kind == "w":
                for begin, part in _by_sector(position, data):
                    self.forsaken.setdefault(begin // SECTOR, []).append(("w", begin, part))
        self.pending = [change for change in self.pending if change[0] == "t"]

    def after_power_cut(self, chance: random.Random) -> bytes:
        """One of the contents that the disk may hold."""
        content = bytearray(self.safe)
        changes = [change for sector in self.forsaken.values() for change in sector] + self.pending
        kept = chance.choice(["all", "none", "any", "any", "first"])
        if kept == "none":
            return bytes(content)
        cut = len(changes) if kept == "all" else chance.randint(0, len(changes))
        sectors: dict[int, int] = {}
        for at, (kind, position, data) in enumerate(changes):
            if kind == "t":
                if at < cut:
                    _apply(content, (kind, position, data))
            elif kept == "any":
                _apply_some_sectors(content, position, data, sectors, at, len(changes), chance)
            elif at < cut:
                _apply(content, (kind, position, data))
        return bytes(content)


def _apply(content: bytearray, change: tuple[str, int, bytes]) -> None:
    kind, position, data = change
    if kind == "t":
        del content[position:]
        content.extend(bytes(position - len(content)))
        return
    content.extend(bytes(max(0, position - len(content))))
    content[position : position + len(data)] = data


def _apply_some_sectors(
    content: bytearray,
    position: int,
    data: bytes,
    sectors: dict[int, int],
    at: int,
    changes: int,
    chance: random.Random,
) -> None:
    """Every sector was written to the disk at one instant: it has the changes before that, and none after."""
    for begin, part in _by_sector(position, data):
        sector = begin // SECTOR
        if sector not in sectors:
            sectors[sector] = chance.randint(at, changes)
        if at < sectors[sector]:
            _apply(content, ("w", begin, part))


def _by_sector(position: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """A write, cut into what each sector gets of it."""
    at = position
    while at < position + len(data):
        end = (at // SECTOR + 1) * SECTOR
        yield at, data[at - position : end - position]
        at = end


@dataclass(frozen=True, slots=True)
class NameChange:
    """A change of the names in a folder."""

    folder: str
    kind: str
    path: str
    node: Node | None = None
    target: str = ""


@dataclass(slots=True)
class Disk:
    """The disk while the trace goes on. ``None`` as a node stands for a folder."""

    names: dict[str, Node | None] = field(default_factory=dict)
    safe_names: dict[str, Node | None] = field(default_factory=dict)
    changes: list[NameChange] = field(default_factory=list)
    open: dict[int, Node | str] = field(default_factory=dict)
    acks: bytearray = field(default_factory=bytearray)

    def play(self, event: Event) -> None:
        """Let one event happen."""
        match event.kind:
            case "n":
                if event.path == "/acks":
                    self.open[event.descriptor] = event.path
                else:
                    node = Node()
                    self.open[event.descriptor] = node
                    self._change(NameChange(posixpath.dirname(event.path), "n", event.path, node))
            case "o":
                found = self.names.get(event.path)
                self.open[event.descriptor] = event.path if found is None else found
            case "c":
                self.open.pop(event.descriptor, None)
            case "d":
                self._change(NameChange(posixpath.dirname(event.path), "d", event.path))
            case "u":
                self._change(NameChange(posixpath.dirname(event.path), "u", event.path))
            case "r":
                target = event.data.decode()
                self._change(NameChange(posixpath.dirname(target), "r", event.path, target=target))
            case _:
                self._play_open(event, self.open[event.descriptor])

    def _play_open(self, event: Event, node: Node | str) -> None:
        if node == "/acks":
            self.acks += event.data
        elif isinstance(node, str):
            if event.kind == "s":
                self._sync_names("" if node == "/" else node)
        elif event.kind == "s":
            node.sync()
        elif event.kind == "f":
            node.fail_sync()
        else:
            node.change(event.kind, event.position, event.data)

    def _change(self, change: NameChange) -> None:
        _change_names(self.names, change)
        self.changes.append(change)

    def _sync_names(self, folder: str) -> None:
        for change in self.changes:
            if change.folder in (folder, folder or "/"):
                _change_names(self.safe_names, change)
        self.changes = [change for change in self.changes if change.folder not in (folder, folder or "/")]

    def after_power_cut(self, chance: random.Random, rule: str) -> dict[str, bytes | None]:
        """One of the disks that a power cut may leave: files by path, folders as ``None``."""
        names = dict(self.safe_names)
        lost_from: dict[str, int] = {}
        for at, change in enumerate(self.changes):
            happened = {"all": len(self.changes), "none": 0}.get(rule)
            if happened is None:
                happened = lost_from.setdefault(change.folder, chance.randint(0, len(self.changes)))
            if at < happened:
                _change_names(names, change)
        contents = {id(node): node.after_power_cut(chance) for node in names.values() if node is not None}
        return {
            path: None if node is None else contents[id(node)]
            for path, node in sorted(names.items())
            if _reachable(path, names)
        }


def _change_names(names: dict[str, Node | None], change: NameChange) -> None:
    match change.kind:
        case "n":
            names[change.path] = change.node
        case "d":
            names[change.path] = None
        case "u":
            names.pop(change.path, None)
        case "r":
            if change.path in names:
                names[change.target] = names.pop(change.path)


def _reachable(path: str, names: dict[str, Node | None]) -> bool:
    parent = posixpath.dirname(path)
    return parent in ("", "/") or (parent in names and _reachable(parent, names))


def write_image(image: dict[str, bytes | None], folder: Path) -> None:
    """Make a disk real."""
    folder.mkdir(parents=True)
    for path, content in image.items():
        target = folder / path.lstrip("/")
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content)
