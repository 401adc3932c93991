"""A folder of Parquet files that takes every unit exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from riverrun.errors import SinkError
from riverrun.ports import Remembered
from riverrun.sinks.columns import conform
from riverrun.sinks.failures import closed_error, lost_error
from riverrun.sinks.parquet_parts import PartFolder, PartToken


class DurableParquetWriter:
    """Parts that know how far they go: see `riverrun.ports.DurableWriter`.

    Every part carries a token, so the folder itself knows which units are whole. A part is published when it
    is full and more rows come, or by a commit. Opening takes away what is of a unit that is not whole: parts,
    from the newest back, and rows at the end of the one before. So a part that was full at a commit never
    changes again.

    Parameters
    ----------
    stream : whose tokens count.
    mark : what `commit` returned; a folder that has less was meddled with, which is refused.
    """

    #: A commit writes the newest part again, so it is not wanted ten times a second.
    commit_every_us = 1_000_000

    def __init__(
        self,
        folder: PartFolder,
        schema: Mapping[str, pl.DataType],
        *,
        rows_per_file: int,
        where: str,
        stream: str,
        mark: Remembered | None,
    ) -> None:
        self._folder = folder
        self._schema = dict(schema)
        self._rows_per_file = rows_per_file
        self._where = where
        self._stream = stream
        self._open = True
        self._changed = False
        numbers = folder.prepare()
        found = self._undo_unfinished(numbers)
        _check_not_behind(found, mark, where=where)
        folder.sync()  # what is found may be in the memory of the system only
        self.delivered = max(-1 if found is None else found[1].unit, -1 if mark is None else int(mark["unit"]))
        self._unit = self._whole_unit = self.delivered
        self._published = (-1, 0) if found is None else (found[0], found[1].rows)
        self._begin(numbers, found)

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self._check_open()
        if unit != self._unit:
            self._end_unit()
            self._unit = unit
        rest = conform(frame, self._schema, where=self._where)
        while rest.height:
            # Only now, with more rows to come: a commit right behind a full part must be able to say so in it.
            self._leave_full_part()
            room = self._rows_per_file - self._rows
            self._pending.append(rest.head(room))
            self._rows += min(room, rest.height)
            self._changed = True
            rest = rest.slice(room)

    def flush(self) -> None:
        """Nothing to do: rows are seen when they are committed."""

    def commit(self) -> Remembered:
        self._check_open()
        self._end_unit()
        if self._changed:
            self._publish()
        part, rows = self._published
        return {"part": part, "rows": rows, "unit": self._unit}

    def close(self) -> None:
        self._open = False

    def _undo_unfinished(self, numbers: list[int]) -> tuple[int, PartToken] | None:
        """Go back to the end of the last whole unit; the newest part of this stream then, and its token."""
        for number in reversed(numbers.copy()):
            token = self._folder.token(number)
            if token is None or token.stream != self._stream:
                continue
            rows = self._folder.rows(number)
            if token.rows == rows.height:
                return number, token
            if token.rows:
                self._folder.publish(number, rows.head(token.rows), token)
                return number, token
            self._folder.remove(number)
            self._folder.sync()  # parts go one by one, from the end, whatever happens in between
            numbers.remove(number)
        return None

    def _begin(self, numbers: Sequence[int], found: tuple[int, PartToken] | None) -> None:
        """Go on in the newest part if it is ours and not full, else in a new one."""
        self._pending: list[pl.DataFrame] = []
        self._rows = self._whole_rows = 0
        self._number = numbers[-1] + 1 if numbers else 0
        if found is not None and found[0] == numbers[-1] and found[1].rows < self._rows_per_file:
            self._number = found[0]
            self._pending = [self._folder.rows(found[0])]
            self._rows = self._whole_rows = found[1].rows
        if not numbers:
            self._publish()  # an empty file shows readers the columns of a run without results

    def _end_unit(self) -> None:
        self._whole_unit = self._unit
        self._whole_rows = self._rows

    def _leave_full_part(self) -> None:
        if self._rows < self._rows_per_file:
            return
        if self._changed:
            self._publish()
        self._number += 1
        self._pending = []
        self._rows = self._whole_rows = 0

    def _publish(self) -> None:
        whole = pl.concat(self._pending) if self._pending else pl.DataFrame(schema=self._schema)
        token = PartToken(self._stream, self._whole_unit, self._whole_rows)
        try:
            self._folder.publish(self._number, whole, token)
            # Before the next part can get its name: a hole in the numbers would be rows lost.
            self._folder.sync()
        except SinkError:
            self.close()  # who knows what is there: only a new opening finds out
            raise
        self._pending = [whole]
        self._changed = False
        self._published = (self._number, self._whole_rows)

    def _check_open(self) -> None:
        if not self._open:
            raise closed_error(self._where)


def _check_not_behind(found: tuple[int, PartToken] | None, mark: Remembered | None, *, where: str) -> None:
    if mark is None or not mark["rows"]:
        return
    part, rows = int(mark["part"]), int(mark["rows"])
    if found is not None and (found[0], found[1].rows) >= (part, rows):
        return
    there = "none of its parts is there" if found is None else f"its newest part is number {found[0]}"
    if found is not None and found[0] == part:
        there = f"only {found[1].rows} are there"
    raise lost_error(
        f"part {part} had {rows} rows for certain, but {there}: files were taken away or replaced", where=where
    )
