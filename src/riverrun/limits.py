"""What one source may cost: the limits of bad or hostile input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from riverrun.errors import ConfigError, did_you_mean

KIB = 1024
MIB = 1024 * KIB

#: What to do with what arrives while the engine does not keep up.
Overload = Literal["block", "drop_newest", "drop_oldest", "sample"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one source; what goes beyond becomes a dead letter or waits, it never grows memory.

    Parameters
    ----------
    line_bytes : longest line or record.
    json_depth, json_fields : deepest nesting, most fields of one JSON record.
    key_bytes : longest text that may be a grouping key, in UTF-8 bytes.
    connections, connections_per_peer : open connections of a listening source.
    first_line_s : when all connections of a listening source are taken, one that has not sent a whole line so
        long after connecting makes room for a new one, the oldest first; a sixteenth of that has to do from
        then on until nobody waits any more. When there is none, one that has sent nothing for a minute does,
        the longest silent first; otherwise the new one waits.
    idle_s : a connection of a listening source that sends nothing for so long is closed, whether others wait
        or not; ``None``: never, as there are feeds that have little to say.
    line_s : a connection of a listening source is closed when one line takes so long, not counting the time
        in which nothing was read; ``None``: never.
    max_keys : keys that one step remembers. Windows fold the rest into ``"__other__"``; what other steps do
        stands under bad input in the documentation. Rows of such keys are counted.
    future : how far ahead of the clock an event time of a live source may be.
    budget_bytes : bytes that may be on the way from all sources to the state, unfinished lines included: at
        80 % of it nothing more is read, so that senders wait, until no more than 50 % is left. When nothing but
        unfinished lines is left, connections that hold them are closed, the newest first. The sources of a run
        share one budget, the smallest that any of them has. Blocks are a thirty-second of it, and no more than
        4 MiB.
    overload : what happens to rows when the engine does not keep up, that is when two blocks of the source
        (of up to 4 MiB) wait for it, or the budget is used up. ``block``: nothing more is read, so that senders
        wait. ``drop_newest``: the block that has just come is left out. ``drop_oldest``: it takes the place of
        the one that has waited longest. ``sample``: one block in so many is kept, of which there are twice as
        many whenever even that one finds no room. Rows that are left out are counted as ``shed``, and not
        looked at: also those that would have become dead letters. With a state folder only ``block`` will do.

    Raises `ConfigError` for an unknown policy.

    >>> Limits(line_bytes=64 * 1024).line_bytes
    65536
    """

    line_bytes: int = MIB
    json_depth: int = 32
    json_fields: int = 1_000
    key_bytes: int = 256
    connections: int = 256
    connections_per_peer: int = 32
    first_line_s: float = 0.5
    idle_s: float | None = None
    line_s: float | None = 300.0
    max_keys: int = 100_000
    future: str = "5m"
    budget_bytes: int = 256 * MIB
    overload: Overload = "block"

    def __post_init__(self) -> None:
        known: tuple[str, ...] = get_args(Overload)
        if self.overload in known:
            return
        hint = did_you_mean(self.overload, known)
        if str(self.overload) == "reject":
            hint = "reject is for senders who can be told so, over HTTP, which there is no source for yet"
        raise ConfigError(
            f"there is no policy {self.overload!r} for overload", where="Limits(overload=)", hint=hint
        )
