"""Training in Keras 3, on any backend: a frozen body whose activations are kept, a linear head, the last blocks."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from .._core.io import write_file
from ..errors import ModelError, ShisenWarning, explain_error
from ..models.keras_files import load_file
from .cache import Cache
from .settings import TRAINED_FRACTION, Batch, Part, Settings, figures

if TYPE_CHECKING:
    from ..models.model import Model
    from ..models.wrapping import Request

Floats = npt.NDArray[np.float32]
BATCH = 64


class KerasTrainer:
    """A functional Keras backbone cut in two; see `settings.Trainer`.

    The cut is where the trainable part needs one tensor only of the body. Blocks are counted by their
    convolutions over more than one position, without the first of the network: EfficientNet-Lite0 and ResNet-50 have
    sixteen.

    Args:
        model: from `load`, with the preprocessing of the run.
        sample: two images `(2, h, w, 3)` in [0, 1].
        classes: number of classes.
        settings: how many blocks to train, and the seed.

    Raises:
        ModelError: for a network without a linear classifier, or one that is not functional.
    """

    weights = "model.keras"

    def __init__(self, model: Model, sample: Floats, classes: int, settings: Settings) -> None:
        self.scaling = model.network.scaling
        net = model.network.net
        old = last_dense(net)
        before = next((layer for layer in net.layers if layer.output is old.input), None)
        rate = float(before.rate) if isinstance(before, keras.layers.Dropout) else 0.0
        cut = _cut(net, old.input, self.scaling.applied(sample), settings.blocks)
        self._body = keras.Model(net.input, cut)
        features = None if cut is old.input else keras.Model(cut, old.input)
        classifier = keras.layers.Dense(classes, kernel_initializer="zeros", name="classes")
        self._trainable = _TrainablePart(features, classifier, rate, settings.seed)
        self.shape = tuple(self.body(sample).shape[1:])
        self._trainable(np.zeros((1, *self.shape), np.float32))
        self._whole = keras.Model(net.input, classifier(old.input), name=str(net.name))

    @staticmethod
    def restored(file: Path, request: Request, backbone: str, classes: int) -> Any:
        """Return the network that a run has trained, from the file that holds it as a whole."""
        with warnings.catch_warnings():  # the run knows how pixels are scaled
            warnings.simplefilter("ignore", ShisenWarning)
            return load_file(str(file), replace(request, weights=None, output=None)).network.net

    def body(self, images: Floats) -> npt.NDArray[np.float16]:
        """Return the frozen body's activations of images `(n, h, w, 3)` in [0, 1]."""
        y = np.asarray(self._body.predict_on_batch(self.scaling.applied(images)), np.float32)
        return np.clip(y, -65504, 65504).astype(np.float16)

    def frozen(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the body's weights by name."""
        for variable in self._body.weights:
            yield str(variable.path), _values([variable])[0]

    def take(self, file: Path) -> None:
        """Take all weights from a file that `save` wrote."""
        self._whole.load_weights(file)

    def start(self, settings: Settings) -> None:
        """Prepare the trainable part and its optimizer."""
        self.settings = json.dumps(asdict(settings), sort_keys=True)
        self._trainable.compile(
            keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, epsilon=1e-8),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
            metrics=[keras.metrics.CategoricalCrossentropy(from_logits=True, name="plain"), "accuracy"],
            # what TensorFlow would gain by compiling, it loses in compiling
            jit_compile=keras.config.backend() == "jax",
        )
        self._trainable.optimizer.build(self._trainable.trainable_variables)
        self.best: list[npt.NDArray[Any]] = []

    def resume(self, checkpoint: Path) -> list[list[float]]:
        """Continue from a checkpoint of the same settings; return the figures of its epochs."""
        file = checkpoint.with_suffix(".npz")
        if not file.is_file():
            return []
        with np.load(file, allow_pickle=False) as found:
            if str(found["settings"]) != self.settings:
                return []
            trainable, optimizer, self.best = (
                [found[f"{part}{i}"] for i in range(sum(name.startswith(part) for name in found.files))]
                for part in ("trainable", "optimizer", "best")
            )
            history: list[list[float]] = found["history"].tolist()
        self._trainable.set_weights(trainable)
        for variable, value in zip(self._trainable.optimizer.variables, optimizer, strict=True):
            variable.assign(value)
        return history

    def fit_head(self, learn: Part) -> tuple[float, float]:
        """Fit the linear head; see `fit_head`."""
        features = self._through(self._trainable.features, learn.cache, len(learn.cache.rows))
        return fit_head(self._trainable.classifier, features, np.tile(learn.targets, learn.views))

    def epoch(self, number: int, batches: Iterable[Batch]) -> tuple[float, float]:
        """Train for one epoch; see `settings.Trainer`."""
        classes = np.eye(self._trainable.classifier.units, dtype=np.float32)
        self._trainable.start_epoch(number)
        sums, seen = np.zeros(2), 0
        for batch in batches:
            self._trainable.optimizer.learning_rate = batch.rate
            self._trainable.reset_metrics()
            logs = self._trainable.train_on_batch(batch.inputs, classes[batch.targets], return_dict=True)
            sums += len(batch.targets) * np.asarray([logs["plain"], logs["accuracy"]], float)
            seen += len(batch.targets)
        loss, accuracy = sums / seen
        return float(loss), float(accuracy)

    def keep(self, checkpoint: Path, history: list[list[float]], best: bool) -> None:
        """Write a checkpoint; see `settings.Trainer`."""
        trainable = _values(self._trainable.weights)
        if best:
            self.best = [w.copy() for w in trainable]
        arrays: dict[str, Any] = {"history": np.asarray(history), "settings": np.asarray(self.settings)}
        optimizer = _values(self._trainable.optimizer.variables)
        for part, values in (("trainable", trainable), ("optimizer", optimizer), ("best", self.best)):
            arrays |= {f"{part}{i}": value for i, value in enumerate(values)}
        write_file(checkpoint.with_suffix(".npz"), lambda file: np.savez(file, **arrays))

    def restore_best(self) -> None:
        """Take the weights of the best epoch."""
        self._trainable.set_weights(self.best)

    def _through(self, piece: Any, cache: Cache, count: int) -> Floats:
        """Return the output of a piece of the trainable part (or None) for the first rows, `(count, c)`."""
        batches = (cache.take(np.arange(i, min(i + BATCH, count))) for i in range(0, count, BATCH))
        return np.concatenate(
            [np.asarray(piece.predict_on_batch(x), np.float32) if piece is not None else x for x in batches]
        )

    def evaluate(self, part: Part) -> Floats:
        """Return the logits of every image."""
        return self._through(self._trainable, part.cache, len(part.targets))

    def save(self, folder: Path) -> None:
        """Write the whole network."""
        with quiet_keras():
            write_file(folder / self.weights, self._whole.save)


@contextmanager
def quiet_keras() -> Iterator[None]:
    """Keep Keras's own deprecated calls of numpy quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _values(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    with quiet_keras():
        return [np.array(v.numpy()) for v in variables]


class _TrainablePart(keras.Model):
    """What is trained: batch normalization keeps its statistics and learns scale and shift."""

    def __init__(self, features: Any, classifier: Any, rate: float, seed: int) -> None:
        super().__init__(name="trainable")
        self.features, self.classifier, self.seed = features, classifier, seed
        self.dropout = keras.layers.Dropout(rate, seed=seed) if rate else None

    def call(self, x: Any, training: bool = False) -> Any:
        if self.features is not None:
            x = self.features(x, training=False)  # small batches would blur the statistics
        if self.dropout is not None:
            x = self.dropout(x, training=training)
        return self.classifier(x)

    def start_epoch(self, epoch: int) -> None:
        """Let dropout depend on the epoch alone."""
        if self.dropout is not None:
            self.dropout.seed_generator.state.assign(np.asarray([self.seed, epoch], np.uint32))


def last_dense(net: Any) -> Any:
    found = [layer for layer in getattr(net, "layers", ()) if isinstance(layer, keras.layers.Dense)]
    if not found or not isinstance(getattr(net, "input", None), keras.KerasTensor) or found[-1].input.ndim != 2:
        raise ModelError(
            explain_error(
                "A Keras backbone must be a functional model that ends in a dense layer.",
                f"{type(net).__name__} {net.name!r}",
                "Take another backbone, such as efficientnet_lite0 or keras:ResNet50.",
            )
        )
    return found[-1]


def _cut(net: Any, features: Any, sample: Floats, blocks: int | None) -> Any:
    """Return the tensor at which a network is cut: before the last blocks, narrow, and all that the rest needs.

    Args:
        net: the functional network.
        features: what its classifier is given.
        sample: scaled images.
        blocks: how many blocks are trained; None for 7 of 16.

    Returns:
        The tensor.

    Raises:
        ModelError: for a number of blocks that the network does not have.
    """
    spatial = [i for i, layer in enumerate(net.layers) if max(getattr(layer, "kernel_size", (1,))) > 1]
    wanted = math.ceil(TRAINED_FRACTION * (len(spatial) - 1)) if blocks is None else blocks
    if not 0 <= wanted < max(len(spatial), 1):
        raise ModelError(
            explain_error(f"Between 0 and {len(spatial) - 1} blocks can be trained.", wanted, "Leave the number out.")
        )
    if wanted == 0:
        return features
    first, before = spatial[-wanted], spatial[-wanted - 1]
    near = net.layers[before:first]
    values = keras.Model(net.input, [layer.output for layer in near]).predict_on_batch(sample)
    sizes = [np.size(v) for v in (values if isinstance(values, list) else [values])]
    order = [near[i] for i in sorted(range(len(near)), key=lambda i: (sizes[i], -i))]
    for layer in [*order, *net.layers[1:before][::-1]]:
        try:
            keras.Model(layer.output, features)
        except (ValueError, KeyError):  # the trainable part needs more than this
            continue
        return layer.output
    return net.layers[0].output


def fit_head(
    classifier: Any, features: Floats, targets: npt.NDArray[np.int64], *, penalty: float = 1e-4
) -> tuple[float, float]:
    """Fit the linear classifier on pooled features: softmax regression with an L2 penalty, by L-BFGS.

    loss = mean cross-entropy + penalty · ‖W·σ‖², on features divided by their standard deviations σ.

    Args:
        classifier: the dense layer, whose weights are set.
        features: `(n, c)`.
        targets: `(n,)` class numbers.
        penalty: weight of the L2 penalty.

    Returns:
        Mean cross-entropy and accuracy on these features.
    """
    from scipy.optimize import minimize

    mean, deviation = features.mean(0, dtype=np.float64), np.maximum(features.std(0, dtype=np.float64), 1e-4)
    x = (features - mean) / deviation
    n, classes = len(x), classifier.units
    own = np.eye(classes)[targets]

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = flat[:-classes].reshape(-1, classes), flat[-classes:]
        y = x @ weight + bias
        y = y - y.max(1, keepdims=True)
        log = y - np.log(np.exp(y).sum(1, keepdims=True))
        gradient = (np.exp(log) - own) / n
        value = float(-(own * log).sum() / n + penalty * np.square(weight).sum())
        return value, np.concatenate([(x.T @ gradient + 2 * penalty * weight).ravel(), gradient.sum(0)])

    start = np.zeros((x.shape[1] + 1) * classes)
    flat = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    weight, bias = flat[:-classes].reshape(-1, classes) / deviation[:, None], flat[-classes:]
    bias = bias - mean @ weight
    classifier.set_weights([weight.astype(np.float32), bias.astype(np.float32)])
    return figures((features @ weight + bias).astype(np.float32), targets)
