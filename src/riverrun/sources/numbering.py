"""Partitions of one source that would have the same name: the second one is ``name#2``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Numbering:
    """Hands out names that were never handed out before.

    >>> names = Numbering()
    >>> names.next("a.csv"), names.next("a.csv"), names.next("b.csv")
    ('a.csv', 'a.csv#2', 'b.csv')
    """

    def __init__(self, given: Mapping[str, int] | None = None) -> None:
        self._given = Counter(given)

    def peek(self, name: str) -> str:
        """What `next` would hand out."""
        number = self._given[name] + 1
        return name if number == 1 else f"{name}#{number}"

    def next(self, name: str) -> str:
        """The name; with a number from the second time on."""
        partition = self.peek(name)
        self._given[name] += 1
        return partition

    def took(self, name: str, partition: str) -> int:
        """An earlier run has handed out this partition of a name; the number of it.

        >>> names = Numbering()
        >>> names.took("a.csv", "a.csv#2"), names.next("a.csv")
        (2, 'a.csv#3')
        """
        number = number_of(partition.removeprefix(name))
        self._given[name] = max(self._given[name], number)
        return number

    def used(self, name: str) -> bool:
        """Whether the name was handed out before."""
        return bool(self._given[name])

    @property
    def given(self) -> dict[str, int]:
        """How often each name was handed out."""
        return dict(self._given)


def number_of(partition: str) -> int:
    """The number behind the last ``#`` of a name; 1 when there is none.

    >>> number_of("localhost:9999#12"), number_of("stdin")
    (12, 1)
    """
    number = partition.rpartition("#")[2]
    return int(number) if number.isdigit() and "#" in partition else 1
