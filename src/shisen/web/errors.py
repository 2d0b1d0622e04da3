"""Errors in the visitor's language."""

from __future__ import annotations

from .._core.i18n import N_, translator
from ..errors import ImageError, InputError, MissingDependency, ModelError, ShisenError, UnknownName

SUMMARIES = (
    (ImageError, N_("The image cannot be used.")),
    (UnknownName, N_("The name is not known. Choose one from the list.")),
    (InputError, N_("A value cannot be used.")),
    (ModelError, N_("This is not possible with this model. Choose another method or layer.")),
    (MissingDependency, N_("A required package is not installed.")),
    (ShisenError, N_("The request failed.")),
)
"""What went wrong, by the class of an error; read in languages in which the library's own message is not available."""


def in_words(problem: ShisenError, lang: str) -> str:
    """Return an error in a language: the library's own message, or else what kind it is and that message in English.

    Args:
        problem: the error.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    if _.covers(problem.message):
        return _(problem.message)
    summary = next(words for kind, words in SUMMARIES if isinstance(problem, kind))
    return _("{summary} ({details})", summary=_(summary), details=str(problem))
