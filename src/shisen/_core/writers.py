"""Which function writes which result to which kind of file.

A result does not know how it is drawn or stored: `save` looks a writer up by the result's class and the file's suffix.
Writers lie beside what they draw with, and their modules are imported when a result of theirs is first written. A
writer names the class that it is for, so that the two modules need not import each other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError, explain_error

Writer = Callable[..., Any]
W = TypeVar("W", bound=Writer)

FOLDER = ""
"""The suffix of a writer that fills a folder."""

HOMES = {
    "Explanation": "shisen.viz.volume_files",
    "Comparison": "shisen.comparison_figure",
    "Scores": "shisen.evaluation.score_files",
    **dict.fromkeys(("ActivationGrids", "AttentionResult", "FilterGrid", "Examples"), "shisen.inspect.writers"),
}
"""Class → module with its writers, for the results of this package."""

_WRITERS: dict[tuple[str, str], Writer] = {}


def writer(kind: str | type, *suffixes: str) -> Callable[[W], W]:
    """Register a function as the writer of a class of results for some suffixes.

    Args:
        kind: the class, or its name.
        suffixes: such as ".png", in lower case; `FOLDER` for a writer that fills a folder.

    Returns:
        A decorator for `function(result, path, **options)`, which writes the result and returns the path; of a folder,
        that of its first page. Writers document their options alone, of which `lang` is the language of a page.
    """
    name = kind if isinstance(kind, str) else kind.__name__

    def add(function: W) -> W:
        _WRITERS.update({(name, suffix): function for suffix in suffixes})
        return function

    return add


def suffixes_of(kind: type) -> list[str]:
    """Return the suffixes that results of a class can be written to."""
    names = [parent.__name__ for parent in kind.__mro__]
    for home in {HOMES[name] for name in names if name in HOMES}:
        importlib.import_module(home)
    return [suffix for name in names for known, suffix in _WRITERS if known == name]


def write(result: Any, path: str | Path, *, suffix: str | None = None, **options: Any) -> Path:
    """Write a result to a file or folder, in the format that the suffix names.

    Args:
        result: of a class that has a writer.
        path: where to; a path without a known suffix is a folder where the class has a writer for one.
        suffix: the format, where it does not follow from the path.
        **options: of the writer.

    Returns:
        The path written; of a folder, its first page.

    Raises:
        InputError: for a suffix that no writer is registered for.
    """
    target, kind = Path(path), type(result)
    known = suffixes_of(kind)
    if suffix is None:  # the longest that fits, such as .nii.gz
        fitting = [s for s in known if s and target.name.lower().endswith(s)]
        suffix = max(fitting, key=len, default=target.suffix.lower())
    if suffix not in known:
        if FOLDER not in known:
            raise InputError(
                explain_error(
                    f"The name of a file with {_a(kind.__name__)} must end in {', '.join(known)}.",
                    repr(target.name),
                    f"Try {target.stem + known[0]!r}." if known else "Register a writer for it.",
                )
            )
        suffix = FOLDER
    name = next(k.__name__ for k in kind.__mro__ if (k.__name__, suffix) in _WRITERS)
    written: Path = _WRITERS[name, suffix](result, target, **options)
    return written


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"
