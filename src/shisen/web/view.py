"""Pieces of the page that the browser draws: the two images under one slider, the value under the pointer."""

from __future__ import annotations

from html import escape

from .request import Drawing
from .routes import drawing_address, image_address, rank_address, values_address
from .session import Explained
from .words import say


def both(seen: Explained, drawing: Drawing, lang: str) -> str:
    """Return the image with its map over it, under a slider, with the values for the pointer.

    Args:
        seen: the explanation.
        drawing: how the map is drawn.
        lang: language of the text, such as "en" or "ja".
    """
    whole = seen.whole
    h, w = whole.image.size
    name = escape(whole.image.source)
    words = say("alt_overlay", lang).format(method=escape(whole.method), target=escape(whole.target.name), name=name)
    over = escape(drawing_address(seen, drawing))
    return (
        f'<div class="shisen-view" data-values="{escape(values_address(seen))}" '
        f'data-rank="{escape(rank_address(seen))}">'
        f'<div class="shisen-frame" tabindex="0" role="group" aria-label="{escape(say("probe_help", lang))}" '
        f'style="aspect-ratio:{w}/{h};max-width:min(100%,calc(64vh*{w}/{h}))">'
        f'<img src="{escape(image_address(seen))}" alt="{escape(say("alt_image", lang))}: {name}">'
        f'<img class="shisen-over" src="{over}" alt="{words}">'
        '<div class="shisen-line"></div><div class="shisen-dot"></div></div>'
        f'<div class="shisen-under"><span>{escape(say("original", lang))}</span>'
        f'<input type="range" min="0" max="100" value="0" class="shisen-split" '
        f'aria-label="{escape(say("split", lang))}"><span>{escape(say("map", lang))}</span></div>'
        f'<output class="shisen-probe" aria-live="polite" data-empty="{escape(say("probe_help", lang))}" '
        f'data-unseen="{escape(say("unseen", lang))}">{escape(say("probe_help", lang))}</output></div>'
    )


def framed(page: str, title: str) -> str:
    """Return a whole HTML page to be shown inside of this one, apart from it.

    Args:
        page: the text of the page.
        title: title of the page.
    """
    return (
        f'<iframe class="shisen-report" title="{escape(title)}" sandbox="allow-scripts allow-popups" '
        f'srcdoc="{escape(page)}"></iframe>'
    )


def note(text: str, kind: str = "note") -> str:
    """Return a line of text in a quiet frame; empty text gives nothing.

    Args:
        text: the text.
        kind: kind of the note.
    """
    return f'<div class="shisen-note shisen-{kind}" role="status">{escape(text)}</div>' if text else ""
