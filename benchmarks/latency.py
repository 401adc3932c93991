"""From the row that closes a window being sent to the window's results being out, under paced load."""

from __future__ import annotations

import tempfile
import time

import polars as pl

import riverrun as rr
from benchmarks.feed import SCHEMA, paced_sender, rows
from riverrun.ports import Writer

WINDOW_MS = 100
#: The first windows pay for imports and first use. Those of a run that keeps its state wait for a checkpoint,
#: which is the first after a second: before it nobody could tell after a crash what of the sink is ours.
WARM_WINDOWS, WARM_WINDOWS_KEPT = 5, 25


class Stopwatch:
    """A sink that notes when results come out."""

    url = "memory:"

    def __init__(self) -> None:
        self.out: list[tuple[int, float]] = []

    def open(self, world: object, schema: object, keys: object) -> Writer:  # noqa: ARG002
        return self

    def write(self, frame: pl.DataFrame) -> None:
        now = time.time()
        for end in frame["window_end"].dt.epoch("ms").unique():
            self.out.append((end, now))

    def flush(self) -> None: ...

    def close(self) -> None: ...


def measure(per_s: int = 100_000, seconds: int = 10, keys: int = 100) -> dict[str, float]:
    """Latency percentiles in milliseconds.

    The clocks are those of one machine. A window is closed by the first row at or after its end; the time
    when the slice with that row was handed to the socket is what counts as sent.
    """
    return {"rows_per_s": per_s, **percentiles(_measured(per_s, seconds, keys, None)[WARM_WINDOWS:])}


def measure_durable(per_s: int = 100_000, seconds: int = 15, keys: int = 100) -> dict[str, float]:
    """The same for a run that keeps its state.

    Out is a result when it is written to the sink, which is after the journal was synced up to the rows that
    closed the window. It is committed there, and so safe, up to 0.1 s later.
    """
    with tempfile.TemporaryDirectory(prefix="riverrun-latency-") as folder:
        values = _measured(per_s, seconds, keys, f"{folder}/state")
    return {"rows_per_s": per_s, **percentiles(values[WARM_WINDOWS_KEPT:])}


def _measured(per_s: int, seconds: int, keys: int, state: str | None) -> list[float]:
    frame = rows(per_s * seconds, keys, rows_per_ms=per_s // 1_000)
    watch = Stopwatch()
    with paced_sender(frame, per_s) as (port, pipe):
        stats = (
            rr.read(
                f"tcp://127.0.0.1:{port}",
                format=rr.Csv(header=False),
                schema=SCHEMA,
                time="ts",
                reconnect=False,
            )
            .group_by("symbol")
            .window(rr.tumbling(f"{WINDOW_MS}ms"))
            .agg(
                n=rr.count(),
                mean=rr.mean("price"),
                var=rr.var("price"),
                cov=rr.cov("price", "size"),
                r=rr.corr("price", "size"),
            )
        )
        rr.run(stats.write(watch), name="latency", state=state)
        sent = pipe.recv()
    return latencies_ms(sent, watch.out)


def latencies_ms(sent: list[tuple[int, float]], out: list[tuple[int, float]]) -> list[float]:
    """For each window: results out minus the moment when a row at or after its end was sent."""
    closed: dict[int, float] = {}
    at = 0
    for end, when in sorted(out):
        while at < len(sent) and sent[at][0] < end:
            at += 1
        if at < len(sent):
            closed[end] = max(closed.get(end, 0.0), when - sent[at][1])
    return [value * 1_000 for _, value in sorted(closed.items())]


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)

    return {"windows": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": round(ordered[-1], 2)}
