"""The one door to everything outside: sockets, files, clocks and chance.

Sources, sinks and the runtime are handed a `World` and reach for nothing else. The real one is
`riverrun.runtime.real_world.RealWorld`; `riverrun.testing.SimulatedWorld` keeps everything in memory and
moves time by hand, so that a whole run can be repeated exactly.

Nothing here blocks but `World.wait`, and `Web.get`, whose requests have a limit on time.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from riverrun.clock import Clock

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. Names other than ``localhost`` are not looked up.

        >>> TcpAddress("127.0.0.2", 80).is_loopback, TcpAddress("0.0.0.0", 80).is_loopback
        (True, False)
        """
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return self.path


Address = TcpAddress | UnixAddress


class Waitable(Protocol):
    """Something that becomes ready: a socket, a pipe."""

    def fileno(self) -> int: ...


class Connection(Waitable, Protocol):
    """A byte stream in both directions; never blocks."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for messages and dead letters."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the other end has answered; false while connecting."""
        ...

    def receive(self, size: int) -> bytes | None:
        """Up to `size` bytes; ``b""`` once the peer has closed; ``None`` when there is nothing yet.

        Raises ``OSError`` when the connection is broken, or could not be made.
        """
        ...

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes the other end took just now; 0 when it takes none yet."""
        ...

    def close(self) -> None: ...


class Listener(Waitable, Protocol):
    """A door that connections come in by."""

    @property
    def address(self) -> Address:
        """Where it listens, with the real port when 0 was asked for."""
        ...

    def accept(self) -> Connection | None:
        """The next connection, or ``None`` when nobody waits."""
        ...

    def close(self) -> None: ...


class Network(Protocol):
    """Connections out and in."""

    def connect(self, address: Address) -> Connection:
        """Begin to connect. A refusal may show here or at the first `receive`, as ``OSError``."""
        ...

    def listen(self, address: Address) -> Listener:
        """Let others connect. Raises ``OSError`` when the address is taken or not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A page that is asked for.

    Parameters
    ----------
    timeout_us : how long all of it may take, from connecting to the last byte.
    max_bytes : an answer that is longer is none.
    private : whether the host's name may stand for an address of one's own machine or network.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_us: int = 5_000_000
    max_bytes: int = 1 << 20
    private: bool = False


class NotAskedError(TimeoutError):
    """There was no time left for a request, so it was not made."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a web server said; the names of headers are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Web(Protocol):
    """Pages of web servers, by HTTP and HTTPS."""

    def get(self, requests: Sequence[WebRequest], *, at_once: int, until_us: int) -> list[WebAnswer | OSError]:
        """The answers to some requests of one server, in their order; an error where there was none.

        Returns when all are there. `at_once` are asked at a time, and none beyond `until_us` (monotonic):
        what could not be asked by then is a `NotAskedError`. Redirects are answers, and are not followed;
        certificates are checked; proxies that the environment names are not used. All addresses of a host are
        looked at before it is connected to, and must be such as `WebRequest.private` allows.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What tells one file from another, and how long it is now."""

    size: int
    device: int
    inode: int
    modified_us: int
    is_dir: bool = False


class ReadableFile(Protocol):
    """An open file, read by position."""

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; ``b""`` at the end as it is now."""
        ...

    def status(self) -> FileStatus: ...

    def close(self) -> None: ...


class WritableFile(Protocol):
    """An open file, written at its end."""

    def write(self, data: bytes) -> None: ...

    def truncate(self, size: int) -> None:
        """Cut the file to its first `size` bytes; what is written next follows them."""
        ...

    def sync(self) -> None:
        """Do not return before the bytes are on the disk."""
        ...

    def close(self) -> None: ...


class PlacedFile(Protocol):
    """An open file whose bytes are written in place."""

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`."""
        ...

    def write_at(self, position: int, parts: Sequence[bytes | memoryview]) -> None:
        """Write all parts, one behind the other. Raises ``OSError`` when not all of them could be written."""
        ...

    def sync(self) -> None:
        """Do not return before the bytes are on the disk. After an ``OSError`` nobody knows which ones are."""
        ...

    def close(self) -> None: ...


class FileLock(Protocol):
    """A lock that is held until it is released, or the process ends in any way."""

    def release(self) -> None: ...


class Files(Protocol):
    """Files and folders."""

    def absolute(self, path: str) -> str:
        """The path from the root, for messages."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """The files that match, sorted, without folders; the name of an existing file matches itself."""
        ...

    def status(self, path: str) -> FileStatus | None:
        """``None`` when there is no such file."""
        ...

    def open_read(self, path: str) -> ReadableFile: ...

    def open_write(self, path: str, *, append: bool) -> WritableFile: ...

    def replace(self, source: str, target: str) -> None:
        """Rename over `target` in one step."""
        ...

    def remove(self, path: str) -> None: ...

    def make_dirs(self, path: str, *, private: bool = False) -> None:
        """Make a folder, and those around it; `private`: nobody else may look into it."""
        ...

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted."""
        ...

    def open_placed(self, path: str) -> PlacedFile:
        """An existing file, to be written in place."""
        ...

    def create_filled(self, path: str, size: int) -> PlacedFile:
        """A new private file of so many zeros, which are really written: overwriting them needs no more room.

        They are on the disk when this returns; the name of the file is not before `sync_folder`.
        """
        ...

    def lock(self, path: str) -> FileLock:
        """Take a lock on a file, which is made if need be, and write the number of this process into it.

        Raises ``BlockingIOError`` while anybody else has it.
        """
        ...

    def free_bytes(self, path: str) -> int:
        """What this process may still write to the disk that holds `path`."""
        ...

    def filesystem(self, path: str) -> str:
        """The type of file system that holds `path`, as ``ext4``; ``""`` when the system does not say."""
        ...

    def open_database(self, path: str) -> sqlite3.Connection:
        """An SQLite database, made private when it is not there; usable from any thread, one at a time."""
        ...

    def sync_folder(self, path: str) -> None:
        """Do not return before the names in a folder are on the disk: what was made, renamed, removed."""
        ...


class StandardInput(Waitable, Protocol):
    """The bytes piped into the process; never blocks."""

    def receive(self, size: int) -> bytes | None:
        """As `Connection.receive`."""
        ...


class World(Protocol):
    """All that is outside."""

    @property
    def clock(self) -> Clock: ...

    @property
    def network(self) -> Network: ...

    @property
    def web(self) -> Web: ...

    @property
    def files(self) -> Files: ...

    @property
    def random(self) -> random.Random: ...

    @property
    def stdin(self) -> StandardInput: ...

    def wait(self, ready: Sequence[Waitable], until_us: int | None) -> None:
        """Return when one of `ready` can be read, at `until_us` (monotonic), or when somebody calls `wake`.

        The same tuple, handed in again, must stand for the same descriptors.
        """
        ...

    def readable(self, among: Sequence[Waitable]) -> list[int]:
        """The places of those that can be read at this moment, or are broken; does not wait."""
        ...

    def wake(self) -> None:
        """End every `wait` that is under way, from any thread.

        A thread that is between two waits is not forgotten: its next `wait` returns at once. So "check
        a flag, then wait" never sleeps through a flag that was set in between.
        """
        ...
