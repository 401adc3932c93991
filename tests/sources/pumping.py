"""Run one reader by itself, as the runtime would: poll, and wait when there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from riverrun.clock import parse_duration
from riverrun.ports import Chunk, Reader
from riverrun.world import World


def pump(
    world: World,
    reader: Reader,
    *,
    lasting: str = "10s",
    until: Callable[[list[Chunk]], bool] = lambda chunks: False,
    max_bytes: int = 1024 * 1024,
) -> list[Chunk]:
    """What the reader hands out until it is finished, `until` holds, or the time is over."""
    end_us = world.clock.monotonic_us() + parse_duration(lasting)
    chunks: list[Chunk] = []
    while not reader.finished and not until(chunks) and world.clock.monotonic_us() < end_us:
        found = reader.poll(max_bytes)
        chunks.extend(found)
        if not found and not reader.finished:
            wait = reader.wait()
            until_us = end_us if wait.until_us is None else min(wait.until_us, end_us)
            world.wait(wait.ready, until_us)
    return chunks


def texts(chunks: Sequence[Chunk]) -> dict[str, bytes]:
    """All bytes of each partition; checks that positions fit together and nothing follows an end."""
    found: dict[str, bytes] = {}
    ended: set[str] = set()
    for chunk in chunks:
        assert chunk.partition not in ended, f"{chunk.partition} goes on behind its end"
        assert chunk.position == len(found.get(chunk.partition, b""))
        found[chunk.partition] = found.get(chunk.partition, b"") + chunk.data
        if chunk.end:
            ended.add(chunk.partition)
    return found


def ends(chunks: Sequence[Chunk]) -> dict[str, bool]:
    """For each partition that has ended: whether it was cut off."""
    return {chunk.partition: chunk.truncated for chunk in chunks if chunk.end}
