"""Options that are not a method's business, as classifiers around a classifier: batch size, progress, sharing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from ..errors import InputError, ModelError, ShisenWarning, explain_error
from ..types import Array, Attention, Classifier, Layer
from .batches import BatchedAttention, check_rows, joined, slices, together_or_apart
from .capabilities import HalfPrecision, HasAttention, RunsAlone, RunsDownstream, ScalesPixels

Ability = TypeVar("Ability")

Watcher = Callable[[str, int], None]
"""Called after every pass with its kind ("activations", "gradients", "replaced") and its number of rows."""

DOWNSTREAM_BYTES = 2**25
"""Bytes of values put in at a layer at once where only what lies downstream of it runs for each: what lies upstream,
most of the network if the layer is near its end, runs once for all of them."""


def capability(model: Classifier, ability: type[Ability]) -> Ability | None:
    """Return a network's further ability, through all wrappers.

    Args:
        model: a classifier, wrapped or not.
        ability: one of the protocols of `shisen.adapters.base`.

    Returns:
        What answers to the protocol, or None where the network cannot do it.
    """
    if isinstance(model, Wrapper):
        return model.capability(ability)
    return model if isinstance(model, ability) else None


def network_zero(model: Classifier, channels: int) -> tuple[float, ...]:
    """Return the pixel value that a network sees as zero after its normalization.

    Args:
        model: a classifier; one that takes arrays as they are sees 0 as zero.
        channels: number of channels of its images.

    Returns:
        one value a channel, within [0, 1].
    """
    network = capability(model, ScalesPixels)
    scaling = None if network is None else network.scaling
    if scaling is None or len(scaling.scale) != channels:
        return (0.0,) * channels
    return tuple(min(1.0, max(0.0, -b / a)) for a, b in zip(scaling.scale, scaling.shift, strict=True))


def downstream_batch(value: Array, size: int) -> int:
    """Return how many altered values of a layer are to go in together, at least `size`.

    Args:
        value: one of them, `(h, w, c)`.
        size: how many whole images go through the network at once.
    """
    return max(size, DOWNSTREAM_BYTES // int(max(1, 4 * math.prod(value.shape))))


class Wrapper:
    """Hand everything on to another classifier; subclasses change one thing."""

    def __init__(self, model: Classifier) -> None:
        self.model = model

    @property
    def framework(self) -> str:
        return self.model.framework

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.model.layers

    @property
    def default_layer(self) -> str:
        return self.model.default_layer

    @property
    def head(self) -> str:
        return self.model.head

    @property
    def batch_size(self) -> int:
        return self.model.batch_size

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        return self.model.activations(images, at)

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        return self.model.gradients(images, objective, at, wrt)

    def replaced(self, images: Array, values: Array, at: str) -> Array:
        return self.model.replaced(images, values, at)

    def rewired(self, relu: str) -> Classifier:
        return self._like(self.model.rewired(relu))

    def capability(self, ability: type[Ability]) -> Ability | None:
        """Return a further ability of the network; see `capability`."""
        return capability(self.model, ability)

    @property
    def precision(self) -> str:
        """In what the network computes: "float32", or "bfloat16" or "float16" after `fast`."""
        half = self.capability(HalfPrecision)
        return "float32" if half is None else half.precision

    def fast(self) -> Any:
        """Return the same classifier in half precision; itself, with a warning, where that would not be faster."""
        half = self.capability(HalfPrecision)
        try:
            if half is None:
                raise ModelError(
                    explain_error(
                        "Half precision is for PyTorch networks.",
                        f"one of {self.framework}, which goes on in float32",
                        "Load the model in PyTorch if it is to be had there.",
                    )
                )
            return self.rebuilt(half.fast())
        except ModelError as problem:
            warnings.warn(str(problem), ShisenWarning, stacklevel=2)
            return self

    def attentions(
        self, images: Array, objective: Any = None, *, per_block: bool = False, pooled: bool = False
    ) -> tuple[Attention, ...]:
        """Return the attention of every head, and the gradient of the objective's score by it; see `Attention`.

        Args:
            images, objective, per_block, pooled: see `HasAttention`.

        Raises:
            ModelError: for a network that does not reveal it.
        """
        network = self.capability(HasAttention)
        if network is None:
            raise ModelError(
                explain_error(
                    "The attention can be had of PyTorch and Keras networks.",
                    f"one of {self.framework}",
                    "Load the model in PyTorch if it is to be had there.",
                )
            )
        return network.attentions(images, objective, per_block=per_block, pooled=pooled)

    def rebuilt(self, network: Classifier) -> Any:
        """Return the same wrappers around another network."""
        return self._like(self.model.rebuilt(network) if isinstance(self.model, Wrapper) else network)

    def _like(self, model: Classifier) -> Classifier:
        """Return the same wrapper around another classifier."""
        return type(self)(model)


class Batched(Wrapper):
    """Send at most `size` images at a time, so that memory is bounded by it, not by the number of images."""

    def __init__(self, model: Classifier, size: int) -> None:
        super().__init__(model)
        if size < 1:
            raise InputError(explain_error("The batch size must be at least 1.", size, "Try 16."))
        self._size = size

    @property
    def batch_size(self) -> int:
        return self._size

    def _like(self, model: Classifier) -> Classifier:
        return Batched(model, self._size)

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        def run(size: int) -> Any:
            found = joined([self.model.activations(images[s], at) for s in slices(images.shape[0], size)])
            if at == "logits":
                check_rows(found, images.shape[0])
            return found

        return self._run(images, images.shape[0], run)

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        many = isinstance(objective, (list, tuple))

        def run(size: int) -> tuple[Any, Any]:
            parts = slices(images.shape[0], size)
            if len(parts) == 1:
                return self.model.gradients(images, objective, at, wrt)
            values, gradients = [], []
            for s in parts:
                rows = np.arange(s.start, s.stop)
                own = [one.take(rows) for one in objective] if many else objective.take(rows)
                value, gradient = self.model.gradients(images[s], own, at, wrt)
                values.append(value)
                gradients.append(gradient)
            return joined(values), joined(gradients, axis=1 if many else 0)

        found: tuple[Any, Any] = self._run(images, images.shape[0], run)
        return found

    def replaced(self, images: Array, values: Array, at: str) -> Array:
        one = images.shape[0] == 1

        def run(size: int) -> Array:
            if values.shape[0] <= size:
                return self.model.replaced(images, values, at)
            network = self.capability(RunsDownstream) if one and at != "input" and size > 1 else None
            if network is not None and network.runs_downstream_only(images, at):
                size = downstream_batch(values[0, ...], size)
            return joined(
                [self.model.replaced(images if one else images[s], values[s], at) for s in slices(len(values), size)]
            )

        found: Array = self._run(images, values.shape[0], run)
        return found

    def _run(self, images: Array, count: int, run: Callable[[int], Any]) -> Any:
        """Return what `run(size)` does for so many rows, with size 1 where images cannot go in together."""
        network = self.capability(RunsAlone) if count > 1 else None
        if self._size == 1 or count == 1 or (network is not None and network.alone(images)):
            return together_or_apart(lambda: run(1))
        return together_or_apart(
            lambda: run(self._size), lambda: run(1), lambda: network.run_alone(images) if network else None
        )

    def capability(self, ability: type[Ability]) -> Ability | None:
        found = super().capability(ability)
        if ability is HasAttention and found is not None:
            return cast("Ability", BatchedAttention(cast("HasAttention", found), self._size))
        return found


class Watched(Wrapper):
    """Tell a watcher about every pass: for progress bars, for counting, for stopping (the watcher may raise)."""

    def __init__(self, model: Classifier, watcher: Watcher) -> None:
        super().__init__(model)
        self._watcher = watcher

    def _like(self, model: Classifier) -> Classifier:
        return Watched(model, self._watcher)

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        result = self.model.activations(images, at)
        if at != "input":
            self._watcher("activations", int(images.shape[0]))
        return result

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        result = self.model.gradients(images, objective, at, wrt)
        self._watcher("gradients", int(images.shape[0]))
        return result

    def replaced(self, images: Array, values: Array, at: str) -> Array:
        result = self.model.replaced(images, values, at)
        self._watcher("replaced", int(values.shape[0]))
        return result


class Passes:
    """Counts passes by kind and in all: `Watched(model, passes)`."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.calls = 0

    def __call__(self, kind: str, rows: int) -> None:
        self.rows[kind] = self.rows.get(kind, 0) + rows
        self.calls += 1

    @property
    def total(self) -> int:
        """Images sent through the network or a part of it."""
        return sum(self.rows.values())


class Recorded:
    """An objective that remembers the values it was given, such as the logits of a gradient's own forward."""

    def __init__(self, objective: Any, values: list[Array] | None = None) -> None:
        self.objective = objective
        self.values: list[Array] = [] if values is None else values

    def __call__(self, y: Array) -> Array:
        self.values.append(y)
        return self.objective(y)

    def value(self, y: Array) -> Array:
        return self.objective.value(y)

    @property
    def name(self) -> str:
        return str(self.objective.name)

    def take(self, rows: Any) -> Recorded:
        return Recorded(self.objective.take(rows), self.values)  # one list for all parts of a batch

    @property
    def whole(self) -> Array:
        """The values of all parts, in order."""
        return joined(self.values)

    def __eq__(self, other: object) -> bool:
        # equal to the objective it stands for, so that a shared model finds what it remembers
        return bool(self.objective == (other.objective if isinstance(other, Recorded) else other))

    def __hash__(self) -> int:
        return hash(self.objective)


class Shared(Wrapper):
    """Remember every result for the images in hand, so that methods that need the same run one forward.

    Args:
        model: the classifier.
        images: the images in hand; whatever else is sent passes through and is not kept.
        objectives: objectives that belong together: when one of them is needed, the gradients of all come from
            the same forward.
    """

    def __init__(self, model: Classifier, images: Array, objectives: Sequence[Any] = ()) -> None:
        super().__init__(model)
        self._images = images
        self._objectives = list(objectives)
        self._memory: dict[Any, Any] = {}
        self._layers = {layer.path for layer in model.layers if layer.spatial}
        self._rewired: dict[str, Classifier] = {}

    def _like(self, model: Classifier) -> Classifier:
        return Shared(model, self._images, self._objectives)

    def rewired(self, relu: str) -> Classifier:
        if relu not in self._rewired:
            self._rewired[relu] = super().rewired(relu)
        return self._rewired[relu]

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        if images is not self._images:
            return self.model.activations(images, at)
        key = ("activations", at if isinstance(at, str) else tuple(at))
        if key not in self._memory and isinstance(at, str) and at in self._layers and self._objectives:
            # the gradients there will be needed too; a graph begun at the layer costs little more
            self.gradients(images, self._objectives[0], wrt=at)
        if key not in self._memory:
            self._memory[key] = self.model.activations(images, at)
        return self._memory[key]

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        # many points at once are the whole network's maps: too much to keep
        if images is not self._images or isinstance(objective, (list, tuple)) or not isinstance(wrt, str):
            return self.model.gradients(images, objective, at, wrt)
        where = (at, wrt)
        if ("gradients", objective, where) not in self._memory:
            family = self._objectives if objective in self._objectives else [objective]
            recorded = Recorded(family[0])
            value, gradients = self.model.gradients(images, [recorded, *family[1:]], at, wrt)
            if recorded.values:
                self._memory.setdefault(("activations", at), recorded.whole)
            for i, one in enumerate(family):
                self._memory[("gradients", one, where)] = (value, gradients[i])
            self._memory.setdefault(("activations", wrt), value)
        found: tuple[Any, Any] = self._memory[("gradients", objective, where)]
        return found
