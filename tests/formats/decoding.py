"""Helpers for the tests of decoders: run bytes through one, cut anywhere, and see all that came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from riverrun.formats.csv import Csv, CsvDecoder
from riverrun.formats.json import Json, JsonDecoder
from riverrun.limits import Limits
from riverrun.ports import Decoded, Decoder, Rejected
from riverrun.schema import DeclaredType, Schema

TRADES: dict[str, DeclaredType] = {
    "ts": pl.Datetime("ms"),
    "symbol": pl.String,
    "price": pl.Float64,
    "size": pl.Int64,
}
NEVER, ALWAYS = 1 << 60, 0  # small_bytes: only the strict path, only the fast path


@dataclass(frozen=True)
class Seen:
    """All that a decoder made of some bytes."""

    frame: pl.DataFrame
    rejected: tuple[Rejected, ...]
    blank: int
    counters: Mapping[str, int]

    @property
    def rows(self) -> list[tuple[object, ...]]:
        return self.frame.rows()

    @property
    def reasons(self) -> list[str]:
        return [item.reason for item in self.rejected]

    @property
    def details(self) -> list[str]:
        return [item.detail for item in self.rejected]

    def same_as(self, other: Seen) -> bool:
        return (
            self.frame.schema == other.frame.schema
            and self.frame.equals(other.frame, null_equal=True)
            and self.rejected == other.rejected
            and self.blank == other.blank
            and self.counters == other.counters
        )

    @property
    def records(self) -> int:
        return self.frame.height + len(self.rejected)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The bytes cut at some places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def decode(decoder: Decoder, chunks: Sequence[bytes], *, truncated: bool = False) -> Seen:
    """Feed all chunks and finish."""
    parts: list[Decoded] = [decoder.feed(chunk, 0) for chunk in chunks]
    parts.append(decoder.finish(truncated=truncated))
    return seen(parts)


def seen(parts: Sequence[Decoded]) -> Seen:
    """All that a decoder gave, put together."""
    counters: dict[str, int] = {}
    for part in parts:
        for name, number in part.counters.items():
            counters[name] = counters.get(name, 0) + number
    return Seen(
        pl.concat([part.frame for part in parts]),
        tuple(item for part in parts for item in part.rejected),
        sum(part.blank for part in parts),
        counters,
    )


def csv(
    data: bytes,
    columns: Mapping[str, DeclaredType] = TRADES,
    *,
    form: Csv | None = None,
    limits: Limits | None = None,
    small_bytes: int = ALWAYS,
    cuts: Sequence[int] = (),
    truncated: bool = False,
) -> Seen:
    decoder = CsvDecoder(form or Csv(), Schema.of(columns), limits or Limits(), small_bytes=small_bytes)
    return decode(decoder, pieces(data, cuts), truncated=truncated)


def json(
    data: bytes,
    columns: Mapping[str, DeclaredType] = TRADES,
    *,
    form: Json | None = None,
    limits: Limits | None = None,
    small_bytes: int = ALWAYS,
    cuts: Sequence[int] = (),
    truncated: bool = False,
) -> Seen:
    decoder = JsonDecoder(form or Json(), Schema.of(columns), limits or Limits(), small_bytes=small_bytes)
    return decode(decoder, pieces(data, cuts), truncated=truncated)
