"""One family of errors. Every message states what must hold, what was received and what to try."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class Message(str):
    """A message that knows its template: a string in English, which a `Translator` can say in other languages.

    For texts that are composed where the reader's language is not known, such as what long work reports about itself.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Message:
        """Fill the template's named fields.

        Args:
            template: the English message, with fields as in `str.format`.
            values: of its fields; messages among them are translated too.
        """
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made


def N_(message: str) -> str:
    """Mark a message for the catalogs that is translated later."""
    return message


class ShisenError(Exception):
    """Base of everything that shisen raises on purpose."""

    @property
    def message(self) -> str:
        """The message; a `Message` where it can be translated."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class InputError(ShisenError, ValueError):
    """An argument, an image or a setting that cannot be used."""


class ImageError(InputError):
    """An image that cannot be read or is not allowed."""


class UnknownName(InputError, KeyError):
    """A name that is in no list; the message carries the nearest ones."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class ModelError(ShisenError):
    """A network that cannot be loaded, or does not allow what was requested."""


class Unsuited(ModelError):
    """A network that a method is not for; `Method` replaces the advice by methods that have been tried on it."""


class MissingDependency(ShisenError, ImportError):
    """An optional package that is not installed; the message carries the command that installs it."""


class ShisenWarning(UserWarning):
    """Something a reader of the result ought to know."""


def explain_error(expected: str, received: object, advice: str) -> Message:
    """Compose a message in the common form.

    What the page's visitors can meet is marked by `N_` or composed as a `Message`, so that it can be translated.

    Args:
        expected: what must hold, a full sentence.
        received: what was given instead.
        advice: what to try, a full sentence.

    Returns:
        The message.
    """
    return Message(
        "{expected} Received: {received}. {advice}",
        expected=_message(expected),
        received=received if isinstance(received, Message) else str(received),
        advice=_message(advice),
    )


def briefly(problem: Exception) -> str:
    """Return what another library's error says, in one line of at most 200 characters; its kind if it says nothing."""
    text = " ".join(str(problem).split())
    return re.sub(r"\x1b\[\d*m", "", text)[:200] or type(problem).__name__  # Keras prints in bold


def _message(text: str) -> Message:
    """Return a text as a message: catalogs may have it."""
    return text if isinstance(text, Message) else Message(text)


def unknown(kind: str, name: object, known: Iterable[str], advice: str = "") -> UnknownName:
    """Return the error for a name that is not among `known`, with the nearest ones.

    Args:
        kind: word for the kind, such as "method".
        name: the unknown name.
        known: the names that exist.
        advice: what to try, a full sentence; empty for the nearest names.
    """
    names = [str(k) for k in known]
    lowered = {n.lower(): n for n in names}
    near = difflib.get_close_matches(str(name).lower(), list(lowered), n=3, cutoff=0.5)
    near += [low for low in lowered if str(name).lower() in low and low not in near][: 3 - len(near)]
    given = " ".join(repr(str(name)).split())
    parts: list[str] = [Message("There is no {kind} {name}.", kind=_message(kind), name=given)]
    if near:
        hint = repr(lowered[near[0]])
        for other in near[1:]:
            hint = Message("{one} or {other}", one=hint, other=repr(lowered[other]))
        parts.append(Message("Did you mean {names}?", names=hint))
    elif names:
        parts.append(Message("Known: {names}.", names=", ".join(names[:12]) + (", …" if len(names) > 12 else "")))
    if advice:
        parts.append(advice)
    text = _message(parts[0])
    for part in parts[1:]:
        text = Message("{first} {second}", first=text, second=_message(part))
    return UnknownName(text)


def require(package: str, extra: str, purpose: str) -> MissingDependency:
    """Return the error for an optional package that is not installed.

    Args:
        package: name of the package.
        extra: name of the extra that installs it.
        purpose: what needs it, the subject of a sentence.
    """
    return MissingDependency(
        Message(
            "{purpose} needs the package {package}, which is not installed. Install it with: {command}",
            purpose=_message(purpose),
            package=repr(package),
            command=f"pip install 'shisen[{extra}]'",
        )
    )


@contextmanager
def requiring(package: str, extra: str, purpose: str) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Args:
        package: name of the package.
        extra: name of the extra that installs it.
        purpose: what needs it, the subject of a sentence.

    Raises:
        MissingDependency: if the package is not installed.
    """
    try:
        yield
    except ImportError as problem:
        raise require(package, extra, purpose) from problem
