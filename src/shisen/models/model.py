"""A network together with what it expects: preprocessing and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..adapters.wrappers import Batched, Shared, Wrapper
from ..errors import InputError, explain_error
from ..naming import label
from ..targets import class_logits, probabilities, to_numpy
from ..types import Array, Classifier, Frame, InputImage, Prediction
from .image_io import open_array, open_image
from .labels import Labels
from .preprocess import Preprocess


class Model(Wrapper):
    """A classifier that takes images: the network, its preprocessing and its labels.

    Made by `shisen.load` and `shisen.wrap`. It answers to `shisen.types.Classifier`, so methods take it as it is.

    Args:
        network: the adapter.
        preprocess: what the network expects; None hands arrays in as they are.
        labels: one name a class.
        name: what the model is called in results.
        source: where the weights come from, for the record.
    """

    def __init__(
        self,
        network: Classifier,
        preprocess: Preprocess | None = None,
        labels: Labels | None = None,
        *,
        name: str = "model",
        source: str = "",
    ) -> None:
        # what is shared is known by the batch itself: its parts would not be found again
        whole = isinstance(network, (Batched, Shared))
        super().__init__(network if whole else Batched(network, network.batch_size))
        self.preprocess = preprocess
        self.labels = labels if labels is not None else Labels(())
        self.name = name
        self.source = source

    def __repr__(self) -> str:
        size = f", {self.preprocess.size}" if self.preprocess else ""
        return f"<shisen.Model {self.name} ({self.framework}{size}, {len(self.labels) or 'unnamed'} classes)>"

    def _like(self, model: Classifier) -> Classifier:
        return self.around(model)

    def around(self, network: Classifier) -> Model:
        """Return the same model around another classifier, such as a watched or shared one."""
        return Model(network, self.preprocess, self.labels, name=self.name, source=self.source)

    def batched(self, size: int) -> Model:
        """Return the same model with at most `size` images a pass."""
        inner = self.model.model if isinstance(self.model, Batched) else self.model
        return self.around(Batched(inner, size))

    def fast(self) -> Model:
        """Return the same model in half precision: bfloat16, or float16 on a GPU without it.

        For networks of PyTorch on a GPU, or on a processor with instructions for bfloat16. The network is not
        changed. Passes with a gradient that goes through ReLUs, and what lies behind a layer where a gradient
        begins or values are altered, stay in float32. Answers and maps come as float32, rounded by the network.

        Returns:
            The same model; with a warning and in float32, where half precision is not faster.
        """
        quick: Model = super().fast()
        return quick

    def with_preprocess(self, preprocess: Preprocess | None) -> Model:
        """Return the same network with another geometry; scaling of values stays the network's."""
        return Model(self.model, preprocess, self.labels, name=self.name, source=self.source)

    @property
    def network(self) -> Any:
        """The adapter itself, behind every wrapper."""
        inner: Any = self.model
        while isinstance(inner, Wrapper):
            inner = inner.model
        return inner

    def read(self, source: Any, *, quick: bool = False) -> InputImage:
        """Decode an image: path, bytes, address, PIL image or array; see `images.open_image`.

        With `quick`, a JPEG photo at least four times as large as the network sees it is decoded at a part of its size,
        never below twice what the network sees: quicker, and the answer differs a little.
        """
        if isinstance(source, InputImage):
            return source
        if self.preprocess is None and hasattr(source, "shape"):
            return open_array(source)
        least = 2 * max(self.preprocess.sides) if quick and self.preprocess is not None else 0
        return open_image(source, least)

    def prepare(self, image: InputImage) -> tuple[npt.NDArray[np.float32], Frame]:
        """Return what the network is shown, `(h, w, c)`, and which part of the image that is."""
        if self.preprocess is not None:
            return self.preprocess.pixels(image)
        values = np.asarray(image.pixels)
        if values.dtype == np.uint8 and image.source != "array":
            values = values / np.float32(255)
        h, w = image.size
        return np.asarray(values, dtype=np.float32), Frame((h, w), (h, w), (0.0, 0.0, float(w), float(h)))

    def find(self, target: Any) -> int:
        """Return the index of a class given by index, label or WordNet id."""
        if isinstance(target, str) and not target.lstrip("-").isdigit() and not len(self.labels):
            raise InputError(
                explain_error(
                    "A class can be named only for a model with labels.",
                    repr(target),
                    "Pass labels= to load() or wrap(), or give the class index.",
                )
            )
        if len(self.labels):
            return self.labels.find(target)
        return int(target)

    def predictions(self, logits: Array, top: int = 5) -> list[list[Prediction]]:
        """Turn logits `(n, classes)` into the `top` most probable classes of each row."""
        scores = to_numpy(class_logits(logits, self.head)).astype(np.float64)
        chances = to_numpy(probabilities(logits, self.head)).astype(np.float64)
        if scores.ndim != 2:
            return [[] for _ in range(len(scores))]
        order = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
        return [
            [
                Prediction(
                    int(k), label(int(k), self.labels), self.labels.wordnet_id(int(k)), float(p[k]), float(row[k])
                )
                for k in best
            ]
            for best, row, p in zip(order, scores, chances, strict=True)
        ]

    def predict(self, image: Any, top: int = 5) -> Any:
        """Return the `top` most probable classes of an image, or one such list for each image of a list.

        Args:
            image: path, bytes, http(s) address, PIL image, NumPy array (uint8, or float in [0, 1]); or a list.
            top: how many classes.

        Returns:
            `Prediction(index, label, wordnet_id, probability, logit)` records, most probable first.

        Raises:
            ImageError: for an image that cannot be read.
        """
        if isinstance(image, (list, tuple)):
            return [self.predict(one, top) for one in image]
        x, _ = self.prepare(self.read(image))
        return self.predictions(self.activations(x[None]), top)[0]
