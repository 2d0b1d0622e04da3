"""Is the explanation any good: metrics, one runner for them, and a recommendation. No framework is imported here."""

from __future__ import annotations

import importlib

from .._core import plugins

MEASURES = (
    "curves", "masking_metrics", "road", "arcc", "infidelity", "axioms", "shape", "localization", "collages", "sanity",
)  # fmt: skip


def fill_registry() -> None:
    """Import every module that registers metrics, those of other packages included."""
    for name in MEASURES:
        importlib.import_module(f".{name}", __name__)
    plugins.load(plugins.METRICS)
