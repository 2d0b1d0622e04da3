"""What is explained, in a person's words: classes by name, contrasts, ranks; turned into objectives."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from .adapters.scores import ScoreFunction
from .errors import InputError, explain_error
from .score_functions import CotangentObjective, ScoreObjective
from .targets import ClassObjective, OutputObjective, TopKObjective, class_logits, to_numpy
from .types import Array


@dataclass(frozen=True)
class Named:
    """An objective in a person's words, before a model's labels turn it into class numbers.

    Attributes:
        terms: `(weight, class)`, each class an index, a label, a WordNet id or a rank.
        name: how to call it, "" to have it composed.
        score: overrides the score requested elsewhere.
    """

    terms: tuple[tuple[float, Any], ...]
    name: str = ""
    score: str | None = None


@dataclass(frozen=True)
class Rank:
    """The class at a rank of the network's own predictions; 0 is the top class."""

    index: int = 0


def top(rank: int = 0) -> Rank:
    """Explain the class at this rank of the network's predictions; 0 is the most probable."""
    return Rank(rank)


def contrast(a: Any, b: Any) -> Named:
    """Ask "why `a` rather than `b`": the difference of two class scores (the Finer-CAM question).

    Args:
        a: positive class: index, label or WordNet id.
        b: negative class.

    Returns:
        A target.
    """
    return Named(((1.0, a), (-1.0, b)), "{0} rather than {1}")


@dataclass(frozen=True)
class SimilarObjective:
    """A class rather than the classes most similar to it: s(a) − gamma · mean over the k similar classes b of s(b).

    Similar are the classes whose logits for the image are nearest to that of a.

    Attributes:
        target: which class: a `ClassObjective` of one class or a `TopKObjective`; before a model's labels are known,
            what a person wrote, None for the top class.
        k: number of similar classes.
        gamma: weight of what speaks for them too.
    """

    target: Any = None
    k: int = 3
    gamma: float = 0.6

    @property
    def name(self) -> str:
        return f"{self.target.name} rather than the {self.k} most similar classes"

    @property
    def score(self) -> str:
        """ "logit", "probability" or "log_probability"."""
        return str(self.target.score)

    def resolve(self, y: Array) -> ClassObjective:
        """Return the objective with the classes that are similar for these logits."""
        base: ClassObjective = self.target.resolve(y) if hasattr(self.target, "resolve") else self.target
        logits = to_numpy(class_logits(y, base.head))
        rows, count = logits.shape
        if not 1 <= self.k < count:
            raise InputError(
                explain_error(f"k must lie between 1 and {count - 1}.", self.k, f"The network has {count} classes.")
            )
        own = np.resize(np.asarray(base.terms[0][1]), rows)
        distance = np.abs(logits - logits[np.arange(rows), own][:, None])
        distance[np.arange(rows), own] = np.inf
        nearest = np.argsort(distance, axis=-1, kind="stable")[:, : self.k]
        others = tuple((-self.gamma / self.k, tuple(int(c) for c in column)) for column in nearest.T)
        return replace(base, name=self.name, terms=base.terms + others)

    def value(self, y: Array) -> Array:
        return self.resolve(y).value(y)

    def __call__(self, y: Array) -> Array:
        return self.resolve(y)(y)

    def take(self, rows: npt.NDArray[np.int64]) -> SimilarObjective:
        return replace(self, target=self.target.take(rows))


def contrast_similar(k: int = 3, gamma: float = 0.6, target: Any = None) -> SimilarObjective:
    """Ask "why this class rather than those most similar to it", as Finer-CAM does.

    score = s(a) − gamma · mean over the k classes b whose logits are nearest to a's of s(b)

    Any method explains it; with grad_cam it is Finer-CAM (Zhang et al. 2025). The package grad-cam weights the similar
    classes by their probabilities instead of equally; for k = 1 both are the same.

    Args:
        k: number of similar classes, at least 1.
        gamma: how much of what speaks for the similar classes too is taken off; 0 explains the class alone.
        target: the class: index, label, WordNet id or `top(k)`; None for the top class.

    Returns:
        A target.
    """
    return SimilarObjective(target, k, gamma)


def negative(a: Any) -> Named:
    """Ask what speaks against a class: its score with the sign turned."""
    return Named(((-1.0, a),), "against {0}")


def log_probability(a: Any) -> Named:
    """Explain the log-probability of a class instead of its logit."""
    return Named(((1.0, a),), "{0}", "log_probability")


def output(index: int) -> OutputObjective:
    """Explain one number of the network's output as it is: of a regression, a map, or any other output.

    Args:
        index: which number, counted through all axes of the output of one image.
    """
    return OutputObjective(index)


def cotangent(function: Callable[[Any], Any], *, value: ScoreFunction) -> CotangentObjective:
    """Explain a score whose gradient you compute yourself.

    A plain score function, `target=function`, needs no gradient: the framework differentiates it.

    Args:
        function: from the network's output, `(n, ...)`, to the gradient of the score by it, of the same shape.
        value: from the output to the score of each row.

    Returns:
        A target.
    """
    return CotangentObjective(function, getattr(value, "__name__", "own objective"), value)


def per_image(target: Any) -> list[Any] | None:
    """Return the targets of several images: of a list, a tuple, or a one-dimensional array or tensor of labels.

    Args:
        target: as in `explain`.

    Returns:
        One target per image; None for a single target.

    Raises:
        InputError: for an array of another shape, or of numbers that are not whole.
    """
    if isinstance(target, (list, tuple)):
        return list(target)
    if not hasattr(target, "shape") or not hasattr(target, "dtype") or len(target.shape) == 0:
        return None
    array = to_numpy(target)
    if array.ndim != 1 or (array.dtype.kind == "f" and not (array == np.rint(array)).all()) or array.dtype.kind in "Oc":
        raise InputError(
            explain_error(
                "Targets as an array must be class indices, one per image.",
                f"{array.dtype} of shape {array.shape}",
                "Take the indices of one-hot rows with argmax(-1).",
            )
        )
    return [str(k) if array.dtype.kind in "US" else int(k) for k in array]


def resolve(
    target: Any,
    *,
    find: Callable[[Any], int],
    names: Sequence[str],
    head: str,
    score: str = "logit",
    framework: str = "",
) -> Any:
    """Resolve a requested target to an objective.

    Args:
        target: None (the top class), an index, a label, a WordNet id, `top(k)`, `contrast(a, b)`, `negative(a)`,
            `contrast_similar(k)`, `log_probability(a)`, `output(i)`, an objective, or a score function of the network's
            output.
        find: from an index, label or id to the class index; raises for unknown ones.
        names: label of each class, may be empty.
        head: "softmax", "sigmoid" or "none".
        score: "logit", "probability" or "log_probability".
        framework: of the network, in which a score function is differentiated.

    Returns:
        An `Objective`.

    Raises:
        InputError: for a target that is none of these.
    """
    if target is None:
        return TopKObjective(0, score, head)
    if isinstance(target, Rank):
        return TopKObjective(target.index, score, head)
    if isinstance(target, Named):
        pairs = [(weight, find(which)) for weight, which in target.terms]
        words = [label(k, names) for _, k in pairs]
        terms = tuple((weight, (k,)) for weight, k in pairs)
        return ClassObjective(target.name.format(*words) or " + ".join(words), terms, target.score or score, head)
    if isinstance(target, SimilarObjective):
        base = resolve(target.target, find=find, names=names, head=head, score=score, framework=framework)
        if not isinstance(base, TopKObjective) and not (isinstance(base, ClassObjective) and len(base.terms) == 1):
            raise InputError(
                explain_error("contrast_similar() needs one class.", base.name, "Leave its target out: the top class.")
            )
        return replace(target, target=base)
    if isinstance(target, (CotangentObjective, ScoreObjective)) and not target.framework:
        return replace(target, framework=framework)
    if hasattr(target, "take") and hasattr(target, "value") and callable(target):
        return target
    if hasattr(target, "shape") and hasattr(target, "item"):  # a label as an array without axes
        target = per_image(target.reshape(1))
        target = target[0] if target else target
    if isinstance(target, (int, str)) or hasattr(target, "__index__"):
        k = find(target)
        return ClassObjective(label(k, names), ((1.0, (k,)),), score, head)
    if callable(target):
        return ScoreObjective(target, getattr(target, "__name__", type(target).__name__), framework)
    raise InputError(
        explain_error(
            "A target must be an index, a label, a WordNet id, contrast(a, b), contrast_similar(k), "
            "negative(a), top(k), output(i) or a score function.",
            repr(target),
            "Leave it out to explain the top class.",
        )
    )


def label(index: int, names: Sequence[str]) -> str:
    """Return the label of a class, or "class 7" where there are no labels.

    Args:
        index: index of the class.
        names: labels of all classes; empty without labels.
    """
    return names[index] if 0 <= index < len(names) else f"class {index}"


def file_words(target: str) -> str:
    """Return a target, as it is typed, as a part of a file name; different targets give different names.

    Args:
        target: such as "tiger cat", "tabby / lynx" or "not 281".
    """
    words = target.strip().replace(" / ", " vs ")
    plain = "-".join(re.findall(r"[\w.]+", words))
    known = plain.replace("-", " ") == words  # else something was left out: a digest keeps names apart
    return plain if known else f"{plain}-{sha256(target.encode()).hexdigest()[:6]}"
