"""What is explained, in a person's words: classes by name, contrasts, ranks; turned into objectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InputError, explain_error
from .targets import ClassObjective, FunctionObjective, TopKObjective


@dataclass(frozen=True)
class Named:
    """An objective in a person's words, before a model's labels turn it into class numbers.

    Attributes:
        terms: `(weight, class)`, each class an index, a label, a WordNet id or a rank.
        name: how to call it, "" to have it composed.
        score: overrides the score asked for elsewhere.
    """

    terms: tuple[tuple[float, Any], ...]
    name: str = ""
    score: str | None = None


@dataclass(frozen=True)
class Rank:
    """The class in place `place` (0 is the top) of the network's own answer."""

    place: int = 0


def top(place: int = 0) -> Rank:
    """Explain the class in this place of the network's answer; 0 is the most probable."""
    return Rank(place)


def contrast(a: Any, b: Any) -> Named:
    """Ask "why `a` rather than `b`": the difference of two class scores (the Finer-CAM question).

    Args:
        a: class spoken for: index, label or WordNet id.
        b: class spoken against.
    """
    return Named(((1.0, a), (-1.0, b)), "{0} rather than {1}")


def negative(a: Any) -> Named:
    """Ask what speaks against a class: its score with the sign turned."""
    return Named(((-1.0, a),), "against {0}")


def log_probability(a: Any) -> Named:
    """Explain the log-probability of a class instead of its logit."""
    return Named(((1.0, a),), "{0}", "log_probability")


def resolve(
    target: Any, *, find: Callable[[Any], int], names: Sequence[str], head: str, score: str = "logit"
) -> ClassObjective | TopKObjective | Any:
    """Turn what a person asks for into an objective.

    Args:
        target: None (the top class), an index, a label, a WordNet id, `top(k)`, `contrast(a, b)`, `negative(a)`,
            `log_probability(a)`, an objective, or a function from the logits to their cotangent.
        find: from an index, label or id to the class index; raises for unknown ones.
        names: label of each class, may be empty.
        head: "softmax", "sigmoid" or "none".
        score: "logit", "probability" or "log_probability".

    Raises:
        InputError: for a target that is none of these.
    """
    if target is None:
        return TopKObjective(0, score, head)
    if isinstance(target, Rank):
        return TopKObjective(target.place, score, head)
    if isinstance(target, Named):
        pairs = [(weight, find(which)) for weight, which in target.terms]
        words = [label(k, names) for _, k in pairs]
        terms = tuple((weight, (k,)) for weight, k in pairs)
        return ClassObjective(target.name.format(*words) or " + ".join(words), terms, target.score or score, head)
    if hasattr(target, "take") and hasattr(target, "value") and callable(target):
        return target
    if isinstance(target, (int, str)) or hasattr(target, "__index__"):
        k = find(target)
        return ClassObjective(label(k, names), ((1.0, (k,)),), score, head)
    if callable(target):
        return FunctionObjective(target, getattr(target, "__name__", "own objective"))
    raise InputError(
        explain_error(
            "A target must be an index, a label, a WordNet id, contrast(a, b), negative(a), top(k) or a function.",
            repr(target),
            "Leave it out to explain the top class.",
        )
    )


def label(index: int, names: Sequence[str]) -> str:
    """Return the label of a class, or "class 7" where there are no labels."""
    return names[index] if 0 <= index < len(names) else f"class {index}"
