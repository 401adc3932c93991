"""Files: read once, or followed as they grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from riverrun.clock import parse_duration
from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.ports import Reader
from riverrun.sources.finding import format_of
from riverrun.sources.following import FollowingReader
from riverrun.sources.reading import FileReader
from riverrun.world import World


@dataclass(frozen=True, slots=True)
class File:
    """Read files: once to their end, or following them as they grow.

    Each file is a partition, named by its path. Several files are read side by side, a piece of each in
    turn, so that windows close as they go when the files cover the same time.

    With `follow`, new files that match are picked up, a file that is renamed and replaced (log rotation) is
    read to its end and then left, one that is cut short is read from its beginning again, and a last line
    without its end waits. `replay` hands rows out at a multiple of the pace of their event times.

    After a restart with a state folder, reading goes on where it stood: a file is found again by its number
    in the file system and a fingerprint of its first KiB, also when log rotation has renamed it meanwhile, and
    files that have appeared are read as well. One that is gone, replaced or, without `follow`, cut short is a
    `SourceError`, unless `on_lost` says otherwise.

    Raises `ConfigError` for impossible settings; opening raises `SourceError` when there is no such file or
    no right to read it.

    >>> File("data/*.csv").format_hint
    'csv'
    """

    pattern: str = setting(help="path of a file, or a pattern: * ? [] and ** for folders", example="data/*.csv")
    follow: bool = setting(False, help="go on reading as files grow, are rotated, or are added")
    replay: float | None = setting(
        None, help="hand rows out at so many times the pace of their event times", example="10"
    )
    interval: str = setting("100ms", help="with follow: how often to look for more")
    on_lost: Literal["fail", "skip"] = setting(
        "fail",
        help="after a restart, when a file that was being read is gone or replaced: fail, or skip its rest",
    )

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ConfigError("the path is missing", where="file:", hint="file:data/*.csv")
        if self.replay is not None and not self.replay > 0:
            raise ConfigError(
                f"replay is a positive factor, got {self.replay!r}", where=self.url, hint="replay=10"
            )
        if self.replay is not None and self.follow:
            raise ConfigError("replay and follow exclude each other", where=self.url)
        if not parse_duration(self.interval, where=f"{self.url}, interval"):
            raise ConfigError(
                "the interval must be longer than nothing", where=self.url, hint='interval="100ms"'
            )
        if self.on_lost not in ("fail", "skip"):
            raise ConfigError(
                f'on_lost is "fail" or "skip", got {self.on_lost!r}', where=self.url, hint='on_lost="skip"'
            )

    @property
    def url(self) -> str:
        return f"file:{self.pattern}"

    @property
    def bounded(self) -> bool:
        return not self.follow

    @property
    def replayable(self) -> bool:
        return True

    @property
    def acknowledges(self) -> bool:
        return False

    @property
    def format_hint(self) -> str | None:
        return format_of(self.pattern)

    @property
    def partitioned(self) -> bool:
        """Whether rows of several files come side by side: a pattern, or a file that may be rotated."""
        return self.follow or any(mark in self.pattern for mark in "*?[")

    @property
    def pace(self) -> float | None:
        """How many times faster than their event time the rows shall go; ``None``: as fast as they come."""
        return self.replay

    def open(self, world: World, limits: Limits) -> Reader:  # noqa: ARG002
        skip_lost = self.on_lost == "skip"
        if self.follow:
            return FollowingReader(world, self.pattern, parse_duration(self.interval), skip_lost=skip_lost)
        return FileReader(world, self.url, self.pattern, skip_lost=skip_lost)
