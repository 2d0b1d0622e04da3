"""Pieces of the page that the browser draws: the two images under one slider, the value under the pointer."""

from __future__ import annotations

from html import escape

from .._core.i18n import translator
from .request import Drawing
from .routes import drawing_address, image_address, rank_address, values_address
from .session import Explained


def both(seen: Explained, drawing: Drawing, lang: str) -> str:
    """Return the image with its map over it, under a slider, with the values for the pointer.

    Args:
        seen: the explanation.
        drawing: how the map is drawn.
        lang: language of the text, such as "en" or "ja".
    """
    _, whole = translator(lang), seen.whole
    h, w = whole.image.size
    name = escape(whole.image.source)
    words = _(
        "{method} map for {target} over {name}",
        method=escape(whole.method),
        target=escape(whole.target.name),
        name=name,
    )
    probe = escape(_("Point at the image, or use the arrow keys, to read the value at a position."))
    image, original, shown = escape(_("Image")), escape(_("original")), escape(_("map"))
    split = escape(_("Fraction of the original image that is shown, in percent"))
    unseen = escape(_("The model did not see this part."))
    over = escape(drawing_address(seen, drawing))
    return (
        f'<div class="shisen-view" data-values="{escape(values_address(seen))}" '
        f'data-rank="{escape(rank_address(seen))}">'
        f'<div class="shisen-frame" tabindex="0" role="group" aria-label="{probe}" '
        f'style="aspect-ratio:{w}/{h};max-width:min(100%,calc(64vh*{w}/{h}))">'
        f'<img src="{escape(image_address(seen))}" alt="{image}: {name}">'
        f'<img class="shisen-over" src="{over}" alt="{words}">'
        '<div class="shisen-line"></div><div class="shisen-dot"></div></div>'
        f'<div class="shisen-under"><span>{original}</span>'
        f'<input type="range" min="0" max="100" value="0" class="shisen-split" '
        f'aria-label="{split}"><span>{shown}</span></div>'
        f'<output class="shisen-probe" aria-live="polite" data-empty="{probe}" '
        f'data-unseen="{unseen}">{probe}</output></div>'
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
