"""The hubs' classifiers by a part of their names."""

from __future__ import annotations

import importlib.util

from .names import package
from .transformers import cached_names


def search(text: str) -> list[tuple[str, str, str]]:
    """Return `(name, what it is, what it needs)` of the hubs' classifiers whose full name contains the text."""
    found = []
    wanted = text.lower()
    if importlib.util.find_spec("torchvision"):
        models = package("torchvision.models", "torchvision")
        for name in models.list_models(module=models):
            found.append((f"torchvision:{name}", "torchvision classifier, ImageNet", "torchvision"))
    if importlib.util.find_spec("timm"):
        found += [(f"timm:{name}", "timm classifier", "timm") for name in package("timm", "timm").list_models()]
    if importlib.util.find_spec("transformers"):
        found += [(f"hf:{name}", "Hugging Face classifier on this machine", "transformers") for name in cached_names()]
    return [row for row in found if wanted in row[0].lower()]
