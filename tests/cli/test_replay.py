"""`riverrun replay`: what arrives at the other end of a real socket, and when."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.cli.calling import Call
from tests.docs.feeds import START_MS, free_port

LINES = [b"ts,v\n", *(b"%d,%d\n" % (START_MS + 100 * n, n) for n in range(20))]


class Reader:
    """Listens, and keeps what the first peer sends, and when."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.data = b""
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        peer, _ = self._listener.accept()
        began = None
        with peer, self._listener:
            while chunk := peer.recv(65536):
                began = began or time.monotonic()
                self.data += chunk
                self.seconds = time.monotonic() - began

    def done(self) -> bytes:
        self._thread.join(timeout=20)
        return self.data


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"".join(LINES))
    return path


def test_lines_arrive_unchanged_at_their_own_pace(call: Call, file: Path) -> None:
    reader = Reader()
    done = call("replay", str(file), "--to", f"tcp://127.0.0.1:{reader.port}", "--rate", "4x")

    assert reader.done() == b"".join(LINES)
    assert done.code == 0
    assert "sent 20 lines" in done.err
    assert 0.35 < reader.seconds < 3  # 1.9 s of event time, four times as fast


def test_lines_a_second(call: Call, file: Path) -> None:
    reader = Reader()
    call("replay", str(file), "--to", f"tcp://127.0.0.1:{reader.port}", "--rate", "40/s")
    assert reader.done() == b"".join(LINES)
    assert 0.35 < reader.seconds < 3


def test_broken_lines_and_compressed_files(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    data = b"".join([*LINES[:10], b"\xffbroken\n", b"\n", *LINES[10:]]) + b"last,one"
    path.write_bytes(gzip.compress(data))
    reader = Reader()
    call("replay", str(path), "--to", f"tcp://127.0.0.1:{reader.port}", "--rate", "100x")
    assert reader.done() == data + b"\n"


def test_as_fast_as_can_be_of_anything(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(b"\x00\xff\n" * 50_000)
    reader = Reader()
    call("replay", str(path), "--to", f"tcp://127.0.0.1:{reader.port}", "--rate", "max")
    assert reader.done() == b"\x00\xff\n" * 50_000


def test_listening_and_beginning_again(call: Call, file: Path) -> None:
    port = free_port()
    got: list[bytes] = []

    def read() -> None:
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", port)) as me, me.makefile("rb") as lines:
                    got.extend(next(lines) for _ in range(50))
                return
            except OSError:
                threading.Event().wait(0.05)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    done = call(
        "replay",
        str(file),
        "--to",
        f"tcp+listen://127.0.0.1:{port}",
        "--rate",
        "200/s",
        "--loop",
        "--for",
        "2s",
    )
    thread.join(timeout=10)

    assert "it begins when a reader connects" in done.err
    assert got == [LINES[0], *LINES[1:], *LINES[1:], *LINES[1:]][:50]


def test_what_is_wrong_is_told(call: Call, file: Path, tmp_path: Path) -> None:
    to = f"tcp://127.0.0.1:{free_port()}"
    assert (
        "cannot connect: Connection refused\n  try: start the reader first"
        in call("replay", str(file), "--to", to).err
    )
    assert (
        "--rate: not a pace: 'fast'\n  try: 10x, 1000/s or max"
        in call("replay", str(file), "--to", to, "--rate", "fast").err
    )
    assert "cannot read the file: No such file" in call("replay", "nowhere.csv", "--to", to).err
    assert "cannot send to 'generate:trades'" in call("replay", str(file), "--to", "generate:trades").err
    (tmp_path / "plain.csv").write_text("a,b\n1,2\n3,4\n")
    done = call("replay", str(tmp_path / "plain.csv"), "--to", to)
    assert "no column looks like the time, so the file has no pace of its own\n  try: --rate 1000/s" in done.err
    (tmp_path / "empty.csv").write_text("")
    assert "the file is empty" in call("replay", str(tmp_path / "empty.csv"), "--to", to).err
