"""Lookups by HTTP: a whole table at a URL, or a URL that is asked for each key.

What comes from rows only ever fills the place of ``{key}``, percent-encoded: it cannot name another server,
leave its place in the path, or add to the query. Redirects are followed on the same server only. Answers are
limited in size and time, and are never unpacked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import orjson
import polars as pl

from riverrun.errors import ConfigError, SourceError, did_you_mean
from riverrun.lookups.file import READERS, table_of
from riverrun.plan.lookup import KeyAnswer, Reading
from riverrun.world import NotAskedError, WebAnswer, WebRequest, World

#: Where the key stands in a URL.
KEY = "{key}"

#: A whole table is held in memory, and travels in one answer.
TABLE_BYTES, TABLE_US = 256 << 20, 60_000_000
ANSWER_BYTES, ANSWER_US = 1 << 20, 5_000_000
#: The rows of a batch wait for its keys no longer than this, however many there are; tries are in it.
BATCH_US = 30_000_000
#: So many keys are asked for at a time.
AT_ONCE = 16
#: A server that fails is tried so often, with a pause that doubles.
TRIES, PAUSE_US = 3, 200_000
REDIRECTS = 3
#: A longer key is no key of a server.
KEY_CHARS = 1_000

#: Statuses that say that there is nothing, and that it is worth while to ask again.
NOTHING_THERE = (204, 404, 410)
FAILS_NOW = (408, 425, 429, 500, 502, 503, 504)
NOT_CHANGED = 304

_SECRET = re.compile(r"auth|cookie|key|password|secret|signature|token", re.IGNORECASE)
_KINDS = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/vnd.apache.parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class TableUrl:
    """A CSV, JSON, JSON-lines or Parquet table at a URL, told apart by its ending or by what the server says.

    >>> TableUrl("https://shop/products.csv?all=1", {}).name
    'https://shop/products.csv'
    """

    url: str
    headers: Mapping[str, str]
    private: bool = False

    @property
    def name(self) -> str:
        return shown(self.url)

    def read(self, world: World, tag: str = "") -> Reading:
        """The whole table, or that it has not changed. Raises `SourceError` when there is none."""
        headers = {**sent(self.headers), **({"If-None-Match": tag} if tag else {})}
        request = WebRequest(self.url, headers, TABLE_US, TABLE_BYTES, self.private)
        (answer,) = asked(world, [request], within_us=TABLE_US)
        if isinstance(answer, str) or answer.status not in (200, NOT_CHANGED):
            why = answer if isinstance(answer, str) else f"the server says {answer.status}"
            raise SourceError(f"the lookup table cannot be read: {why}", where=self.name)
        if answer.status == NOT_CHANGED:
            return Reading(None, tag)
        return Reading(
            table_of(answer.body, self._kind(answer), where=self.name), answer.headers.get("etag", "")
        )

    def _kind(self, answer: WebAnswer) -> str:
        ending = urlsplit(self.url).path.rsplit(".", 1)[-1].lower()
        told = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        kind = ending if ending in READERS else _KINDS.get(told, "")
        if not kind:
            raise SourceError(
                f"it is not known what the server sends: {told or 'it names no type'}",
                where=self.name,
                hint=f"a URL that ends in one of .{', .'.join(READERS)}",
            )
        return kind


@dataclass(frozen=True, slots=True)
class KeyUrl:
    """A URL that is asked for each key, and answers with a JSON object.

    >>> KeyUrl("https://shop/products/{key}", {}, {"name": pl.String()}).url_of("a/b")
    'https://shop/products/a%2Fb'
    """

    url: str
    headers: Mapping[str, str]
    columns: Mapping[str, pl.DataType]
    private: bool = False

    @property
    def name(self) -> str:
        return shown(self.url)

    def url_of(self, key: object) -> str | None:
        """Where a key is asked for; ``None`` for what is none: nothing, the dots of a path, endless text."""
        text = str(key)
        if text in ("", ".", "..") or len(text) > KEY_CHARS:
            return None
        return self.url.replace(KEY, quote(text, safe=""))

    def ask(self, world: World, keys: Sequence[object]) -> list[KeyAnswer]:
        """What the server knows of some keys, in their order."""
        urls = {at: url for at, key in enumerate(keys) if (url := self.url_of(key)) is not None}
        headers = {"Accept": "application/json", **sent(self.headers)}
        requests = [WebRequest(url, headers, ANSWER_US, ANSWER_BYTES, self.private) for url in urls.values()]
        answers = dict(zip(urls, asked(world, requests, within_us=BATCH_US), strict=True))
        return [_key_answer(answers[at]) if at in answers else KeyAnswer() for at in range(len(keys))]


def web_table_of(
    url: str, headers: Mapping[str, str], schema: Mapping[str, Any] | None, *, private: bool = False
) -> TableUrl | KeyUrl:
    """A lookup table by its URL. Raises `ConfigError` for one that cannot be used."""
    parts = _checked(url)
    for name, value in headers.items():
        if not isinstance(value, str):
            raise ConfigError(f"the header {name!r} must be text, got {value!r}", where="lookup(headers=)")
        if _SECRET.search(name) and not value.startswith("env:"):
            raise ConfigError(
                f"the header {name!r} is a secret, and would be written down with the pipeline",
                where="lookup(headers=)",
                hint=f'name an environment variable that holds it: {{"{name}": "env:SHOP_LOGIN"}}',
            )
    if KEY not in url:
        return TableUrl(url, dict(headers), private)
    if KEY in parts.netloc or KEY in parts.fragment:
        raise ConfigError(
            "the key can stand in the path and in the query of a URL only",
            where="lookup",
            hint='"https://shop/products/{key}"',
        )
    if not schema:
        raise ConfigError(
            "a URL that is asked key by key needs schema=: what an answer says",
            where="lookup",
            hint='schema={"name": pl.String, "price": pl.Float64}',
        )
    return KeyUrl(url, dict(headers), dict(pl.Schema(schema)), private)


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "a user or password in the URL would be written down with the pipeline",
            where="lookup",
            hint='headers={"Authorization": "env:SHOP_LOGIN"}, where the variable holds "Basic ..."',
        )
    if not parts.hostname:
        raise ConfigError(f"there is no host in {url!r}", where="lookup", hint='"https://shop/products.csv"')
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    secret = next((name for name, _, value in pairs if value != KEY and _SECRET.search(name)), None)
    if secret is not None:
        raise ConfigError(
            f"{secret!r} in the URL looks like a secret, and would be written down with the pipeline",
            where="lookup",
            hint='send it in a header: headers={"Authorization": "env:SHOP_LOGIN"}',
        )
    return parts


def shown(url: str) -> str:
    """A URL as it may be shown: without what stands in its query."""
    parts = urlsplit(url)
    query = KEY if KEY in parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()


def sent(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with what the environment holds in place of its names. Raises `ConfigError` for one not set."""
    found = {}
    for name, value in headers.items():
        variable = value.removeprefix("env:")
        if variable == value:
            found[name] = value
        elif variable in os.environ:
            found[name] = os.environ[variable]
        else:
            raise ConfigError(
                f"the environment variable {variable!r} is not set, which holds the header {name!r}",
                where="lookup(headers=)",
                hint=did_you_mean(variable, [known for known in os.environ if known.startswith(variable[:1])]),
            )
    return found


def asked(world: World, requests: Sequence[WebRequest], *, within_us: int) -> list[WebAnswer | str]:
    """The final answers to some requests, in their order; for one that failed, why.

    Parameters
    ----------
    within_us : how long all of it may take, tries and pauses among it. What was not asked by then failed.
    """
    found: dict[int, WebAnswer | str] = {}
    open_ones = dict(enumerate(requests))
    until_us = world.clock.monotonic_us() + within_us
    for attempt in range(TRIES):
        if attempt:
            if world.clock.monotonic_us() >= until_us:
                break
            _pause(world, round(PAUSE_US * 2 ** (attempt - 1) * (1 + world.random.random())))
        answers = _followed(world, open_ones, until_us)
        # Who was asked before, and could not be asked again, has failed for the reason that was given then.
        found |= {at: answer for at, answer in answers.items() if answer != NOT_ASKED or at not in found}
        open_ones = {at: requests[at] for at in open_ones if _may_recover(answers[at])}
        if not open_ones:
            break
    return [_judged(found[at]) for at in range(len(requests))]


def _followed(world: World, requests: Mapping[int, WebRequest], until_us: int) -> dict[int, WebAnswer | str]:
    """The answers to some requests, behind redirects."""
    found: dict[int, WebAnswer | str] = {}
    waiting = dict(requests)
    for _ in range(REDIRECTS + 1):
        answers = world.web.get(list(waiting.values()), at_once=AT_ONCE, until_us=until_us) if waiting else []
        next_ones: dict[int, WebRequest] = {}
        for (at, request), answer in zip(waiting.items(), answers, strict=True):
            location = "" if isinstance(answer, OSError) else answer.headers.get("location", "")
            if isinstance(answer, NotAskedError):
                found[at] = NOT_ASKED
            elif isinstance(answer, OSError):
                found[at] = f"{_AGAIN}{_in_words(answer)}"
            elif answer.status not in (301, 302, 303, 307, 308) or not location:
                found[at] = answer
            elif _same_server(request.url, target := urljoin(request.url, location)):
                next_ones[at] = replace(request, url=target)
            else:
                host = urlsplit(target)
                found[at] = f"the server sends us on to {host.scheme}://{host.hostname}, which is another one"
        waiting = next_ones
    return found | dict.fromkeys(waiting, "the server sends us on and on")


#: Why there is no answer to a request that was not made.
NOT_ASKED = "no time was left to ask for it, as the server is slow and the keys are many"
#: Stands before a reason that may be gone the next time.
_AGAIN = "\0"


def _may_recover(answer: WebAnswer | str) -> bool:
    return answer.startswith(_AGAIN) if isinstance(answer, str) else answer.status in FAILS_NOW


def _judged(answer: WebAnswer | str) -> WebAnswer | str:
    if isinstance(answer, str):
        return answer.removeprefix(_AGAIN)
    packed = answer.headers.get("content-encoding", "identity")
    if packed.lower() != "identity":
        return f"the answer is packed ({packed[:20]}), which was not asked for"
    return answer


def _same_server(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())


def _pause(world: World, duration_us: int) -> None:
    end_us = world.clock.monotonic_us() + duration_us
    while world.clock.monotonic_us() < end_us:
        world.wait([], end_us)


def _in_words(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


def _key_answer(answer: WebAnswer | str) -> KeyAnswer:
    if isinstance(answer, str):
        return KeyAnswer(failure=answer, asked=answer != NOT_ASKED)
    if answer.status in NOTHING_THERE:
        return KeyAnswer()
    if answer.status != 200:
        return KeyAnswer(failure=f"the server says {answer.status}")
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        return KeyAnswer(failure=f"the answer is not JSON: {error}")
    if said is None:
        return KeyAnswer()
    if not isinstance(said, dict):
        return KeyAnswer(failure=f"the answer is not an object, but begins with {answer.body[:20]!r}")
    return KeyAnswer(said)
