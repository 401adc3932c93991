"""The sizes of a store."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.limits import MIB


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How much a store keeps, and in which pieces.

    Parameters
    ----------
    segment_bytes : size of a journal segment. It is written full of zeros before it is used.
    spare_segments : so many used segments wait for their next use; more are removed.
    ballast_bytes : kept on the disk to be given up when it is full, so that there is room to finish cleanly.
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
