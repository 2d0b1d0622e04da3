"""shisen (視線, line of sight) shows where an image classifier looks.

    model = shisen.load("efficientnet_lite0")
    shisen.explain(model, "cat.jpg").save("out.png")

Names are loaded when they are first used: importing shisen loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_HOME = {
    "Attribution": "types",
    "Audit": "auditing.run",
    "Comparison": "comparison",
    "Explanation": "results",
    "Failure": "results",
    "Layer": "types",
    "Model": "models.model",
    "InputImage": "types",
    "Prediction": "types",
    "Preprocess": "models.preprocess",
    "ShisenError": "errors",
    "ShisenWarning": "errors",
    "Target": "types",
    "activations": "inspect.activations",
    "attention": "inspect.attention_maps",
    "audit": "auditing.run",
    "channel": "targets",
    "compare": "comparison",
    "contrast": "naming",
    "contrast_similar": "naming",
    "cotangent": "naming",
    "direction": "targets",
    "evaluate": "evaluation.runner",
    "explain": "api",
    "explain_each": "explaining",
    "factorize": "inspect.factorization",
    "filters": "inspect.feature_visualization",
    "finetune": "training.run",
    "load": "models.loading",
    "log_probability": "naming",
    "methods": "api",
    "metrics": "evaluation.metrics",
    "negative": "naming",
    "neuron": "targets",
    "recommend": "evaluation.recommend",
    "serve": "web.server",
    "output": "naming",
    "top": "naming",
    "wrap": "models.loading",
}

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
