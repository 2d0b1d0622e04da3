"""Pieces of the page that the browser draws: the two pictures under one slider, the value under the pointer."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from ..explanation import Explanation
from ..render.overlay import displayable
from ..render.scale import reduce_channels
from .asking import Drawing
from .words import say

FINEST = 240  # values a side that the browser is given


def both(seen: Explanation, drawing: Drawing, lang: str) -> str:
    """Return the picture with its map over it, under a slider, with the values for the pointer."""
    h, w = seen.picture.size
    name = escape(seen.picture.source)
    over = seen.overlay(drawing.style, drawing.colormap, drawing.alpha)
    words = say("alt_overlay", lang).format(method=escape(seen.method), target=escape(seen.target.name), name=name)
    return (
        f'<div class="shisen-view" data-values="{escape(values(seen))}">'
        f'<div class="shisen-frame" tabindex="0" role="group" aria-label="{escape(say("probe_help", lang))}" '
        f'style="aspect-ratio:{w}/{h};max-width:min(100%,calc(64vh*{w}/{h}))">'
        f'<img src="{address(displayable(seen.picture.pixels))}" alt="{escape(say("alt_picture", lang))}: {name}">'
        f'<img class="shisen-over" src="{address(over)}" alt="{words}">'
        '<div class="shisen-line"></div><div class="shisen-dot"></div></div>'
        f'<div class="shisen-under"><span>{escape(say("original", lang))}</span>'
        f'<input type="range" min="0" max="100" value="0" class="shisen-split" '
        f'aria-label="{escape(say("split", lang))}"><span>{escape(say("map", lang))}</span></div>'
        f'<output class="shisen-probe" aria-live="polite" data-empty="{escape(say("probe_help", lang))}" '
        f'data-unseen="{escape(say("unseen", lang))}">{escape(say("probe_help", lang))}</output></div>'
    )


def values(seen: Explanation) -> str:
    """Return as JSON what the browser needs to name the raw value at a place of the picture.

    A map finer than `FINEST` a side is thinned out: every k-th value is given.
    """
    reduced = np.asarray(reduce_channels(seen.values, seen.attribution.shows), dtype="<f4")
    steps = [max(1, -(-side // FINEST)) for side in reduced.shape[:2]]
    grid = np.ascontiguousarray(reduced[:: steps[0], :: steps[1]])
    return json.dumps(
        {
            "h": grid.shape[0],
            "w": grid.shape[1],
            "data": base64.b64encode(grid.tobytes()).decode(),
            "box": list(seen.frame.box),
            "picture": list(seen.picture.size),
            "unit": seen.unit,
        }
    )


def address(image: Any) -> str:
    """Return a picture as a data address, so that nothing of it has to lie on the disk."""
    buffer = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    made.convert("RGB").save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def framed(page: str, title: str) -> str:
    """Return a whole HTML page to be shown inside of this one, apart from it."""
    return (
        f'<iframe class="shisen-report" title="{escape(title)}" sandbox="allow-scripts allow-popups" '
        f'srcdoc="{escape(page)}"></iframe>'
    )


def note(text: str, kind: str = "note") -> str:
    """Return a line of text in a quiet frame; empty text gives nothing."""
    return f'<div class="shisen-note shisen-{kind}" role="status">{escape(text)}</div>' if text else ""
