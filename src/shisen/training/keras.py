"""Training in Keras 3, on any backend: a frozen body whose activations are kept, a linear head, the last blocks."""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.io import write_file
from .._core.progress import Progress
from ..errors import ModelError, explain_error
from .cache import Cache
from .settings import TRAINED_SHARE, Epoch, Part, Settings, figures, rate_at, stale

if TYPE_CHECKING:
    from ..models.model import Model

Floats = npt.NDArray[np.float32]
BATCH = 64


class KerasTrainer:
    """A functional Keras backbone cut in two; see `settings.Trainer`.

    The cut is where one tensor is all that the tail needs of the body. Blocks are counted by their convolutions over
    more than one place, without the first of the network: EfficientNet-Lite0 and ResNet-50 have sixteen.

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
        self.scaling = model.preprocess.scaling()  # type: ignore[union-attr]
        net = model.network.net
        old = _last_dense(net)
        before = next((layer for layer in net.layers if layer.output is old.input), None)
        rate = float(before.rate) if isinstance(before, keras.layers.Dropout) else 0.0
        cut = _cut(net, old.input, self._inputs(sample), settings.blocks)
        self._body = keras.Model(net.input, cut)
        features = None if cut is old.input else keras.Model(cut, old.input)
        classifier = keras.layers.Dense(classes, kernel_initializer="zeros", name="classes")
        self._tail = _Tail(features, classifier, rate, settings.seed)
        self.shape = tuple(self.body(sample).shape[1:])
        self._tail(np.zeros((1, *self.shape), np.float32))
        self._whole = keras.Model(net.input, classifier(old.input), name=str(net.name))

    def _inputs(self, images: Floats) -> Floats:
        x = images * np.asarray(self.scaling.scale, np.float32) + np.asarray(self.scaling.shift, np.float32)
        return x[..., ::-1] if self.scaling.reverse else x

    def body(self, images: Floats) -> npt.NDArray[np.float16]:
        """Return the frozen body's activations of images `(n, h, w, 3)` in [0, 1]."""
        y = np.asarray(self._body.predict_on_batch(self._inputs(images)), np.float32)
        return np.clip(y, -65504, 65504).astype(np.float16)

    def frozen(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the body's weights by name."""
        for variable in self._body.weights:
            yield str(variable.path), _values([variable])[0]

    def train(
        self, data: Sequence[Part | None], settings: Settings, checkpoint: Path, progress: Progress
    ) -> list[Epoch]:
        """Train the head, then the last blocks with scale and shift of their batch normalization; keep the best epoch.

        Every epoch ends in a checkpoint, from which a stopped run continues to the same weights.
        """
        learn, check = data[0], data[1]
        assert learn is not None
        file, tail = checkpoint.with_suffix(".npz"), self._tail
        steps = math.ceil(len(learn.targets) / settings.batch)
        tail.compile(
            keras.optimizers.AdamW(settings.rate, weight_decay=settings.decay, epsilon=1e-8),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.smoothing),
            metrics=[keras.metrics.CategoricalCrossentropy(from_logits=True, name="plain"), "accuracy"],
            # what TensorFlow would gain by compiling, it loses in compiling
            jit_compile=keras.config.backend() == "jax",
        )
        tail.optimizer.build(tail.trainable_variables)
        state = _State(file, settings, tail)
        if state.history:
            state.put_back()
        else:
            targets = np.tile(learn.targets, learn.views)
            head = fit_head(tail.classifier, self._pooled(learn.cache), targets)
            state.close_epoch(head, self._measured(check))
        for epoch in range(len(state.history), settings.epochs + 1):
            if stale(state.history, settings.patience):
                break
            state.close_epoch(self._one_epoch(learn, settings, epoch, steps), self._measured(check))
            progress(epoch, settings.epochs, N_("Training"))
        tail.set_weights(state.best)
        return [Epoch(int(row[0]), *row[1:]) for row in state.history]

    def _one_epoch(self, learn: Part, settings: Settings, epoch: int, steps: int) -> tuple[float, float]:
        draw = np.random.default_rng([settings.seed, epoch])
        order = draw.permutation(len(learn.targets))
        views = draw.integers(learn.views, size=len(order))
        wanted = np.eye(self._tail.classifier.units, dtype=np.float32)[learn.targets]
        self._tail.start_epoch(epoch)
        sums = np.zeros(2)
        for step in range(steps):
            now = ((epoch - 1) * steps + step) / (settings.epochs * steps)
            self._tail.optimizer.learning_rate = rate_at(settings, now, 1 / (settings.epochs * steps))
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            x = learn.cache.take(views[rows] * len(order) + rows)
            self._tail.reset_metrics()
            told = self._tail.train_on_batch(x, wanted[rows], return_dict=True)
            sums += len(rows) * np.asarray([told["plain"], told["accuracy"]], float)
        loss, accuracy = sums / len(order)
        return float(loss), float(accuracy)

    def _pooled(self, cache: Cache) -> Floats:
        """Return what the classifier is given for every row, `(rows, c)`."""
        rows = np.arange(len(cache.rows))
        parts = (cache.take(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH))
        features = self._tail.features
        return np.concatenate([p if features is None else np.asarray(features.predict_on_batch(p)) for p in parts])

    def _measured(self, check: Part | None) -> tuple[float, float]:
        return (math.nan, math.nan) if check is None else figures(self.evaluate(check), check.targets)

    def evaluate(self, part: Part) -> Floats:
        """Return the logits of every image."""
        rows = np.arange(len(part.targets))
        parts = (part.cache.take(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH))
        return np.concatenate([np.asarray(self._tail.predict_on_batch(p), np.float32) for p in parts])

    def save(self, folder: Path) -> None:
        """Write the whole network."""
        with _keras_words():
            write_file(folder / self.weights, self._whole.save)


@contextmanager
def _keras_words() -> Iterator[None]:
    """Keep Keras's own deprecated calls of numpy quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _values(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    with _keras_words():
        return [np.array(v.numpy()) for v in variables]


class _Tail(keras.Model):  # type: ignore[misc]
    """What is trained: batch normalization keeps its statistics and learns scale and shift."""

    def __init__(self, features: Any, classifier: Any, rate: float, seed: int) -> None:
        super().__init__(name="tail")
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


class _State:
    """Weights, optimizer and figures after each epoch, in a file."""

    def __init__(self, file: Path, settings: Settings, tail: _Tail) -> None:
        self.file, self.tail, self.settings = file, tail, json.dumps(asdict(settings), sort_keys=True)
        self.history: list[list[float]] = []
        self.kept: dict[str, list[npt.NDArray[Any]]] = {}
        if file.is_file():
            with np.load(file, allow_pickle=False) as found:
                if str(found["settings"]) == self.settings:
                    self.history = found["history"].tolist()
                    for part in ("tail", "optimizer", "best"):
                        self.kept[part] = [found[f"{part}{i}"] for i in range(int(found[f"{part}s"]))]

    @property
    def best(self) -> list[npt.NDArray[Any]]:
        """The weights of the best epoch."""
        return self.kept["best"]

    def put_back(self) -> None:
        """Continue from the file."""
        self.tail.set_weights(self.kept["tail"])
        for variable, value in zip(self.tail.optimizer.variables, self.kept["optimizer"], strict=True):
            variable.assign(value)

    def close_epoch(self, learned: tuple[float, float], checked: tuple[float, float]) -> None:
        """Remember figures and weights, the best apart, and write them."""
        losses = [row[3] for row in self.history]
        self.history.append([len(self.history), *learned, *checked])
        self.kept["tail"] = _values(self.tail.weights)
        self.kept["optimizer"] = _values(self.tail.optimizer.variables)
        if not losses or math.isnan(checked[0]) or checked[0] < min(losses):
            self.kept["best"] = [w.copy() for w in self.kept["tail"]]
        arrays: dict[str, Any] = {"history": np.asarray(self.history), "settings": np.asarray(self.settings)}
        arrays |= {f"{part}{i}": v for part, some in self.kept.items() for i, v in enumerate(some)}
        arrays |= {f"{part}s": np.asarray(len(some)) for part, some in self.kept.items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_file(self.file, buffer.getvalue())


def _last_dense(net: Any) -> Any:
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
    """Return the tensor between body and tail: before the last blocks, narrow, and all that the tail needs.

    Args:
        net: the functional network.
        features: what its classifier is given.
        sample: scaled images.
        blocks: how many blocks are trained; None for 7 of 16.
    """
    spatial = [i for i, layer in enumerate(net.layers) if max(getattr(layer, "kernel_size", (1,))) > 1]
    wanted = math.ceil(TRAINED_SHARE * (len(spatial) - 1)) if blocks is None else blocks
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
        except (ValueError, KeyError):  # the tail needs more than this
            continue
        return layer.output
    return net.layers[0].output


def fit_head(classifier: Any, features: Floats, targets: npt.NDArray[np.int64], *, penalty: float = 1e-4) -> Any:
    """Fit the linear classifier on pooled features: softmax regression with an L2 penalty, by L-BFGS.

    loss = mean cross-entropy + penalty · ‖W·σ‖², on features divided by their standard deviations σ.

    Args:
        classifier: the linear layer to fit.
        features: `(n, c)` pooled features.
        targets: class numbers, `(n,)`.
        penalty: weight of the L2 penalty.

    Returns:
        Mean cross-entropy and accuracy on these features.
    """
    from scipy.optimize import minimize

    mean, spread = features.mean(0, dtype=np.float64), np.maximum(features.std(0, dtype=np.float64), 1e-4)
    x = (features - mean) / spread
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
    weight, bias = flat[:-classes].reshape(-1, classes) / spread[:, None], flat[-classes:]
    bias = bias - mean @ weight
    classifier.set_weights([weight.astype(np.float32), bias.astype(np.float32)])
    return figures((features @ weight + bias).astype(np.float32), targets)


__all__ = ["KerasTrainer", "fit_head"]
