"""The state of a run in words and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from riverrun.clock import format_instant

if TYPE_CHECKING:
    from riverrun.cli.latest import Latest
    from riverrun.runtime.health import Health, SourceHealth

#: Lines of the terminal that are kept for all that is not the table of latest values.
OTHER_LINES = 14


def progress_line(source: SourceHealth, health: Health) -> str:
    """One line: how much, how fast, how far, what was wrong.

    >>> from riverrun.runtime.health import Health, SourceHealth
    >>> source = SourceHealth("a", "tcp://a:1", "connected", received=1200, applied=1200, rows_per_s=400.0)
    >>> progress_line(source, Health("p", 0, 0, True, (source,), results=7))
    'a: 1,200 rows, 400/s, results 7, late 0, rejected 0, connected'
    """
    parts = [f"{source.received:,} rows", f"{source.rows_per_s:,.0f}/s"]
    if source.watermark_us is not None:
        parts.append(f"watermark {format_instant(source.watermark_us // 1_000 * 1_000)}")
    if source.lag_ms is not None:
        parts.append(f"lag {lag_text(source.lag_ms)}")
    rejected = f"rejected {source.dead_lettered:,}"
    if source.reasons:
        rejected += f" ({reasons_text(source)})"
    parts += [f"results {health.results:,}", f"late {source.late:,}"]
    parts += [f"{name} {count:,}" for name, count in _left_out(source) if count]
    parts += [rejected, source.status]
    return f"{source.name}: " + ", ".join(parts)


def _left_out(source: SourceHealth) -> tuple[tuple[str, int], ...]:
    """Rows that most sources have none of."""
    return ("duplicate", source.duplicate), ("shed", source.shed)


def reasons_text(source: SourceHealth) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in source.reasons.items())


def lag_text(lag_ms: float) -> str:
    """A lag for people; that of replayed history is told in days.

    >>> lag_text(12.3), lag_text(2_500), lag_text(86_400_000.0 * 400)
    ('12 ms', '2.5 s', '400 d')
    """
    if abs(lag_ms) < 1_000:
        return f"{lag_ms:.0f} ms"
    if abs(lag_ms) < 600_000:
        return f"{lag_ms / 1_000:.1f} s"
    if abs(lag_ms) < 172_800_000:
        return f"{lag_ms / 3_600_000:.1f} h"
    return f"{lag_ms / 86_400_000:,.0f} d"


class Progress:
    """Draws the state of a run.

    Parameters
    ----------
    latest : the newest results, shown below.
    """

    def __init__(self, latest: Latest | None) -> None:
        self._latest = latest

    def picture(self, health: Health, height: int, footer: str) -> Any:
        """What rich shows: warnings, sources, the newest rejected record, the newest results."""
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(warning, style="bold red") for warning in health.warnings]
        parts.append(_sources(health))
        if health.rejected:
            newest = health.rejected[-1]
            said = f"last rejected ({newest.reason}): {newest.detail}  │ {newest.head}"
            parts.append(Text(said, style="yellow", overflow="ellipsis", no_wrap=True))
        if self._latest is not None:
            for title, names, rows in self._latest.tables(max(3, height - OTHER_LINES)):
                parts.append(_table(title, names, rows))
        parts.append(Text(_totals(health), style="dim", overflow="ellipsis", no_wrap=True))
        if footer:
            parts.append(Text(footer, style="bold"))
        return Group(*parts)


def _totals(health: Health) -> str:
    seconds = max(0.0, (health.now_us - health.started_us) / 1e6)
    parts = [
        f"{seconds:,.0f} s",
        f"{health.results:,} results",
        f"{health.memory_bytes / 2**20:,.0f} MiB",
    ]
    if health.latency_ms_p50 is not None and health.latency_ms_p99 is not None:
        parts.append(
            f"row in to result out {health.latency_ms_p50:.1f} ms (p99 {health.latency_ms_p99:.1f} ms)"
        )
    if not health.running:
        parts.append("ended")
    return "  ·  ".join(parts)


def _sources(health: Health) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    left_out = [_left_out(source) for source in health.sources]
    shown = [at for at in range(2) if any(counts[at][1] for counts in left_out)]
    for name, right in (
        ("source", False),
        ("rows", True),
        ("rows/s", True),
        ("watermark", False),
        ("lag", True),
        ("late", True),
        *((left_out[0][at][0], True) for at in shown),
        ("rejected", True),
        ("status", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for source, counts in zip(health.sources, left_out, strict=True):
        reasons = f" ({reasons_text(source)})" if source.reasons else ""
        table.add_row(
            Text(source.name),
            f"{source.received:,}",
            f"{source.rows_per_s:,.0f}",
            "" if source.watermark_us is None else format_instant(source.watermark_us // 1_000_000 * 1_000_000),
            "" if source.lag_ms is None else lag_text(source.lag_ms),
            Text(f"{source.late:,}", style="yellow" if source.late else ""),
            *(f"{counts[at][1]:,}" for at in shown),
            Text(f"{source.dead_lettered:,}{reasons}", style="yellow" if source.dead_lettered else ""),
            Text(source.status, style="green" if source.status.startswith("connected") else ""),
        )
    return table


def _table(title: str, names: Iterable[str], rows: Iterable[Iterable[str]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold"
    )
    for name in names:
        table.add_column(Text(name), justify="right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
