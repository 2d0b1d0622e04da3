"""shisen (視線, line of sight) shows where an image classifier looks.

    model = shisen.load("efficientnet_lite0")
    shisen.explain(model, "cat.jpg").save("out.png")

Names are loaded when they are first used: importing shisen loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Attribution": "types",
    "Audit": "audit.run",
    "Comparison": "comparison",
    "Explanation": "explanation",
    "Failure": "explanation",
    "Layer": "types",
    "Model": "models.model",
    "Picture": "types",
    "Prediction": "types",
    "Preprocess": "models.preprocess",
    "ShisenError": "errors",
    "ShisenWarning": "errors",
    "Target": "types",
    "activations": "features.activations",
    "attention": "features.heads",
    "audit": "audit.run",
    "channel": "targets",
    "compare": "comparison",
    "contrast": "naming",
    "direction": "targets",
    "evaluate": "evaluate.harness",
    "explain": "api",
    "explain_each": "explaining",
    "filters": "features.visualise",
    "finetune": "train.run",
    "load": "models.loading",
    "log_probability": "naming",
    "methods": "api",
    "metrics": "evaluate.metrics",
    "negative": "naming",
    "neuron": "targets",
    "recommend": "evaluate.recommend",
    "serve": "web.server",
    "top": "naming",
    "wrap": "models.loading",
}

__all__ = [
    "Attribution",
    "Audit",
    "Comparison",
    "Explanation",
    "Failure",
    "Layer",
    "Model",
    "Picture",
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
    "direction",
    "evaluate",
    "explain",
    "explain_each",
    "filters",
    "finetune",
    "load",
    "log_probability",
    "methods",
    "metrics",
    "negative",
    "neuron",
    "recommend",
    "serve",
    "top",
    "wrap",
]

if TYPE_CHECKING:
    from .api import explain, methods
    from .audit.run import Audit, audit
    from .comparison import Comparison, compare
    from .errors import ShisenError, ShisenWarning
    from .evaluate.harness import evaluate
    from .evaluate.metrics import metrics
    from .evaluate.recommend import recommend
    from .explaining import explain_each
    from .explanation import Explanation, Failure
    from .features.activations import activations
    from .features.heads import attention
    from .features.visualise import filters
    from .models.loading import load, wrap
    from .models.model import Model
    from .models.preprocess import Preprocess
    from .naming import contrast, log_probability, negative, top
    from .targets import channel, direction, neuron
    from .train.run import finetune
    from .types import Attribution, Layer, Picture, Prediction, Target
    from .web.server import serve


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'shisen' has no attribute {name!r}; public names: {', '.join(sorted(_HOME))}")


def __dir__() -> list[str]:
    return __all__
