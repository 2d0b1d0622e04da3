"""Maps of settings for images: made in batches, shared passes between methods, kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..adapters.capabilities import DeclaresInput
from ..adapters.weight_randomization import randomized
from ..adapters.wrappers import Shared, capability
from ..errors import ModelError
from ..models.model import Model
from ..targets import ClassObjective, to_numpy
from ..types import Classifier, Frame
from .cache import MapStore, digest
from .control_maps import control_map
from .settings import Setting


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """One image at the network's input size, with its logits.

    Attributes:
        name: digest of the image.
        source: where it comes from.
        image: `(h, w, c)`.
        frame: which part of the image it is.
        index: the class explained.
        logits: `(classes,)`.
        seed: for random draws of this image.
    """

    name: str
    source: str
    image: npt.NDArray[np.float32]
    frame: Frame
    index: int
    logits: npt.NDArray[Any]
    seed: int

    @property
    def key(self) -> str:
        """The image and the class, as one name."""
        return f"{self.name}{self.index}"


def seed_of(name: str, seed: int) -> int:
    """Return the seed of an image from its digest.


    Args:
        name: digest of the image.
        seed: seed of the evaluation.
    """
    return (int(name[:12], 16) + seed) % (2**31)


def class_objective(indices: Sequence[int], head: str) -> ClassObjective:
    """Return the objective that explains one class a row.


    Args:
        indices: one class per row.
        head: "softmax", "sigmoid" or "none".
    """
    return ClassObjective("class", ((1.0, tuple(int(i) for i in indices)),), "logit", head)


def identity(model: Model) -> str:
    """Return a digest of the network: its points and its logits for one fixed pattern."""
    half = [model.precision] if model.precision != "float32" else []
    return digest(repr([(p.path, p.kind, p.shape) for p in model.layers]), np.round(probe(model), 1), *half)


def input_shape(model: Model) -> tuple[int, ...]:
    """Return `(*positions, c)` of the model's input, such as `(h, w, c)`; a guess for one that takes any size."""
    if model.preprocess is not None:
        return (*model.preprocess.sides, len(model.preprocess.scaling().scale))
    network = capability(model, DeclaresInput)
    return (224, 224, 3) if network is None else network.size


def probe(model: Model) -> npt.NDArray[np.float64]:
    """Return the logits of one fixed pattern, by which a network is recognized."""
    pattern = np.random.default_rng(20240501).random((1, *input_shape(model)), dtype=np.float32)
    return np.asarray(to_numpy(model.activations(pattern))[0], dtype=np.float64)


class AttributionCache:
    """Makes maps, and keeps them on disk.

    Args:
        model: the model.
        store: where maps are kept.
        seed: random seed of weight-randomized copies of the network.
    """

    def __init__(self, model: Model, store: MapStore, seed: int = 0) -> None:
        self._model = model
        self._store = store
        self._seed = seed
        self._copies: dict[float, Classifier] = {}
        self._identity = identity(model)

    @property
    def identity(self) -> str:
        """Digest of the network."""
        return self._identity

    def key(self, shown: EvaluatedImage, setting: Setting) -> str:
        """Return the digest under which a map is kept.


        Args:
            shown: the image.
            setting: method, layer and options.
        """
        return digest(self._identity, shown.name, shown.index, shown.seed, setting.key(self._default_layer()))

    def _default_layer(self) -> str | None:
        try:
            return self._model.default_layer
        except ModelError:
            return None

    def maps(
        self, shown: Sequence[EvaluatedImage], settings: Sequence[Setting]
    ) -> dict[tuple[str, str], npt.NDArray[Any]]:
        """Return (image name, setting name) → raw map, for images of one shape.

        Methods that need the same forward use one.


        Args:
            shown: images of one shape.
            settings: settings to evaluate.
        """
        found: dict[tuple[str, str], npt.NDArray[Any]] = {}
        batches: dict[tuple[str, ...], tuple[Shared, Any]] = {}
        for setting in settings:
            missing = []
            for one in shown:
                kept = None if setting.is_control else self._store.get(self.key(one, setting))
                if kept is None:
                    missing.append(one)
                else:
                    found[one.name, setting.name] = kept
            if not missing:
                continue
            which = tuple(m.name for m in missing)
            if which not in batches:
                stacked = np.stack([m.image for m in missing])
                batches[which] = (Shared(self._model, stacked), stacked)
            model, images = batches[which]
            for one, values in zip(missing, self._made(model, setting, missing, images), strict=True):
                found[one.name, setting.name] = values
                if not setting.is_control:
                    self._store.put(self.key(one, setting), values)
        return found

    def again(
        self, setting: Setting, fraction: float, shown: Sequence[EvaluatedImage], images: Any
    ) -> npt.NDArray[Any]:
        """Return the maps of altered images of these images, or by a network with some layers randomized.


        Args:
            setting: method, layer and options.
            fraction: fraction of the layers that are randomized; 0 keeps the model.
            shown: the images before they were perturbed.
            images: `(n, h, w, c)` perturbed pixels in [0, 1].
        """
        if setting.is_control or fraction == 0.0:
            return self._made(self._model, setting, shown, images)
        if fraction not in self._copies:
            self._copies[fraction] = randomized(self._model, fraction, self._seed)
        return self._made(self._copies[fraction], setting, shown, images)

    @staticmethod
    def _made(model: Classifier, setting: Setting, shown: Sequence[EvaluatedImage], images: Any) -> npt.NDArray[Any]:
        if setting.is_control:
            return np.stack(
                [control_map(setting.method, image, s.seed) for s, image in zip(shown, images, strict=True)]
            )
        objective = class_objective([s.index for s in shown], model.head)
        made = setting.run(model, images, objective, layer=setting.layer, **setting.options)
        return np.array(to_numpy(made.values), dtype=np.float32, copy=True)
