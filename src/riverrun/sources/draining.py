"""Take what a connection holds, with as few copies as can be."""

from __future__ import annotations

from riverrun.world import Connection, StandardInput

#: Bytes asked for at a time. Measured over loopback: 0.15 CPU s per GB; asking for 4 MiB costs three times
#: as much, since memory of that size is taken fresh from the system each time.
PIECE_BYTES = 1024 * 1024


def drain(connection: Connection | StandardInput, max_bytes: int) -> bytes | None:
    """What has arrived, `max_bytes` at most; ``b""`` at the end, ``None`` when there is nothing yet.

    Mostly that is one piece, handed on as it is. Only a piece that came full says that more waits: then
    further ones are fetched and joined.
    """
    first = connection.receive(min(max_bytes, PIECE_BYTES))
    if first is None or len(first) < PIECE_BYTES or max_bytes <= PIECE_BYTES:
        return first
    pieces, total = [first], len(first)
    while total < max_bytes:
        # The end, or a failure, is told again by the next receive.
        piece = _receive(connection, min(PIECE_BYTES, max_bytes - total))
        if not piece:
            break
        pieces.append(piece)
        total += len(piece)
        if len(piece) < PIECE_BYTES:
            break
    return b"".join(pieces)


def _receive(connection: Connection | StandardInput, size: int) -> bytes | None:
    try:
        return connection.receive(size)
    except OSError:
        return None
