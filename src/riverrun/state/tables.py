"""Tables whose rows cannot change, vanish or come back unseen.

SQLite keeps no checksums. So every row has one of its own, and for every table the number of rows and the
sum of their checksums is kept apart. A changed row has another checksum; a row that is missing, doubled or old
makes the sum differ. Keeping the sum costs one addition for each row that is written.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

CHECKSUM_BYTES = 8
_MODULUS = 1 << (8 * CHECKSUM_BYTES)

Cell = bytes | memoryview | str | int | None


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table: its name, the columns that tell rows apart, and the others, each with its SQLite type."""

    name: str
    keys: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, without the checksum."""
        return tuple(name for name, _ in (*self.keys, *self.columns))

    @property
    def definition(self) -> str:
        # The checksum stands before the columns, so that reading it alone needs no overflow pages.
        keys = [f"{name} {kind} NOT NULL" for name, kind in self.keys]
        columns = [f"{name} {kind}" for name, kind in self.columns]
        order = ", ".join(name for name, _ in self.keys)
        described = ", ".join([*keys, "checksum BLOB NOT NULL", *columns, f"PRIMARY KEY ({order})"])
        return f"CREATE TABLE {self.name} ({described})"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows a table has, and the sum of their checksums."""

    rows: int = 0
    total: int = 0

    def with_row(self, checksum: bytes) -> Tally:
        return Tally(self.rows + 1, (self.total + int.from_bytes(checksum, "little")) % _MODULUS)

    def without_row(self, checksum: bytes) -> Tally:
        return Tally(self.rows - 1, (self.total - int.from_bytes(checksum, "little")) % _MODULUS)


class ChecksumError(Exception):
    """A row, or the tally of a table, is not what was stored."""


def row_checksum(table: str, cells: Sequence[Cell]) -> bytes:
    """The first bytes of SHA-256 over the name of the table and all cells, each with type and length in front.

    Processors compute it faster than any other strong checksum of the standard library.
    """
    digest = hashlib.sha256(table.encode())
    for cell in cells:
        kind, data = _as_bytes(cell)
        digest.update(struct.pack("<cQ", kind, len(data)))
        digest.update(data)
    return digest.digest()[:CHECKSUM_BYTES]


def _as_bytes(cell: Cell) -> tuple[bytes, bytes | memoryview]:
    match cell:
        case None:
            return b"n", b""
        case int():
            return b"i", struct.pack("<q", cell)
        case str():
            return b"t", cell.encode()
        case bytes() | memoryview():
            return b"b", cell
        case _:
            raise ChecksumError(f"a value is a {type(cell).__name__}, which nobody stored")


class Table:
    """One table of an open database, with its tally."""

    def __init__(self, connection: sqlite3.Connection, description: TableDescription, tally: Tally) -> None:
        self._connection = connection
        self._description = description
        self.tally = tally
        name, all_names = description.name, ", ".join(description.names)
        key_match = " AND ".join(f"{key} = ?" for key, _ in description.keys)
        marks = ", ".join("?" for _ in description.names)
        keys = ", ".join(key for key, _ in description.keys)
        # Names come from descriptions in this package, values are always bound.
        self._checksum_of = f"SELECT checksum FROM {name} WHERE {key_match}"  # noqa: S608
        self._insert = f"INSERT OR REPLACE INTO {name} (checksum, {all_names}) VALUES (?, {marks})"  # noqa: S608
        self._delete = f"DELETE FROM {name} WHERE "  # noqa: S608
        self._checksums = f"SELECT checksum FROM {name} WHERE "  # noqa: S608
        self._select = f"SELECT checksum, {all_names} FROM {name} WHERE "  # noqa: S608
        self._order = f" ORDER BY {keys}"
        self._key_match = key_match

    def put(self, cells: Sequence[Cell]) -> None:
        """Store a row, in place of the one with the same keys."""
        checksum = row_checksum(self._description.name, cells)
        old = self._connection.execute(self._checksum_of, cells[: len(self._description.keys)]).fetchone()
        if old is not None:
            self.tally = self.tally.without_row(old[0])
        self._connection.execute(self._insert, (checksum, *cells))
        self.tally = self.tally.with_row(checksum)

    def delete(self, keys: Sequence[Cell]) -> None:
        """Delete the row with these keys, if there is one."""
        self.delete_where(self._key_match, keys)

    def delete_where(self, condition: str, values: Sequence[Cell]) -> None:
        """Delete the rows that meet a condition."""
        for (checksum,) in self._connection.execute(self._checksums + condition, values):
            self.tally = self.tally.without_row(checksum)
        self._connection.execute(self._delete + condition, values)

    def rows(
        self,
        condition: str = "TRUE",
        values: Sequence[Cell] = (),
        *,
        limit: int = -1,
        newest_first: bool = False,
    ) -> Iterator[tuple[Cell, ...]]:
        """The rows that meet a condition, ordered by their keys. Raises `ChecksumError` at a damaged one."""
        order = f"{self._order} DESC" if newest_first else self._order
        query = f"{self._select}{condition}{order} LIMIT {limit:d}"
        for checksum, *cells in self._connection.execute(query, values):
            if row_checksum(self._description.name, cells) != checksum:
                raise ChecksumError(
                    f"the row {self._named(cells)} of {self._description.name} has another checksum"
                )
            yield tuple(cells)

    def query(self, question: str) -> Iterator[tuple[Any, ...]]:
        """The answer to a question about the whole table, unchecked."""
        return iter(self._connection.execute(question))

    def check(self) -> None:
        """Raises `ChecksumError` when rows are missing, or there are others."""
        found = Tally()
        for (checksum,) in self._connection.execute(f"{self._checksums}TRUE"):
            found = found.with_row(checksum)
        if found != self.tally:
            name = self._description.name
            raise ChecksumError(
                f"{name} has {found.rows} rows in place of {self.tally.rows}"
                if found.rows != self.tally.rows
                else f"a row of {name} is not the one that was stored last"
            )

    def _named(self, cells: Sequence[Cell]) -> str:
        keys = zip(self._description.keys, cells, strict=False)
        return ", ".join(f"{name} {cell!r}" for (name, _), cell in keys)
