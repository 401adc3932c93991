"""The listings, and `riverrun doctor`."""

from __future__ import annotations

from riverrun.registry import FORMATS, SINKS, SOURCES
from tests.cli.calling import Call


def test_lists_name_everything(call: Call) -> None:
    for command, table in (("sources", SOURCES), ("sinks", SINKS), ("formats", FORMATS)):
        out = call(command).out
        assert all(f"  {name} " in out for name in table), command


def test_one_component_with_its_settings(call: Call) -> None:
    out = call("sources", "tcp").out
    assert "reconnect (bool, default True)" in out
    assert "port (int, required)" in out
    assert "pip install 'riverrun[duckdb]'" in call("sinks", "duckdb").out
    assert "separator" in call("formats", "csv").out


def test_every_component_can_be_shown(call: Call) -> None:
    for command, table in (("sources", SOURCES), ("sinks", SINKS), ("formats", FORMATS)):
        for name in table:
            done = call(command, name)
            assert done.code == 0, (command, name)
            assert len(done.out) > 100, (command, name)


def test_aggregates(call: Call) -> None:
    out = call("aggregates").out
    assert "quantile(x, q, error=0.01)" in out
    assert "cov(x, y, ddof=0)" in out
    assert ">>> " in call("aggregates", "mean").out


def test_unknown_names(call: Call) -> None:
    assert "there is no aggregate 'meen'\n  try: did you mean 'mean'?" in call("aggregates", "meen").err
    assert "there is no source 'tpc'\n  try: did you mean 'tcp'?" in call("sources", "tpc").err
    assert call("sinks", "nope").code == 2


def test_doctor(call: Call) -> None:
    done = call("doctor")
    assert done.code == 0
    assert "loopback self-test 1,000 rows over TCP into" in done.out
    assert done.out.endswith("result: ok\n")
