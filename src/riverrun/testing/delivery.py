"""The law of exactly-once sinks: whatever crashes, every row is in the target once, in order.

Written once and run on every `DurableSink`, those of users included.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from riverrun.ports import DurableSink, DurableWriter, Remembered
from riverrun.runtime.real_world import RealWorld
from riverrun.world import World

#: The columns that are written.
SCHEMA: dict[str, pl.DataType] = {"key": pl.Int64(), "unit": pl.Int64(), "row": pl.Int64(), "text": pl.String()}
KEYS = ("key",)
STREAM = "state-1/results"

#: Units that one history hands over.
UNITS = 24
_UNIT_ROWS_MAX = 7
_TEXTS = ("", "a", 'quoted "x"', "comma, and\nline end", "=1+1", "Ω", None)


def check_exactly_once(
    target: Callable[[int], DurableSink],
    read: Callable[[DurableSink], pl.DataFrame],
    *,
    upsert: bool = False,
    earlier_rows: bool = True,
    abandon: Callable[[DurableWriter], None] | None = None,
    world: World | None = None,
    histories: int = 30,
    seed: int = 0,
) -> None:
    """Check that a sink takes every row exactly once, through random histories of writes, commits and crashes.

    Each history has a new target, often with rows of somebody else in it. Units are handed over in frames cut
    anywhere; in between come flushes, commits, and crashes: the writer is left as it is and another one is
    opened, with the last mark or an older one, and gets all units after its `delivered` again. After each
    opening and at the end the target is read: what was there before is untouched, nothing is missing, nothing
    is doubled, the order is kept.

    Parameters
    ----------
    target : the sink for the n-th history, whose target nobody has written to yet.
    read : all rows of a target: columns ``key``, ``unit``, ``row`` (integers) and ``text``, whatever order they
        are in.
    upsert : whether the sink replaces rows with equal ``key``; then their order does not count.
    earlier_rows : whether somebody else may have written to the target before, through the plain writer.
    abandon : what a crash does to a writer. Nothing, unless it holds a lock that the next one needs. Abandoned
        writers are closed at the end, which must not change anything either.
    histories : how many.
    seed : of all chance in it.

    Raises
    ------
    AssertionError : naming the history, what happened in it, and the rows that are wrong.

    >>> import tempfile
    >>> from riverrun.sinks.jsonl import JsonlSink
    >>> folder = tempfile.mkdtemp()
    >>> check_exactly_once(
    ...     lambda n: JsonlSink(f"{folder}/{n}.jsonl"), lambda sink: pl.read_ndjson(sink.path), histories=3
    ... )
    """
    for number in range(histories):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - chance that can be repeated
        earlier = _rows(-1, chance.choice([0, 3]) if earlier_rows else 0)
        history = _History(target(number), read, chance, earlier, upsert, abandon, world or RealWorld())
        try:
            history.play()
        except AssertionError as error:
            told = "\n  ".join(history.told)
            raise AssertionError(
                f"history {number} of seed {seed}: {error}\nwhat happened:\n  {told}"
            ) from None
        finally:
            history.give_back()


class _History:
    """One target from its first opening to the last look at it."""

    def __init__(
        self,
        sink: DurableSink,
        read: Callable[[DurableSink], pl.DataFrame],
        chance: random.Random,
        earlier: pl.DataFrame,
        upsert: bool,
        abandon: Callable[[DurableWriter], None] | None,
        world: World,
    ) -> None:
        self.told: list[str] = []
        self._sink = sink
        self._read = read
        self._chance = chance
        self._upsert = upsert
        self._abandon = abandon
        self._world = world
        self._opened: list[DurableWriter] = []
        self._units = _units(chance)
        self._earlier = earlier
        self._marks: list[tuple[int, Remembered]] = []  # with the last unit that was handed over then
        self._handed_over = -1

    def play(self) -> None:
        self._write_earlier()
        writer = self._open(None)
        self._keep(writer)
        while self._handed_over < self._units[-1][0]:
            writer = self._go_on(writer)
        self._keep(writer)
        writer.close()
        writer.close()
        self._check_target(self._units[-1][0], "at the end")
        self.give_back()
        self._check_target(self._units[-1][0], "after the abandoned writers were closed")

    def give_back(self) -> None:
        for writer in self._opened:
            writer.close()
        self._opened.clear()

    def _write_earlier(self) -> None:
        if self._earlier.height:
            self.told.append(f"somebody else writes {self._earlier.height} rows")
            writer = self._sink.open(self._world, SCHEMA, KEYS)
            writer.write(self._earlier)
            writer.close()

    def _go_on(self, writer: DurableWriter) -> DurableWriter:
        what = self._chance.choices(["write", "flush", "commit", "crash"], [10, 2, 5, 2])[0]
        if what == "write":
            return self._write(writer)
        if what == "flush":
            self.told.append("flush")
            writer.flush()
            return writer
        if what == "commit":
            self._keep(writer, noted=self._chance.random() < 0.6)
            return writer
        return self._crash(writer)

    def _write(self, writer: DurableWriter) -> DurableWriter:
        unit, rows = next((unit, rows) for unit, rows in self._units if unit > self._handed_over)
        frames = _cut(rows, self._chance)
        crash_after = self._chance.randrange(len(frames)) if self._chance.random() < 0.1 else None
        for at, frame in enumerate(frames):
            self.told.append(f"unit {unit}: rows {frame['row'].to_list()}")
            writer.write(unit, frame)
            if at == crash_after:
                return self._crash(writer)
        self._handed_over = unit
        return writer

    def _keep(self, writer: DurableWriter, *, noted: bool = True) -> None:
        mark = writer.commit()
        self.told.append(f"commit: {dict(mark)}{'' if noted else ', a crash will find an older mark'}")
        written: Any = json.loads(json.dumps(mark))
        assert written == dict(mark), f"the mark {mark} comes back from JSON as {written}"
        if noted:
            self._marks.append((self._handed_over, written))

    def _crash(self, writer: DurableWriter) -> DurableWriter:
        if self._abandon is not None:
            self._abandon(writer)
        if len(self._marks) > 1 and self._chance.random() < 0.3:
            self._marks.pop()  # the checkpoint itself was lost
        unit, mark = self._marks[-1]
        self.told.append(f"crash; opened with the mark of unit {unit}")
        writer = self._open(mark)
        delivered = writer.delivered
        self.told.append(f"delivered: {delivered}")
        assert delivered >= unit, f"unit {unit} was committed, but only {delivered} is said to be delivered"
        assert delivered <= self._handed_over, f"unit {delivered} was never handed over as a whole"
        self._handed_over = delivered
        self._check_target(delivered, "after the opening")
        return writer

    def _open(self, mark: Remembered | None) -> DurableWriter:
        writer = self._sink.open_durable(self._world, SCHEMA, KEYS, stream=STREAM, mark=mark)
        self._opened.append(writer)
        return writer

    def _check_target(self, last_unit: int, when: str) -> None:
        found = self._read(self._sink).select(*SCHEMA)
        expected = [self._earlier, *(rows for unit, rows in self._units if unit <= last_unit)]
        _check_equal(found, pl.concat(expected), self._upsert, when)


def _units(chance: random.Random) -> list[tuple[int, pl.DataFrame]]:
    """Units with growing numbers, some of them without a row."""
    numbers = sorted(chance.sample(range(UNITS * 3), UNITS))
    return [(number, _rows(number, chance.randint(0, _UNIT_ROWS_MAX))) for number in numbers]


def _rows(unit: int, height: int) -> pl.DataFrame:
    rows = [(unit % 10 * 10 + row, unit, row, _TEXTS[(unit + row) % len(_TEXTS)]) for row in range(height)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _cut(rows: pl.DataFrame, chance: random.Random) -> list[pl.DataFrame]:
    cuts = sorted({0, rows.height, *(chance.randint(0, rows.height) for _ in range(chance.randint(0, 2)))})
    pieces = [rows.slice(start, end - start) for start, end in itertools.pairwise(cuts)]
    return pieces or [rows]


def _check_equal(found: pl.DataFrame, expected: pl.DataFrame, upsert: bool, when: str) -> None:
    if upsert:
        expected = expected.unique(subset=list(KEYS), keep="last")
        found, expected = found.sort(KEYS), expected.sort(KEYS)
    have, want = found.rows(), expected.rows()
    if have == want:
        return
    missing, extra = _without(want, have), _without(have, want)
    if missing or extra:
        raise AssertionError(f"{when}: missing {missing[:5] or 'nothing'}, too many {extra[:5] or 'nothing'}")
    raise AssertionError(f"{when}: all rows are there, but in another order: {have[:10]}")


def _without(rows: Sequence[tuple[Any, ...]], others: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    left = list(others)
    missing = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            missing.append(row)
    return missing
