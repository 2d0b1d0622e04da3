"""Values that are typed as text: sizes, targets, options of methods, lists of names and numbers, durations."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..registry import Method


METHOD_OPTIONS = ("baseline", "n_samples", "seed")
"""Options of methods that commands have under the same name."""


def seconds_of(text: str) -> float:
    """Read a duration such as "60s", "5m" or "1h"."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in "smh" else (text, "s")
    try:
        seconds = float(number) * {"s": 1.0, "m": 60.0, "h": 3600.0}[unit]
    except ValueError:
        seconds = 0.0
    if seconds <= 0.0:
        raise click.BadParameter(f"a budget must be a duration such as 60s or 5m; received {text!r}.")
    return seconds


def names_of(text: str) -> list[str]:
    """Read comma-separated names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_of(texts: Sequence[str]) -> list[int]:
    """Read channel numbers such as "0-15,40"."""
    found: list[int] = []
    for text in texts:
        try:
            for part in text.replace(" ", "").split(","):
                first, dash, last = part.partition("-")
                found += range(int(first), int(last) + 1) if dash else [int(first)]
        except ValueError as problem:
            raise click.BadParameter(f"channels must look like 0-15,40; received {text!r}.") from problem
    return found


def target_of(text: str | None) -> Any:
    """Read a target: a class, "a / b", "a / similar", "not a", or "top2" for the second most probable class."""
    from ..naming import contrast, contrast_similar, negative, top

    if text is None:
        return None
    words = text.strip()
    if " / " in words:
        a, b = words.split(" / ", 1)
        if b.strip().lower() == "similar":
            return contrast_similar(target=target_of(a))
        return contrast(_class(a), _class(b))
    if words.lower().startswith("not "):
        return negative(_class(words[4:]))
    if words.lower().startswith("top") and words[3:].isdigit():
        return top(int(words[3:]) - 1)
    return _class(words)


def _class(text: str) -> Any:
    return int(text) if text.strip().lstrip("-").isdigit() else text.strip()


def options_of(pairs: Sequence[str], method: Any) -> dict[str, Any]:
    """Read `-O name=value` pairs as the method's own options.

    Args:
        pairs: words of the form `name=value`.
        method: name of the method.

    Returns:
        The options by name.

    Raises:
        BadParameter: if a word has no `=`.
    """
    found = {}
    for name, equals, value in (pair.partition("=") for pair in pairs):
        if not equals:
            raise click.BadParameter(f"an option must look like name=value; received {name!r}.")
        method.check({name: value})
        found[name] = value_of(value)
    return found


def value_of(text: str | None) -> Any:
    """Read a number, a list or another literal; other text stays as it is."""
    try:
        return ast.literal_eval(text or "")
    except (ValueError, SyntaxError):
        return text


def shared_options(choice: dict[str, Any], methods: Sequence[Method]) -> dict[str, dict[str, Any]]:
    """Return the options that `METHOD_OPTIONS` set, for every method that has them; takes them out of `choice`.

    Args:
        choice: the options of the command.
        methods: the methods that run.

    Returns:
        Method name → its options.

    Raises:
        BadParameter: if none of the methods has an option that was given.
    """
    given = {name: value_of(str(value)) for name in METHOD_OPTIONS if (value := choice.pop(name)) is not None}
    for name in given:
        if not any(name in method.options for method in methods):
            raise click.BadParameter(f"--{name.replace('_', '-')} is an option of none of these methods.")
    return {m.name: {k: v for k, v in given.items() if k in m.options} for m in methods}
