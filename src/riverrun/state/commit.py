"""What one checkpoint stores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from riverrun.state.dead_letters import DeadLetterRow


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one checkpoint changes: all of it is stored, or nothing.

    Parameters
    ----------
    position : the last journal frame whose effects are in this checkpoint.
    values : small documents by (kind, key); ``None`` deletes.
    put_blobs, drop_blobs : state, by number.
    put_outbox : results that are not delivered yet, by (output, unit, part).
    drop_outbox : for each output, the last unit that was delivered: it and those before it are forgotten.
    dead_letters, dropped_letters : records that were not accepted; ids of those to forget.
    keep_from : the first frame that is still needed; ``None``: the one behind `position`.
    """

    position: int
    values: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)
    put_blobs: Mapping[int, bytes] = field(default_factory=dict)
    drop_blobs: Collection[int] = ()
    put_outbox: Mapping[tuple[str, int, int], bytes] = field(default_factory=dict)
    drop_outbox: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Sequence[DeadLetterRow] = ()
    dropped_letters: Collection[int] = ()
    keep_from: int | None = None

    @property
    def bytes(self) -> int:
        """How much it puts into the database, keys and dead letters aside."""
        values = sum(len(body) for body in self.values.values() if body is not None)
        return values + sum(map(len, self.put_blobs.values())) + sum(map(len, self.put_outbox.values()))

    @property
    def needed_from(self) -> int:
        """The first frame that a start from this checkpoint needs."""
        after = self.position + 1
        return after if self.keep_from is None else min(self.keep_from, after)
