"""shisen (視線, line of sight) shows where an image classifier looks.

    model = shisen.load("efficientnet_lite0")
    shisen.explain(model, "cat.jpg").save("out.png")

Names are loaded when they are first used: importing shisen loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_EXPORTS = {
    "api": ("explain", "methods"),
    "auditing.run": ("Audit", "audit"),
    "comparison": ("Comparison", "compare"),
    "errors": ("ShisenError", "ShisenWarning"),
    "evaluation.metrics": ("metrics",),
    "evaluation.recommend": ("recommend",),
    "evaluation.runner": ("evaluate",),
    "explaining": ("explain_each",),
    "inspect.activations": ("activations",),
    "inspect.attention_maps": ("attention",),
    "inspect.factorization": ("factorize",),
    "inspect.feature_visualization": ("filters",),
    "models.loading": ("load", "wrap"),
    "models.model": ("Model",),
    "models.preprocess": ("Preprocess",),
    "naming": ("contrast", "contrast_similar", "cotangent", "log_probability", "negative", "output", "top"),
    "repairing.run": ("Repair", "repair"),
    "results": ("Explanation", "Failure"),
    "targets": ("channel", "direction", "neuron"),
    "training.run": ("finetune",),
    "types": ("Attribution", "InputImage", "Layer", "Prediction", "Target"),
    "web.server": ("serve",),
}
"""Module → the public names that it defines."""

_HOME = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = [
    "Attribution",
    "Audit",
    "Comparison",
    "Explanation",
    "Failure",
    "InputImage",
    "Layer",
    "Model",
    "Prediction",
    "Preprocess",
    "Repair",
    "ShisenError",
    "ShisenWarning",
    "Target",
    "__version__",
    "activations",
    "attention",
    "audit",
    "channel",
    "compare",
    "contrast",
    "contrast_similar",
    "cotangent",
    "direction",
    "evaluate",
    "explain",
    "explain_each",
    "factorize",
    "filters",
    "finetune",
    "load",
    "log_probability",
    "methods",
    "metrics",
    "negative",
    "neuron",
    "output",
    "recommend",
    "repair",
    "serve",
    "top",
    "wrap",
]

if TYPE_CHECKING:
    from .api import explain, methods
    from .auditing.run import Audit, audit
    from .comparison import Comparison, compare
    from .errors import ShisenError, ShisenWarning
    from .evaluation.metrics import metrics
    from .evaluation.recommend import recommend
    from .evaluation.runner import evaluate
    from .explaining import explain_each
    from .inspect.activations import activations
    from .inspect.attention_maps import attention
    from .inspect.factorization import factorize
    from .inspect.feature_visualization import filters
    from .models.loading import load, wrap
    from .models.model import Model
    from .models.preprocess import Preprocess
    from .naming import contrast, contrast_similar, cotangent, log_probability, negative, output, top
    from .repairing.run import Repair, repair
    from .results import Explanation, Failure
    from .targets import channel, direction, neuron
    from .training.run import finetune
    from .types import Attribution, InputImage, Layer, Prediction, Target
    from .web.server import serve


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'shisen' has no attribute {name!r}; public names: {', '.join(sorted(_HOME))}")


def __dir__() -> list[str]:
    return __all__
