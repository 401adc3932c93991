"""Runs with ``state=``: they go on where the last one stood, and refuse what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.errors import SinkUnavailable, StateError
from riverrun.plan.nodes import Output
from riverrun.plan.stream import Stream
from riverrun.runtime.health import Health
from riverrun.runtime.run import run_outputs
from riverrun.runtime.stop import Stop
from riverrun.runtime.summary import Summary

SCHEMA = {"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(first: int, last: int) -> str:
    return "".join(f"{second},{'ab'[second % 2]},{second * 1.5}\n" for second in range(first, last))


def feed(**options: object) -> Stream:
    schema = options.pop("schema", SCHEMA)
    return rr.read("file:in.csv", format=rr.Csv(header=False), schema=schema, time="ts", **options)


def means(**options: object) -> Stream:
    return feed(**options).group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), mean=rr.mean("x"))


def run_until(rows: int, *outputs: Output, state: object = "state") -> Summary:
    """Run until so many rows, those of earlier runs included, have been applied."""
    stop = Stop()

    def look(health: Health) -> None:
        if health.sources[0].applied >= rows:
            stop.now("test")

    return run_outputs(outputs, state=state, stop=stop, watcher=look, until="20s")  # type: ignore[arg-type]


def written() -> list[str]:
    return Path("out.csv").read_text().splitlines()[1:]


def test_a_run_goes_on_where_the_last_one_stood(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    first = run_until(15, means(follow=True).write("csv:out.csv"))
    assert (first.rows, first.stopped_by) == (15, "test")
    # The window of seconds 10 to 20 is open, and stays so.
    assert [row.split(",")[3] for row in written()] == ["5", "5"]
    with Path("in.csv").open("a") as file:
        file.write(lines(15, 21))
    second = run_until(21, means(follow=True).write("csv:out.csv"))
    assert second.rows == 21
    whole = means().collect()
    assert [float(row.split(",")[4]) for row in written()] == whole["mean"].to_list()[:4]


def test_an_input_that_has_ended_is_not_read_twice(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 40))
    for _ in range(2):
        summary = rr.run(means().write("csv:out.csv"), state="state")
        assert (summary.rows, summary.results, summary.stopped_by) == (40, 8, "end of input")
    assert len(written()) == 8


def test_what_was_inferred_stays(folder: Path) -> None:
    Path("in.csv").write_text("ts,key,x\n" + lines(0, 15))
    stream = rr.read("file:in.csv", follow=True, schema=None, time="ts")
    sums = stream.group_by("key").window(rr.tumbling("1h")).agg(x=rr.sum("x"))
    Path("in.csv").write_text("ts,key,x\n2026-01-01T00:00:00Z,a,1\n")
    run_until(1, sums.write("csv:out.csv"))
    with Path("in.csv").open("a") as file:
        file.write("2026-01-01T00:00:01Z,a,2.5\n2026-01-01T02:00:00Z,a,7\n")
    summary = run_until(2, sums.write("csv:out.csv"))
    # The first row made x a column of integers, so 2.5 is none of its values.
    assert summary.sources[0].reasons == {"schema": 1}
    assert written() == ["a,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,1"]


def test_dead_letters_are_in_the_state(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 5) + "nonsense\n" + lines(5, 10))
    rr.run(means().write("csv:out.csv"), state="state")
    from riverrun.runtime.real_world import RealWorld
    from riverrun.state.store import Store

    with Store.open("state", RealWorld(), create=False) as store:
        (letter,) = store.dead_letters.list()
        assert (letter.reason, letter.record, letter.form) == ("csv", b"nonsense", "record")


def changed(make: Callable[[], Stream], state: object = "state") -> str:
    Path("in.csv").write_text(lines(0, 40))
    run_until(40, means(follow=True).write("csv:out.csv"))
    with pytest.raises(StateError) as raised:
        run_until(40, make().write("csv:out.csv"), state=state)
    return str(raised.value)


def test_a_changed_step_is_refused_by_name(folder: Path) -> None:
    def other() -> Stream:
        return feed(follow=True).group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), top=rr.max("x"))

    text = changed(other)
    assert "the step 'aggregate by key, tumbling 10s' has changed" in text
    assert "drop=['aggregate by key, tumbling 10s']" in text


def test_a_step_that_is_gone_is_refused_by_name(folder: Path) -> None:
    text = changed(lambda: feed(follow=True))
    assert "the state holds the step 'aggregate by key, tumbling 10s', which the pipeline does not have" in text


def test_a_changed_schema_is_refused(folder: Path) -> None:
    text = changed(lambda: means(follow=True, schema={**SCHEMA, "x": pl.Int64}))
    assert text == (
        "file:in.csv: the schema of the source is another one than when its state was written: x was Float64\n"
        "  try: begin with a new state folder, give the source another name=, or declare the old schema"
    )


def test_the_state_of_a_step_may_be_dropped(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    run_until(15, means(follow=True).write("csv:out.csv"))
    with Path("in.csv").open("a") as file:
        file.write(lines(15, 30))
    maxima = feed(follow=True).group_by("key").window(rr.tumbling("10s")).agg(top=rr.max("x"))
    state = rr.State("state", drop=["aggregate by key, tumbling 10s"])
    run_until(30, maxima.write("csv:tops.csv"), state=state)
    # Windows begin anew with the rows that come: those before second 15 are gone with the state.
    assert Path("tops.csv").read_text().splitlines()[1:] == [
        "b,1970-01-01T00:00:10Z,1970-01-01T00:00:20Z,28.5",
        "a,1970-01-01T00:00:10Z,1970-01-01T00:00:20Z,27.0",
    ]


def test_a_folder_serves_one_run_at_a_time(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    refused: list[str] = []

    def again(_: Health) -> None:
        if not refused:
            with pytest.raises(StateError) as raised:
                rr.run(means().write("memory:"), state="state")
            refused.append(str(raised.value))

    run_outputs([means().write("csv:out.csv")], state="state", watcher=again)
    assert "in use" in refused[0]


def test_a_paced_replay_keeps_no_state(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    with pytest.raises(rr.PlanError, match="a replay at the pace of event time keeps no state"):
        rr.run(means(replay=1000).write("csv:out.csv"), state="state")


def test_health_and_summary_tell_of_the_state(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    seen: list[Health] = []
    first = run_outputs([means().write("csv:out.csv")], state="state", watcher=seen.append)
    last = seen[-1].state
    assert last is not None
    assert last == first.state
    assert last.folder == str(folder / "state")
    assert last.recovery == "a new state folder"
    # What has been worked through is on the disk, and the last checkpoint holds all of it.
    assert last.appended == last.synced == last.applied == last.checkpoint_applied > 0
    assert last.checkpoint_bytes > 0
    assert (last.uncovered_bytes, last.waiting_bytes, last.warnings) == (0, 0, ())
    assert f"  state in {folder / 'state'}: {last.checkpoints} checkpoints written" in str(first)
    again = run_outputs([means().write("csv:out.csv")], state="state").state
    assert again is not None
    assert again.recovery.startswith("checkpoint ")


def test_a_run_without_a_state_tells_of_none(folder: Path) -> None:
    Path("in.csv").write_text(lines(0, 15))
    summary = run_outputs([means().write("csv:out.csv")])
    assert summary.state is None
    assert "state" not in str(summary)


class Away:
    """A sink that cannot be reached until somebody says so."""

    url = "away:"

    def __init__(self) -> None:
        self.here = False
        self.rows = 0

    def open(self, world: object, schema: object, keys: object) -> Away:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        if not self.here:
            raise SinkUnavailable("nobody answers", where=self.url)
        self.rows += frame.height

    def flush(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to close."""


def _full(looks: list[Health], outbox_bytes: int) -> bool:
    """Whether the outbox has been full for some looks in a row."""
    last = [look.state.waiting_bytes for look in looks[-3:] if look.state is not None]
    return len(last) == 3 and min(last) > outbox_bytes


def test_health_is_told_while_results_wait_for_their_sink(tmp_path):
    """The sink comes back because somebody saw that it is missing: without health the run would never end."""
    sink, looks = Away(), []

    def look(health: Health) -> None:
        looks.append(health)
        sink.here = sink.here or _full(looks, 1_000)

    frames = [pl.DataFrame({"x": range(at, at + 1_000)}) for at in range(0, 20_000, 1_000)]
    state = rr.State(str(tmp_path / "state"), outbox_bytes=1_000)
    run_outputs([rr.read(iter(frames)).write(sink)], state=state, watcher=look, until="60s")
    assert sink.rows == 20_000
    assert any("nobody answers" in str(look.state) for look in looks)


def test_a_run_ends_in_time_while_results_wait_for_their_sink(tmp_path):
    frames = [pl.DataFrame({"x": range(at, at + 1_000)}) for at in range(0, 20_000, 1_000)]
    state = rr.State(str(tmp_path / "state"), outbox_bytes=1_000)
    summary = run_outputs([rr.read(iter(frames)).write(Away())], state=state, until="1s")
    assert summary.stopped_by == "until"
