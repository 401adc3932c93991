"""The whole dashboard over a real loopback socket: snapshot, deltas, coming back, slow viewers, stopping."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.clock import SystemClock
from riverrun.dashboard import Dashboard
from riverrun.errors import ConfigError, MissingExtraError
from tests.dashboard.conftest import open_stream
from tests.dashboard.driver import MARKET, FakeHealth, Market


def make(address):
    clock = SystemClock()
    return Dashboard(address, title="market", views=[MARKET], health=FakeHealth(clock), clock=clock)


def values(data):
    return data["views"][0]["v"][0]


def test_a_snapshot_then_deltas(served):
    market = Market(["A", "B"], start_us=0)
    with open_stream(served.port) as events:
        _, _, hello = events.next("hello")
        assert hello["resumed"] is False
        old = market.steps(3)
        served.dashboard.publish(MARKET.id, old)
        identity, _, delta = events.next("delta")
        assert values(delta) == old["mean"].to_list()
        _, _, body = served.ask("/api/snapshot")
        snapshot = json.loads(body)
        assert snapshot["epoch"] == hello["epoch"]
        assert f"{snapshot['epoch']}:{snapshot['seq']}" >= identity
        assert snapshot["views"][0]["keys"] == [["A"], ["B"]]
        assert [len(series["t"]) for series in snapshot["views"][0]["series"]] == [3, 3]
        new = market.step()
        served.dashboard.publish(MARKET.id, new)
        _, _, delta = events.next("delta")
        assert values(delta) == new["mean"].to_list()
        assert delta["views"][0]["keys"] == []


def test_a_viewer_that_comes_back_gets_only_what_it_missed(served):
    market = Market(["A"], start_us=0)
    with open_stream(served.port) as events:
        served.dashboard.publish(MARKET.id, market.step())
        identity, _, _ = events.next("delta")
    missed = market.step()
    served.dashboard.publish(MARKET.id, missed)
    with open_stream(served.port, after=identity) as events:
        hello_id, _, hello = events.next("hello")
        assert hello["resumed"] is True
        assert hello_id == identity
        _, _, delta = events.next("delta")
        assert values(delta) == missed["mean"].to_list()


def test_after_a_restart_a_viewer_starts_anew(serve):
    first, second = serve(), serve()
    with open_stream(first.port) as events:
        identity, _, _ = events.next("health")
    with open_stream(second.port, after=identity) as events:
        assert events.next("hello")[2]["resumed"] is False


def test_a_viewer_that_does_not_read_holds_up_nobody(served):
    market = Market([f"K{i}" for i in range(100)], start_us=0)
    with open_stream(served.port, receive_bytes=4_096), open_stream(served.port) as quick:
        quick.next("hello")
        for _ in range(8):
            frame = market.steps(20)
            served.dashboard.publish(MARKET.id, frame)
            _, _, delta = quick.next("delta")
            assert delta["views"][0]["id"] == MARKET.id
    assert served.ask("/live")[0] == 200


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells which sockets are left")
def test_a_viewer_that_stops_reading_is_cut_off_with_its_socket(serve):
    served = serve(patience_s=0.5)
    market = Market([f"K{i}" for i in range(100)], start_us=0)
    with open_stream(served.port, receive_bytes=4_096), open_stream(served.port) as quick:
        quick.next("hello")
        assert sockets_of(served.port) == 2
        end = time.monotonic() + 20
        while sockets_of(served.port) > 1:
            assert time.monotonic() < end, "a stalled viewer keeps its socket"
            served.dashboard.publish(MARKET.id, market.steps(20))
            quick.next("delta", "reset")


def sockets_of(port: int) -> int:
    """Connections that the system still keeps at a port, also those that wait to be closed."""
    entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listens, waits_in_vain = "0A", "06"
    return sum(
        entry[1].endswith(f":{port:04X}") and entry[3] not in (listens, waits_in_vain) for entry in entries
    )


def test_a_burst_is_sent_as_a_snapshot(served):
    with open_stream(served.port) as events:
        events.next("hello")
        served.dashboard.publish(MARKET.id, Market([f"K{i}" for i in range(100)], start_us=0).steps(100))
        events.next("reset")
    assert len(json.loads(served.ask("/api/snapshot")[2])["views"][0]["keys"]) == 100


def test_health_comes_by_itself(served):
    served.health.advance(5, 1.0, 1_000_000)
    with open_stream(served.port) as events:
        _, _, health = events.next("health")
    assert health["sources"][0]["received"] == 98_400
    assert health["sources"][0]["conserved"] is True
    assert health["dashboard"]["viewers"] == 1


def test_other_answers(served):
    assert served.ask("/live")[::2] == (200, b"live\n")
    assert served.ask("/ready")[::2] == (200, b"ready\n")
    served.health.running = False
    assert served.ask("/ready")[::2] == (503, b"the pipeline is not running\n")
    assert json.loads(served.ask("/api/health")[2])["name"] == "market"
    page = json.loads(served.ask("/api/page")[2])
    assert page["title"] == "market"
    assert [chart["statistic"] for chart in page["charts"]] == list(MARKET.statistics)


def test_files_and_snapshots_are_compressed_and_the_stream_is_not(served):
    plain = served.ask("/static/bokeh.min.js")[2]
    status, headers, body = served.ask("/static/bokeh.min.js", headers={"Accept-Encoding": "gzip"})
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == plain
    assert len(body) < 450_000
    assert served.ask("/api/snapshot", headers={"Accept-Encoding": "gzip"})[1]["content-encoding"] == "gzip"
    assert (
        served.ask("/static/page.css", headers={"If-None-Match": served.ask("/static/page.css")[1]["etag"]})[0]
        == 304
    )
    assert "content-encoding" not in served.ask("/api/stream", "HEAD", {"Accept-Encoding": "gzip"})[1]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/app.py", "/static/", "/etc/passwd"]
)
def test_only_known_files_are_served(served, path):
    assert served.ask(path)[0] == 404


def test_publishing_is_cheap_and_checks_the_name(served):
    frame = Market(["A"], start_us=0).step()
    took = []
    for _ in range(1_000):
        start = time.perf_counter()
        served.dashboard.publish(MARKET.id, frame)
        took.append(time.perf_counter() - start)
    assert sorted(took)[500] < 100e-6
    with pytest.raises(KeyError):
        served.dashboard.publish("other", frame)


def test_publishing_from_many_threads_loses_nothing(served):
    def feed(n):
        market = Market([f"K{n}"], start_us=0)
        for _ in range(50):
            served.dashboard.publish(MARKET.id, market.step())

    with open_stream(served.port) as events:
        threads = [threading.Thread(target=feed, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        rows = 0
        while rows < 200:
            rows += len(events.next("delta")[2]["views"][0]["t"])
        for thread in threads:
            thread.join()
    assert rows == 200


def test_a_frame_that_cannot_be_shown_stops_nothing(served, caplog):
    with open_stream(served.port) as events:
        served.dashboard.publish(MARKET.id, pl.DataFrame({"nonsense": [1]}))
        events.next("health")
        served.dashboard.publish(MARKET.id, Market(["A"], start_us=0).step())
        events.next("delta")
    assert "results of view 'per_symbol' cannot be shown" in caplog.text
    assert json.loads(served.ask("/api/health")[2])["dashboard"]["failures"] == 1


def test_stopping_ends_streams_quickly(served):
    with open_stream(served.port) as events:
        events.next("hello")
        start = time.perf_counter()
        served.dashboard.stop()
        assert time.perf_counter() - start < 3.0
        with pytest.raises(EOFError):
            events.next("never")
    served.dashboard.stop()


def test_the_last_results_are_sent_before_the_end(served):
    with open_stream(served.port) as events:
        events.next("hello")
        served.dashboard.publish(MARKET.id, Market(["A"], start_us=0).step())
        served.dashboard.stop()
        assert events.next("delta")


def test_a_port_in_use_is_said(served):
    with pytest.raises(ConfigError, match=f"port {served.port} is already in use by another program"):
        make(("127.0.0.1", served.port)).start()


def test_a_wide_address_is_refused_before_anything_listens():
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        make("0.0.0.0:0")


def test_without_its_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(MissingExtraError) as caught:
        make("127.0.0.1:0")
    assert str(caught.value) == (
        "the dashboard needs the package 'starlette', which is not installed\n"
        "  try: pip install 'riverrun[dashboard]'"
    )


def test_importing_the_dashboard_imports_no_web_server():
    import subprocess

    names = "('starlette', 'uvicorn', 'bokeh')"
    code = f"import sys, riverrun.dashboard; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_opens_its_page_to_other_machines_only_when_told(caplog):
    rows = rr.read({"x": [1.0]})
    with pytest.raises(rr.ConfigError, match="can be reached from other machines"):
        rr.run(rows, dashboard="0.0.0.0:0")
    summary = rr.run(rows, dashboard="0.0.0.0:0", allow_unauthenticated=True)
    assert summary.rows == 1
    assert "can be seen by everybody" in caplog.text
