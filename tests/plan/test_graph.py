"""Plans as graphs: the order of their steps, and what names a step across versions of a plan."""

from __future__ import annotations

import polars as pl

import riverrun as rr
from riverrun.kernel.flow import flow_of
from riverrun.plan.nodes import Output, walk
from riverrun.schema import Schema

SCHEMA = {"ts": pl.Datetime("ms"), "symbol": pl.String, "price": pl.Float64}


def feed(schema=SCHEMA):
    return rr.read({name: [] for name in schema}, schema=schema, time="ts", name="trades")


def flow(*streams):
    reads = {read: Schema.of(SCHEMA) for stream in streams for read in walk(stream.node)[:1]}
    return flow_of([Output(stream.node, None) for stream in streams], reads, partitioned=lambda read: False)


def counted(stream, size="10s", **options):
    return stream.group_by("symbol").window(rr.tumbling(size), **options).agg(n=rr.count())


def signature(stream):
    return flow(stream).steps[-1].signature


def test_a_shared_node_stands_once_before_its_children():
    rows = feed().filter(pl.col("price") > 0)
    made = flow(counted(rows), counted(rows, "1m"), rows)
    assert [step.parents for step in made.steps] == [(), (0,), (1,), (1,)]
    assert [at for _, at in made.outputs] == [2, 3, 1]


def test_ids_tell_steps_apart_and_equal_ones_by_their_place():
    rows = feed()
    made = flow(counted(rows), counted(rows, "1m"), counted(rows), counted(rows).late())
    assert [step.id for step in made.steps] == [
        "read trades",
        "aggregate by symbol, tumbling 10s",
        "aggregate by symbol, tumbling 1m",
        "aggregate by symbol, tumbling 10s #2",
        "aggregate by symbol, tumbling 10s #3",
        "late rows",
    ]


def test_an_id_stays_when_other_steps_come():
    before = flow(counted(feed()))
    after = flow(feed().select("price"), counted(feed().filter(pl.col("price") > 0)))
    assert before.steps[-1].id == after.steps[-1].id
    assert before.steps[-1].signature == after.steps[-1].signature


def test_a_signature_changes_with_all_that_the_state_depends_on():
    rows = feed()
    base = signature(counted(rows))
    assert signature(counted(feed())) == base
    assert signature(counted(rows, lateness="1s")) != base
    assert signature(rows.group_by("symbol").window(rr.tumbling("10s")).agg(n=rr.sum("price"))) != base
    assert signature(counted(rows.cast({"price": pl.Float32}))) != base
    assert flow(rows).steps[0].signature == ""


def test_explain_tells_the_other_inputs_of_a_step_below_it():
    trades = rr.read("tcp://localhost:1", format="csv", time="ts")
    quotes = rr.read("tcp://localhost:2", format="csv", time="ts").drop_nulls("bid")
    joined = trades.join_asof(quotes, by="symbol").union(trades).filter(pl.col("bid") > 0)
    assert joined.explain() == (
        "read tcp://localhost:1\n"
        "   format: csv; live\n"
        "   event time: ts, delay: 0s, idle: never\n"
        "└─ join_asof backward on symbol\n"
        "      with read tcp://localhost:2\n"
        "              format: csv; live\n"
        "              event time: ts, delay: 0s, idle: never\n"
        "           └─ drop_nulls bid\n"
        "   └─ union of 2 streams\n"
        "         with read tcp://localhost:1 (as above)\n"
        "      └─ filter bid > 0"
    )
