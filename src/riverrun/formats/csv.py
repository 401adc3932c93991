"""CSV: the description `Csv`, and the decoder that brings the fast and the strict reading together."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SchemaError
from riverrun.formats.assembly import Collected, RowBuilder, replace_rows
from riverrun.formats.columns import check_supported
from riverrun.formats.csv_blocks import JoinedBlock, OddRecord, in_order, without_bad_text
from riverrun.formats.csv_columns import CsvColumns, LenientRows
from riverrun.formats.csv_layout import (
    Layout,
    RecordReader,
    column_names,
    layout_of_header,
    missing_from_header,
)
from riverrun.formats.csv_records import Dialect, RecordScanner
from riverrun.formats.framing import BYTE_ORDER_MARK, Block, LineBuffer
from riverrun.formats.rejection import RefusedError, reject
from riverrun.limits import Limits
from riverrun.ports import Decoded, Rejected, Remembered
from riverrun.schema import Schema

#: Blocks up to this size are read row by row: Polars' fixed cost (0.35 ms) is more than that.
SMALL_BYTES = 1_024
#: Good records of a block that are looked at to see how times are written.
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Csv:
    """Comma (or otherwise) separated values, RFC 4180.

    Quoted fields may hold separators, newlines and doubled quotes. Blank lines are ignored and counted. A
    record with too many or too few fields, broken quoting, a value that does not fit its column's type or
    a number beyond its range is a dead letter; its neighbours are rows. Spaces around numbers are ignored.

    A header may list the columns in any order, and more than the schema names; the others are ignored.
    A header that lacks a declared column is a `SchemaError`. A line that repeats the header later on (two
    files joined, a connection made anew) is passed over and counted as ``header_lines``.

    >>> Csv(header=False, separator=";").separator
    ';'
    """

    header: bool | None = setting(
        None,
        help="whether the first record names the columns; found out from it when left out",
        example="False",
    )
    separator: str | None = setting(
        None, help="what separates fields; found out when the schema is inferred, else a comma", example='";"'
    )
    quote: str | None = setting(
        '"', help="what encloses fields with separators in them; None: quotes are ordinary characters"
    )
    null_values: tuple[str, ...] = setting(
        ("",),
        help="texts that mean: no value; a quoted empty field of a text column is an empty text",
        example='("", "NA")',
    )
    columns: tuple[str, ...] | None = setting(
        None, help="names of the fields in order, when the header does not say; else the schema's order"
    )

    def __post_init__(self) -> None:
        for what, text in (("separator", self.separator), ("quote", self.quote)):
            if text is not None and (len(text) != 1 or not text.isascii() or text in "\r\n"):
                raise ConfigError(f"the {what} must be one ASCII character, got {text!r}", where="csv")
        if self.quote is not None and self.quote == self.separator:
            raise ConfigError(f"separator and quote are both {self.quote!r}", where="csv")

    @property
    def name(self) -> str:
        return "csv"

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.separator or ",", self.quote)

    def infer(self, head: bytes, *, complete: bool) -> tuple[Csv, Schema]:
        """Find separator, header, types, time column and keys from the first bytes.

        Raises `SchemaError` when there is not one whole record.
        """
        from riverrun.formats.csv_inference import infer_csv

        found, schema = infer_csv(self, head, complete=complete)
        return replace(self, **found), schema

    def open(self, schema: Schema, limits: Limits, snapshot: Remembered | None = None) -> CsvDecoder:
        """A decoder for one partition.

        Raises `SchemaError` for types that text cannot hold.
        """
        check_supported(schema, "CSV")
        return CsvDecoder(self, schema, limits, snapshot)


class CsvDecoder:
    """Decodes the CSV bytes of one partition.

    Parameters
    ----------
    small_bytes : blocks up to this size are read strictly, larger ones by columns where possible.
    """

    def __init__(
        self,
        description: Csv,
        schema: Schema,
        limits: Limits,
        snapshot: Remembered | None = None,
        *,
        small_bytes: int = SMALL_BYTES,
    ) -> None:
        self._small_bytes = small_bytes
        self._csv = description
        self._schema = schema
        self._limit = limits.line_bytes
        self._lines = LineBuffer(limits.line_bytes, snapshot and snapshot["lines"])
        self._scanner = RecordScanner(description.dialect)
        self._builder = RowBuilder(schema)
        kept = snapshot or {"open": b"", "open_position": 0, "at_head": True, "header": None}
        self._held: bytes = kept["open"]  # whole lines of a record that is still open
        self._held_position: int = kept["open_position"]
        self._at_head: bool = kept["at_head"]  # no good row and no header yet
        self._expect_trouble = self._expect_bad_text = False  # guesses from the last block; for speed only
        self._use(_described_layout(description, schema))
        self._header: bytes | None = kept["header"]  # as it was read
        if self._header is not None:
            self._use(self._layout_of(self._header))

    def resting(self) -> Hashable | None:
        return (self._header,) if self._lines.resting and not (self._held or self._at_head) else None

    def pass_over(self, size: int) -> None:
        self._lines.pass_over(size)

    def snapshot(self) -> Remembered:
        return {
            "lines": self._lines.snapshot(),
            "open": self._held,
            "open_position": self._held_position,
            "at_head": self._at_head,
            "header": self._header,
        }

    def _use(self, layout: Layout) -> None:
        self._reader = RecordReader(layout, self._csv.dialect, self._csv.null_values)
        self._columns = CsvColumns(layout, self._csv.dialect, self._csv.null_values)
        separator = self._csv.dialect.separator.encode()
        self._placeholder = separator * layout.width + b"!\n"  # one field too many: always flagged

    def _layout_of(self, header: bytes) -> Layout:
        """The layout of a header that was read before."""
        names = column_names(self._reader.fields(self._reader.text(header))[0])
        layout = layout_of_header(names, self._schema)
        if layout is None:
            raise missing_from_header(names, self._schema)
        return layout

    def feed(self, data: bytes, received_us: int) -> Decoded:
        """Rows of the records that are whole by now. Raises `SchemaError` for a header that lacks a column."""
        return self.feed_pieces((data,), received_us)

    def feed_pieces(self, pieces: Sequence[bytes], received_us: int) -> Decoded:
        del received_us
        out = Collected()
        self._take(self._lines.feed(pieces[-1], pieces[:-1]), out)
        return out.decoded(self._schema)

    def finish(self, *, truncated: bool) -> Decoded:
        """The rest: a last record without a newline counts, unless the input was cut off."""
        out = Collected()
        self._take(self._lines.finish(truncated=truncated), out)
        self._settle_held(out)
        return out.decoded(self._schema)

    def _take(self, pieces: Sequence[Block | Rejected], out: Collected) -> None:
        for piece in pieces:
            if isinstance(piece, Rejected):
                self._settle_held(out)
                out.reject_unframed(piece)
            elif self._held:
                self._decode(self._held + piece.data, self._held_position, out, complete=False)
            else:
                self._decode(piece.data, piece.position, out, complete=False)

    def _settle_held(self, out: Collected) -> None:
        """Nothing more can close the open record: decide about it."""
        if self._held:
            self._decode(self._held, self._held_position, out, complete=True)

    def _decode(self, data: bytes, position: int, out: Collected, *, complete: bool) -> None:
        self._held = b""
        start = self._head(data, position, out, complete=complete) if self._at_head else 0
        if start < 0:
            return
        quoted = self._scanner.has_quote(data)
        clean, odd, end = self._survey(data, start, quoted=quoted, complete=complete)
        if end < len(data):
            self._held, self._held_position = data[end:], position + end
        small = end - start <= self._small_bytes
        if small or not self._decode_fast(data, position, clean, odd, out, quoted=quoted):
            self._decode_strictly(data, position, clean, odd, out)

    # ------------------------------------------------------------ the head of the stream

    def _head(self, data: bytes, position: int, out: Collected, *, complete: bool) -> int:
        """Read records one by one up to the header or the first good row; where the rest begins, or -1."""
        at = 0
        while at < len(data):
            record = self._scanner.next_record(data, at, self._limit, complete=complete)
            if record is None:
                self._held, self._held_position = data[at:], position + at
                return -1
            if not record.problem and self._is_header(data[at : record.end - 1]):
                out.count("header_lines")
                self._at_head = False
                return record.end
            before = len(out.frames)
            self._strict_rows([(at, record.end, record.problem)], data, position, out)
            at = record.end
            if len(out.frames) > before:
                self._at_head = False
                return at
        return -1

    def _is_header(self, record: bytes) -> bool:
        """Whether the first record is a header; if so its layout is used from now on."""
        csv, reader = self._csv, self._reader
        if csv.header is False:
            return False
        try:
            text = reader.text(record)
            fields, quoted = reader.fields(text)
        except RefusedError:
            return False
        if reader.is_blank(text):
            return False
        names = column_names(fields)
        layout = layout_of_header(names, self._schema)
        if layout is not None:
            self._use(layout)
            self._header = record
            return True
        if csv.columns is None and self._is_lacking(names, fields, quoted):
            raise missing_from_header(names, self._schema)
        return False

    def _is_lacking(self, names: Sequence[str], fields: Sequence[str], quoted: Collection[int]) -> bool:
        """Whether a first record is a header without some of the declared columns, rather than a row."""
        known = sum(name in names for name in self._schema.names)
        if self._csv.header:
            return known > 0 or not self._is_row(fields, quoted)
        return known * 2 >= len(self._schema.names) and not self._is_row(fields, quoted)

    def _is_row(self, fields: Sequence[str], quoted: Collection[int]) -> bool:
        """Whether a record can be a row for certain: a text-only schema proves nothing."""
        if all(isinstance(column.dtype, pl.String) for column in self._schema):
            return False
        try:
            self._reader.values(fields, quoted)
        except RefusedError:
            return False
        return True

    # ------------------------------------------------------------ records of a block

    def _survey(
        self, data: bytes, start: int, *, quoted: bool, complete: bool
    ) -> tuple[list[tuple[int, int]], list[OddRecord], int]:
        """Cut a block into stretches of sound records and single odd ones; and where the whole records end."""
        clean: list[tuple[int, int]] = []
        odd: list[OddRecord] = []
        at = start
        if data.startswith(BYTE_ORDER_MARK, at):
            # Within the stream a mark is text, but Polars would strip it from the start of the block.
            record = self._scanner.next_record(data, at, self._limit, complete=complete)
            if record is None:
                return clean, odd, at
            odd.append(OddRecord(at, record.end, record.problem))
            at = record.end
        if not quoted:
            return ([(at, len(data))] if at < len(data) else []), odd, len(data)
        while at < len(data):
            stop = self._scanner.sound_until(data, at)
            stop = self._scanner.longest_fits(data, at, stop, self._limit)
            if stop > at:
                clean.append((at, stop))
                at = stop
            if at == len(data):
                break
            # What stands behind a sound stretch is doubtful, too long or not whole.
            record = self._scanner.next_record(data, at, self._limit, complete=complete)
            if record is None:
                break
            odd.append(OddRecord(at, record.end, record.problem))
            at = record.end
        return clean, odd, at

    def _records(
        self, data: bytes, clean: Sequence[tuple[int, int]], odd: Sequence[OddRecord]
    ) -> Iterator[tuple[int, int, str]]:
        """All records of a surveyed block in order."""
        for start, end, item in in_order(clean, odd):
            if item is not None:
                yield start, end, item.problem
                continue
            at = start
            quoted = self._scanner.has_quote(data[start:end])
            while at < end:
                if quoted:
                    record = self._scanner.next_record(data, at, self._limit, complete=True)
                    record_end = record.end if record is not None else end
                else:
                    record_end = data.find(b"\n", at) + 1
                yield at, record_end, ""
                at = record_end

    def _decode_strictly(
        self,
        data: bytes,
        position: int,
        clean: Sequence[tuple[int, int]],
        odd: Sequence[OddRecord],
        out: Collected,
    ) -> None:
        self._strict_rows(self._records(data, clean, odd), data, position, out)

    def _strict_rows(
        self,
        records: Iterator[tuple[int, int, str]] | Sequence[tuple[int, int, str]],
        data: bytes,
        position: int,
        out: Collected,
    ) -> None:
        rows: list[list[object]] = []
        done = out.rows
        for start, end, problem in records:
            record = data[start : end - 1]
            row = self._strict_row(record, position + start, problem, out, done + len(rows))
            if row is not None:
                rows.append(row)
        if rows:
            out.frames.append(self._builder.from_rows(rows))

    def _strict_row(
        self, record: bytes, position: int, problem: str, out: Collected, rows_before: int
    ) -> list[object] | None:
        """The row of one record, or ``None`` once it is counted as blank, a header or a dead letter."""
        reader = self._reader
        fields: list[str] = []
        try:
            if problem:
                raise RefusedError("csv", problem)
            text = reader.text(record)
            if reader.is_blank(text):
                out.blank += 1
                return None
            fields, quoted = reader.fields(text)
            return reader.values(fields, quoted)
        except RefusedError as refused:
            if fields and reader.is_header(fields):
                out.count("header_lines")
            else:
                out.rejected.append(
                    reject(
                        refused.reason,
                        refused.detail,
                        record,
                        position,
                        header=self._header,
                        rows_before=rows_before,
                    )
                )
            return None

    # ------------------------------------------------------------ the fast path

    def _decode_fast(
        self,
        data: bytes,
        position: int,
        clean: Sequence[tuple[int, int]],
        odd: Sequence[OddRecord],
        out: Collected,
        *,
        quoted: bool,
    ) -> bool:
        """Read a block by columns; False when that is not possible and nothing has been done."""
        whole = not odd and len(clean) == 1
        block = JoinedBlock(data, clean, odd, self._placeholder)
        quoted = quoted and self._scanner.has_quote(block.data)
        if whole and not self._expect_trouble:
            frame = self._columns.plain(block.data, quoted=quoted)
            if frame is None and self._learn(data, clean):
                frame = self._columns.plain(block.data, quoted=quoted)
            if frame is not None:
                out.frames.append(frame)
                return True
        if self._expect_trouble:
            self._learn(data, clean)
        read = None
        if not self._expect_bad_text or quoted:
            read = self._columns.lenient(block.data, quoted=quoted)
        if read is None and not quoted:
            good, bad = without_bad_text(data, clean)
            self._expect_bad_text = bool(bad)
            block = JoinedBlock(data, good, [*odd, *bad], self._placeholder)
            read = self._columns.lenient(block.data, quoted=quoted)
        if read is None:
            return False
        self._mend(block, read, position, out)
        return True

    def _learn(self, data: bytes, clean: Sequence[tuple[int, int]]) -> bool:
        """See from the first good records how times are written; whether that is news."""
        if not self._columns.has_times or not clean:
            return False
        at, end = clean[0]
        for _ in range(_SAMPLES):
            record = self._scanner.next_record(data, at, self._limit, complete=True) if at < end else None
            if record is None:
                return False
            try:
                fields, quoted = self._reader.fields(self._reader.text(data[at : record.end - 1]))
                self._reader.values(fields, quoted)
            except RefusedError:
                at = record.end
                continue
            return self._columns.learn(fields)
        return False

    def _mend(self, block: JoinedBlock, read: LenientRows, position: int, out: Collected) -> None:
        """Put what the strict path makes of the flagged records in their places."""
        places = read.flagged.arg_true().to_list()
        refused = len(out.rejected) + out.blank
        rows: list[list[object]] = []
        at: list[int] = []
        done = out.rows
        lines = block.lines(places, read.line_bytes)
        for flagged, (place, (record, offset, problem)) in enumerate(zip(places, lines, strict=True)):
            before = done + place - flagged + len(rows)
            row = self._strict_row(record, position + offset, problem, out, before)
            if row is not None:
                rows.append(row)
                at.append(place)
        if places:
            out.frames.append(replace_rows(read.frame, read.flagged, self._builder.from_rows(rows), at))
        else:
            out.frames.append(read.frame)
        self._expect_trouble = len(out.rejected) + out.blank > refused


def _described_layout(description: Csv, schema: Schema) -> Layout:
    """The layout as long as no header was read."""
    names = description.columns or schema.names
    absent = [name for name in schema.names if name not in names]
    if absent:
        raise SchemaError(f"columns= does not name {absent[0]!r}", where="csv")
    return Layout(names, schema)
