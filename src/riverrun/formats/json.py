"""JSON lines: the description `Json`, and the decoder that brings the fast and the strict reading together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import orjson
import polars as pl

from riverrun.component import setting
from riverrun.formats.assembly import Collected, RowBuilder, replace_rows
from riverrun.formats.columns import check_supported
from riverrun.formats.framing import Block, LineBuffer
from riverrun.formats.json_columns import JsonColumns, ReadRows
from riverrun.formats.json_fields import FieldNames
from riverrun.formats.json_records import JsonReader, RefusedItem
from riverrun.formats.rejection import RefusedError, reject
from riverrun.limits import Limits
from riverrun.ports import Decoded, Rejected, Remembered
from riverrun.schema import Schema

#: Blocks up to this size are read row by row: Polars' fixed cost is more than that.
SMALL_BYTES = 4_096
#: So are these few lines, if they are not very long.
_FEW_LINES = 16
#: When more rows than this share of a block are in doubt, all of it is read strictly at once.
_DOUBTFUL_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Json:
    """JSON lines: one object a line, RFC 8259.

    A field that is missing or ``null`` is null. Fields that the schema does not name are ignored and counted
    as ``new_fields``, those of nested objects too. Of a field given twice the last value counts; records that
    do so with a column are counted as ``duplicate_keys``.
    What is not an object, does not fit its column's type, is out of range or nested too deep is a dead letter.

    >>> Json(allow_nan=True).name
    'json'
    """

    batch_arrays: bool = setting(False, help="a line may also be an array of objects: each of them is a record")
    allow_nan: bool = setting(False, help="read NaN and Infinity, which JSON does not have, as null")
    duplicate_keys: Literal["last", "refuse"] = setting(
        "last", help="a record that gives the field of a column twice: its last value counts, or it is refused"
    )
    on_new_field: Literal["ignore", "fail"] = setting(
        "ignore", help="a field that the schema does not name is ignored and counted, or stops the run"
    )

    @property
    def name(self) -> str:
        return "json"

    def infer(self, head: bytes, *, complete: bool) -> tuple[Json, Schema]:
        """Find columns, types, time column and keys from the first bytes.

        Raises `SchemaError` when there is not one whole object with a usable field.
        """
        from riverrun.formats.json_inference import infer_json

        return self, infer_json(self, head, complete=complete)

    def open(self, schema: Schema, limits: Limits, snapshot: Remembered | None = None) -> JsonDecoder:
        """A decoder for one partition.

        Raises `SchemaError` for types that JSON cannot hold.
        """
        check_supported(schema, "JSON")
        return JsonDecoder(self, schema, limits, snapshot)


class JsonDecoder:
    """Decodes the JSON lines of one partition.

    Parameters
    ----------
    small_bytes : blocks up to this size are read strictly, larger ones by columns where possible.
    """

    def __init__(
        self,
        description: Json,
        schema: Schema,
        limits: Limits,
        snapshot: Remembered | None = None,
        *,
        small_bytes: int = SMALL_BYTES,
    ) -> None:
        self._small_bytes = small_bytes
        self._json = description
        self._schema = schema
        self._lines = LineBuffer(limits.line_bytes, snapshot and snapshot["lines"])
        self._builder = RowBuilder(schema)
        self._columns = JsonColumns(schema, limits)
        self._reader = JsonReader(schema, limits, description)
        self._known = FieldNames(schema.names)
        self._expect_trouble = False

    def feed(self, data: bytes, received_us: int) -> Decoded:
        """Rows of the lines that are whole by now."""
        return self.feed_pieces((data,), received_us)

    def feed_pieces(self, pieces: Sequence[bytes], received_us: int) -> Decoded:
        del received_us
        return self._decoded(self._lines.feed(pieces[-1], pieces[:-1]))

    def finish(self, *, truncated: bool) -> Decoded:
        """The rest: a last line without a newline counts, unless the input was cut off."""
        return self._decoded(self._lines.finish(truncated=truncated))

    def resting(self) -> Hashable | None:
        return () if self._lines.resting and not self._json.batch_arrays else None

    def pass_over(self, size: int) -> None:
        self._lines.pass_over(size)

    def snapshot(self) -> Remembered:
        return {"lines": self._lines.snapshot()}

    def _decoded(self, pieces: Sequence[Block | Rejected]) -> Decoded:
        out = Collected()
        for piece in pieces:
            if isinstance(piece, Rejected):
                out.reject_unframed(piece)
            elif self._is_small(piece.data) or not self._decode_fast(piece, out):
                self._decode_strictly(piece, out)
        return out.decoded(self._schema)

    def _is_small(self, data: bytes) -> bool:
        """Whether reading row by row costs less: there are few bytes, or few lines."""
        if len(data) <= self._small_bytes:
            return True
        return len(data) <= _FEW_LINES * self._small_bytes and data.count(b"\n") <= _FEW_LINES

    def _decode_fast(self, block: Block, out: Collected) -> bool:
        """Read a block by columns; False when that is not possible and nothing has been done."""
        if not self._expect_trouble:
            read = self._columns.plain(block.data, self._sample(block.data))
            if read is not None and read.flagged is None and self._may_count(read.new_fields):
                out.count("new_fields", read.new_fields)
                out.frames.append(read.frame)
                return True
            if read is not None:
                lines = block.data.split(b"\n")
                lines.pop()
                return self._mend(read, block.position, lines, (), out)
        return self._decode_around(block, out)

    def _decode_around(self, block: Block, out: Collected) -> bool:
        """Read a block by columns with the lines left out that are no sound JSON objects.

        Finding them takes 0.4 us a line, a strict reading of all lines five times as long.
        """
        lines = block.data.split(b"\n")
        lines.pop()
        odd: list[int] = []
        loads = orjson.loads
        for place, line in enumerate(lines):
            try:
                if type(loads(line)) is dict:
                    continue
            except orjson.JSONDecodeError:
                pass
            odd.append(place)
        blank = [place for place in odd if not lines[place].strip(b" \t\r")]
        sound = lines.copy()
        for place in odd:
            sound[place] = b"{}"
        data = b"\n".join(sound) + b"\n"
        read = self._columns.lenient(data, self._sample(data))
        if read is None:
            return False
        before = len(out.rejected)
        if not self._mend(read, block.position, lines, odd, out):
            return False
        self._expect_trouble = len(out.rejected) > before or bool(blank)
        return True

    def _may_count(self, new_fields: int) -> bool:
        """Whether unknown fields are just counted. Otherwise the strict path must find and name them."""
        return not new_fields or self._json.on_new_field == "ignore"

    def _sample(self, data: bytes) -> list[object] | None:
        """The values of the first line, to see how times are written."""
        if not self._columns.has_times:
            return None
        return self._reader.peek(data[: data.find(b"\n")])

    def _mend(
        self,
        read: ReadRows,
        position: int,
        lines: Sequence[bytes],
        odd: Sequence[int],
        out: Collected,
    ) -> bool:
        """Put what the strict path makes of the flagged and the odd lines in their places."""
        frame = read.frame
        doubted = set(read.flagged.arg_true().to_list() if read.flagged is not None else ()).difference(odd)
        known = doubted.union(odd)
        new_fields = read.new_fields
        if new_fields:
            new_fields -= sum(self._known.new_fields_of(lines[place]) for place in doubted)
        if not self._may_count(new_fields):
            return False
        if len(lines) != frame.height or len(known) > frame.height * _DOUBTFUL_SHARE:
            return False
        out.count("new_fields", new_fields)
        if not known:
            out.frames.append(frame)
            return True
        places = sorted(known)
        before_each = list(accumulate(map(len, lines), initial=position))
        rows: list[Sequence[object]] = []
        at: list[int] = []
        done = out.rows
        for odd_ones, place in enumerate(places):
            before = len(rows)
            sound = done + place - odd_ones
            self._strict_line(lines[place], before_each[place] + place, rows, out, sound)
            at.extend([place] * (len(rows) - before))
        mask = pl.Series([False]).new_from_index(0, frame.height).scatter(places, True)
        out.frames.append(replace_rows(frame, mask, self._builder.from_rows(rows), at))
        return True

    def _decode_strictly(self, block: Block, out: Collected) -> None:
        rows: list[Sequence[object]] = []
        read = self._reader.quick
        done = out.rows
        for line, position in _lines_of(block):
            row = read(line)
            if row is not None:
                rows.append(row)
            else:
                self._strict_line(line, position, rows, out, done)
        if rows:
            out.frames.append(self._builder.from_rows(rows))

    def _strict_line(
        self, line: bytes, position: int, rows: list[Sequence[object]], out: Collected, sound: int
    ) -> None:
        """The rows of a line, behind so many `sound` ones beside `rows`."""
        if not line.strip(b" \t\r"):
            out.blank += 1
            return
        try:
            records = self._reader.records(line)
        except RefusedError as refused:
            out.rejected.append(
                reject(refused.reason, refused.detail, line, position, rows_before=sound + len(rows))
            )
            return
        out.count("duplicate_keys", self._reader.duplicates)
        out.count("new_fields", self._reader.new_fields)
        for record in records:
            if isinstance(record, RefusedItem):
                behind = sound + len(rows)
                out.rejected.append(
                    reject(record.reason, record.detail, line, position, row=record.item, rows_before=behind)
                )
            else:
                rows.append(record)


def _lines_of(block: Block) -> list[tuple[bytes, int]]:
    lines = block.data.split(b"\n")
    lines.pop()
    position = block.position
    found = []
    for line in lines:
        found.append((line, position))
        position += len(line) + 1
    return found
