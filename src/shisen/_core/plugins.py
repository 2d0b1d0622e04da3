"""What other packages add through entry points: methods, metrics and kinds of artefacts."""

from __future__ import annotations

import warnings
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..errors import ShisenWarning

METHODS = "shisen.methods"
METRICS = "shisen.metrics"
ARTEFACTS = "shisen.artefacts"

_loaded: dict[tuple[str, str], Any] = {}


def load(group: str) -> list[Any]:
    """Load the entry points of a group that were not loaded before.

    A module registers what it decorates when it is imported, so an entry point may name a module or an object in it.
    A plugin that cannot be loaded is named in a warning and left out; it never stops shisen.

    Args:
        group: name of the group, such as "shisen.methods".

    Returns:
        The objects that the entry points name, in the order of their names.
    """
    found = []
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if (group, point.value) in _loaded:
            continue
        _loaded[group, point.value] = None
        try:
            _loaded[group, point.value] = point.load()
        except Exception as problem:
            warnings.warn(_failed(point, problem), ShisenWarning, stacklevel=2)
        else:
            found.append(_loaded[group, point.value])
    return found


def _failed(point: EntryPoint, problem: Exception) -> str:
    package = point.dist.name if point.dist is not None else "an unknown package"
    return (
        f"The plugin {point.name!r} of the package {package!r} could not be loaded and is left out. "
        f"{type(problem).__name__} while loading {point.value!r} ({point.group}): {problem}"
    )
