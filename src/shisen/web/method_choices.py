"""Methods as the page offers them: in the visitor's language, with what a reader of the map must know."""

from __future__ import annotations

from collections.abc import Iterable

from .._core.i18n import translator
from ..registry import METHODS


def about(method: str, lang: str) -> str:
    """Return in a sentence what a method shows.

    Args:
        method: name of the method.
        lang: language of the text, such as "en" or "ja".
    """
    return translator(lang)(METHODS[method].summary)


def caution(method: str, lang: str) -> str:
    """Return what a reader of the method's maps must know; empty if nothing.

    Args:
        method: name of the method.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    words = _(METHODS[method].caution)
    return _("Caution – {method}: {words}.", method=method, words=words) if words else ""


def cautions(methods: Iterable[str], lang: str) -> str:
    """Return the same for several methods; empty if there is nothing to know of any.

    Args:
        methods: names of the methods.
        lang: language of the text, such as "en" or "ja".
    """
    return " ".join(words for words in (caution(m, lang) for m in methods) if words)


def offered(names: Iterable[str], lang: str) -> list[tuple[str, str]]:
    """Return methods as `(text, name)` to choose from; one that needs caution is marked before it is chosen.

    Args:
        names: names of the methods.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    return [(_("{method} ⚠ caution", method=name) if METHODS[name].caution else name, name) for name in names]
