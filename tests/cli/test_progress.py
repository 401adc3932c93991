"""What the terminal says of a run: more only when something is not as usual."""

from __future__ import annotations

import io

from rich.console import Console

from riverrun.cli.progress import Progress, progress_line
from riverrun.cli.screen import PlainScreen
from riverrun.runtime.health import Health, SourceHealth, StateHealth

QUIET = SourceHealth("a", "tcp://a:1", "connected", received=9, applied=9)
FULL = StateHealth("state", full=True)


def health(*sources: SourceHealth, state: StateHealth | None = None, now_us: int = 0) -> Health:
    return Health("p", now_us, 0, True, sources, state=state)


def drawn(shown: Health) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(Progress(None).picture(shown, 40, ""))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_duplicate_and_shed_rows_show_beside_late_ones() -> None:
    busy = SourceHealth("b", "tcp://b:1", "connected", received=1_009, applied=4, duplicate=5, shed=1_000)
    assert "late 0, duplicate 5, shed 1,000, rejected 0" in progress_line(busy, health(busy))
    words = drawn(health(QUIET, busy)).split()
    assert "duplicate" in words
    assert "shed" in words
    assert "1,000" in words


def test_what_no_source_has_takes_no_column() -> None:
    assert "duplicate" not in drawn(health(QUIET))
    assert "shed" not in drawn(health(QUIET))


def test_a_full_disk_shows_in_the_table_and_a_state_that_is_well_does_not() -> None:
    assert "the disk of state is full" in drawn(health(QUIET, state=FULL))
    assert "state" not in drawn(health(QUIET, state=StateHealth("state")))


def test_plain_lines_tell_a_warning_once_and_when_it_is_over() -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream)
    for second, state in enumerate([StateHealth("state"), FULL, FULL, StateHealth("state")]):
        screen.show(health(QUIET, state=state, now_us=second * 2_000_000))
    said = [line for line in stream.getvalue().splitlines() if not line.startswith("a:")]
    assert said == [f"warning: {FULL.warnings[0]}", "all is well again"]
