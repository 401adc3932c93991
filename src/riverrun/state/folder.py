"""The state folder before anything in it is opened: is it one of ours, may we use it, does nobody else?"""

from __future__ import annotations

import contextlib
import posixpath
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from riverrun.errors import StateError, StateInUseError
from riverrun.state.damage import damaged
from riverrun.state.database import APPLICATION_ID, DATABASE, FORMAT_VERSION
from riverrun.state.refusal import unusable
from riverrun.world import FileLock, Files

LOCK = "LOCK"

#: File systems over a network, where a sync and a lock promise less than on a disk of one's own.
NETWORK_FILESYSTEMS = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "fuse.ceph", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "orangefs", "pvfs2", "smb3", "smbfs",
})  # fmt: skip

_SQLITE_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_VERSION_AT, _APPLICATION_AT = 60, 68


@dataclass(frozen=True, slots=True)
class Folder:
    """A state folder that is ours alone, until its lock is released."""

    path: str
    lock: FileLock
    is_new: bool
    filesystem: str


def take_folder(files: Files, path: str, *, create: bool) -> Folder:
    """Make sure that `path` can be a state folder, and lock it.

    Raises `StateError` when there is none and none shall be made, for a folder of a newer riverrun (which is
    not touched), on a network file system, without permission, and while another process uses it.
    """
    with _refusals_told(path):
        status = files.status(path)
        if status is None:
            if not create:
                raise StateError("there is no state folder here", where=path)
            make_folder(files, path)
        elif not status.is_dir:
            raise StateError("a folder was expected, this is a file", where=path)
        filesystem = _check_filesystem(files, path)
        is_new = not _check_version(files, path)
        lock = _lock(files, path)
    try:
        # Only now: another process may have been making the folder.
        is_new = is_new and not _check_version(files, path)
        if is_new:
            _check_nothing_else(files, path, create=create)
    except BaseException:
        lock.release()
        raise
    return Folder(path, lock, is_new, filesystem)


def make_folder(files: Files, path: str) -> None:
    """Make a folder that only this user may look into, and see to it that its name is on the disk."""
    parent = posixpath.dirname(path)
    if parent != path and files.status(parent) is None:
        make_folder(files, parent)
    files.make_dirs(path, private=True)
    with contextlib.suppress(PermissionError):  # a folder around it that is not ours to read
        files.sync_folder(parent)


def _check_filesystem(files: Files, path: str) -> str:
    filesystem = files.filesystem(path)
    if filesystem in NETWORK_FILESYSTEMS:
        raise StateError(
            f"the folder is on a network file system, {filesystem}, where a sync does not mean "
            "that bytes are on a disk",
            where=path,
            hint="a folder on a local disk",
        )
    return filesystem


def _check_version(files: Files, path: str) -> bool:
    """Whether there is a database that we can read. Nothing is changed, and nothing locked."""
    name = f"{path}/{DATABASE}"
    if files.status(name) is None:
        return False
    file = files.open_read(name)
    try:
        header = file.read_at(0, _HEADER_BYTES)
    finally:
        file.close()
    if len(header) < _HEADER_BYTES or not header.startswith(_SQLITE_MAGIC):
        raise damaged(path, DATABASE, 0, "this is not the beginning of an SQLite database")
    (version,) = struct.unpack_from(">I", header, _VERSION_AT)
    (application,) = struct.unpack_from(">I", header, _APPLICATION_AT)
    if application != APPLICATION_ID:
        cause = f"the database belongs to another program, its application id is {application:#010x}"
        raise damaged(path, DATABASE, _APPLICATION_AT, cause)
    if version > FORMAT_VERSION:
        raise StateError(
            f"the folder was written by a newer riverrun: its format is {version}, "
            f"this riverrun knows {FORMAT_VERSION}; nothing was changed",
            where=path,
            hint="pip install --upgrade riverrun",
        )
    return True


def _check_nothing_else(files: Files, path: str, *, create: bool) -> None:
    journal = f"{path}/journal"
    if files.status(journal) is not None and any(name.endswith(".seg") for name in files.names(journal)):
        raise damaged(path, DATABASE, None, "the file is missing, but there is a journal beside it")
    if not create:
        raise StateError("there is no state in this folder", where=path)
    strangers = [name for name in files.names(path) if not _may_be_there(name)]
    if strangers:
        raise StateError(
            f"the folder holds something else already: {strangers[0]!r}",
            where=path,
            hint="an empty folder, or one that is not there yet",
        )


def _may_be_there(name: str) -> bool:
    """Left by a start that did not come to its end, or by the file system."""
    return name.startswith((DATABASE, ".")) or name in (LOCK, "journal", "ballast", "lost+found")


def _lock(files: Files, path: str) -> FileLock:
    try:
        return files.lock(f"{path}/{LOCK}")
    except BlockingIOError:
        owner = _owner(files, path)
        raise StateInUseError(
            f"in use by another process{f', number {owner}' if owner else ''}",
            where=path,
            hint=f"stop that one first: kill {owner}" if owner else "stop that one first",
        ) from None


def _owner(files: Files, path: str) -> int | None:
    file = files.open_read(f"{path}/{LOCK}")
    try:
        text = file.read_at(0, 32).strip()
    finally:
        file.close()
    return int(text) if text.isdigit() else None


@contextlib.contextmanager
def _refusals_told(path: str) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise unusable(path, error) from error
