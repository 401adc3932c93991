"""What a store must hold, as a function of one number.

Frame n has a body that follows from n, and a checkpoint at position p holds values, blobs, results and dead
letters that follow from p. So after any crash two numbers say what must be there: the last acknowledged frame
and the position of the last acknowledged checkpoint. Anything that is missing, doubled, mixed or old shows.
"""

from __future__ import annotations

import random

from riverrun.state.commit import Commit
from riverrun.state.dead_letters import DeadLetterRow
from riverrun.state.settings import StoreSettings
from riverrun.state.store import Store

SETTINGS = StoreSettings(segment_bytes=32_768, spare_segments=2, ballast_bytes=4096, settle_every=2)


class LostError(AssertionError):
    """Something that was acknowledged is missing, or something is there that should not."""


def body(n: int) -> bytes:
    """What frame n holds."""
    chance = random.Random(n)
    return b"%d:" % n + chance.randbytes(chance.choice([0, 10, 100, 1000, 5000]))


def values(p: int) -> dict[tuple[str, str], bytes]:
    found = {("state", "at"): b"%d" % p, ("state", f"of {p % 3}"): b"x" * (p % 50)}
    return found | ({("even", "here"): b""} if p % 2 == 0 else {})


def blobs(p: int) -> dict[int, bytes]:
    return {i: blob(i) for i in range(max(0, p // 2 - 3), p // 2 + 1)}


def blob(i: int) -> bytes:
    chance = random.Random(-i)
    return b"%d:" % i + chance.randbytes(chance.choice([0, 300, 9000]))


def outbox(p: int) -> dict[tuple[str, int, int], bytes]:
    return {
        ("out", unit, part): b"%d" % unit * part for unit in range(max(0, p - 4), p + 1) for part in range(3)
    }


def letters(p: int) -> dict[int, DeadLetterRow]:
    return {i: letter(i) for i in range(max(1, p // 3 - 2), p // 3 + 1)}


def letter(i: int) -> DeadLetterRow:
    return DeadLetterRow(
        i, "tcp://x", f"p{i % 3}", "json", "what was wrong", i, 3, i, b"{x}", "00", "record", b"{x}" * (i % 9)
    )


def keep_from(p: int) -> int:
    return max(1, p - p % 5)


def commit(old: int, new: int) -> Commit:
    """What leads from the checkpoint at `old` to the one at `new`; everything, when they are the same."""
    had = old if old != new else None
    old_values, old_blobs, old_letters = ({} if had is None else made(had) for made in (values, blobs, letters))
    return Commit(
        position=new,
        values=dict.fromkeys(old_values) | values(new),
        put_blobs={i: b for i, b in blobs(new).items() if i not in old_blobs},
        drop_blobs=[i for i in old_blobs if i not in blobs(new)],
        put_outbox={place: b for place, b in outbox(new).items() if had is None or place not in outbox(had)},
        drop_outbox={"out": new - 5},
        dead_letters=[row for i, row in letters(new).items() if i not in old_letters],
        dropped_letters=[i for i in old_letters if i not in letters(new)],
        keep_from=keep_from(new),
    )


def check(store: Store, frames: int, position: int) -> None:
    """Raises `LostError` unless a store, just opened, holds all that was acknowledged, and each thing once."""
    p = store.recovery.position
    _must(p >= position, f"the checkpoint is at {p}, {position} was acknowledged")
    if store.recovery.checkpoint:
        _same("values", store.values("state") | store.values("even"), {k: v for (_, k), v in values(p).items()})
        _same("blobs", {i: store.blob(i) for i in blobs(p)}, blobs(p))
        _same("outbox", dict(store.outbox()), outbox(p))
        _same("dead letters", {row.id: row for row in store.dead_letters.list()}, letters(p))
        _same("blobs that are gone", _extra_blobs(store, p), [])
    found = {frame.sequence: frame.body for frame in store.frames(0)}
    last = max(store.recovery.last, p)
    _must(last >= frames, f"the journal ends with frame {last}, {frames} was acknowledged")
    needed = keep_from(p) if store.recovery.checkpoint else 1
    _same("frames", found, {n: body(n) for n in range(min(needed, p + 1), last + 1)})


def _extra_blobs(store: Store, p: int) -> list[int]:
    found = []
    for i in range(max(0, p // 2 - 6), p // 2 + 6):
        if i in blobs(p):
            continue
        try:
            store.blob(i)
        except KeyError:
            continue
        found.append(i)
    return found


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise LostError(f"{what}: found {str(found)[:300]}, expected {str(expected)[:300]}")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LostError(otherwise)
