"""Text lines: whole, or cut up by a regular expression."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, SchemaError
from riverrun.formats.assembly import Collected, RowBuilder
from riverrun.formats.columns import TextReader, check_supported, text_reader
from riverrun.formats.csv_layout import decode
from riverrun.formats.framing import Block, LineBuffer
from riverrun.formats.rejection import RefusedError, reject
from riverrun.limits import Limits
from riverrun.ports import Decoded, Rejected, Remembered
from riverrun.schema import Column, Schema

#: The one column when there is no pattern.
LINE = "line"


@dataclass(frozen=True, slots=True)
class Lines:
    """Text lines. Without a pattern each is one value in the column ``line``.

    With a pattern its named groups become columns, converted to the schema's types; a line that does not
    match is a dead letter (``shape``). The pattern is searched for in the line by Rust's regular expressions:
    they know neither look-around nor back-references, and take linear time whatever comes. A group that took
    no part is null. Blank lines are ignored and counted.

    >>> Lines(r"(?P<level>[A-Z]+) (?P<message>.*)").groups
    ('level', 'message')
    """

    pattern: str | None = setting(
        None,
        help="a regular expression with named groups; each group becomes a column",
        example=r'r"(?P<ip>\S+) (?P<status>\d+)"',
    )

    def __post_init__(self) -> None:
        if self.pattern is not None and not self.groups:
            raise ConfigError(
                "the pattern has no named group",
                where="lines",
                hint='name what you want to keep: "(?P<name>...)"',
            )

    @property
    def name(self) -> str:
        return "lines"

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the columns. Raises `ConfigError` when the pattern is not a regular expression."""
        if self.pattern is None:
            return (LINE,)
        try:
            fields = pl.Series([""]).str.extract_groups(self.pattern).struct.fields
        except pl.exceptions.PolarsError as error:
            raise ConfigError(
                f"not a regular expression: {str(error).strip().splitlines()[-1]}",
                where="lines",
                hint="Rust's syntax: no look-around, no back-references",
            ) from None
        return tuple(field for field in fields if not field.isdigit())

    def infer(self, head: bytes, *, complete: bool) -> tuple[Lines, Schema]:
        """Types of the groups, time column and keys from the first lines; one text column without a pattern.

        Raises `SchemaError` when there is a pattern and no line matches it.
        """
        from riverrun.formats.lines_inference import infer_lines

        return self, infer_lines(self, head, complete=complete)

    def open(self, schema: Schema, limits: Limits, snapshot: Remembered | None = None) -> LinesDecoder:
        """A decoder for one partition.

        Raises `SchemaError` for columns that the pattern does not give.
        """
        check_supported(schema, "text lines")
        for name in schema.names:
            if name not in self.groups:
                raise SchemaError(
                    f"text lines have no column {name!r}",
                    where="schema",
                    hint="the columns are " + ", ".join(self.groups),
                )
        return LinesDecoder(self, schema, limits, snapshot)


class LinesDecoder:
    """Decodes the text lines of one partition."""

    def __init__(
        self, description: Lines, schema: Schema, limits: Limits, snapshot: Remembered | None = None
    ) -> None:
        self._pattern = description.pattern
        self._schema = schema
        self._lines = LineBuffer(limits.line_bytes, snapshot and snapshot["lines"])
        self._builder = RowBuilder(schema)
        self._columns: list[tuple[Column, TextReader]] = [(column, text_reader(column)) for column in schema]

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
        return () if self._lines.resting else None

    def pass_over(self, size: int) -> None:
        self._lines.pass_over(size)

    def snapshot(self) -> Remembered:
        return {"lines": self._lines.snapshot()}

    def _decoded(self, pieces: Sequence[Block | Rejected]) -> Decoded:
        out = Collected()
        for piece in pieces:
            if isinstance(piece, Rejected):
                out.reject_unframed(piece)
            else:
                self._decode(piece, out)
        return out.decoded(self._schema)

    def _decode(self, block: Block, out: Collected) -> None:
        text = _text_of(block.data)
        if text is None:
            self._decode_singly(block, out)
            return
        self._rows(text, block, out)

    def _decode_singly(self, block: Block, out: Collected) -> None:
        """A block with bad UTF-8: refuse those lines, and read the stretches between them by columns."""
        start = at = 0
        data = block.data
        while at < len(data):
            end = data.find(b"\n", at) + 1
            try:
                decode(data[at : end - 1])
            except RefusedError as refused:
                self._stretch(block, start, at, out)
                record = data[at : end - 1]
                place = block.position + at
                out.rejected.append(reject(refused.reason, refused.detail, record, place, rows_before=out.rows))
                start = end
            at = end
        self._stretch(block, start, at, out)

    def _stretch(self, block: Block, start: int, end: int, out: Collected) -> None:
        if end > start:
            self._decode(Block(block.data[start:end], block.position + start), out)

    def _rows(self, lines: pl.Series, block: Block, out: Collected) -> None:
        sizes = lines.str.len_bytes().cast(pl.Int64)
        if b"\r" in block.data:
            lines = lines.str.strip_suffix("\r")
        full = lines.str.strip_chars(" \t\r").str.len_bytes() > 0
        if not full.all():
            out.blank += int((~full).sum())
        values: dict[str, pl.Series] = {LINE: lines}
        matched = full
        if self._pattern is not None:
            groups = lines.str.extract_groups(self._pattern).struct.unnest()
            values = {series.name: series for series in groups.get_columns()}
            matched = full & lines.str.contains(self._pattern)
        strings = [values[column.name].filter(matched) for column, _ in self._columns]
        kept, refused = self._typed(strings)
        out.frames.append(kept)
        if refused or not (full == matched).all():
            self._refuse(block, sizes, full, matched, refused, kept.height, out)

    def _typed(self, strings: Sequence[pl.Series]) -> tuple[pl.DataFrame, dict[int, RefusedError]]:
        """The rows that convert, and for the others, by index, why not."""
        refused: dict[int, RefusedError] = {}
        columns: list[list[object] | pl.Series] = []
        for (column, read), texts in zip(self._columns, strings, strict=True):
            if isinstance(column.dtype, pl.String):
                columns.append(texts)
                continue
            columns.append(_read_all(texts, read, refused))
        frame = pl.DataFrame(
            [
                values.alias(column.name)
                if isinstance(values, pl.Series)
                else self._builder.series(column, values)
                for (column, _), values in zip(self._columns, columns, strict=True)
            ]
        )
        if refused:
            bad = pl.Series(list(refused), dtype=pl.Int64)
            frame = frame.filter(~pl.int_range(frame.height, dtype=pl.Int64, eager=True).is_in(bad.implode()))
        return frame, refused

    def _refuse(
        self,
        block: Block,
        sizes: pl.Series,
        full: pl.Series,
        matched: pl.Series,
        refused: dict[int, RefusedError],
        kept: int,
        out: Collected,
    ) -> None:
        """Tell of the lines that are not among the `kept` rows, which are in `out` already."""
        starts = (sizes + 1).cum_sum() - sizes - 1
        before = out.rows - kept
        row = -1
        for start, size, is_full, is_matched in zip(starts, sizes, full, matched, strict=True):
            row += is_matched
            why = refused.get(row) if is_matched else None
            before += is_matched and why is None
            if is_full and not is_matched:
                why = RefusedError("shape", "the line does not match the pattern")
            if why is not None:
                record = block.data[start : start + size]
                place = block.position + start
                out.rejected.append(reject(why.reason, why.detail, record, place, rows_before=before))


def _read_all(texts: pl.Series, read: TextReader, refused: dict[int, RefusedError]) -> list[object]:
    """Values of one column. Each distinct text is converted once."""
    known: dict[str, object] = {}
    values: list[object] = []
    for index, text in enumerate(texts):
        if text is None:
            values.append(None)
            continue
        if text not in known:
            try:
                known[text] = read(text)
            except RefusedError as why:
                known[text] = why
        value = known[text]
        if isinstance(value, RefusedError):
            refused.setdefault(index, value)
            value = None
        values.append(value)
    return values


def _text_of(data: bytes) -> pl.Series | None:
    """The lines of a block; ``None`` when it is not UTF-8."""
    try:
        lines = pl.Series([data]).cast(pl.String).str.split("\n").explode()
    except pl.exceptions.PolarsError:
        return None
    return lines.head(lines.len() - 1)
