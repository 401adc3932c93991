"""Savepoints: a copy of a whole state folder, checked when it is made and when it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import orjson

from riverrun.clock import format_instant
from riverrun.errors import StateError
from riverrun.limits import MIB
from riverrun.state.database import DATABASE, FORMAT_VERSION, Database
from riverrun.state.folder import make_folder
from riverrun.state.journal import Written
from riverrun.state.segment import parse_name
from riverrun.world import Files, World

MANIFEST = "manifest.json"
#: Is in the folder until the manifest is: what a killed process leaves is told from anything else by it.
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a savepoint."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a savepoint holds. It is written last, so a folder without one is no savepoint.

    Parameters
    ----------
    store : id of the folder it was made of; the restored one has the same.
    created_us : when it was made.
    position : the last frame whose effects are in the database.
    last : the last frame of the journal in it.
    """

    format_version: int
    store: str
    created_us: int
    position: int
    last: int
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """For people, in one line."""
        size = sum(part.bytes for part in self.parts)
        return (
            f"everything up to frame {self.last}, made {format_instant(self.created_us)}, "
            f"{len(self.parts)} file{'' if len(self.parts) == 1 else 's'}, {size:,} bytes"
        )


def write_savepoint(
    world: World, target: str, database: Database, segments: Sequence[Written], last: int
) -> Manifest:
    """Copy the database and segments into a new folder."""
    files = world.files
    _sweep_unfinished(files, target)
    _check_empty(files, target)
    make_folder(files, f"{target}/journal")
    files.create_filled(f"{target}/{UNFINISHED}", 0).close()
    files.sync_folder(target)
    database.copy_to(f"{target}/{DATABASE}")
    _sync_file(files, f"{target}/{DATABASE}")
    for segment in segments:
        _copy(files, segment.path, f"{target}/{segment.file}", segment.bytes, segment.size)
    files.sync_folder(f"{target}/journal")
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        store=database.progress.store,
        created_us=world.clock.now_us(),
        position=database.progress.position,
        last=last,
        parts=tuple(_part(files, target, file) for file in (DATABASE, *(part.file for part in segments))),
    )
    _write_manifest(files, target, manifest)
    files.remove(f"{target}/{UNFINISHED}")
    return manifest


def _sweep_unfinished(files: Files, target: str) -> None:
    """Remove what is left of a savepoint that was begun here and did not come to its end."""
    begun = f"{target}/{UNFINISHED}"
    if files.status(begun) is None or files.status(f"{target}/{MANIFEST}") is not None:
        return
    for name in files.names(target):
        if name.startswith(DATABASE) or name == f"{MANIFEST}.new":
            files.remove(f"{target}/{name}")
    if files.status(f"{target}/journal") is not None:
        for name in files.names(f"{target}/journal"):
            if parse_name(name) is not None:
                files.remove(f"{target}/journal/{name}")
    files.remove(begun)


def read_manifest(files: Files, savepoint: str) -> Manifest:
    """The manifest of a savepoint. Raises `StateError` when there is none."""
    path = f"{savepoint}/{MANIFEST}"
    if files.status(path) is None:
        raise StateError(
            f"not a savepoint, or one that was not finished: it has no {MANIFEST}", where=savepoint
        )
    file = files.open_read(path)
    try:
        read = orjson.loads(file.read_at(0, MIB))
        version = read["format_version"]
        if version <= FORMAT_VERSION:
            return Manifest(**{**read, "parts": tuple(Part(**part) for part in read["parts"])})
    except (ValueError, TypeError, KeyError) as error:
        raise StateError(f"the {MANIFEST} cannot be read: {error}", where=savepoint) from error
    finally:
        file.close()
    raise StateError(
        f"the savepoint was made by a newer riverrun: its format is {version}, "
        f"this riverrun knows {FORMAT_VERSION}",
        where=savepoint,
        hint="pip install --upgrade riverrun",
    )


def restore_savepoint(files: Files, savepoint: str, path: str) -> None:
    """Make a state folder of a savepoint, after every file in it was checked."""
    manifest = read_manifest(files, savepoint)
    for part in manifest.parts:
        if files.status(f"{savepoint}/{part.file}") is None or _part(files, savepoint, part.file) != part:
            raise StateError(
                f"the file {part.file} is missing, or is not the one that the savepoint was made with",
                where=savepoint,
                hint="another savepoint",
            )
    _check_empty(files, path)
    make_folder(files, f"{path}/journal")
    # The database comes last: a folder with a journal and no database is refused, not taken for a new one.
    for part in reversed(manifest.parts):
        _copy(files, f"{savepoint}/{part.file}", f"{path}/{part.file}", part.bytes, part.bytes)
    files.sync_folder(f"{path}/journal")
    files.sync_folder(path)


def _check_empty(files: Files, path: str) -> None:
    status = files.status(path)
    if status is not None and (not status.is_dir or _holds_something(files, path)):
        raise StateError(
            "there is something already", where=path, hint="an empty folder, or one that is not there yet"
        )


def _holds_something(files: Files, path: str) -> bool:
    """Whether there is more than the empty folder that an unfinished savepoint leaves."""
    return any(name != "journal" or files.names(f"{path}/{name}") for name in files.names(path))


def _write_manifest(files: Files, target: str, manifest: Manifest) -> None:
    made = f"{target}/{MANIFEST}.new"
    file = files.open_write(made, append=False)
    try:
        file.write(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
        file.sync()
    finally:
        file.close()
    files.replace(made, f"{target}/{MANIFEST}")
    files.sync_folder(target)


def _part(files: Files, folder: str, file: str) -> Part:
    digest, size = hashlib.sha256(), 0
    path = f"{folder}/{file}"
    status = files.status(path)
    for block in _blocks(files, path, 0 if status is None else status.size):
        digest.update(block)
        size += len(block)
    return Part(file, size, digest.hexdigest())


def _copy(files: Files, source: str, target: str, size: int, padded_to: int) -> None:
    """Copy the first `size` bytes, and make a file of `padded_to` of it with zeros."""
    file = files.open_write(target, append=False)
    try:
        for block in _blocks(files, source, size):
            file.write(block)
        for at in range(size, padded_to, MIB):
            file.write(bytes(min(MIB, padded_to - at)))
        file.sync()
    finally:
        file.close()


def _sync_file(files: Files, path: str) -> None:
    file = files.open_placed(path)
    try:
        file.sync()
    finally:
        file.close()


def _blocks(files: Files, path: str, size: int) -> Iterator[bytes]:
    file = files.open_read(path)
    try:
        position = 0
        while block := file.read_at(position, min(MIB, size - position)):
            yield block
            position += len(block)
    finally:
        file.close()
