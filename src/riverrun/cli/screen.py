"""What shows on the terminal while a pipeline runs: a live table for people, else plain lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from riverrun.cli.progress import Progress, progress_line

if TYPE_CHECKING:
    from riverrun.cli.latest import Latest
    from riverrun.runtime.health import Health

#: Plain lines are this far apart at least.
PLAIN_EVERY_US = 1_000_000


class Screen(Protocol):
    """Where progress shows."""

    def status(self, text: str) -> None:
        """Say what is being waited for."""
        ...

    def show(self, health: Health) -> None:
        """Show how the run is doing; called about four times a second."""
        ...

    def close(self) -> None:
        """Leave the last state standing, and give the terminal back."""
        ...


class PlainScreen:
    """A line a second, while something changes."""

    def __init__(self, stream: TextIO, every_us: int = PLAIN_EVERY_US) -> None:
        self._stream = stream
        self._every_us = every_us
        self._due_us = 0
        self._last = ""
        self._last_seen: object = None
        self._warnings: tuple[str, ...] = ()

    def status(self, text: str) -> None:
        if text != self._last:
            self._last = text
            print(text, file=self._stream, flush=True)

    def show(self, health: Health) -> None:
        if health.now_us < self._due_us and health.running:
            return
        self._due_us = health.now_us + self._every_us
        if health.warnings != self._warnings:
            for text in health.warnings or ("all is well again",):
                print(f"warning: {text}" if health.warnings else text, file=self._stream, flush=True)
            self._warnings = health.warnings
        for source in health.sources:
            refused = (source.late, source.duplicate, source.shed, source.dead_lettered)
            seen = (source.received, refused, source.status, health.results)
            if seen != self._last_seen or len(health.sources) > 1:
                self._last_seen = seen
                print(progress_line(source, health), file=self._stream, flush=True)

    def close(self) -> None: ...


class LiveScreen:
    """A table that stays in place, drawn with rich."""

    def __init__(self, latest: Latest | None, footer: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=latest is None, highlight=False)
        self._progress = Progress(latest)
        self.footer = footer
        self._live: Live | None = None

    def status(self, text: str) -> None:
        from rich.text import Text

        self._update(Text(f"⠿ {text}", style="yellow"), transient=True)

    def show(self, health: Health) -> None:
        self._update(self._progress.picture(health, self._console.size.height, self.footer))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self, picture: object, *, transient: bool = False) -> None:
        from rich.live import Live

        if self._live is None:
            # What was waited for is of no interest any more when it has come.
            self._live = Live(
                console=self._console, auto_refresh=False, vertical_overflow="crop", transient=transient
            )
            self._live.start()
        self._live.update(picture, refresh=True)  # type: ignore[arg-type]


def screen_for(latest: Latest | None, *, terminal: bool | None = None) -> Screen:
    """A live table when a person looks on, else plain lines on standard error.

    Parameters
    ----------
    latest : results to show along; without them the table goes to standard error, as results of the
        pipeline's own may go to standard output.
    """
    stream = sys.stderr if latest is None else sys.stdout
    if terminal if terminal is not None else stream.isatty():
        return LiveScreen(latest)
    return PlainScreen(sys.stderr)
