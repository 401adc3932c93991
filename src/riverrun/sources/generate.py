"""Made-up rows, the same for the same seed: for first steps, demonstrations and load."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from riverrun.component import setting
from riverrun.errors import ConfigError, did_you_mean
from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.defaults import Defaults
from riverrun.sources.made_up import DATASETS, Memory
from riverrun.world import World

#: Rows a second when neither `rows` nor `rate` is given.
DEFAULT_RATE = 1_000.0
#: Event time between rows that are not paced.
STEP_US = 10_000
#: Rows handed out at a time, at most, and their bytes in memory, about.
FRAME_ROWS = 65_536
ROW_BYTES = 64
#: Rows made at a time, at least.
BLOCK_ROWS_MIN = 1_024
#: Paced rows are handed out so far apart at least: a frame costs more than its rows when they are few.
TICK_US = 5_000
#: The first event time when nothing is said.
START_US = 1_735_689_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Generate(Defaults):
    """Make rows up: trades, sensors or clicks.

    The same settings give the same rows, however they are cut into frames. Without `rate` rows come as
    fast as they are taken, 10 ms of event time apart; with it they come at that pace, in event time too.

    Raises `ConfigError` for an unknown name or impossible settings.

    >>> from riverrun.testing.simulated_world import SimulatedWorld
    >>> reader = Generate("trades", rows=2).open(SimulatedWorld(), Limits())
    >>> reader.poll(1_000_000)[0].frame.columns
    ['ts', 'symbol', 'price', 'size', 'side']
    """

    name: str = setting(help="what to make up: " + ", ".join(DATASETS), example="trades")
    rows: int | None = setting(None, help="end after so many rows; without it, go on for ever")
    rate: float | None = setting(
        None, help="rows a second; without it 1000, or as fast as can be when `rows` is given"
    )
    seed: int = setting(0, help="another seed, other rows")
    start: str | None = setting(
        None,
        help="first event time: now, or an instant; without it now when paced, else 2025-01-01",
        example="2026-01-01T00:00:00Z",
    )

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            raise ConfigError(
                f"there is no generator {self.name!r}",
                where="generate:",
                hint=did_you_mean(self.name, DATASETS),
            )
        if self.rows is not None and self.rows < 0:
            raise ConfigError(f"rows cannot be negative, got {self.rows}", where=self.url)
        if self.rate is not None and not self.rate > 0:
            raise ConfigError(f"a rate is positive, got {self.rate!r}", where=self.url, hint="rate=1000")
        self._start_us(now_us=0)

    @property
    def url(self) -> str:
        given = {"rows": self.rows, "rate": self.rate, "seed": self.seed or None, "start": self.start}
        query = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
        return f"generate:{self.name}?{query}" if query else f"generate:{self.name}"

    @property
    def bounded(self) -> bool:
        return self.rows is not None

    @property
    def replayable(self) -> bool:
        """The rows can be made again."""
        return True

    @property
    def format_hint(self) -> str | None:
        return "frame"

    def open(self, world: World, limits: Limits) -> GenerateReader:  # noqa: ARG002
        rate = self.rate if self.rate is not None or self.rows is not None else DEFAULT_RATE
        return GenerateReader(world, self, rate, self._start_us(world.clock.now_us(), paced=rate is not None))

    def _start_us(self, now_us: int, *, paced: bool = False) -> int:
        if self.start is None:
            return now_us if paced else START_US
        if self.start == "now":
            return now_us
        try:
            moment = datetime.fromisoformat(self.start)
        except (ValueError, TypeError):
            raise ConfigError(
                f"not an instant: {self.start!r}",
                where=f"generate:{self.name}, start",
                hint="2026-01-01T00:00:00Z",
            ) from None
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (zoned - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Origin:
    """From where rows can be made again: the number of a row, and what those before it left behind."""

    row: int
    memory: Memory


class GenerateReader:
    """Makes rows when polled; with a rate, those that are due."""

    def __init__(self, world: World, source: Generate, rate: float | None, start_us: int) -> None:
        self._world = world
        self._source = source
        self._rate = rate
        self._start_us = start_us
        self._step_us = STEP_US if rate is None else 1_000_000 / rate
        self._made = 0
        self._make = DATASETS[source.name].start(source.seed)
        self._memory = DATASETS[source.name].memory
        self._origins: deque[_Origin] = deque()
        self._block = self._make_block(0, 0)
        self._block_rows = FRAME_ROWS if rate is None else min(FRAME_ROWS, max(BLOCK_ROWS_MIN, round(rate)))
        self._begun_us = world.clock.monotonic_us()
        self._next_us = self._begun_us
        self._finished = False

    def poll(self, max_bytes: int) -> Sequence[FrameChunk]:
        if self._finished:
            return ()
        count = min(self._due(), FRAME_ROWS, max(1, max_bytes // ROW_BYTES))
        self._finished = self._source.rows is not None and self._made + count >= self._source.rows
        if not count and not self._finished:
            return ()
        chunk = FrameChunk(
            self._source.name, self._rows(count), self._made, self._world.clock.now_us(), end=self._finished
        )
        self._made += count
        return (chunk,)

    def wait(self) -> Wait:
        if self._rate is None:
            return Wait(until_us=self._world.clock.monotonic_us())
        due_us = self._begun_us + round(self._made * self._step_us)
        return Wait(until_us=max(due_us, self._next_us))

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def status(self) -> str:
        if self._finished:
            return f"made {self._made:,} rows"
        return "making rows" if self._rate is None else f"making {self._rate:,.0f} rows/s"

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def bookmark(self) -> Remembered:
        while len(self._origins) > 1 and self._origins[1].row <= self._made:
            self._origins.popleft()
        origin = self._origins[0]
        return {
            "rows": self._made,
            "start_us": self._start_us,
            "finished": self._finished,
            "origin_row": origin.row,
            "memory": list(origin.memory),
        }

    def resume(self, bookmark: Remembered) -> None:
        self._start_us = bookmark["start_us"]
        self._made = bookmark["rows"]
        self._finished = bookmark["finished"]
        self._memory = tuple(bookmark["memory"])
        self._origins.clear()
        self._make_block(bookmark["origin_row"], self._made - bookmark["origin_row"])
        self._block = self._make_block(self._made, 0)
        self._go_on_at_pace()

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> FrameChunk:
        note = chunk if isinstance(chunk, ChunkNote) else ChunkNote.of(chunk)
        assert note.position == self._made
        rows = self._rows(note.length)
        self._made += note.length
        self._finished = note.end
        self._go_on_at_pace()
        return note.with_rows(rows)

    def _go_on_at_pace(self) -> None:
        """The next row is due now, whatever time has passed since the last one."""
        self._begun_us = self._world.clock.monotonic_us() - round(self._made * self._step_us)

    def close(self) -> None:
        self._finished = True

    def _due(self) -> int:
        """How many rows may be made by now; the first one at once."""
        left = FRAME_ROWS if self._source.rows is None else max(0, self._source.rows - self._made)
        if self._rate is None:
            return left
        now_us = self._world.clock.monotonic_us()
        elapsed_us = now_us - self._begun_us
        if now_us < self._next_us:
            return 0
        self._next_us = now_us + TICK_US
        return min(left, int(elapsed_us / self._step_us) + 1 - self._made)

    def _rows(self, count: int) -> pl.DataFrame:
        """The next rows. They are made in blocks: a few at a time would cost hundreds of times as much."""
        if self._block.height < count:
            first = self._made + self._block.height
            block = self._make_block(first, max(count - self._block.height, self._block_rows))
            self._block = pl.concat([self._block, block]) if self._block.height else block
        rows, self._block = self._block.head(count), self._block.slice(count)
        return rows

    def _make_block(self, first: int, count: int) -> pl.DataFrame:
        if len(self._origins) > 1 and self._origins[1].row <= self._made:
            self._origins.popleft()
        self._origins.append(_Origin(first, self._memory))
        numbers = pl.int_range(first, first + count, dtype=pl.UInt64, eager=True)
        instants = (numbers.cast(pl.Float64) * self._step_us).round().cast(pl.Int64) + self._start_us
        self._memory, rows = self._make(self._memory, numbers, instants.cast(pl.Datetime("us", "UTC")))
        return rows
