"""The verbs: what a user calls."""

from __future__ import annotations

import warnings
from typing import Any

from .comparison import Comparison, compare
from .errors import InputError, ShisenWarning, explain_error
from .explaining import explain_each, saved_each
from .models.model import Model
from .naming import per_image
from .registry import METHODS
from .results import Failure


def methods() -> dict[str, str]:
    """Return the names of all attribution methods with one line each."""
    return {name: m.summary for name, m in METHODS.items()}


def explain(
    model: Model,
    image: Any,
    method: str = "grad_cam",
    *,
    target: Any = None,
    layer: Any = None,
    score: str = "logit",
    size: int | tuple[int, int] | None = None,
    fit: str | None = None,
    **options: Any,
) -> Any:
    """Show where a network looked.

    Args:
        model: from `load` or `wrap`.
        image: path, bytes, URL, PIL image or array; or a list of such.
        method: a name from `methods()`, or "auto" for what `recommend` has found for this model.
        target: None for the top class, an index, a label, a WordNet id, `contrast(a, b)`, `contrast_similar(k)`,
            `negative(a)`, `top(k)`, `output(i)`, or a score function of the network's output, written in its
            framework, which differentiates it. A list, an array or a tensor of labels gives one per image of a list,
            or several explanations of one image.
        layer: the point a CAM works at: a path, a list of paths, or the network's own layer object; None for the
            model's default.
        score: "logit", "probability" or "log_probability".
        size: another input size than the recipe's, for this call.
        fit: "stretch", "crop" or "pad", for this call.
        **options: options of the method.

    Returns:
        An `Explanation`. For a list of images or of targets, a list in the same order; an image of a list that
        cannot be read becomes a `Failure`, with a warning, and never loses the others.

    Raises:
        UnknownName: for an unknown method, option, layer or class.
        ImageError: for a single image that cannot be read.
    """
    targets = per_image(target)
    if isinstance(image, (list, tuple)):
        if targets is not None and len(targets) != len(image):
            raise InputError(
                explain_error(
                    "A list of targets gives one target per image.",
                    f"{len(targets)} targets, {len(image)} images",
                    "Give one target for all, or as many as images.",
                )
            )
        results = list(
            explain_each(model, image, method, target=target, layer=layer, score=score, size=size, fit=fit, **options)
        )
        bad = [r for r in results if isinstance(r, Failure)]
        if bad:
            lines = "; ".join(f"{f.source}: {f.error}" for f in bad[:5])
            warnings.warn(f"{len(bad)} of {len(results)} images failed: {lines}", ShisenWarning, stacklevel=2)
        return results
    opened = model.read(image)
    found = []
    for one in [target] if targets is None else targets:
        (result,) = explain_each(
            model,
            [opened],
            method,
            target=one,
            layer=layer,
            score=score,
            size=size,
            fit=fit,
            raise_errors=True,
            **options,
        )
        found.append(result)
    return found[0] if targets is None else found


__all__ = ["Comparison", "compare", "explain", "explain_each", "methods", "saved_each"]
