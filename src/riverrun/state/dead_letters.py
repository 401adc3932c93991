"""Dead letters in the database: listed, counted, and the oldest out when they need too much room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, cast

from riverrun.state.tables import Cell, Table, TableDescription

#: What a row needs beside its texts, about.
_ROW_BYTES = 128

DEAD_LETTERS = TableDescription(
    "dead_letters",
    keys=(("id", "INTEGER"),),
    columns=(
        ("source", "TEXT"),
        ("partition", "TEXT"),
        ("reason", "TEXT"),
        ("detail", "TEXT"),
        ("position", "INTEGER"),
        ("length", "INTEGER"),
        ("received_us", "INTEGER"),
        ("head", "BLOB"),
        ("sha256", "TEXT"),
        ("form", "TEXT"),
        ("record", "BLOB"),
        ("header", "BLOB"),
    ),
)


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """One record that was not accepted.

    Parameters
    ----------
    id : a number of its own; later ones are higher.
    source, partition, position, length : where it stood.
    reason, detail : a short code, and a sentence.
    received_us : when it arrived.
    head : its first 256 bytes.
    sha256 : of the whole record, in hexadecimal.
    form : what `record` is, as in `riverrun.ports.Rejected`.
    record : the whole record, to be replayed; ``None`` when it is too long to keep.
    header : the header that it stood under, where there was one.
    """

    id: int
    source: str
    partition: str
    reason: str
    detail: str
    position: int
    length: int
    received_us: int
    head: bytes
    sha256: str
    form: str
    record: bytes | None
    header: bytes | None = None

    @property
    def stored_bytes(self) -> int:
        """About what it takes in the database."""
        texts = (self.source, self.partition, self.reason, self.detail, self.sha256)
        return _ROW_BYTES + sum(map(len, texts)) + len(self.head) + len(self.record or b"")


def cells_of(letter: DeadLetterRow) -> tuple[Cell, ...]:
    """The row of the table."""
    return tuple(getattr(letter, item.name) for item in fields(letter))


def letter_of(cells: tuple[Cell, ...]) -> DeadLetterRow:
    """The dead letter of a row."""
    return DeadLetterRow(*cast("tuple[Any, ...]", cells))


class DeadLetterBox:
    """The dead letters of an open store, for people: may be asked from any thread.

    Parameters
    ----------
    reading : gives the table while nobody else uses the database.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Table]]) -> None:
        self._reading = reading

    def count(self) -> int:
        """How many are kept."""
        with self._reading() as table:
            return table.tally.rows

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many are kept of each (source, reason)."""
        with self._reading() as table:
            query = "SELECT source, reason, count(*) FROM dead_letters GROUP BY 1, 2 ORDER BY 1, 2"
            return {(source, reason): number for source, reason, number in table.query(query)}

    def list(
        self,
        *,
        source: str | None = None,
        reason: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[DeadLetterRow]:
        """The newest first, `limit` at most; `before`: only those with a lower id, for the next page."""
        chosen = {"source = ?": source, "reason = ?": reason, "id < ?": before}
        given = {condition: value for condition, value in chosen.items() if value is not None}
        condition = " AND ".join(given) or "TRUE"
        with self._reading() as table:
            rows = table.rows(condition, tuple(given.values()), limit=limit, newest_first=True)
            return [letter_of(cells) for cells in rows]

    def get(self, id: int) -> DeadLetterRow | None:
        """The one with this id, if it is kept."""
        with self._reading() as table:
            return next((letter_of(cells) for cells in table.rows("id = ?", (id,))), None)


def forget_oldest(table: Table, taken: int, limit_bytes: int, before_us: int | None) -> int:
    """Delete the oldest until the rest takes no more than `limit_bytes` and none arrived before `before_us`.

    Returns what is left, of `taken`.
    """
    gone: list[int] = []
    for cells in table.rows():
        letter = letter_of(cells)
        if taken <= limit_bytes and (before_us is None or letter.received_us >= before_us):
            break
        taken -= letter.stored_bytes
        gone.append(letter.id)
    if gone:
        table.delete_where("id <= ?", (gone[-1],))
    return taken


def taken_bytes(table: Table) -> int:
    """What all of them take, as `DeadLetterRow.stored_bytes` counts it."""
    names = ("source", "partition", "reason", "detail", "sha256", "head")
    texts = " + ".join(f"length({name})" for name in names)
    row = f"{_ROW_BYTES:d} + {texts} + coalesce(length(record), 0)"
    ((total,),) = table.query(f"SELECT coalesce(sum({row}), 0) FROM dead_letters")  # noqa: S608 - names are ours
    return int(total)
