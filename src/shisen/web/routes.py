"""Images and values that the browser fetches by themselves: drawing a map differently is one small request."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import numpy as np
from PIL import Image

from ..errors import ShisenError
from ..viz.overlay import displayable
from .request import Drawing
from .session import Explained, Session

ROOT = "/shisen/"
KEPT = b"private, max-age=3600, immutable"

Scope = MutableMapping[str, Any]


def image_address(seen: Explained) -> str:
    """Return where the browser finds the image without a map."""
    return f"{ROOT[1:]}{quote(seen.token)}/image"


def drawing_address(seen: Explained, drawing: Drawing) -> str:
    """Return where the browser finds the image with its map, drawn in this way.

    Args:
        seen: the explanation.
        drawing: how the map is drawn.
    """
    return f"{ROOT[1:]}{quote(seen.token)}/map?{urlencode(vars(drawing))}"


def rank_address(seen: Explained) -> str:
    """Return where the browser finds the map of another likely class, drawn; empty where that takes long."""
    return f"{ROOT[1:]}{quote(seen.token)}/rank" if seen.request.quick else ""


def values_address(seen: Explained) -> str:
    """Return where the browser finds the values of the map."""
    return f"{ROOT[1:]}{quote(seen.token)}/values"


class Drawings:
    """Answer requests for what was explained, under a token that only its visitor knows.

    The token is 128 random bits, so a visitor can neither guess another's nor name a file. What made room for newer
    answers is gone (404), and the page then requests it again.

    Args:
        app: the page.
        session: its results.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], session: Session) -> None:
        self.app, self.session = app, session

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or not path.startswith(ROOT):
            await self.app(scope, receive, send)
            return
        from starlette.concurrency import run_in_threadpool

        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        status, kind, body = await run_in_threadpool(self.answer, path, {k: v[0] for k, v in query.items()})
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers.append((b"cache-control", KEPT if status == 200 else b"no-store"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else body})

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes]:
        """Return status, media type and body.

        Args:
            path: path of the image.
            query: parameters of the request.
        """
        token, _, what = path.removeprefix(ROOT).partition("/")
        seen = self.session.find(token)
        known = {"image", "map", "values"} | ({"rank"} if seen and seen.request.quick else set())
        if seen is None or what not in known:
            return 404, "text/plain", b"Not here (any more).\n"
        if what == "values":
            return 200, "application/json", seen.values.encode()
        if what == "image":
            return 200, "image/jpeg", jpeg(displayable(seen.shown.image.pixels))
        try:
            if what == "rank":
                seen = self.session.of_rank(seen, int(query["rank"]))
            drawing = Drawing(query["style"], query["colormap"], float(query["alpha"]))
            return 200, "image/jpeg", jpeg(seen.shown.overlay(drawing.style, drawing.colormap, drawing.alpha))
        except (ShisenError, LookupError, ValueError) as problem:
            return 400, "text/plain; charset=utf-8", f"{problem}\n".encode()


def jpeg(image: Any) -> bytes:
    """Return an image as the browser gets it."""
    buffer = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    made.convert("RGB").save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
