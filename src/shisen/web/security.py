"""In front of the page: who may call it, and what a browser may load for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; media-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""Whatever a page's parts request, a browser loads nothing that does not come from this server."""

Scope = MutableMapping[str, Any]


class Guard:
    """Refuse callers that came under another name, and tell browsers to load nothing from elsewhere.

    Args:
        app: the page.
        local: whether the page is served to this machine alone. Then a request must name this machine as its host,
            so that a foreign page cannot reach it by giving its own name this machine's address.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], local: bool = True) -> None:
        self.app, self.local = app, local

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.local and host_of(scope) not in LOOPBACK:
            start = {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
            await send(start)
            await send({"type": "http.response.body", "body": b"This page is served to its own machine only.\n"})
            return

        async def guarded(message: Scope) -> None:
            if message["type"] == "http.response.start":
                named = (b"content-security-policy", b"referrer-policy", b"x-content-type-options")
                headers = [h for h in message.get("headers", []) if h[0].lower() not in named]
                headers += zip(named, (POLICY.encode(), b"no-referrer", b"nosniff"), strict=True)
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, guarded)


def host_of(scope: Scope) -> str:
    """Return the host that a request names, without its port."""
    host: str = next((v.decode("latin-1") for k, v in scope.get("headers", []) if k.lower() == b"host"), "")
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
