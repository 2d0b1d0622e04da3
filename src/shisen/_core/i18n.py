"""Messages in the reader's language: English in the source, other languages in `locale/*/LC_MESSAGES/shisen.mo`.

`tools/messages.py` collects the messages into the catalogs; at run time only the standard library's `gettext` reads
them. A new language is one catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import N_, Message, unknown

__all__ = ["N_", "Message", "Translator", "languages", "translator"]

CATALOGS = Path(__file__).resolve().parents[1] / "locale"


class Translator:
    """Returns messages in one language, and the English ones where the catalog has none."""

    def __init__(self, lang: str, catalog: NullTranslations) -> None:
        self.lang = lang
        self._catalog = catalog

    def __call__(self, message: str, /, **values: Any) -> str:
        """Return a message in the language.

        Args:
            message: in English, with named fields as in `str.format`; or a `Message`.
            values: of its fields.
        """
        if isinstance(message, Message):
            return self(message.template, **message.values)
        return self._filled(self._catalog.gettext(message) if message else "", values)

    def plural(self, one: str, many: str, n: int, /, **values: Any) -> str:
        """Return the message that suits a number, which fills the field `n`.

        Args:
            one: in English, for 1.
            many: in English, for other numbers.
            n: the number.
            values: of the other fields.
        """
        return self._filled(self._catalog.ngettext(one, many, n), {"n": n, **values})

    def covers(self, message: str) -> bool:
        """Return whether the language has a message, and every message that is filled into it."""
        template, values = (message.template, message.values) if isinstance(message, Message) else (message, {})
        own = self.lang == "en" or not template or self._catalog.gettext(template) != template
        return own and all(self.covers(value) for value in values.values() if isinstance(value, Message))

    def _filled(self, template: str, values: Mapping[str, Any]) -> str:
        if not values:
            return template
        return template.format(**{k: self(v) if isinstance(v, Message) else v for k, v in values.items()})


@lru_cache(maxsize=1)
def languages() -> Mapping[str, str]:
    """Return the languages there are: code → the language's own name."""
    names = {"en": "English"}
    for file in sorted(CATALOGS.glob("*/LC_MESSAGES/shisen.mo")):
        code = file.parts[-3]
        names[code] = _catalog(code).pgettext("this language's own name", "English")
    return MappingProxyType(names)


def translator(lang: str) -> Translator:
    """Return what translates messages into a language.

    Args:
        lang: a code among `languages()`.

    Raises:
        UnknownName: for another language.
    """
    if lang not in languages():
        raise unknown("language", lang, languages())
    return Translator(lang, _catalog(lang))


@lru_cache(maxsize=8)
def _catalog(lang: str) -> NullTranslations:
    if lang == "en":
        return NullTranslations()
    with (CATALOGS / lang / "LC_MESSAGES" / "shisen.mo").open("rb") as file:
        return GNUTranslations(file)
