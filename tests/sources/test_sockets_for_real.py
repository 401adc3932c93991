"""TCP and Unix sources over real sockets of this machine."""

from __future__ import annotations

import socket
import stat
import struct

import pytest

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.runtime.real_world import RealWorld
from riverrun.sources.tcp import Tcp, TcpListen
from riverrun.sources.unix import Unix, UnixListen
from tests.sources.pumping import ends, pump, texts


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def size(chunks) -> int:
    return sum(len(chunk.data) for chunk in chunks)


def test_tcp_reads_and_reconnects(server):
    world = RealWorld()
    port = server.getsockname()[1]
    reader = Tcp("localhost", port, retry="5ms").open(world, Limits())
    reader.poll(1_000)
    chunks = []
    for text in (b"one\n", b"two\n"):
        pump(world, reader, lasting="20ms")
        peer, _ = server.accept()
        with peer:
            peer.sendall(text)
        chunks += pump(world, reader, until=lambda found: bool(ends(found)))
    reader.close()
    name = f"localhost:{port}"
    assert texts(chunks) == {f"{name}#1": b"one\n", f"{name}#2": b"two\n"}
    assert ends(chunks) == {f"{name}#1": True, f"{name}#2": True}


def test_tcp_brings_large_data_whole(server):
    data = bytes(range(256)) * 20_000
    world = RealWorld()
    reader = Tcp("127.0.0.1", server.getsockname()[1], reconnect=False).open(world, Limits())
    reader.poll(1_000)
    peer, _ = server.accept()
    peer.setblocking(False)
    sent, chunks = 0, []
    with peer:
        while sent < len(data):
            try:
                sent += peer.send(data[sent:])
            except BlockingIOError:
                chunks += reader.poll(4 * 1024 * 1024)
    chunks += pump(world, reader)
    assert list(texts(chunks).values()) == [data]
    assert reader.finished


def test_tcp_notices_a_reset(server):
    world = RealWorld()
    reader = Tcp("127.0.0.1", server.getsockname()[1], reconnect=False).open(world, Limits())
    reader.poll(1_000)
    peer, _ = server.accept()
    pump(world, reader, lasting="20ms")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    pump(world, reader)
    assert reader.finished
    assert reader.status == "ended: connection reset by the other side"


def test_tcp_refused():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    world = RealWorld()
    reader = Tcp("localhost", port, reconnect=False).open(world, Limits())
    with pytest.raises(SourceError, match=f"cannot connect to localhost:{port}: connection refused"):
        pump(world, reader)


def test_a_host_that_is_not_a_name():
    world = RealWorld()
    reader = Tcp("a..b", 9999, reconnect=False).open(world, Limits())
    with pytest.raises(SourceError, match=r"cannot connect to a\.\.b:9999: not a valid host name"):
        pump(world, reader)


def test_producers_connect_over_tcp():
    world = RealWorld()
    reader = TcpListen(port=0).open(world, Limits())
    with socket.create_connection(("127.0.0.1", reader.address.port)) as one:
        one.sendall(b"1\n")
        with socket.create_connection(("127.0.0.1", reader.address.port)) as two:
            two.sendall(b"2\n")
            chunks = pump(world, reader, until=lambda found: size(found) == 4)
        chunks += pump(world, reader, until=lambda found: bool(ends(found)))
    reader.close()
    assert sorted(texts(chunks).values()) == [b"1\n", b"2\n"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", reader.address.port))


def test_a_port_that_is_taken(server):
    with pytest.raises(SourceError, match="the address is already in use"):
        TcpListen(port=server.getsockname()[1]).open(RealWorld(), Limits())


def test_unix_sockets(tmp_path):
    path = tmp_path / "feed.sock"
    world = RealWorld()
    reader = UnixListen(str(path)).open(world, Limits())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        peer.sendall(b"hello\n")
        chunks = pump(world, reader, until=bool)
    reader.close()
    assert texts(chunks) == {f"{path}#1": b"hello\n"}
    assert not path.exists()


def test_a_unix_socket_is_connected_to(tmp_path):
    path = str(tmp_path / "feed.sock")
    world = RealWorld()
    reader = Unix(path, retry="5ms").open(world, Limits())
    pump(world, reader, lasting="20ms")
    assert "no such file" in reader.status
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        pump(world, reader, lasting="20ms")
        assert reader.status == f"connected to {path}, no data yet"
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"hello\n")
        chunks = pump(world, reader, until=lambda found: bool(ends(found)))
    reader.close()
    assert texts(chunks) == {f"{path}#1": b"hello\n"}


def test_a_socket_file_left_behind_is_replaced(tmp_path):
    path = tmp_path / "feed.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    UnixListen(str(path)).open(RealWorld(), Limits()).close()
    assert not path.exists()


def test_a_socket_that_somebody_listens_at_is_left_alone(tmp_path):
    path = str(tmp_path / "feed.sock")
    reader = UnixListen(path).open(RealWorld(), Limits())
    with pytest.raises(SourceError, match="the address is already in use"):
        UnixListen(path).open(RealWorld(), Limits())
    reader.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious.txt"
    path.write_text("do not remove")
    with pytest.raises(SourceError, match="there is a file of that name that is not a socket"):
        UnixListen(str(path)).open(RealWorld(), Limits())
    assert path.read_text() == "do not remove"
