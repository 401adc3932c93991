"""Fields that the schema does not name: how many a record has, found without parsing it where possible.

In sound JSON without a backslash every field brings one ``":``, and nothing else does, provided that no space
stands before the colon and no text begins with one. So fields are counted by counting bytes, in a block as in a
record, and those with the name of a column the same way. Fields of nested objects count too. Other records are
parsed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import cast

import orjson

_ODD = re.compile(rb'\\|[ \t\r]:|[:,{\[ \t\r]":')
#: What `_ODD` finds, by a byte that is found at once, or not, and what to look for if it is there.
_ODD_PARTS = (
    (b"\\", (b"\\",)),
    (b":", (b':":', b',":', b'{":')),
    (b"[", (b'[":',)),
    (b" ", (b" :", b' ":')),
    (b"\t", (b"\t:", b'\t":')),
    (b"\r", (b"\r:", b'\r":')),
)


class FieldNames:
    """The names that the schema knows."""

    def __init__(self, names: Collection[str]) -> None:
        self._known = frozenset(names)
        self._written = [orjson.dumps(name) + b":" for name in names]

    def new_in(self, item: object) -> list[str]:
        """The unknown names within a parsed document."""
        return [name for name in _names_in(item) if name not in self._known]

    def new_fields_of(self, line: bytes, found: dict[str, object] | None = None) -> int:
        """How many unknown fields a record has; `found` is what it parses to, if that is known.

        Of what is no JSON, which nobody will count in the end, the bytes are counted.
        """
        if not _ODD.search(line):
            return self._counted(line)
        try:
            return len(self.new_in(orjson.loads(line) if found is None else found))
        except orjson.JSONDecodeError:
            return self._counted(line)

    def only_knows(self, found: dict[str, object]) -> bool:
        """Whether a record whose columns hold plain values has no unknown field; quicker than counting."""
        return found.keys() <= self._known

    def new_fields_in(self, block: bytes) -> int:
        """The sum of `new_fields_of` over all lines of a block."""
        total = self._counted(block)
        if not _has_odd(block):
            return total
        at = 0
        while (odd := _ODD.search(block, at)) is not None:
            start, at = block.rfind(b"\n", 0, odd.start()) + 1, block.find(b"\n", odd.end()) + 1
            line = block[start : at - 1]
            total += self.new_fields_of(line) - self._counted(line)
        return total

    def known_fields_in(self, block: bytes) -> int:
        """How many fields have the name of a column, as long as there is nothing odd."""
        return sum(block.count(name) for name in self._written)

    def _counted(self, data: bytes) -> int:
        return data.count(b'":') - self.known_fields_in(data)


def _has_odd(block: bytes) -> bool:
    """Whether `_ODD` finds anything; much quicker than it."""
    return any(byte in block and any(part in block for part in parts) for byte, parts in _ODD_PARTS)


def _names_in(item: object) -> Iterator[str]:
    open_items = [item]
    while open_items:
        item = open_items.pop()
        if isinstance(item, dict):
            yield from cast(dict[str, object], item)
            open_items.extend(item.values())
        elif isinstance(item, list):
            open_items.extend(item)
