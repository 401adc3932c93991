"""Lookup tables of a run: when they are read, by the clock of the run."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

import riverrun as rr
from riverrun.lookups.file import TableFile
from riverrun.lookups.web import KeyUrl, TableUrl
from riverrun.plan.lookup import KeyedLookup, Lookup, OnFailure
from riverrun.plan.nodes import Node, Output, sources_of
from riverrun.plan.stream import Stream
from riverrun.ports import FrameChunk
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Pump
from riverrun.testing import SimulatedWorld
from riverrun.world import WebAnswer, WebRequest

COLUMNS = {"sku": pl.Int64(), "name": pl.String()}


class Work:
    """A job over a feed of keys and a table."""

    def __init__(self, world: SimulatedWorld, made: Callable[[Node], Node], max_keys: int = 1_000) -> None:
        self.world = world
        limits = rr.Limits(max_keys=max_keys)
        feed = rr.read("tcp://localhost:9", format="csv", schema={"sku": pl.Int64}, limits=limits)
        node = made(feed.node)
        (read,) = sources_of(node)
        self.pump = Pump(read, self.world)
        self.out: list[pl.DataFrame] = []
        outputs = [Output(Stream(node).node, None)]
        letters = DeadLetters(self.world)
        self.job = Job(
            "work", outputs, [self.pump], self.world, letters, lambda _, frame: self.out.append(frame)
        )

    def names_of(self, *skus: int) -> list[str | None]:
        chunk = FrameChunk("p", pl.DataFrame({"sku": skus}), 0, self.world.clock.now_us())
        (arrival,) = self.pump.decode([chunk])
        self.job.received(0, [arrival])
        self.job.take(0, [arrival])
        return self.out[-1]["name"].to_list()

    def name_of(self, sku: int) -> str | None:
        (name,) = self.names_of(sku)
        return name


class FileWork(Work):
    """The table is in simulated files."""

    def __init__(self, table: bytes, ttl_us: int | None, on_failure: OnFailure = "stop") -> None:
        world = SimulatedWorld()
        self.world = world
        self.write(table)
        source = TableFile("names.csv")
        super().__init__(
            world, lambda feed: Lookup((feed,), ("sku",), source, COLUMNS, ttl_us, "left", on_failure)
        )

    def write(self, table: bytes) -> None:
        file = self.world.files.open_write("names.csv", append=False)
        file.write(table)
        file.close()


class KeyWork(Work):
    """A server is asked; `says` has its answers."""

    def __init__(self, ttl_us: int | None, on_failure: OnFailure = "stop", max_keys: int = 1_000) -> None:
        self.says: dict[str, bytes | OSError] = {}
        table = KeyUrl("http://shop/{key}", {}, {"name": pl.String()})
        world = SimulatedWorld()
        world.web.answer = self.answer

        def made(feed: Node) -> Node:
            return KeyedLookup((feed,), "sku", table, table.columns, ttl_us, "left", on_failure)

        super().__init__(world, made, max_keys)

    def answer(self, request: WebRequest) -> WebAnswer | OSError:
        said = self.says.get(request.url.removeprefix("http://shop/"))
        return WebAnswer(404) if said is None else said if isinstance(said, OSError) else WebAnswer(200, said)

    @property
    def asked(self) -> list[str]:
        return [request.url.removeprefix("http://shop/") for request in self.world.web.asked]


def test_a_table_is_read_again_when_it_is_old():
    work = FileWork(b"sku,name\n1,old\n", 10_000_000)
    work.write(b"sku,name\n1,new\n")
    assert work.name_of(1) == "old"
    work.world.advance("9s")
    assert work.name_of(1) == "old"
    work.world.advance("1s")
    assert work.name_of(1) == "new"


def test_without_a_time_to_live_it_is_read_once():
    work = FileWork(b"sku,name\n1,old\n", None)
    work.write(b"sku,name\n1,new\n")
    work.world.advance("1d")
    assert work.name_of(1) == "old"


def test_a_table_that_is_gone_or_changed_stops_the_run():
    work = FileWork(b"sku,name\n1,old\n", 1_000_000)
    work.world.advance("1s")
    work.write(b"sku,title\n1,new\n")
    with pytest.raises(rr.SourceError, match="has other columns than when the pipeline was made"):
        work.name_of(1)
    work.world.files.remove("names.csv")
    with pytest.raises(rr.SourceError, match="the lookup table cannot be read"):
        work.name_of(1)


def test_a_table_that_is_gone_can_be_used_on():
    work = FileWork(b"sku,name\n1,old\n", 60_000_000, "stale")
    work.world.advance("60s")
    work.world.files.remove("names.csv")
    assert work.name_of(1) == "old"
    work.write(b"sku,name\n1,new\n")
    work.world.advance("9s")
    assert work.name_of(1) == "old"
    work.world.advance("1s")
    assert work.name_of(1) == "new"


def test_a_table_at_a_url_is_asked_whether_it_has_changed():
    world = SimulatedWorld()
    version = ["v1"]

    def answer(request: WebRequest) -> WebAnswer:
        tag = version[0]
        if request.headers.get("If-None-Match") == tag:
            return WebAnswer(304)
        return WebAnswer(200, f"sku,name\n1,{tag}\n".encode(), {"etag": tag})

    world.web.answer = answer
    table = TableUrl("http://shop/t.csv", {})
    work = Work(world, lambda feed: Lookup((feed,), ("sku",), table, COLUMNS, 1_000_000, "left"))
    world.advance("1s")
    assert work.name_of(1) == "v1"
    version[0] = "v2"
    world.advance("1s")
    assert work.name_of(1) == "v2"
    assert [request.headers.get("If-None-Match") for request in world.web.asked] == [None, "v1", "v1"]


def test_a_key_is_asked_for_again_when_its_answer_is_old():
    work = KeyWork(10_000_000)
    work.says = {"1": b'{"name": "old"}'}
    assert work.names_of(1, 2, 1) == ["old", None, "old"]
    work.says = {"1": b'{"name": "new"}', "2": b'{"name": "two"}'}
    work.world.advance("9s")
    assert work.names_of(1, 2) == ["old", None]
    assert work.asked == ["1", "2"]
    work.world.advance("1s")
    assert work.names_of(1, 2, 3) == ["new", "two", None]
    assert work.asked == ["1", "2", "1", "2", "3"]


def test_a_server_that_says_nothing_stops_the_run():
    work = KeyWork(None)
    work.says = {"1": OSError(111, "Connection refused")}
    with pytest.raises(rr.SourceError) as caught:
        work.name_of(1)
    assert str(caught.value) == (
        "lookup left on sku in http://shop/{key}: nothing is known of 1: connection refused\n"
        '  try: on_failure="stale" or "null" goes on without an answer'
    )


def test_an_answer_of_other_types_is_none():
    work = KeyWork(None)
    work.says = {"1": b'{"name": [1, 2]}'}
    with pytest.raises(rr.SourceError, match="nothing is known of 1: 'name' is no String"):
        work.name_of(1)


@pytest.mark.parametrize(("on_failure", "meanwhile"), [("stale", "old"), ("null", None)])
def test_a_server_that_says_nothing_is_asked_again_soon(on_failure: OnFailure, meanwhile: str | None):
    work = KeyWork(60_000_000, on_failure)
    work.says = {"1": b'{"name": "old"}'}
    assert work.name_of(1) == "old"
    work.says = {"1": OSError(111, "Connection refused"), "2": OSError(111, "Connection refused")}
    work.world.advance("60s")
    assert work.names_of(2, 1) == [None, meanwhile]
    work.says = {"1": b'{"name": "new"}', "2": b'{"name": "two"}'}
    work.world.advance("8s")
    assert work.names_of(1, 2) == [meanwhile, None]
    work.world.advance("2s")
    assert work.names_of(1, 2) == ["new", "two"]


def test_keys_that_were_asked_for_long_ago_are_forgotten():
    work = KeyWork(None, max_keys=3)
    assert work.names_of(1, 2, 3) == [None] * 3
    work.says = {str(sku): b'{"name": "new"}' for sku in range(10)}
    # 1 is needed just now, so 2 has to go.
    assert work.names_of(1, 4) == [None, "new"]
    assert work.asked == ["1", "2", "3", "4"]
    assert work.names_of(3) == [None]
    assert work.names_of(2) == ["new"]
    assert work.asked == ["1", "2", "3", "4", "2"]


def test_more_keys_at_once_than_are_remembered():
    work = KeyWork(None, max_keys=3)
    work.says = {str(sku): b'{"name": "%d"}' % sku for sku in range(10)}
    assert work.names_of(*range(10)) == [str(sku) for sku in range(10)]
    assert work.name_of(5) == "5"
