"""What a server has said of a key stays said, whatever crashes: results do not change behind anybody's back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import polars as pl
import pytest

import riverrun as rr
from riverrun.runtime.durable import Durable
from riverrun.runtime.log import Applied, Ended, Received, Ticked
from riverrun.world import WebAnswer, WebRequest
from tests.simulation.pipelines import Results, sources
from tests.simulation.test_whole_runs import Play, same


def lookups() -> Results:
    files, hosts = sources()
    said = {"said": pl.Int64}
    sums = files.group_by("key").window(rr.tumbling("5s")).agg(n=rr.count(), sum=rr.sum("x"))
    # Keys come again, and new ones come all the time.
    whole = pl.col("x").cast(pl.Int64) % 100
    return {
        "hosts": hosts.with_columns(sku=whole).lookup("http://shop/{key}", on="sku", schema=said),
        "files": files.with_columns(sku=whole).lookup("http://shop/{key}", on="sku", schema=said, how="inner"),
        "behind": sums.with_columns(sku=pl.col("n").cast(pl.Int64)).lookup(
            "http://shop/behind/{key}", on="sku", schema=said
        ),
    }


class Told(Play):
    """A world whose server says something else each time it is asked."""

    def __init__(self, seed: int, *, faults: bool, kind: type[Durable] = Durable) -> None:
        self.answers = 0
        super().__init__(seed, lookups, faults=faults, kind=kind)
        self.world.web.answer = self.answer

    def answer(self, request: WebRequest) -> WebAnswer:
        self.answers += 1
        return WebAnswer(200, b'{"said": %d}' % self.answers)


def check(seed: int, kind: type[Durable] = Durable) -> int:
    """How often the process has begun."""
    expected = Told(seed, faults=False)
    expected.play()
    played = Told(seed, faults=True, kind=kind)
    played.play()
    for name, rows in played.results().items():
        said: dict[object, set[object]] = defaultdict(set)
        for row in rows:
            said[row["sku"]].add(row.pop("said"))
        plain = [{k: v for k, v in row.items() if k != "said"} for row in expected.results()[name]]
        assert same(rows, plain), f"seed {seed}: {name} has other rows"
        again = {key: values for key, values in said.items() if len(values) > 1}
        assert not again, f"seed {seed}: in {name}, what was said changed: {again}"
    return played.run.lives


@pytest.mark.parametrize("first", range(0, 16, 4))
def test_what_was_said_stays_said(first: int) -> None:
    lives = [check(seed) for seed in range(first, first + 4)]
    assert sum(lives) > len(lives), "nothing went wrong, so nothing was proven"


class ForgetsWhatWasSaid(Durable):
    """Writes down what was applied, and not what tables said meanwhile."""

    def _append(self, record: Received | Applied | Ticked | Ended) -> int:
        if isinstance(record, (Applied, Ticked, Ended)):
            record = replace(record, said=())
        return super()._append(record)


def test_a_run_that_forgets_is_found() -> None:
    """The negative control."""
    for seed in range(30):
        try:
            check(seed, kind=ForgetsWhatWasSaid)
        except AssertionError:
            return
    raise AssertionError("no seed of 30 has found it")
