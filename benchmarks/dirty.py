"""What one bad record in a hundred costs the decoder of CSV: each kind of dirt beside clean rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.feed import SCHEMA, as_csv, rows
from benchmarks.throughput import Run, timed
from riverrun.formats.csv import Csv
from riverrun.limits import Limits
from riverrun.schema import Schema

BLOCK_BYTES = 4 << 20
BAD_EVERY = 100

#: What happens to a record ``ts,SYMn,price,size``.
DIRT: Mapping[str, Callable[[bytes], bytes]] = {
    "clean": lambda record: record,
    "ragged": lambda record: record.rpartition(b",")[0] + b"\n",
    "bad_number": lambda record: record.replace(b".", b"x", 1),
    "bad_utf8": lambda record: record.replace(b"SYM", b"S\xff"),
    "stray_quote": lambda record: record.replace(b"SYM", b'S"M'),
    "open_quote": lambda record: record.replace(b"SYM", b'"SYM'),
}


def block_of(spoil: Callable[[bytes], bytes]) -> bytes:
    """Whole records, about `BLOCK_BYTES`, one in `BAD_EVERY` spoiled."""
    clean = as_csv(rows(BLOCK_BYTES // 33))[:BLOCK_BYTES]
    records = clean[: clean.rindex(b"\n") + 1].splitlines(keepends=True)
    records[BAD_EVERY // 2 :: BAD_EVERY] = map(spoil, records[BAD_EVERY // 2 :: BAD_EVERY])
    return b"".join(records)


def measure(rounds: int = 9) -> dict[str, float]:
    """Time for a block with dirt in it, as a multiple of a clean one: medians of interleaved rounds."""
    blocks = {kind: block_of(spoil) for kind, spoil in DIRT.items()}
    schema = Schema.of(SCHEMA)
    decoders = {kind: Csv(header=False).open(schema, Limits()) for kind in DIRT}
    runs: dict[str, list[Run]] = {kind: [] for kind in DIRT}
    # The first round only warms up: decoders go by what the block before was like.
    for _ in range(rounds + 1):
        for kind, block in blocks.items():
            runs[kind].append(timed(partial(decoders[kind].feed, block, 0)))
    clean = runs["clean"][1:]
    found: dict[str, float] = {"block_bytes": len(blocks["clean"])}
    for kind in list(DIRT)[1:]:
        both = list(zip(runs[kind][1:], clean, strict=True))
        found[f"{kind}_wall_ratio"] = statistics.median(dirty.wall_s / base.wall_s for dirty, base in both)
        found[f"{kind}_cpu_ratio"] = statistics.median(dirty.cpu_s / base.cpu_s for dirty, base in both)
    return found
