"""A source that connects: what TCP and Unix sockets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.clock import format_duration
from riverrun.errors import SourceError
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.backoff import Backoff
from riverrun.sources.draining import drain
from riverrun.sources.endless import OpenLine
from riverrun.sources.numbering import number_of
from riverrun.sources.trouble import in_words
from riverrun.world import Address, Connection, World


class ConnectingReader:
    """Reads one connection after the other; each is a partition of its own: ``localhost:9999#2``.

    Parameters
    ----------
    line_bytes : the longest line; a peer that sends lines without end is left as one that closes.
    reconnect : connect again when the peer closes or refuses; otherwise the input ends with the connection.
    timeout_us : how long the other end may take to answer.
    hint : what to try when nobody answers.
    """

    def __init__(
        self,
        world: World,
        address: Address,
        *,
        url: str,
        line_bytes: int,
        reconnect: bool,
        backoff: Backoff,
        timeout_us: int,
        hint: str,
    ) -> None:
        self._world = world
        self._address = address
        self._url = url
        self._reconnect = reconnect
        self._backoff = backoff
        self._timeout_us = timeout_us
        self._hint = hint
        self._connection: Connection | None = None
        self._connected = False
        self._started_us = 0
        self._position = 0
        self._line_bytes = line_bytes
        self._line = OpenLine(line_bytes)
        self._failures = 0
        self._retry_us = 0
        self._trouble = ""
        self._counters = {
            "connections": 0,
            "reconnects": 0,
            "connects_failed": 0,
            "connections_without_lines": 0,
        }
        self._finished = False

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._finished:
            return ()
        if self._connection is None:
            if self._world.clock.monotonic_us() < self._retry_us:
                return ()
            self._connect()
        return self._read(max_bytes)

    def wait(self) -> Wait:
        if self._connection is None:
            return Wait(until_us=self._retry_us)
        if not self._connected:
            return Wait((self._connection,), self._started_us + self._timeout_us)
        return Wait((self._connection,))

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def status(self) -> str:
        if self._finished:
            return f"ended: {self._trouble}" if self._trouble else "ended"
        if self._connected:
            silent = "" if self._position else ", no data yet"
            return f"connected to {self._address}{silent}"
        if self._connection is not None:
            return f"connecting to {self._address}"
        if not self._trouble:
            return f"about to connect to {self._address}"
        left_us = max(0, self._retry_us - self._world.clock.monotonic_us())
        return f"waiting for {self._address}: {self._trouble}, again in {left_us / 1e6:.1f} s"

    @property
    def counters(self) -> Mapping[str, int]:
        return self._counters

    def close(self) -> None:
        self._drop()
        self._finished = True

    def bookmark(self) -> Remembered:
        return {"counters": dict(self._counters)}

    def resume(self, bookmark: Remembered) -> None:
        self._counters.update(bookmark["counters"])

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote)
        number = max(self._counters["connections"], number_of(chunk.partition))
        self._counters |= {"connections": number, "reconnects": number - 1}
        return chunk

    def _connect(self) -> None:
        self._started_us = self._world.clock.monotonic_us()
        try:
            self._connection = self._world.network.connect(self._address)
        except OSError as error:
            self._failed(in_words(error))

    def _read(self, max_bytes: int) -> Sequence[Chunk]:
        if self._connection is None:
            return ()
        try:
            data = drain(self._connection, max_bytes)
            self._look_connected(self._connection)
        except OSError as error:
            return self._ended(in_words(error)) if self._connected else self._failed(in_words(error))
        if data is None:
            return self._look_overdue()
        if not data:
            return self._ended("the peer closed the connection")
        chunk = Chunk(self._partition, data, self._position, self._world.clock.now_us())
        self._position += len(data)
        self._line.note(data)
        if self._line.endless:
            # One over-long line is passed over; this is no sender of lines, and not worth a quick retry.
            self._counters["connections_without_lines"] += 1
            return (chunk, *self._ended("the peer sends no line ends"))
        # Whoever sends is worth a quick retry; one that takes a connection only to close it is not.
        self._failures = 0
        return (chunk,)

    def _look_connected(self, connection: Connection) -> None:
        if not self._connected and connection.connected:
            self._connected = True
            self._counters["connections"] += 1
            self._counters["reconnects"] = self._counters["connections"] - 1

    def _look_overdue(self) -> Sequence[Chunk]:
        if self._connected or self._world.clock.monotonic_us() < self._started_us + self._timeout_us:
            return ()
        return self._failed(f"no answer within {format_duration(self._timeout_us)}")

    def _ended(self, trouble: str) -> Sequence[Chunk]:
        """A connection has ended. One that never sent a byte was never a partition."""
        chunk = Chunk(
            self._partition, b"", self._position, self._world.clock.now_us(), end=True, truncated=True
        )
        chunks = (chunk,) if self._position or not self._reconnect else ()
        self._drop()
        if self._reconnect:
            self._retry_later(trouble)
        else:
            self._trouble = trouble
            self._finished = True
        return chunks

    def _failed(self, trouble: str) -> Sequence[Chunk]:
        """A connection could not be made."""
        self._drop()
        self._counters["connects_failed"] += 1
        if not self._reconnect:
            self._finished = True
            raise SourceError(f"cannot connect to {self._address}: {trouble}", where=self._url, hint=self._hint)
        self._retry_later(trouble)
        return ()

    def _retry_later(self, trouble: str) -> None:
        self._trouble = trouble
        self._failures += 1
        wait_us = self._backoff.wait_us(self._failures, chance=self._world.random.random())
        self._retry_us = self._world.clock.monotonic_us() + wait_us

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._connected = False
        self._position = 0
        self._line = OpenLine(self._line_bytes)

    @property
    def _partition(self) -> str:
        return f"{self._address}#{self._counters['connections']}"
