"""What some adapters can do beyond what all can: small protocols, found by `shisen.adapters.wrappers.capability`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..types import Array, Attention, Classifier, Scaling


@runtime_checkable
class HasAttention(Protocol):
    """A network that returns the attention of its heads."""

    def attentions(
        self, images: Array, objective: Any = None, *, per_block: bool = False, pooled: bool = False
    ) -> tuple[Attention, ...]:
        """Return the attention of every layer, and the gradient of the objective's score by it.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            objective: the objective at the logits; None for no gradients.
            per_block: take the score of each attention from the tokens after its own block, read by the network's own
                head as if the later blocks were not there, instead of from the network's answer.
            pooled: with `per_block`, the head reads the mean of the block's tokens instead of each of them.
        """
        ...


@runtime_checkable
class DescribesOutput(Protocol):
    """A network that can tell what it returns for one image."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the logits of one image."""
        ...

    @property
    def assumes_yes_or_no(self) -> bool:
        """Whether one number is read as yes or no only because nothing says otherwise."""
        ...


@runtime_checkable
class HasBiases(Protocol):
    """A network that returns what every layer adds by itself."""

    def biases(self, images: Array) -> Mapping[str, Array]:
        """Return point → bias `(c,)`."""
        ...


@runtime_checkable
class RunsDownstream(Protocol):
    """A network that knows whether altered values at a layer run only what lies downstream of it."""

    def runs_downstream_only(self, images: Array, at: str) -> bool:
        """Return whether `replaced` with one image and k values runs only the part downstream of `at` k times.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            at: path of the point.
        """
        ...


@runtime_checkable
class RunsAlone(Protocol):
    """A network that may have to be given its images one by one."""

    def alone(self, images: Array) -> bool:
        """Return whether images of this shape must go in one by one, as far as is known.

        Args:
            images: `(n, h, w, c)`, of which the first may be tried.
        """
        ...

    def run_alone(self, images: Array) -> None:
        """Remember that images of this shape must go in one by one."""
        ...


@runtime_checkable
class HalfPrecision(Protocol):
    """A network that can run in bfloat16 or float16."""

    precision: str

    def fast(self) -> Classifier:
        """Return the same network in half precision."""
        ...


@runtime_checkable
class HasWeights(Protocol):
    """A network whose weights can be read and permuted."""

    def weights(self) -> Mapping[str, Array]:
        """Return every weight and buffer by its name."""
        ...

    def randomized(self, up_to: float, rng: np.random.Generator) -> Classifier:
        """Return a copy with the weights of the topmost fraction `up_to` of the layers permuted.

        Args:
            up_to: fraction of the layers that are randomized, from the classifier downwards.
            rng: random number generator.
        """
        ...


@runtime_checkable
class DeclaresInput(Protocol):
    """A network that knows the size of its images, or takes it from the first."""

    @property
    def size(self) -> tuple[int, ...]:
        """`(*positions, c)`, such as `(h, w, c)`; a guess where nothing is known."""
        ...

    @property
    def declared_size(self) -> tuple[int, ...] | None:
        """`(*positions, c)` of the only inputs that the network takes; None where it takes others."""
        ...

    @property
    def size_known(self) -> bool:
        """Whether `size` is no guess."""
        ...

    def expect(self, shape: tuple[int, ...]) -> None:
        """Take the shape `(*positions, c)` of the first image, where no other is known."""
        ...


@runtime_checkable
class ScalesPixels(Protocol):
    """A network side that scales pixels before the network sees them."""

    scaling: Scaling | None


@runtime_checkable
class AnyBatchSize(Protocol):
    """A network that compiles nothing for a batch size, so that the fastest can be looked for."""

    def hardware(self) -> tuple[str, ...]:
        """Return what the speed depends on beside the network: device, threads, version of the framework."""
        ...


@runtime_checkable
class FoldsNormalization(Protocol):
    """A network whose batch normalization may be folded into the convolutions before it."""

    folds: bool


@runtime_checkable
class Verified(Protocol):
    """A network that need not be tried before its first use where our own tests hold it."""

    verified: bool
