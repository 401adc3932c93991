"""`riverrun watch` on the feeds that people have: what it finds out, computes, and says when it cannot."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest

from tests.cli.calling import Call, Outcome, program
from tests.docs.feeds import FEEDS, ROWS, START_MS, FeedServer, free_port

END = "?reconnect=false"


def counted(rows: list[dict[str, str]]) -> int:
    return sum(int(row["rows"]) for row in rows)


def watched(call: Call, data: bytes, *options: str) -> Outcome:
    with FeedServer(data, hold=False) as server:
        return call("watch", f"tcp://127.0.0.1:{server.port}{END}", "--no-dashboard", *options)


def test_a_csv_feed_with_a_header(call: Call) -> None:
    done = watched(call, FEEDS["trades-with-header"]())

    assert done.code == 0
    assert done.found("format") == "CSV, separated by ',', with a header  [--format to change]"
    assert done.found("columns").startswith("ts time, symbol text, price number, size number")
    assert done.found("time").startswith("ts, in milliseconds since 1970")
    assert done.found("keys").startswith("symbol")
    assert done.found("statistics of").startswith("price, size")
    assert counted(done.rows()) == ROWS
    assert {row["symbol"] for row in done.rows()} == {"AAPL", "MSFT", "NVDA"}
    assert {"price_mean", "price_std", "price_p99", "corr_price_size", "rate"} <= set(done.rows()[0])
    assert f"{ROWS:,} applied, 0 late, 0 dead-lettered" in done.err


def test_a_csv_feed_without_a_header(call: Call) -> None:
    done = watched(call, FEEDS["trades"]())

    assert "without a header" in done.found("format")
    assert done.found("columns").startswith("c1 time, c2 text, c3 number, c4 number")
    assert done.found("keys").startswith("c2")
    assert counted(done.rows()) == ROWS


def test_names_for_a_csv_without_a_header(call: Call) -> None:
    done = watched(call, FEEDS["trades"](), "--names", "when,what,price,size", "--columns", "price")

    assert done.found("keys").startswith("what")
    assert "price_median" in done.rows()[0]
    assert "size_mean" not in done.rows()[0]


def test_a_json_lines_feed(call: Call) -> None:
    done = watched(call, FEEDS["trades-json"]())

    assert done.found("format").startswith("JSON lines")
    assert done.found("keys").startswith("symbol")
    assert counted(done.rows()) == ROWS


def test_a_feed_whose_first_rows_are_bad(call: Call) -> None:
    bad = b"### feed 1.2 starting\n\xff\xfe\n{oops\nhalf,a,line\n"
    done = watched(call, bad + FEEDS["trades"]())

    assert done.found("format").startswith("CSV")
    assert done.found("note").startswith("4 of the first")
    assert counted(done.rows()) == ROWS
    assert re.search(r"3,000 applied, 0 late, 4 dead-lettered \(csv 3, utf8 1\)", done.err)


def test_a_feed_without_a_time_column(call: Call) -> None:
    rows = b"".join(b"%s,%d.5\n" % (key, number) for number in range(500) for key in (b"a", b"b"))
    done = watched(call, rows)

    assert done.found("time").startswith("the time of arrival")
    assert done.found("keys").startswith("c1")
    assert counted(done.rows()) == 1_000


def test_a_feed_without_numbers_is_counted(call: Call) -> None:
    done = watched(call, b"a plain line\nanother line of text\nand one more\n")

    assert done.found("statistics of").startswith("no numeric column, so counts and rates only")
    assert counted(done.rows()) == 3


def test_standard_input_is_a_feed() -> None:
    done = program(
        "watch", "stdin:", "--no-dashboard", "--window", "1m", input=FEEDS["trades-with-header"]().decode()
    )

    assert done.code == 0
    assert counted(done.rows()) == ROWS


def test_a_file_is_a_feed_and_results_are_written(call: Call, tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_bytes(FEEDS["trades-with-header"]() + b"broken\n")
    out, kept = tmp_path / "out.jsonl", tmp_path / "bad"

    done = call(
        "watch", str(tmp_path / "trades.csv"), "--no-dashboard", "--by", "-", "--window", "1m",
        "--write", str(out), "--dead-letters", str(kept),
    )  # fmt: skip

    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["rows"] for row in written] == [600] * 5
    assert "revision" not in written[0]
    assert done.found("window").startswith("1m, chosen by you  [as you say]")
    assert json.loads((kept / "dead-letters.jsonl").read_text())["head"] == "broken"


def test_it_waits_while_the_connection_is_refused(call: Call) -> None:
    done = call("watch", f"tcp://127.0.0.1:{free_port()}", "--no-dashboard", "--for", "400ms")

    assert done.code == 0
    assert "connection refused" in done.err
    assert "(Ctrl-C to stop waiting)" in done.err
    assert "stopped: no data came in this time" in done.err


def test_a_quiet_feed_still_closes_its_windows(call: Call) -> None:
    with FeedServer(FEEDS["trades"](), hold=True) as server:
        done = call(
            "watch", f"tcp://127.0.0.1:{server.port}", "--no-dashboard", "--for", "3s", "--idle", "200ms",
            "--window", "1s",
        )  # fmt: skip

    # The last row is 100 ms before the end of its window, which only the clock can close.
    assert f"{ROWS:,} applied" in done.err
    assert counted(done.rows()) == ROWS


def test_the_dashboard_takes_the_next_free_port(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = call("watch", "generate:trades?rows=200", "--dashboard", f"127.0.0.1:{port}")

    # Asked for by name, a port is not exchanged for another one.
    assert done.code == 2
    assert f"port {port} is already in use by another program" in done.err


def test_out_of_order_rows_get_a_delay(call: Call) -> None:
    times = [START_MS + 100 * (number ^ 3) for number in range(2_000)]
    done = watched(call, b"ts,key,x\n" + b"".join(b"%d,k,%d.5\n" % (time, time % 7) for time in times))

    assert "as rows came up to 300ms out of order" in done.found("waits for late rows")
    assert "0 late" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "sybol"], "--by: there is no column 'sybol'\n  try: did you mean 'symbol'?"),
        (["--columns", "symbol"], "--columns: 'symbol' holds String, and statistics need numbers"),
        (["--columns", "prize"], "--columns: there is no column 'prize'\n  try: did you mean 'price'?"),
        (["--time", "symbol"], "--time: the values of 'symbol' are String, which does not say when"),
        (["--time", "size"], "are no times between 1990 and 2100 in any unit"),
        (["--schema", "price:flaot"], "--schema, column 'price': there is no type 'flaot'\n  try: did you"),
        (["--schema", "price"], "--schema: expected NAME:TYPE, got 'price'"),
        (["--schema", "prize:float"], "--schema: there is no column 'prize'\n  try: did you mean 'price'?"),
        (["--format", "xml"], "there is no format 'xml'"),
        (["--names", "a,b", "--format", "json"], "--names: only CSV takes names for its columns"),
        (["--write", "out.xyz"], "cannot tell from 'out.xyz' how to write it"),
    ],
)  # fmt: skip
def test_wrong_options_are_told(call: Call, options: list[str], message: str) -> None:
    done = watched(call, FEEDS["trades-with-header"](), *options)

    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_wrong_urls_are_told(call: Call) -> None:
    assert "there is no source 'nonsense'" in call("watch", "nonsense:x", "--no-dashboard").err
    assert "the scheme is missing in 'localhost:9999'" in call("watch", "localhost:9999").err
    assert "there is no folder '/nowhere/to'" in call("watch", "/nowhere/to/be.csv").err
    done = call("watch", "tcp://x:1", "--window", "10")
    assert (done.code, "not a duration: '10'" in done.err) == (2, True)


def test_time_of_numbers_in_another_unit(call: Call) -> None:
    rows = b"".join(b'{"n": %d, "v": %d}\n' % (START_MS // 1_000 + number, number) for number in range(300))
    done = watched(call, rows, "--time", "n", "--columns", "v")

    assert done.found("time").startswith("n, in seconds since 1970")
    assert done.rows()[0]["window_end"].startswith("2026-01-05T14:30:")


def test_a_feed_ahead_of_the_clock_is_let_in(call: Call) -> None:
    with FeedServer(b"".join(b"%d,%d\n" % (4_000_000_000_000 + n, n) for n in range(100)), hold=True) as server:
        done = call(
            "watch", f"tcp://127.0.0.1:{server.port}", "--no-dashboard", "--time", "c1", "--for", "1500ms"
        )

    assert "100 applied" in done.err
    assert "ahead of the clock: another time zone, perhaps?" in done.found("note")


def test_the_first_result_shows_soon(call: Call) -> None:
    """Rows that trickle in slowly show within about two seconds, long before their window closes."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            peer, _ = server.accept()
            number = 0
            with peer:
                while not stop.wait(0.1):
                    peer.sendall(b"%d,%d\n" % (START_MS + number * 100, number))
                    number += 1

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        done = call(
            "watch",
            f"tcp://127.0.0.1:{server.getsockname()[1]}",
            "--no-dashboard",
            "--window",
            "1h",
            "--for",
            "3s",
        )
        stop.set()
        thread.join(timeout=5)

    # Early results count as results, but only final ones are printed.
    assert int(re.findall(r"results (\d+)", done.err)[-2]) >= 1
    assert len(done.rows()) == 1
