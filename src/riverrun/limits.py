"""What one source may cost: the limits of bad or hostile input."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one source; what goes beyond becomes a dead letter or waits, it never grows memory.

    Parameters
    ----------
    line_bytes : longest line or record.
    json_depth, json_fields : deepest nesting, most fields of one JSON record.
    key_bytes : longest text that may be a grouping key, in UTF-8 bytes.
    connections, connections_per_peer : open connections of a listening source.
    first_line_s : a connection that has not sent a whole line so long after connecting gives up its place
        when the source is full.
    idle_s, line_s : a connection of a listening source is closed when it sends nothing for so long, or when
        one line takes so long; ``None``: never.
    max_keys : distinct keys of one window operator; the rest is folded into ``"__other__"``.
    future : how far ahead of the clock an event time of a live source may be.
    budget_bytes : bytes that may wait between the sources and the engine.

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
    idle_s: float | None = 60.0
    line_s: float | None = 300.0
    max_keys: int = 100_000
    future: str = "5m"
    budget_bytes: int = 256 * MIB
