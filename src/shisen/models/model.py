"""A network together with what it expects: preprocessing and labels."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from ..adapters.capabilities import DeclaresInput, DescribesOutput
from ..adapters.wrappers import Batched, Shared, Wrapper, capability
from ..errors import InputError, ShisenError, ShisenWarning, explain_error
from ..naming import label, resolve
from ..targets import ClassObjective, TopKObjective, class_logits, probabilities, to_numpy
from ..types import Array, Classifier, Frame, InputImage, Prediction
from .channels import whole_numbers, with_channels
from .data_io import open_data
from .declared import own_layers, takes_integers
from .image_io import open_array, open_image
from .labels import Labels
from .predicting import answers
from .preprocess import Preprocess
from .volumes import assumed_volume, check_declared, read_volume


class Model(Wrapper):
    """A classifier that takes images: the network, its preprocessing and its labels.

    Made by `shisen.load` and `shisen.wrap`. It is a `shisen.types.Classifier`, so methods take it as it is.

    Args:
        network: the adapter.
        preprocess: what the network expects; None hands arrays in as they are.
        labels: one name per class.
        name: what the model is called in results.
        source: where the weights come from, for the record.
        channels: of an input without preprocessing, where the network declares them.
        rank: number of axes of positions of an input without preprocessing: 1 for signals, 3 for volumes and video.
    """

    def __init__(
        self,
        network: Classifier,
        preprocess: Preprocess | None = None,
        labels: Labels | None = None,
        *,
        name: str = "model",
        source: str = "",
        channels: int | None = None,
        rank: int = 2,
    ) -> None:
        # what is shared is known by the batch itself: its parts would not be found again
        whole = isinstance(network, (Batched, Shared))
        super().__init__(network if whole else Batched(network, network.batch_size))
        self.preprocess = preprocess
        self.labels = labels if labels is not None else Labels(())
        self.name = name
        self.source = source
        self.channels = preprocess.channels if preprocess is not None else channels
        self.rank = len(preprocess.sides) if preprocess is not None else rank
        self.values_assumed = False
        self._said: set[str] = set()

    def __repr__(self) -> str:
        size = f", {self.preprocess.size}" if self.preprocess else ""
        return f"<shisen.Model {self.name} ({self.framework}{size}, {len(self.labels) or 'unnamed'} classes)>"

    def _like(self, model: Classifier) -> Classifier:
        return self.around(model)

    def around(self, network: Classifier) -> Model:
        """Return the same model around another classifier, such as a watched or shared one."""
        return self._changed(network, self.preprocess)

    def _changed(self, network: Classifier, preprocess: Preprocess | None) -> Model:
        made = Model(network, preprocess, self.labels, name=self.name, source=self.source)
        if preprocess is None:
            made.channels, made.rank = self.channels, self.rank
        made._said, made.values_assumed = self._said, self.values_assumed
        return made

    def batched(self, size: int) -> Model:
        """Return the same model with at most `size` images per pass."""
        inner = self.model.model if isinstance(self.model, Batched) else self.model
        return self.around(Batched(inner, size))

    def fast(self) -> Model:
        """Return the same model in half precision: bfloat16, or float16 on a GPU without it.

        For networks of PyTorch on a GPU, or on a CPU with instructions for bfloat16. The network is not changed.
        Passes with a gradient that goes through ReLUs, and what is downstream of a layer where a gradient starts or
        values are altered, stay in float32. Logits and maps are returned as float32, rounded by the network.

        Returns:
            The same model; with a warning and in float32, where half precision is not faster.
        """
        quick: Model = super().fast()
        return quick

    def with_preprocess(self, preprocess: Preprocess | None) -> Model:
        """Return the same network with another geometry; scaling of values stays the network's."""
        return self._changed(self.model, preprocess)

    @property
    def network(self) -> Any:
        """The adapter itself, inside every wrapper."""
        inner: Any = self.model
        while isinstance(inner, Wrapper):
            inner = inner.model
        return inner

    def read(self, source: Any, *, quick: bool = False) -> InputImage:
        """Decode an image.

        Args:
            source: path, URL, bytes, PIL image or array; see `image_io.open_image`, `data_io.open_data` for networks
                that take other than RGB, and `volume_io.open_volume` for signals, volumes and video.
            quick: whether a JPEG photo at least four times as large as the network's input is decoded at a part of its
                size, never below twice the input: faster, and the logits differ a little.

        Returns:
            The image, not yet at the network's size.

        Raises:
            ImageError: for an image that cannot be read.
        """
        if isinstance(source, InputImage):
            image: InputImage = source
            return image
        if self.rank != 2:
            return read_volume(source, self.preprocess, self.rank, self.channels or 0)
        if self.preprocess is None:
            if hasattr(source, "shape"):
                return open_array(source)
            if self.channels not in (None, 1, 3):
                return open_data(source, Preprocess(1, channels=self.channels or 3))
            return open_image(source)
        if not self.preprocess.plain:
            return open_data(source, self.preprocess)
        return open_image(source, 2 * max(self.preprocess.sides) if quick else 0)

    def prepare(self, image: InputImage) -> tuple[npt.NDArray[np.float32], Frame]:
        """Return the network's input, `(*positions, c)` float32, and which part of the image it covers."""
        if self.preprocess is not None:
            return self.preprocess.pixels(image)
        values = np.asarray(image.pixels if image.data is None else image.data)
        whole = Frame.whole(image.size)
        channels = values.shape[-1] if image.source == "array" else self.channels or values.shape[-1]
        network = capability(self, DeclaresInput)
        if network is not None:
            if self.rank != 2:
                check_declared(image, network.declared_size)
            network.expect((*image.size, channels))
        if takes_integers(self.network.net if hasattr(self.network, "net") else None):
            self._say_once(assumption(None, channels, "values 0 to 255"))
            return whole_numbers(with_channels(values, channels, image.source, rank=len(image.size))), whole
        if image.source == "array" and image.data is None:
            if values.dtype == np.uint8:
                self._say_once(assumption(None, values.shape[-1], "values 0 to 255"))
            return np.asarray(values, dtype=np.float32), whole
        values = with_channels(values, self.channels or values.shape[-1], image.source, rank=len(image.size))
        values = values / np.float32(255) if values.dtype == np.uint8 else values
        text = assumption(None, values.shape[-1]) if len(image.size) == 2 else assumed_volume(values)
        self._say_once(text)
        return np.asarray(values, dtype=np.float32), whole

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            warnings.warn(f"{self.name}: {text}", ShisenWarning, stacklevel=4)

    def check_rank(self, verb: str) -> None:
        """Raise unless the network takes images: `verb` is for those only.

        Raises:
            InputError: for a network of signals, volumes or video.
        """
        if self.rank != 2:
            raise InputError(
                explain_error(
                    f"{verb} is for networks of images.",
                    f"{self.name}, which takes inputs with {self.rank} axes of positions",
                    "shisen.explain takes signals, volumes and video.",
                )
            )

    def layer_path(self, layer: Any) -> Any:
        """Return the path of a layer.

        Args:
            layer: a path, the network's own layer object (a torch module, a Keras layer), or a list of these.

        Returns:
            A path, or a list of paths.

        Raises:
            InputError: for an object that is no layer of this network.
        """
        if layer is None or isinstance(layer, str):
            return layer
        if isinstance(layer, (list, tuple)):
            return [self.layer_path(one) for one in layer]
        path = next((path for path, one in own_layers(getattr(self.network, "net", None)) if one is layer), None)
        if path is None:
            raise InputError(
                explain_error(
                    "A layer is a path, or a layer object of this very network.",
                    f"{type(layer).__name__}, which is not part of it",
                    "model.layers lists the paths; if the network was copied, take the layer from model.network.net.",
                )
            )
        return path

    def expect(self, source: Any) -> None:
        """Take the size of the network's input from an image, where nothing else determines it.

        Args:
            source: an image as for `read`; one that cannot be read is left to whoever needs it.
        """
        network = capability(self, DeclaresInput) if self.preprocess is None else None
        if network is not None and not network.size_known:
            with suppress(ShisenError, OSError):
                self.prepare(self.read(source))

    def objective(self, target: Any, score: str = "logit") -> Any:
        """Turn what a person asks for into an objective, with the model's own labels.

        Args:
            target: what is explained, as in `shisen.explain`.
            score: "logit", "probability" or "log_probability".

        Returns:
            The objective.

        Raises:
            InputError: for a class of a network whose output is not one number per class.
        """
        found = resolve(
            target, find=self.find, names=self.labels, head=self.head, score=score, framework=self.framework
        )
        if isinstance(found, (ClassObjective, TopKObjective)):
            self.check_classes()
        return found

    def check_classes(self) -> None:
        """Raise where the output is not one number per class, or the labels are not as many; say how one is read."""
        network = capability(self, DescribesOutput)
        if network is None:
            return
        if len(network.output_shape) != 1:
            raise not_classes(network.output_shape)
        classes = network.output_shape[0]
        if len(self.labels) not in (0, classes) and (classes, len(self.labels)) != (1, 2):
            raise wrong_labels(len(self.labels), classes)
        if network.assumes_yes_or_no and not len(self.labels):
            self._say_once(
                "the network returns one number, which is read as the logit of yes or no. If it is a number, such as "
                "an age, pass head='none' (--head none)."
            )

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
        """Turn logits `(n, classes)` into the `top` most probable classes of each row.

        Args:
            logits: `(n, classes)`.
            top: number of classes.

        Returns:
            For each row its classes, the most probable first.

        Raises:
            ModelError: if the number of labels does not match.
        """
        scores = to_numpy(class_logits(logits, self.head)).astype(np.float64)
        if scores.ndim == 2 and len(self.labels) not in (0, scores.shape[1]):
            raise wrong_labels(len(self.labels), scores.shape[1])
        probability_rows = to_numpy(probabilities(logits, self.head)).astype(np.float64)
        if scores.ndim != 2:
            return [[] for _ in range(len(scores))]
        if not np.isfinite(scores).all():
            self._say_once("the network's output is not finite (NaN or infinity); check its weights and its input.")
        order = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
        return [
            [
                Prediction(
                    int(k), label(int(k), self.labels), self.labels.wordnet_id(int(k)), float(p[k]), float(row[k])
                )
                for k in best
            ]
            for best, row, p in zip(order, scores, probability_rows, strict=True)
        ]

    def predict(self, image: Any, top: int = 5) -> Any:
        """Return the `top` most probable classes of an image, or one such list for each image of a list.

        Images of a list that have one shape run through the network in batches.

        Args:
            image: path, bytes, URL, PIL image, NumPy array (uint8, or float in [0, 1]); or a list.
            top: how many classes.

        Returns:
            `Prediction(index, label, wordnet_id, probability, logit)` records, most probable first.

        Raises:
            ImageError: for an image that cannot be read.
            InputError: for a network whose output is not one number per class.
        """
        if isinstance(image, (list, tuple)):
            if any(isinstance(one, (list, tuple)) for one in image):
                return [self.predict(one, top) for one in image]
            return [_raised(found) for _, found in answers(self, image, top)]
        x, _ = self.prepare(self.read(image))
        logits = self.activations(x[None])
        self.check_classes()
        return self.predictions(logits, top)[0]


def _raised(found: Any) -> Any:
    """Return predictions, or raise the error that was yielded instead of them."""
    if isinstance(found, Exception):
        raise found
    return found


def assumption(size: tuple[int, int] | None, channels: int, values: str = "values 0 to 1") -> str:
    """Return the warning that names which preprocessing was assumed, and how to name another.

    Args:
        size: `(h, w)` to which images are stretched; None if they keep their own.
        channels: of the input.
        values: the range that pixels take.
    """
    color = {1: "gray", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")
    geometry = "at their own size" if size is None else f"stretched to {size[0]} × {size[1]}"
    return (
        f"the preprocessing is not known; images go in {geometry}, {color}, {values}. If the network was trained "
        "otherwise, pass preprocess=shisen.Preprocess(size=…, mean=…, std=…) or preprocess='imagenet' (--size, --mean, "
        "--std, --range, --bgr, --preprocess)."
    )


def not_classes(shape: tuple[int, ...]) -> InputError:
    """Return the error for classes of a network whose output, of this shape per image, is not one number per class."""
    kind, score = {
        2: ("a sequence, such as tokens, time steps or boxes", "lambda y: y[:, 0, 3]"),
        3: ("maps, such as one per class", "lambda y: y[:, 3].mean((-2, -1))"),
    }.get(len(shape), ("another output", "lambda y: y.flatten(1).sum(1)"))
    return InputError(
        explain_error(
            "Classes need an output of one number per class, (n, classes).",
            f"{kind}, of shape {shape} per image",
            f"Explain a score function, such as target={score}, or one number, target=shisen.output(i); or let output= "
            "make (n, classes) of it.",
        )
    )


def wrong_labels(given: int, classes: int) -> InputError:
    """Return the error for labels of another number than the classes.

    Args:
        given: number of labels.
        classes: number of classes.
    """
    return InputError(
        explain_error(
            f"There must be one label for each of the network's {classes} classes.",
            f"{given} labels",
            "List every class in the order of the network's outputs.",
        )
    )
