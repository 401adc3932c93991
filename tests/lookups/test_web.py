"""Lookups by HTTP, against a real server on loopback and against answers in virtual time."""

from __future__ import annotations

import json
import threading

import polars as pl
import pytest

import riverrun as rr
from riverrun.lookups.web import ANSWER_BYTES, AT_ONCE, TRIES, KeyUrl, TableUrl
from riverrun.plan.lookup import KeyAnswer
from riverrun.runtime.real_web import RealWeb
from riverrun.runtime.run import run_outputs
from riverrun.sinks.memory import MemorySink
from riverrun.testing import ManualClock, SimulatedWorld
from riverrun.world import WebAnswer, WebRequest
from tests.lookups.web_server import serving

NAMES = {"7": "lamp", "8": "desk", "a/b?c=d&e#f": "odd", "../admin": "odd too"}
SCHEMA = {"name": pl.String}


def products(path, headers):
    from urllib.parse import unquote

    name = NAMES.get(unquote(path.removeprefix("/products/")))
    if name is None:
        return 404, {}, b"no such product"
    return 200, {"Content-Type": "application/json"}, json.dumps({"name": name, "more": [1]}).encode()


def rows(keys, dtype=pl.String):
    return rr.read({"sku": keys}, schema={"sku": dtype})


# -- a whole table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/t.csv", "text/plain", b"sku,name\n7,lamp\n8,desk\n"),
        ("/t", "text/csv; charset=utf-8", b"sku,name\n7,lamp\n8,desk\n"),
        ("/t?all=1", "application/json", b'[{"sku": 7, "name": "lamp"}, {"sku": 8, "name": "desk"}]'),
        ("/t.jsonl", "", b'{"sku": 7, "name": "lamp"}\n{"sku": 8, "name": "desk"}\n'),
    ],
)
def test_a_table_at_a_url(path, kind, body):
    with serving(lambda *_: (200, {"Content-Type": kind}, body)) as served:
        found = rows([8, 9, 7], pl.Int64).lookup(served.url(path), on="sku").collect()
    assert found.select("sku", "name").rows() == [(8, "desk"), (9, None), (7, "lamp")]


def test_a_table_that_has_not_changed_is_not_sent_again():
    def answer(path, headers):
        if headers.get("If-None-Match") == '"v1"':
            return 304, {"ETag": '"v1"'}, b""
        return 200, {"ETag": '"v1"'}, b"sku,name\n7,lamp\n"

    world = SimulatedWorld()
    with serving(answer) as served:
        world.web = RealWeb(world.clock)
        table = TableUrl(served.url("/t.csv"), {})
        first = table.read(world)
        again = table.read(world, first.tag)
    assert first.table.rows() == [(7, "lamp")]
    assert (again.table, again.tag) == (None, '"v1"')


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (WebAnswer(403), "http://shop/t.csv: the lookup table cannot be read: the server says 403"),
        (OSError(111, "Connection refused"), "the lookup table cannot be read: connection refused"),
        (
            WebAnswer(200, b"\x1f\x8b", {"content-encoding": "gzip"}),
            "packed \\(gzip\\), which was not asked for",
        ),
        (
            WebAnswer(302, b"", {"location": "http://169.254.169.254/latest/meta-data?x=1"}),
            "sends us on to http://169.254.169.254, which is another one",
        ),
        (
            WebAnswer(302, b"", {"location": "file:///etc/passwd"}),
            "sends us on to file://None, which is another",
        ),
        (
            WebAnswer(302, b"", {"location": "https://shop/t.csv"}),
            "sends us on to https://shop, which is another",
        ),
        (WebAnswer(301, b"", {"location": "/t.csv"}), "the server sends us on and on"),
    ],
    ids=str,
)
def test_a_table_that_cannot_be_read_is_said(answer, text):
    world = SimulatedWorld()
    world.web.answer = lambda request: answer
    with pytest.raises(rr.SourceError, match=text) as caught:
        TableUrl("http://shop/t.csv?page=private", {}).read(world)
    assert "private" not in str(caught.value)


def test_what_is_sent_has_to_be_known():
    world = SimulatedWorld()
    world.web.answer = lambda request: WebAnswer(200, b"<html>", {"content-type": "text/html"})
    with pytest.raises(rr.SourceError, match="it is not known what the server sends: text/html"):
        TableUrl("http://shop/t", {}).read(world)


# -- key by key ---------------------------------------------------------------------------------------


def test_each_key_is_asked_for_once():
    with serving(products) as served:
        stream = rows(["8", "9", None, "7", "8", "9"]).lookup(
            served.url("/products/{key}"), on="sku", schema=SCHEMA
        )
        assert stream.collect().select("sku", "name").rows() == [
            ("8", "desk"),
            ("9", None),
            (None, None),
            ("7", "lamp"),
            ("8", "desk"),
            ("9", None),
        ]
        inner = rows([8, 9], pl.Int64).lookup(
            served.url("/products/{key}"), on="sku", schema=SCHEMA, how="inner"
        )
        assert inner.collect().select("sku", "name").rows() == [(8, "desk")]
    assert served.asked == {"/products/8": 2, "/products/9": 2, "/products/7": 1}


def test_a_key_stays_in_its_place():
    keys = ["a/b?c=d&e#f", "../admin", "..", ".", "", "x" * 2_000, "a\r\nHost: evil", "@evil:80/"]
    with serving(products) as served:
        found = rows(keys).lookup(served.url("/products/{key}"), on="sku", schema=SCHEMA).collect()
    assert found["name"].to_list() == ["odd", "odd too", None, None, None, None, None, None]
    assert set(served.asked) == {
        "/products/a%2Fb%3Fc%3Dd%26e%23f",
        "/products/..%2Fadmin",
        "/products/a%0D%0AHost%3A%20evil",
        "/products/%40evil%3A80%2F",
    }


def test_keys_are_asked_for_together_but_not_too_many():
    # No answer comes before as many requests are under way as may be.
    barrier = threading.Barrier(AT_ONCE, timeout=10)

    def answer(path, headers):
        barrier.wait()
        return 200, {}, b'{"name": "x"}'

    with serving(answer) as served:
        keys = [str(key) for key in range(AT_ONCE * 3)]
        found = rows(keys).lookup(served.url("/{key}"), on="sku", schema=SCHEMA).collect()
    assert found["name"].to_list() == ["x"] * len(keys)
    # On a busy machine an answer may take too long: then the same key is asked for again while it is under way.
    again = served.asked.total() - len(keys)
    assert AT_ONCE <= served.together <= AT_ONCE + again


def test_a_redirect_on_the_same_server_is_followed():
    def answer(path, headers):
        if path.startswith("/old/"):
            return 308, {"Location": path.replace("old", "products")}, b""
        return products(path, headers)

    with serving(answer) as served:
        found = rows(["7"]).lookup(served.url("/old/{key}"), on="sku", schema=SCHEMA).collect()
    assert found["name"].to_list() == ["lamp"]


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SHOP_LOGIN", "Bearer abc")
    with serving(products) as served:
        stream = rows(["7"]).lookup(
            served.url("/products/{key}"), on="sku", schema=SCHEMA, headers={"Authorization": "env:SHOP_LOGIN"}
        )
        assert stream.collect()["name"].to_list() == ["lamp"]
        assert "abc" not in stream.explain()
    assert served.headers[0]["Authorization"] == "Bearer abc"


def ask(answer, keys=("7",), schema=None):
    world = SimulatedWorld()
    world.web.answer = answer
    table = KeyUrl("http://shop/{key}", {}, pl.Schema(schema or SCHEMA))
    return table.ask(world, keys), world


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (WebAnswer(200, b'{"name": "lamp"}'), KeyAnswer({"name": "lamp"})),
        (WebAnswer(200, b"null"), KeyAnswer()),
        (WebAnswer(404, b"<html>"), KeyAnswer()),
        (WebAnswer(204), KeyAnswer()),
        (WebAnswer(401), KeyAnswer(failure="the server says 401")),
        (
            WebAnswer(200, b'["lamp"]'),
            KeyAnswer(failure="the answer is not an object, but begins with b'[\"lamp\"]'"),
        ),
        (WebAnswer(503), KeyAnswer(failure="the server says 503")),
        (OSError(113, "No route to host"), KeyAnswer(failure="no route to host")),
    ],
    ids=str,
)
def test_what_answers_mean(answer, said):
    assert ask(lambda request: answer)[0] == [said]


def test_a_server_that_fails_for_a_moment_is_asked_again():
    answers = iter([WebAnswer(503), OSError(104, "Connection reset"), WebAnswer(200, b'{"name": "lamp"}')])
    found, world = ask(lambda request: next(answers))
    assert found == [KeyAnswer({"name": "lamp"})]
    assert len(world.web.asked) == TRIES
    # 0.2 to 0.4 s, then 0.4 to 0.8 s
    assert 600_000 <= world.clock.monotonic_us() <= 1_200_000


def test_only_what_failed_is_asked_again():
    def answer(request):
        return WebAnswer(503) if request.url.endswith("9") else WebAnswer(404)

    found, world = ask(answer, ("7", "9", "8"))
    assert [bool(one.failure) for one in found] == [False, True, False]
    assert [request.url[-1] for request in world.web.asked] == ["7", "9", "8", "9", "9"]


# -- the real client ----------------------------------------------------------------------------------


def get(served, path, **limits):
    (answer,) = RealWeb(ManualClock(0)).get(
        [WebRequest(served.url(path), **limits)], at_once=1, until_us=60_000_000
    )
    return answer


def test_an_answer_that_is_too_long_is_none():
    with serving(lambda *_: (200, {}, b"x" * (ANSWER_BYTES + 1))) as served:
        answer = get(served, "/", max_bytes=ANSWER_BYTES)
        assert isinstance(answer, OSError)
        assert str(answer).endswith(f"an answer of more than {ANSWER_BYTES} bytes")
        assert get(served, "/", max_bytes=ANSWER_BYTES + 1).status == 200


def test_a_server_that_is_silent_is_left():
    hold = threading.Event()

    def answer(path, headers):
        hold.wait(10)
        return 200, {}, b""

    with serving(answer) as served:
        found = get(served, "/", timeout_us=50_000)
        hold.set()
    assert isinstance(found, TimeoutError)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(lambda *_: (200, {}, b"direct")) as served:
        assert get(served, "/").body == b"direct"


def test_a_name_is_looked_up_before_it_is_asked():
    names = {"shop.example": ["127.0.0.1"], "mixed.example": ["93.184.216.34", "169.254.169.254"], "none": []}
    with serving(lambda *_: (200, {}, b"here")) as served:
        port = int(served.url("/").rpartition(":")[2].rstrip("/"))
        web = RealWeb(ManualClock(0), lambda host, port: [(address, port) for address in names[host]])

        def said(host, **allowed):
            request = WebRequest(f"http://{host}:{port}/", **allowed)
            (answer,) = web.get([request], at_once=1, until_us=60_000_000)
            return answer.strerror if isinstance(answer, OSError) else answer.body

        own = "shop.example must not be asked: it has the address 127.0.0.1, which is one of this machine"
        assert said("shop.example") == f"{own} (allow_private=True allows it)"
        assert said("shop.example", private=True) == b"here"
        secrets = "it has the address 169.254.169.254, where machines of a cloud are told their secrets"
        assert said("mixed.example", private=True) == f"mixed.example must not be asked: {secrets}"
        assert said("none") == "the host name has no address"


def test_an_address_is_looked_up_again_for_each_connection():
    """A name that has another address the second time does not get in by that."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with serving(lambda *_: (200, {"Connection": "close"}, b"here")) as served:
        port = int(served.url("/").rpartition(":")[2].rstrip("/"))
        web = RealWeb(ManualClock(0), lambda host, port: [(address, port) for address in next(answers)])
        request = WebRequest(f"http://shop.example:{port}/", private=True)
        first, second = web.get([request, request], at_once=1, until_us=60_000_000)
    assert first.body == b"here"
    assert isinstance(second, OSError)
    assert "secrets" in second.strerror


# -- a slow server ------------------------------------------------------------------------------------


def test_a_batch_waits_no_longer_than_half_a_minute():
    world = SimulatedWorld()
    world.web.answer = lambda request: WebAnswer(200, b'{"name": "lamp"}')
    world.web.takes_us = 4_000_000
    table = KeyUrl("https://shop/{key}", {}, SCHEMA)
    found = table.ask(world, range(200))
    asked = [answer for answer in found if answer.asked]
    assert len(asked) == len(world.web.asked) == 8 * AT_ONCE
    assert all(answer.row is not None for answer in asked)
    assert world.clock.monotonic_us() == 32_000_000
    (left,) = {answer.failure for answer in found if not answer.asked}
    assert left == "no time was left to ask for it, as the server is slow and the keys are many"


def test_tries_are_among_it_and_the_first_reason_stays():
    world = SimulatedWorld()
    world.web.answer = lambda request: WebAnswer(503)
    world.web.takes_us = 29_900_000
    (answer,) = KeyUrl("https://shop/{key}", {}, SCHEMA).ask(world, ["7"])
    assert (answer.failure, answer.asked) == ("the server says 503", True)
    assert len(world.web.asked) == 1
    assert world.clock.monotonic_us() < 31_000_000


def test_failures_are_counted_in_the_health_of_the_step():
    looks = []
    world = SimulatedWorld()
    world.web.answer = lambda request: WebAnswer(500)
    table = rr.read({"sku": ["7", "8"]}).lookup(
        "https://shop/{key}", on="sku", schema=SCHEMA, on_failure="null"
    )
    run_outputs([table.write(MemorySink())], world=world, watcher=looks.append)
    (counters,) = [step.counters for step in looks[-1].steps if step.counters]
    assert counters == {"answers_failed": 2}


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"table": {"sku": [7]}, "allow_private": True},
            "lookup(allow_private=): only hosts of URLs have addresses\n  try: leave allow_private= out",
        ),
        (
            {"table": "https://me:abc@shop/t.csv"},
            "lookup: a user or password in the URL would be written down with the pipeline\n"
            '  try: headers={"Authorization": "env:SHOP_LOGIN"}, where the variable holds "Basic ..."',
        ),
        (
            {"table": "https://shop/t.csv?api_key=abc"},
            "lookup: 'api_key' in the URL looks like a secret, and would be written down with the pipeline\n"
            '  try: send it in a header: headers={"Authorization": "env:SHOP_LOGIN"}',
        ),
        (
            {"table": "https://shop/{key}", "schema": SCHEMA, "headers": {"X-Token": "abc"}},
            "lookup(headers=): the header 'X-Token' is a secret, and would be written down with the pipeline\n"
            '  try: name an environment variable that holds it: {"X-Token": "env:SHOP_LOGIN"}',
        ),
        (
            {"table": "https://{key}/t", "schema": SCHEMA},
            "lookup: the key can stand in the path and in the query of a URL only",
        ),
        ({"table": "https:///t.csv"}, "lookup: there is no host in 'https:///t.csv'"),
        (
            {"table": "https://shop/{key}"},
            "lookup: a URL that is asked key by key needs schema=: what an answer says\n"
            '  try: schema={"name": pl.String, "price": pl.Float64}',
        ),
        (
            {"table": "https://shop/{key}", "schema": SCHEMA, "on": ["sku", "shop"]},
            "lookup(on=): a URL has room for one key, and here are 2",
        ),
        (
            {"table": "https://shop/{key}", "schema": SCHEMA, "on": "skuu"},
            "lookup: there is no column 'skuu' in the stream\n  try: did you mean 'sku'?",
        ),
        (
            {"table": "https://shop/{key}", "schema": SCHEMA, "on": "price"},
            "lookup: the key 'price' is Float64, and a URL is made of text and whole numbers\n"
            '  try: .cast({"price": pl.String}) before the lookup',
        ),
        (
            {"table": "https://shop/t.csv", "query": "SELECT 1"},
            "lookup: only databases take a query, and 'https://shop/t.csv' is none",
        ),
    ],
    ids=str,
)
def test_what_is_refused(arguments, text):
    stream = rr.read({"sku": ["7"], "price": [1.0]}, schema={"sku": pl.String, "price": pl.Float64})
    with pytest.raises(rr.RiverrunError) as caught:
        stream.lookup(**{"on": "sku", **arguments})
    assert str(caught.value).startswith(text)
    assert "abc" not in str(caught.value)


def test_a_variable_that_is_not_set_is_said(monkeypatch):
    monkeypatch.setenv("SHOP_LOGIN", "Bearer abc")
    world = SimulatedWorld()
    with pytest.raises(rr.ConfigError) as caught:
        TableUrl("http://shop/t.csv", {"Authorization": "env:SHOP_LOGON"}).read(world)
    assert str(caught.value) == (
        "lookup(headers=): the environment variable 'SHOP_LOGON' is not set, which holds the header "
        "'Authorization'\n  try: did you mean 'SHOP_LOGIN'?"
    )
