"""The door of the dashboard: who may ask, how, and which headers every answer carries.

It stands in front of all routes, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: No inline script or style, nothing from elsewhere, no HTML made from strings. BokehJS lives within it because
#: ``static/styles.js`` turns its ``<style>`` elements into constructed style sheets.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
)

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

METHODS = ("GET", "HEAD")


class Guard:
    """An ASGI app around another: checks ``Host``, ``Origin`` and the method, adds the security headers.

    Parameters
    ----------
    app : what is guarded.
    host_allowed : a test for the value of a ``Host`` header.
    """

    def __init__(self, app: ASGIApp, host_allowed: Callable[[str], bool]) -> None:
        self._app = app
        self._host_allowed = host_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        else:
            await _refuse(_with_headers(send), *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text when the request is turned away."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._host_allowed(hosts[0]):
            return 421, "this dashboard does not go by that name; open it by the address that it printed"
        if any(not self._own_origin(origin, hosts[0]) for origin in _values(scope, b"origin")):
            return 403, "requests from other sites are refused"
        if _cross_site(scope):
            return 403, "requests from other sites are refused"
        if scope["method"] not in METHODS:
            return 405, "this dashboard only shows: GET and HEAD"
        return None

    def _own_origin(self, origin: str, host: str) -> bool:
        return origin.lower() == f"http://{host.lower()}"


def _cross_site(scope: Scope) -> bool:
    # Following a link from elsewhere to the page is fine; a page elsewhere that fetches or frames us is not.
    if _values(scope, b"sec-fetch-site") != ["cross-site"]:
        return False
    return _values(scope, b"sec-fetch-mode") != ["navigate"] or _values(scope, b"sec-fetch-dest") != [
        "document"
    ]


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS]}
        await send(message)

    return sender


async def _refuse(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if status == 405:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
