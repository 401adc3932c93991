"""Where and how a run keeps its state, as users write it."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.clock import Duration, parse_duration
from riverrun.errors import ConfigError
from riverrun.limits import MIB


@dataclass(frozen=True, slots=True)
class State:
    """A folder in which a run keeps what it must not lose, for ``rr.run(..., state=...)``.

    A text is enough: ``state="state/"``.

    Parameters
    ----------
    path : the folder; it is made when it is not there. One run at a time.
    every : a checkpoint is written this often while something happens. A restart has to do again what came
        after the last one.
    history_bytes : so much of what came is kept in the journal beyond what a restart needs, to run a changed
        pipeline over it again (``riverrun run --from-journal``). Files, tables and other sources that can be
        read again are not in it.
    outbox_bytes : results that may wait for sinks that cannot be reached, in memory and in checkpoints. Beyond,
        the engine waits, and soon the senders; nothing is lost.
    drop : names of steps whose kept state may be thrown away, because the plan has them no more or has
        changed them. `riverrun inspect` lists the names.

    >>> State("state/", every="5s").every_us
    5000000
    """

    path: str
    every: Duration = "1s"
    history_bytes: int = 0
    outbox_bytes: int = 256 * MIB
    drop: tuple[str, ...] | list[str] = ()

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("the folder is missing", where="state=", hint='state="state/"')
        if self.every_us == 0:
            raise ConfigError("checkpoints need some time between them", where="state=", hint='every="1s"')

        if self.history_bytes < 0:
            raise ConfigError(f"history_bytes cannot be negative, got {self.history_bytes}", where="state=")
        if self.outbox_bytes <= 0:
            raise ConfigError(f"outbox_bytes must be positive, got {self.outbox_bytes}", where="state=")

    @property
    def every_us(self) -> int:
        """Microseconds between checkpoints."""
        return parse_duration(self.every, where="state=, every")
