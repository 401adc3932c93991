"""Standard input: what is piped into the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.defaults import Defaults
from riverrun.sources.draining import drain
from riverrun.sources.numbering import Numbering, number_of
from riverrun.sources.trouble import in_words
from riverrun.world import World

#: The one partition; after a restart, when something else is piped in, ``stdin#2``.
PARTITION = "stdin"


@dataclass(frozen=True, slots=True)
class Stdin(Defaults):
    """Read what is piped into the process, to its end.

    Raises `SourceError` while reading when standard input is closed.

    >>> Stdin().url
    'stdin:'
    """

    @property
    def url(self) -> str:
        return "stdin:"

    @property
    def bounded(self) -> bool:
        return True

    @property
    def format_hint(self) -> str | None:
        return None

    def open(self, world: World, limits: Limits) -> StdinReader:  # noqa: ARG002
        return StdinReader(world)


class StdinReader:
    """Reads standard input. Its end is a clean one: a last line without a line end is a row."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._partition = PARTITION
        self._runs = 1
        self._position = 0
        self._finished = False

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._finished:
            return ()
        try:
            data = drain(self._world.stdin, max_bytes)
        except OSError as error:
            self._finished = True
            hint = "pipe something in: producer | riverrun watch stdin:"
            raise SourceError(f"cannot read: {in_words(error)}", where="stdin:", hint=hint) from None
        if data is None:
            return ()
        self._finished = not data
        chunk = Chunk(self._partition, data, self._position, self._world.clock.now_us(), end=not data)
        self._position += len(data)
        return (chunk,)

    def wait(self) -> Wait:
        return Wait((self._world.stdin,))

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def status(self) -> str:
        if self._finished:
            return "read to the end"
        return "reading standard input" if self._position else "waiting for standard input"

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def bookmark(self) -> Remembered:
        return {"runs": self._runs}

    def resume(self, bookmark: Remembered) -> None:
        self._begin(bookmark["runs"] + 1)

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote)
        self._begin(max(self._runs, number_of(chunk.partition) + 1))
        return chunk

    def _begin(self, runs: int) -> None:
        self._runs = runs
        self._partition = Numbering({PARTITION: runs - 1}).next(PARTITION)

    def close(self) -> None:
        """Stop reading; the descriptor belongs to the process and stays open."""
        self._finished = True
