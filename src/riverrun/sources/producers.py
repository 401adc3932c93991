"""What was received of each producer, and how much of it is safe. Pure book-keeping in lines and bytes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: The line by which a producer says who it is, and how many of its lines come before the next one.
_HELLO = re.compile(rb"HELLO ([A-Za-z0-9._-]{1,64})(?: ([0-9]{1,15}))?\r?\n")


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a producer says it is.

    Parameters
    ----------
    start : how many of its lines come before the next one; ``None``: as many as the answer says.
    """

    producer: str
    start: int | None = None


def read_hello(line: bytes) -> Hello | None:
    r"""What a first line says; ``None`` when it is badly written.

    >>> read_hello(b"HELLO shop-1 17\n")
    Hello(producer='shop-1', start=17)
    """
    found = _HELLO.fullmatch(line)
    if found is None:
        return None
    return Hello(found[1].decode(), None if found[2] is None else int(found[2]))


@dataclass(slots=True, eq=False)
class Ledger:
    """The lines of one partition: those received, and those that are safe.

    `took` and `safe` may be called from two threads.

    Parameters
    ----------
    received, durable : lines; each counts all that came before as well.
    position : bytes received in the partition.
    skip : of the lines that come next, so many are known already.
    """

    partition: str
    received: int = 0
    durable: int = 0
    position: int = 0
    skip: int = 0
    _unsafe: deque[tuple[int, int]] = field(default_factory=deque)

    def took(self, lines: int, size: int) -> None:
        """Whole lines were received."""
        self.received += lines
        self.position += size
        self._unsafe.append((self.position, self.received))

    def safe(self, position: int) -> int:
        """Everything before `position` is on the disk; how many lines are safe by now."""
        unsafe = self._unsafe
        while unsafe and unsafe[0][0] <= position:
            self.durable = unsafe.popleft()[1]
        return self.durable

    def begin_at(self, start: int) -> bool:
        """The next line is behind `start` others; false when lines in between are missing."""
        self.skip = self.received - start
        return self.skip >= 0

    def new_of(self, data: bytes) -> tuple[bytes, int]:
        """What of these lines is new, and how many are known already."""
        if not self.skip:
            return data, 0
        known, end = 0, 0
        while known < self.skip and end < len(data):
            end = data.index(b"\n", end) + 1
            known += 1
        self.skip -= known
        return data[end:], known


class Producers:
    """The producers that are known by name, in the order in which they were last heard of.

    Parameters
    ----------
    most : so many are kept; beyond that, the one that was silent for longest is forgotten.
    ttl_us : one that was silent for so long is forgotten.
    """

    def __init__(self, most: int, ttl_us: int) -> None:
        self._most = most
        self._ttl_us = ttl_us
        self._ledgers: dict[str, Ledger] = {}
        self._seen_us: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ledgers)

    def __iter__(self) -> Iterator[Ledger]:
        return iter(self._ledgers.values())

    def find(self, name: str) -> Ledger | None:
        return self._ledgers.get(name)

    def heard_of(self, name: str, now_us: int) -> Ledger:
        """The ledger of a producer, a new one if need be; it is now the one that was heard of last."""
        ledger = self._ledgers.pop(name, None)
        self._ledgers[name] = ledger = ledger if ledger is not None else Ledger(name)
        self._seen_us[name] = now_us
        return ledger

    def begin_anew(self, name: str, start: int) -> Ledger:
        """Lines are missing: what follows is a partition of its own, named by the first line's number."""
        self._ledgers[name] = ledger = Ledger(f"{name}@{start}", received=start, durable=start)
        return ledger

    def put(self, ledger: Ledger, seen_us: int) -> None:
        """A producer of the run before."""
        self._ledgers[name_of(ledger.partition)] = ledger
        self._seen_us[name_of(ledger.partition)] = seen_us

    def forget(self, name: str) -> None:
        self._ledgers.pop(name, None)
        self._seen_us.pop(name, None)

    def too_many(self, now_us: int, connected: Mapping[str, object]) -> list[Ledger]:
        """Those to forget: silent for too long, or beyond `most`; never one that is connected."""
        found: list[Ledger] = []
        over = len(self._ledgers) - self._most
        for name, ledger in self._ledgers.items():
            old = now_us - self._seen_us[name] >= self._ttl_us
            if not old and over <= 0:
                break
            if name not in connected:
                found.append(ledger)
                over -= 1
        return found

    def seen_us(self, name: str) -> int:
        return self._seen_us[name]


def name_of(partition: str) -> str:
    """The producer that a partition belongs to.

    >>> name_of("shop-1@500")
    'shop-1'
    """
    return partition.partition("@")[0]
