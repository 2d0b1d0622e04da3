"""What the names of a hub's networks, its package and its categories are taken for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ...errors import Message, ModelError, explain_error, require
from ..labels import Labels, imagenet
from ..wrapping import Request

RANDOM = "random"


def bare_name(name: str) -> str:
    """Return the name without the hub in front of it."""
    return name.partition(":")[2] or name


def package(module: str, package: str) -> Any:
    """Return a module of a hub's package.

    Args:
        module: to import.
        package: that has to be installed for it.

    Raises:
        MissingDependency: without the package.
    """
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        raise require(package, "hubs", Message("A model of {package}", package=package)) from problem


def require_torch(request: Request, hub: str) -> None:
    """Raise if another framework than torch was requested.

    Args:
        request: what the caller requested.
        hub: name of the hub.

    Raises:
        ModelError: for another framework.
    """
    if request.framework not in ("", "torch"):
        raise ModelError(
            explain_error(
                f"The models of {hub} run on torch.", f"framework={request.framework!r}", "Leave the framework out."
            )
        )


def categories(names: Sequence[str]) -> Labels:
    """Return the published names; the thousand ImageNet classes get their WordNet ids."""
    if not names or list(names) == [f"LABEL_{i}" for i in range(len(names))]:
        return Labels(())
    known = imagenet()
    same = len(names) == len(known) and sum(
        a.split(",")[0].lower().replace("_", " ") == b.lower().replace("_", " ")
        for a, b in zip(names, known.names, strict=True)
    )
    ids = known.wordnet_ids if same and same > 800 else None
    return Labels(tuple(names), ids)
