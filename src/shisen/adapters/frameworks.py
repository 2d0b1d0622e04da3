"""Which adapter belongs to a network; a new framework is one line here."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .base import Adapter

ADAPTERS = {"keras": "keras.adapter:KerasClassifier", "torch": "torch.adapter:TorchClassifier"}
"""Package of the framework → its adapter. The first that accepts a network is taken: Keras models may be modules."""


def adapter_class(net: Any) -> type[Adapter] | None:
    """Return the adapter of a live network, None for an object of no known framework; imports no framework."""
    for package, where in ADAPTERS.items():
        if package in sys.modules:
            module, _, name = where.partition(":")
            found: type[Adapter] = getattr(importlib.import_module(f".{module}", __package__), name)
            if found.accepts(net):
                return found
    return None
