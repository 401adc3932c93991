"""What goes over the wire, word for word."""

from __future__ import annotations

import json

import polars as pl

from riverrun.charts.view import View
from riverrun.dashboard import wire
from riverrun.dashboard.history import History
from riverrun.runtime.health import Health, SourceHealth, StateHealth, StepHealth

VIEW = View("v", "V", time="at", keys=("k",), statistics=("mean", "n"))


def rows(**extra):
    return pl.DataFrame(
        {"k": ["A", None], "at": [1_000, 3_000], "mean": [1.5, float("nan")], "n": [1, 2], **extra}
    )


def test_a_delta():
    change = History(VIEW).absorb(rows())
    assert wire.delta([change], 5) == (
        b'{"now":5,"views":[{"id":"v","from":0,"keys":[["A"],[null]],"hidden":0,"k":[0,1],'
        b'"t0":1000,"t":[0,2000],"v":[[1.5,null],[1.0,2.0]]}]}'
    )


def test_revisions_and_early_results_are_sent_only_when_there_are_some():
    change = History(VIEW).absorb(rows(revision=[0, 1], final=[False, True]))
    view = json.loads(wire.delta([change], 5))["views"][0]
    assert (view["rev"], view["fin"]) == ([0, 1], [0, 1])


def test_a_snapshot():
    history = History(VIEW)
    history.absorb(rows())
    assert wire.snapshot("e", 7, 5, [history]) == (
        b'{"epoch":"e","seq":7,"now":5,"views":[{"id":"v","keys":[["A"],[null]],"hidden":0,"series":['
        b'{"t0":1000,"t":[0],"v":[[1.5],[1.0]]},{"t0":3000,"t":[0],"v":[[null],[2.0]]}]}]}'
    )


def test_hostile_keys_stay_on_one_line():
    history = History(VIEW)
    change = history.absorb(
        pl.DataFrame({"k": ["a\n\ndata: x\r</script>"], "at": [1], "mean": [1.0], "n": [1]})
    )
    message = wire.event("delta", wire.delta([change], 5), "e:1")
    assert message.count(b"\n") == 4
    assert b"\r" not in message


def test_health_hides_credentials_and_checks_the_accounts():
    good = SourceHealth("s", "tcp://me:secret@host:1", "connected", received=2, applied=2, reasons={"csv": 1})
    bad = SourceHealth("t", "tcp://host:1", "connected", received=3, applied=2, lag_ms=float("inf"))
    state = json.loads(wire.health(Health("p", 1, 0, True, sources=(good, bad)), {"viewers": 1}))
    assert [source["conserved"] for source in state["sources"]] == [True, False]
    assert state["sources"][0]["url"] == "tcp://***@host:1"
    assert state["sources"][0]["reasons"] == {"csv": 1}
    assert state["sources"][1]["lag_ms"] is None
    assert state["dashboard"] == {"viewers": 1}


def test_health_of_the_state_tells_what_is_wrong_and_no_password():
    kept = StateHealth("state", full=True, troubles={"sqlite://me:secret@host/a": "locked"})
    state = json.loads(wire.health(Health("p", 1, 0, True, state=kept), {}))["state"]
    assert (state["folder"], state["full"], state["checkpoint_us"]) == ("state", True, None)
    assert state["warnings"] == [
        "the disk of state is full: nothing is stored or acknowledged; remove something from it, "
        "and it goes on by itself",
        "sqlite://***@host/a takes no results (locked): they wait, and it is tried again",
    ]
    assert state["troubles"] == {"sqlite://***@host/a": "locked"}


def test_what_a_step_warns_of_stands_with_the_warnings_of_the_state():
    kept, step = (
        StateHealth("state", full=True),
        StepHealth("latest", beyond_max_keys=3, warning="too many keys"),
    )
    state = json.loads(wire.health(Health("p", 1, 0, True, steps=(step,), state=kept), {}))
    assert state["warnings"] == [*state["state"]["warnings"], "too many keys"]
    assert state["steps"][0]["beyond_max_keys"] == 3


def test_a_run_without_a_state_has_no_health_of_one():
    assert json.loads(wire.health(Health("p", 1, 0, True), {}))["state"] is None
