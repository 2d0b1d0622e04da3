"""Downloads of the hubs: quick where the network cannot be reached, and one sentence where they fail."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any
from urllib.request import getproxies

from ...errors import ModelError, ShisenError, explain_error

HUGGING_FACE = "huggingface.co"


@contextmanager
def reachable(name: str, host: str) -> Iterator[None]:
    """Turn every way in which a download can fail into one sentence with the ways out.

    If the host cannot be reached, the hub is set to offline mode: it then uses the files on this machine at once,
    instead of trying five times with pauses.

    Args:
        name: of the network, with the hub in front.
        host: from which the weights come; "" where nothing is downloaded.

    Raises:
        ModelError: if the weights cannot be had.
    """
    away = not _reaches(host)
    try:
        with _without_network() if away else nullcontext():
            yield
    except ShisenError:
        raise
    except Exception as problem:
        first = next((line for line in str(problem).splitlines() if line.strip()), "")
        received = f"no connection to {host}" if away else f"{type(problem).__name__}: {first[:160].rstrip('. ')}"
        raise ModelError(
            explain_error(
                f"The trained weights of {name} must be on this machine or within reach of the network.",
                received,
                "Pass a file with --weights (weights=), connect once so that they are kept, take a model that needs "
                f"no download such as efficientnet_lite0, or ask for {name}@random to try the architecture alone.",
            )
        ) from problem


def _reaches(host: str) -> bool:
    """Tell whether a host can be reached; where a proxy or a mirror stands between, that is left to the hub."""
    if not host or getproxies() or os.environ.get("HF_ENDPOINT"):
        return True
    try:
        socket.create_connection((host, 443), timeout=3).close()
    except OSError:
        return False
    return True


@contextmanager
def _without_network() -> Iterator[None]:
    """Keep the hubs to the files on this machine, and quiet about it, for the time of one call."""
    names = ("huggingface_hub.constants", "transformers.utils.hub")
    found: list[Any] = [m for m in map(sys.modules.get, names) if hasattr(m, "HF_HUB_OFFLINE")]
    before = [module.HF_HUB_OFFLINE for module in found]
    try:
        for module in found:
            module.HF_HUB_OFFLINE = True
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):  # "Downloading …"
            yield
    finally:
        for module, value in zip(found, before, strict=True):
            module.HF_HUB_OFFLINE = value
