"""URLs, paths and tables to sources; each mistake has its own words."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import ConfigError
from riverrun.sources.file import File
from riverrun.sources.frame import Frame
from riverrun.sources.generate import Generate
from riverrun.sources.parse import source_from_url, source_of
from riverrun.sources.stdin import Stdin
from riverrun.sources.tcp import Tcp, TcpListen
from riverrun.sources.unix import Unix, UnixListen


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("tcp://localhost:9999", Tcp("localhost", 9999)),
        ("TCP://localhost:9999/", Tcp("localhost", 9999)),
        ("tcp://[::1]:9999", Tcp("::1", 9999)),
        ("tcp://feed:9999?reconnect=no&retry_max=5s", Tcp("feed", 9999, reconnect=False, retry_max="5s")),
        ("tcp+listen://:9999", TcpListen("127.0.0.1", 9999)),
        ("tcp+listen://localhost:0", TcpListen("localhost", 0)),
        (
            "tcp+listen://0.0.0.0:9999?allow_unauthenticated=true",
            TcpListen("0.0.0.0", 9999, allow_unauthenticated=True),
        ),
        ("unix:feed.sock", Unix("feed.sock")),
        ("unix:///run/feed.sock", Unix("/run/feed.sock")),
        ("unix+listen:/run/feed.sock", UnixListen("/run/feed.sock")),
        ("stdin:", Stdin()),
        ("stdin:-", Stdin()),
        ("file:data/*.csv", File("data/*.csv")),
        ("file:///data/a.csv", File("/data/a.csv")),
        ("file:data/part-?.csv", File("data/part-?.csv")),
        ("file:data/a.csv?follow=true&interval=1s", File("data/a.csv", follow=True, interval="1s")),
        ("file:a.csv?replay=10", File("a.csv", replay=10.0)),
        ("data/a.csv", File("data/a.csv")),
        ("generate:trades", Generate("trades")),
        ("generate:clicks?rows=10&rate=2.5&seed=3", Generate("clicks", rows=10, rate=2.5, seed=3)),
        ("generate:trades?start=2026-01-01T00:00:00Z", Generate("trades", start="2026-01-01T00:00:00Z")),
    ],
)
def test_urls(url, source):
    assert source_from_url(url) == source


@pytest.mark.parametrize(
    "url",
    [
        "tcp://localhost:9999",
        "tcp://[::1]:9999",
        "tcp+listen://127.0.0.1:9999",
        "unix:feed.sock",
        "unix+listen:/run/feed.sock",
        "stdin:",
        "file:data/*.csv",
        "generate:trades?rows=10&rate=2.5&seed=3",
    ],
)
def test_a_source_knows_its_url(url):
    assert source_from_url(url).url == url


def test_options_by_name():
    assert source_from_url("tcp://localhost:9999", reconnect=False) == Tcp("localhost", 9999, reconnect=False)
    assert source_from_url("a.csv?replay=2", replay=3) == File("a.csv?replay=2", replay=3)
    assert source_from_url("file:a.csv?replay=2", replay=3) == File("a.csv", replay=3)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("tpc://localhost:9999", "tpc://localhost:9999: there is no source 'tpc'\n  try: did you mean 'tcp'?"),
        ("localhost:9999", "source: the scheme is missing in 'localhost:9999'\n  try: tcp://localhost:9999"),
        ("tcp:localhost:9999", "tcp:localhost:9999: '//' is missing\n  try: tcp://localhost:9999"),
        ("tcp://localhost", "tcp://localhost: the port is missing\n  try: tcp://localhost:9999"),
        ("tcp://localhost:", "tcp://localhost:: the port is missing\n  try: tcp://localhost:9999"),
        ("tcp://localhost:http", "tcp://localhost:http: a port is a number from 1 to 65535, got 'http'"),
        ("tcp://localhost:70000", "tcp://localhost:70000: a port is a number from 1 to 65535, got 70000"),
        ("tcp://localhost:0", "tcp://localhost:0: a port is a number from 1 to 65535, got 0"),
        ("tcp://:9999", "tcp://:9999: the host is missing\n  try: tcp://localhost:9999"),
        (
            "tcp://::1:9999",
            "tcp://::1:9999: expected host:port, got '::1:9999'\n"
            "  try: tcp://localhost:9999; an IPv6 address stands in brackets: tcp://[::1]:9999",
        ),
        (
            "tcp://me:secret@feed:9999",
            "tcp://feed:9999: a user or password in the URL is not used by this source\n"
            "  try: leave it out: tcp://feed:9999",
        ),
        (
            "tcp://feed:9999?reconect=no",
            "tcp://feed:9999?reconect=no: there is no option 'reconect'\n  try: did you mean 'reconnect'?",
        ),
        (
            "tcp://feed:9999?reconnect=maybe",
            "tcp://feed:9999?reconnect=maybe, option 'reconnect': expected true or false, got 'maybe'",
        ),
        (
            "generate:trades?rows=ten",
            "generate:trades?rows=ten, option 'rows': expected a whole number, got 'ten'",
        ),
        (
            "generate:trades?rate=fast",
            "generate:trades?rate=fast, option 'rate': expected a number, got 'fast'",
        ),
        ("generate:trades?rows=1&rows=2", "generate:trades?rows=1&rows=2: the option 'rows' is given twice"),
        ("generate:", "generate:: the name is missing\n  try: generate:trades"),
        ("stdin:x", "stdin:x: nothing follows stdin:, got 'x'"),
        ("unix:", "unix:: the socket's path is missing\n  try: unix:/run/feed.sock"),
        ("file:", "file:: the path is missing\n  try: file:data/*.csv"),
        ("frame:x", "frame:x: there is no source 'frame'\n  try: one of: file, generate"),
    ],
)
def test_mistakes(url, message):
    with pytest.raises(ConfigError) as raised:
        source_from_url(url)
    assert str(raised.value).startswith(message)


def test_secrets_are_not_shown():
    with pytest.raises(ConfigError) as raised:
        source_from_url("mqtt://me:secret@broker/topic")
    assert "secret" not in str(raised.value)


def test_a_place_cannot_be_an_option_as_well():
    with pytest.raises(ConfigError, match="'port' is given twice: in the URL and as an option"):
        source_from_url("tcp://localhost:9999", port=1)


def test_source_of():
    table = pl.DataFrame({"x": [1]})
    assert source_of("stdin:") == Stdin()
    assert source_of(Path("data/a.csv"), follow=True) == File("data/a.csv", follow=True)
    assert source_of(Stdin()) == Stdin()
    source = source_of(table)
    assert isinstance(source, Frame)
    assert source.data is table


def test_source_of_refuses():
    with pytest.raises(ConfigError) as raised:
        source_of(Tcp("localhost", 9999), reconnect=False)
    assert str(raised.value) == (
        "Tcp: options beside a source object: reconnect\n"
        "  try: give them to the object: Tcp(..., reconnect=...)"
    )
    with pytest.raises(ConfigError, match="cannot read rows from int"):
        source_of(42)
    with pytest.raises(ConfigError, match="there is no option 'follow'"):
        source_of(pl.DataFrame({"x": [1]}), follow=True)
