"""What the first text lines tell: the types of the groups of the pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from riverrun.errors import SchemaError
from riverrun.formats.csv_inference import HEAD_BYTES, HEAD_RECORDS, whole_lines
from riverrun.formats.inference import Sampled, infer_schema
from riverrun.formats.rejection import quoted
from riverrun.schema import Column, Schema

if TYPE_CHECKING:
    from riverrun.formats.lines import Lines


def infer_lines(lines: Lines, head: bytes, *, complete: bool) -> Schema:
    """The schema. Raises `SchemaError` when there is a pattern and no line matches it."""
    if lines.pattern is None:
        return Schema(
            (Column("line", pl.String()),), notes=("whole lines as text; the time of arrival is used",)
        )
    text = whole_lines(head, complete=complete)[:HEAD_BYTES].decode(errors="replace").split("\n")
    sample = pl.Series([line for line in text if line.strip()][:HEAD_RECORDS], dtype=pl.String)
    matching = sample.filter(sample.str.contains(lines.pattern))
    if not matching.len():
        first = f"; the first is {quoted(sample[0])}" if sample.len() else ""
        raise SchemaError(
            f"none of the first {sample.len()} lines matches the pattern{first}",
            where="lines",
            hint="try the pattern on a line by hand; it need not match the whole line",
        )
    groups = matching.str.extract_groups(lines.pattern).struct.unnest()
    return infer_schema([Sampled(name, groups.get_column(name).to_list()) for name in lines.groups])
