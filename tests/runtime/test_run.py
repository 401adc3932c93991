"""Whole runs over real loopback sockets and files: how they end, and what they say when they cannot begin."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.sinks.memory import MemorySink

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}
SOURCE = Path(__file__).parents[2] / "src"


@contextmanager
def serving(*parts: bytes, stay: bool = False):
    """A server that sends `parts` to the first who connects, then closes, or stays to the end of the test."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def serve():
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with peer:
                for part in parts:
                    peer.sendall(part)
                if stay:
                    done.wait(20)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            thread.join(20)


def means(port, **options):
    feed = rr.read(f"tcp://127.0.0.1:{port}", format=rr.Csv(header=False), schema=SCHEMA, time="t", **options)
    return feed.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), mean=rr.mean("x"))


def test_a_connection_that_closes_ends_the_run():
    with serving(b"1,a,1\n2,a,3\n11,b,5", b"\n12,b,7\nbad\n") as port:
        sink = MemorySink()
        summary = rr.run(means(port, reconnect=False).write(sink))
    assert sink.rows().select("key", "n", "mean").rows() == [("a", 2, 2.0), ("b", 2, 6.0)]
    assert summary.stopped_by == "end of input"
    (source,) = summary.sources
    assert (source.received, source.applied, source.dead_lettered, source.in_flight) == (5, 4, 1, 0)
    assert source.conserved
    assert "4 applied, 0 late, 1 dead-lettered" in str(summary)


def test_until_works_through_what_has_come_and_closes_the_windows():
    with serving(b"1,a,1\n2,a,3\n", stay=True) as port:
        sink = MemorySink()
        looks = []
        summary = rr.run(means(port).write(sink), until="1s", watcher=looks.append)
    assert summary.stopped_by == "until"
    assert sink.rows().select("key", "n", "mean").rows() == [("a", 2, 2.0)]
    assert all(source.conserved for health in looks for source in health.sources)
    assert looks[-1].running is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_everything_out_a_summary_and_code_0(tmp_path, number):
    script = tmp_path / "pipeline.py"
    with serving(b"1,a,1\n2,a,3\n", stay=True) as port:
        script.write_text(
            "import polars as pl, riverrun as rr\n"
            f"feed = rr.read('tcp://127.0.0.1:{port}', format=rr.Csv(header=False), time='t',\n"
            "    schema={'t': rr.Timestamp('s'), 'key': pl.String, 'x': pl.Float64})\n"
            "stats = feed.group_by('key').window(rr.tumbling('10s')).agg(n=rr.count())\n"
            "seen = lambda h: h.sources[0].applied == 2 and print('ready', flush=True)\n"
            f"print(rr.run(stats.write('csv:{tmp_path}/out.csv'), watcher=seen))\n"
        )
        with subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert f"stopped by {signal.Signals(number).name}" in out
    assert "2 rows in, 1 results out" in out
    assert pl.read_csv(tmp_path / "out.csv")["n"].to_list() == [2]


def test_a_refused_connection_without_reconnect():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(rr.SourceError, match=f"tcp://127.0.0.1:{port}.*refused"):
        rr.run(means(port, reconnect=False).write("memory:"))


def test_a_refused_connection_is_tried_again_meanwhile():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    looks = []
    summary = rr.run(means(port).write("memory:"), until="400ms", watcher=looks.append)
    assert (summary.rows, summary.stopped_by) == (0, "until")
    assert "refused" in looks[0].sources[0].status


def test_on_bad_fail_says_what_and_where(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("t,key,x\n1,a,1.5\n2,b,oops\n")
    feed = rr.read(f"file:{path}", schema=SCHEMA, time="t", on_bad="fail")
    with pytest.raises(rr.FormatError) as caught:
        feed.collect()
    text = str(caught.value)
    assert "a record cannot be read" in text
    assert "'x': expected Float64, found text 'xxxx'" in text, "what a record says is for no log"
    assert "byte 16" in text
    assert 'try: leave out on_bad="fail" to keep such records apart as dead letters' in text


@pytest.mark.parametrize(
    "schema", [None, {"price": pl.Float64, "name": pl.String}], ids=["inferred", "declared"]
)
class TestPlansThatCannotWork:
    def feed(self, schema):
        return rr.read({"price": [1.0], "name": ["a"]}, schema=schema)

    def test_an_unknown_column(self, schema):
        with pytest.raises(rr.PlanError) as caught:
            self.feed(schema).filter(pl.col("prize") > 0).collect()
        assert str(caught.value) == "filter: there is no column 'prize'\n  try: did you mean 'price'?"

    def test_an_unknown_column_in_an_aggregate(self, schema):
        with pytest.raises(rr.PlanError) as caught:
            self.feed(schema).group_by().window(rr.tumbling("1s")).agg(m=rr.mean("prise")).collect()
        assert (
            str(caught.value)
            == "agg, m=mean('prise'): there is no column 'prise'\n  try: did you mean 'price'?"
        )

    def test_an_unknown_key(self, schema):
        with pytest.raises(
            rr.PlanError, match="group_by: there is no column 'nam'\n  try: did you mean 'name'"
        ):
            self.feed(schema).group_by("nam").window(rr.tumbling("1s")).agg(n=rr.count()).collect()

    def test_a_wrong_type(self, schema):
        with pytest.raises(rr.PlanError) as caught:
            self.feed(schema).group_by().window(rr.tumbling("1s")).agg(m=rr.mean("name")).collect()
        assert "mean('name') needs numbers, and this input is String" in str(caught.value)
        assert "cast(pl.Float64)" in str(caught.value)

    def test_a_filter_that_is_not_true_or_false(self, schema):
        with pytest.raises(rr.PlanError, match=r"a filter needs true or false, and .* is Float64"):
            self.feed(schema).filter(pl.col("price") + 1).collect()

    def test_an_expression_that_looks_at_other_rows(self, schema):
        with pytest.raises(rr.PlanError) as caught:
            self.feed(schema).with_columns(before=pl.col("price").shift(1)).collect()
        assert "looks at other rows, and a stream has no fixed set of them" in str(caught.value)
        assert "try: aggregate over a window instead" in str(caught.value)


def test_an_empty_file_without_a_schema(tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    with pytest.raises(rr.SchemaError) as caught:
        rr.read(f"file:{path}").collect()
    assert "the input is empty, so its columns cannot be found out" in str(caught.value)
    assert "try: declare them: schema=" in str(caught.value)


def test_an_empty_file_with_a_schema_gives_no_rows(tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    stats = rr.read(f"file:{path}", schema=SCHEMA, time="t").group_by("key").window(rr.tumbling("1s"))
    frame = stats.agg(n=rr.count()).collect()
    assert (frame.height, frame.columns) == (0, ["key", "window_start", "window_end", "n"])


def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("x\n1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(rr.SourceError, match=r"secret\.csv.*permission"):
        rr.read(f"file:{path}").collect()


def test_a_live_source_cannot_be_collected():
    with pytest.raises(rr.PlanError, match="never ends, so it cannot be collected"):
        rr.read("tcp://127.0.0.1:9", format="csv", schema=SCHEMA).collect()


def test_dead_letters_are_written_to_a_folder(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("t,key,x\n1,a,1.5\n2,b,oops\n3,c\n")
    feed = rr.read(f"file:{path}", schema=SCHEMA, time="t", name="prices")
    summary = rr.run(feed.write("memory:"), dead_letters=str(tmp_path / "dead"))
    assert summary.sources[0].dead_lettered == 2
    letters = pl.read_ndjson(tmp_path / "dead" / "dead-letters.jsonl")
    assert letters["head"].to_list() == ["2,b,oops", "3,c"]
    assert letters["position"].to_list() == [16, 25]
    assert letters["source"].unique().to_list() == ["prices"]


def test_a_sender_that_never_stops_does_not_keep_the_run_from_ending():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        block = b"".join(b"%d,A,1.5\n" % (1_700_000_000_000 + i) for i in range(5_000))

        def flood() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                for _ in range(20_000):
                    connection.sendall(block)

        sender = threading.Thread(target=flood, daemon=True)
        sender.start()
        stream = rr.read(
            f"tcp://127.0.0.1:{port}",
            format="csv",
            schema={"ts": pl.Datetime("ms"), "k": pl.String, "x": pl.Float64},
            time="ts",
            delay=None,
        )
        summary = rr.run(stream.group_by("k").window(rr.tumbling("1h")).agg(n=rr.count()), until="300ms")
        sender.join(timeout=10)
    assert summary.stopped_by == "until"
    assert summary.seconds < 8
    assert summary.sources[0].conserved
    assert summary.sources[0].in_flight == 0
