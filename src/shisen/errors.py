"""One family of errors. Every message states what must hold, what was received and what to try."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar


class ShisenError(Exception):
    """Base of everything that shisen raises on purpose.

    Attributes:
        kind: what went wrong in a word, for a page that says it in another language; see `of_kind`.
    """

    kind = "error"


class InputError(ShisenError, ValueError):
    """An argument, an image or a setting that cannot be used."""

    kind = "input"


class ImageError(InputError):
    """An image that cannot be read or is not allowed."""

    kind = "image"


class UnknownName(InputError, KeyError):
    """A name that is in no list; the message carries the nearest ones."""

    kind = "name"

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class ModelError(ShisenError):
    """A network that cannot be loaded, or does not allow what was requested."""

    kind = "model"


class MissingDependency(ShisenError, ImportError):
    """An optional package that is not installed; the message carries the command that installs it."""

    kind = "package"


class ShisenWarning(UserWarning):
    """Something a reader of the result ought to know."""


E = TypeVar("E", bound=ShisenError)


def of_kind(error: E, kind: str) -> E:
    """Return the error marked with a more precise `kind` than its class has.

    Args:
        error: the error.
        kind: the more precise kind.
    """
    error.kind = kind
    return error


def explain_error(expected: str, received: object, advice: str) -> str:
    """Compose a message in the common form.

    Args:
        expected: what must hold, a full sentence.
        received: what was given instead.
        advice: what to try, a full sentence.

    Returns:
        The message.
    """
    return f"{expected} Received: {received}. {advice}"


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
    if near:
        hint = "Did you mean " + " or ".join(repr(lowered[n]) for n in near) + "?"
    else:
        shown = ", ".join(names[:12])
        hint = f"Known: {shown}{', …' if len(names) > 12 else ''}." if names else ""
    text = f"There is no {kind} {str(name)!r}. {hint} {advice}"
    return UnknownName(" ".join(text.split()))


def require(package: str, extra: str, purpose: str) -> MissingDependency:
    """Return the error for an optional package that is not installed.

    Args:
        package: name of the package.
        extra: name of the extra that installs it.
        purpose: what needs it, the subject of a sentence.
    """
    return MissingDependency(
        f"{purpose} needs the package {package!r}, which is not installed. "
        f"Install it with: pip install 'shisen[{extra}]'"
    )
