"""Where the dashboard listens: spelling, reach, names, and what is said when the port cannot be had."""

from __future__ import annotations

import socket

import pytest

from riverrun.dashboard.address import check_reach, host_check, listen, parse_address
from riverrun.errors import ConfigError
from riverrun.world import TcpAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8765", "127.0.0.1", 8765),
        ("8765", "127.0.0.1", 8765),
        (":9000", "127.0.0.1", 9000),
        ("localhost", "localhost", 8765),
        ("http://localhost:80/", "localhost", 80),
        ("[::1]:8765", "::1", 8765),
        ("[::1]", "::1", 8765),
        (("::1", 0), "::1", 0),
    ],
)
def test_spellings(text, host, port):
    assert parse_address(text) == TcpAddress(host, port)


@pytest.mark.parametrize("text", ["", "host:http", "a b:80", "http://host:80/path", "https://host:80"])
def test_what_is_no_address(text):
    if text == "":
        assert parse_address(text) == TcpAddress("127.0.0.1", 8765)
        return
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert str(caught.value) == (
        f"dashboard: not an address: {text!r}\n"
        '  try: a host and a port, as in "127.0.0.1:8765"; port 0 takes any free one'
    )


def test_a_port_out_of_range():
    with pytest.raises(ConfigError, match="dashboard: a port is between 0 and 65535, got 65536"):
        parse_address("127.0.0.1:65536")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "myhost"])
def test_wider_than_loopback_needs_consent(host):
    with pytest.raises(ConfigError) as caught:
        check_reach(TcpAddress(host, 8765), allow_unauthenticated=False)
    assert "can be reached from other machines, and the dashboard has no login" in str(caught.value)
    assert 'try: dashboard="127.0.0.1:8765" (and an SSH tunnel' in str(caught.value)
    assert "allow_unauthenticated=True" in str(caught.value)
    check_reach(TcpAddress(host, 8765), allow_unauthenticated=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host):
    check_reach(TcpAddress(host, 8765), allow_unauthenticated=False)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8765", True),
        ("localhost:8765", True),
        ("LOCALHOST:8765", True),
        ("[::1]:8765", True),
        ("127.0.0.1:8766", False),
        ("127.0.0.1", False),
        ("evil.example:8765", False),
        ("localhost.evil.example:8765", False),
        ("192.168.1.5:8765", False),
        ("localhost:8765:8765", False),
        ("localhost:٨٧٦٥", False),
        ("", False),
    ],
)
def test_host_names_of_a_loopback_server(host, allowed):
    assert host_check(TcpAddress("127.0.0.1", 8765))(host) is allowed


def test_a_server_on_all_addresses_answers_to_any_address_but_not_to_any_name():
    check = host_check(TcpAddress("0.0.0.0", 8765))
    assert check("192.168.1.5:8765")
    assert check("[fe80::1]:8765")
    assert check(f"{socket.gethostname()}:8765")
    assert not check("evil.example:8765")


def test_port_80_may_be_left_out():
    assert host_check(TcpAddress("127.0.0.1", 80))("localhost")


def test_a_port_in_use():
    with listen(TcpAddress("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            listen(TcpAddress("127.0.0.1", port))
    assert str(caught.value) == (
        f"dashboard 127.0.0.1:{port}: port {port} is already in use by another program\n"
        f'  try: another port, as in dashboard="127.0.0.1:{port + 1}", or port 0 for any free one'
    )


def test_an_address_of_another_machine():
    with pytest.raises(ConfigError) as caught:
        listen(TcpAddress("192.0.2.1", 8765))
    assert str(caught.value) == (
        "dashboard 192.0.2.1:8765: cannot listen there: Cannot assign requested address\n"
        '  try: an address of this machine, as in dashboard="127.0.0.1:8765"'
    )
