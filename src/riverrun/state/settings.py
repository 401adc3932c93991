"""The sizes of a store."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.limits import KIB, MIB

#: What the store makes in advance takes at most this part of what is free on the disk ...
_SHARE = 16
#: ... but is never smaller than this.
LEAST_BYTES = 256 * KIB


def fitting(free_bytes: int, most_bytes: int) -> int:
    """The size of a file that is made in advance: less than `most_bytes` on a disk that has little space.

    A power of two then, so that such files can take each other's place.

    >>> fitting(16 * MIB, most_bytes=32 * MIB) // MIB
    1
    >>> fitting(100_000 * MIB, most_bytes=32 * MIB) // MIB
    32
    """
    share = max(free_bytes // _SHARE, LEAST_BYTES)
    return min(most_bytes, 1 << (share.bit_length() - 1))


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How much a store keeps, and in which pieces.

    Parameters
    ----------
    segment_bytes : size of a journal segment, smaller where a disk has little space (see `fitting`). It is
        written full of zeros before it is used.
    spare_segments : so many used segments wait for their next use; more are removed.
    ballast_bytes : kept on the disk to be given up when it is full, so that there is room to finish cleanly;
        also smaller where there is little space.
    settle_every : after so many checkpoints the write-ahead log of the database is put into its main file.
    history_bytes : so much of the journal is kept though no start needs it, to run over it again.
    dead_letter_bytes : what dead letters may take; the oldest go first.
    dead_letter_age_us : how long they are kept; ``None``: until they need too much room.
    """

    segment_bytes: int = 32 * MIB
    spare_segments: int = 4
    ballast_bytes: int = 8 * MIB
    settle_every: int = 4
    history_bytes: int = 0
    dead_letter_bytes: int = 256 * MIB
    dead_letter_age_us: int | None = None
