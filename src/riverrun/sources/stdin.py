"""Standard input: what is piped into the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, Wait
from riverrun.sources.draining import drain
from riverrun.sources.trouble import in_words
from riverrun.sources.unpaced import Unpaced
from riverrun.world import World

#: The one partition.
PARTITION = "stdin"


@dataclass(frozen=True, slots=True)
class Stdin(Unpaced):
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
        chunk = Chunk(PARTITION, data, self._position, self._world.clock.now_us(), end=not data)
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

    def close(self) -> None:
        """Stop reading; the descriptor belongs to the process and stays open."""
        self._finished = True
