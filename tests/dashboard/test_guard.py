"""Every route of the table, with every method and every kind of stranger, so that no route escapes."""

from __future__ import annotations

import asyncio

import pytest

from riverrun.clock import SystemClock
from riverrun.dashboard.app import Routes, make_app
from riverrun.dashboard.assets import load_assets
from riverrun.dashboard.feed import Feed
from riverrun.dashboard.guard import SECURITY_HEADERS
from riverrun.dashboard.history import Bounds
from riverrun.dashboard.hub import Hub
from tests.dashboard.driver import MARKET, FakeHealth

HOST = "127.0.0.1:8765"
OTHER_METHODS = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", ""]


def make_routes():
    clock = SystemClock()
    feed = Feed([MARKET], Hub("e"), FakeHealth(clock), clock, Bounds())
    return Routes({}, feed, load_assets())


ROUTES = make_routes()
APP = make_app(ROUTES, lambda host: host == HOST)
PATHS = [route.path.replace("{name}", "page.css") for route in ROUTES.table()] + ["/nowhere"]


def ask(path, method="GET", host=HOST, headers=()):
    """Status and headers from the app itself; a stream is left after its first piece."""
    sent = []

    async def run():
        gone = asyncio.Event()

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if message["type"] == "http.response.body":
                gone.set()

        pairs = [(b"host", host.encode())] if host is not None else []
        pairs += [(k.encode(), v.encode()) for k, v in headers]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": method, "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "headers": pairs, "server": ("127.0.0.1", 8765), "client": ("127.0.0.1", 5),
        }  # fmt: skip
        async with asyncio.timeout(10):
            await APP(scope, receive, send)

    asyncio.run(run())
    return sent[0]["status"], dict(sent[0]["headers"])


def assert_secured(headers):
    for name, value in SECURITY_HEADERS:
        assert headers.get(name) == value
    assert not [name for name in headers if name.startswith(b"access-control-")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_everybody_on_this_machine_may_look(path, method):
    status, headers = ask(path, method)
    assert status == (404 if path == "/nowhere" else 200)
    assert_secured(headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", OTHER_METHODS)
def test_nothing_can_be_changed(path, method):
    status, headers = ask(path, method)
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
    assert_secured(headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", *OTHER_METHODS])
@pytest.mark.parametrize("host", ["evil.example:8765", "127.0.0.1:1", "", None])
def test_a_foreign_name_is_refused(path, method, host):
    status, headers = ask(path, method, host)
    assert status == 421
    assert_secured(headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", *OTHER_METHODS])
@pytest.mark.parametrize(
    "header",
    [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "https://127.0.0.1:8765"),
        ("origin", "http://127.0.0.1:8766"),
        ("sec-fetch-site", "cross-site"),
    ],
)
def test_a_foreign_site_is_refused(path, method, header):
    status, headers = ask(path, method, headers=[header])
    assert status == 403
    assert_secured(headers)


def test_two_hosts_are_none():
    assert ask("/", headers=[("host", HOST)])[0] == 421


def test_the_own_origin_is_fine():
    assert ask("/api/page", headers=[("origin", f"http://{HOST}"), ("sec-fetch-site", "same-origin")])[0] == 200


def test_a_link_from_elsewhere_may_be_followed_but_not_framed():
    link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
    assert ask("/", headers=[*link, ("sec-fetch-dest", "document")])[0] == 200
    assert ask("/", headers=[*link, ("sec-fetch-dest", "iframe")])[0] == 403


def test_the_policy_of_the_checklist_holds_word_for_word():
    policy = dict(SECURITY_HEADERS)[b"content-security-policy"].decode()
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
    )
