"""Is the explanation any good: metrics, one harness for them, and a recommendation. No framework is imported here.

`shisen.evaluate` is this package and the verb at once: calling it evaluates, see `shisen.evaluate.harness.evaluate`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

MEASURES = ("curves", "adcc", "road", "perturb", "shape", "localisation", "collages", "sanity")


def fill_registry() -> None:
    """Import every module that registers metrics."""
    for name in MEASURES:
        importlib.import_module(f".{name}", __name__)


class _Verb(ModuleType):
    """The package, which can be called: the import of a package puts it in place of a function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from .harness import evaluate

        return evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Verb
