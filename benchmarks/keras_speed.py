"""Gradient maps of Keras networks on TensorFlow at batch 1, 8 and 64, beside tf-keras-vis and Xplique in one process.

    .venv-keras/bin/python -m benchmarks.keras_speed [--batches 1 8 64] [--quick] [--score-cam] [--out keras_speed.json]

`make bench` creates the environment, without torch. EfficientNet-Lite0 has its ImageNet weights, MobileNetV2 random
ones; shisen gets MobileNetV2 with its softmax, the other libraries without it. The unit is one compiled forward pass of
the same batch: `tf.function` around the network. Every map is resized to the image, as the other libraries do;
gradients are reduced to the largest magnitude over the colors, like theirs. The time of another library counts only if
its map equals ours: r ≥ 0.99 for every image, with our map resized in its way for the comparison (bicubic; aligned
corners), and for Score-CAM with its masks, which use the network's zero as the baseline. Times and `--out` are as in
`benchmarks.speed`. Peak memory is measured with graphs traced before, in a separate process in which TensorFlow returns
freed memory; by default it keeps it, so that only the first one measured would seem to need any. `--score-cam` takes
minutes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # forwards of a processor, as in benchmarks.speed
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import shisen
from benchmarks.libraries import Table, Thing, measure, most_varied
from shisen._core.image_ops import resize
from shisen.registry import METHODS
from shisen.targets import ClassObjective

SIDE = 224
OURS = ("grad_cam", "grad_cam_pp", "layer_cam", "gradient")
LIBRARIES = {  # of ours, the other library's name for it
    "Xplique": {"grad_cam": "GradCAM", "grad_cam_pp": "GradCAMPP", "gradient": "Saliency"},
    "tf-keras-vis": {
        "grad_cam": "Gradcam",
        "grad_cam_pp": "GradcamPlusPlus",
        "layer_cam": "Layercam",
        "gradient": "Saliency",
        "score_cam": "Scorecam",
    },
}
PLACES = {
    "Gradcam": "gradcam",
    "GradcamPlusPlus": "gradcam_plus_plus",
    "Layercam": "layercam",
    "Saliency": "saliency",
    "Scorecam": "scorecam",
}


def lite0() -> tuple[Any, Any, Any]:
    """Return EfficientNet-Lite0 as shisen loads it, its network, and the same for the other libraries."""
    model = shisen.load("efficientnet_lite0", framework="keras")
    return model.network, model.network.net, model.network.net


def mobilenet_v2() -> tuple[Any, Any, Any]:
    """Return MobileNetV2 as shisen wraps it, its network, and one without the softmax for the other libraries."""
    import keras

    from shisen.adapters.keras.adapter import KerasClassifier

    keras.utils.set_random_seed(0)
    net = keras.applications.MobileNetV2(weights=None)
    last = keras.layers.Dense(1000, name="logits")
    linear = keras.Model(net.input, last(net.layers[-2].output))
    last.set_weights(net.layers[-1].get_weights())
    return KerasClassifier(net), net, linear


MODELS: dict[str, tuple[Callable[[], tuple[Any, Any, Any]], str]] = {
    "lite0": (lite0, "head"),
    "mobilenet_v2": (mobilenet_v2, "out_relu"),
}


class Setting:
    """A network as shisen and as the other libraries see it, a batch for both, and a class to explain."""

    def __init__(self, name: str, n: int) -> None:
        import tensorflow as tf

        make, self.layer = MODELS[name]
        self.model, net, self.linear = make()
        self.images = np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)
        scaling = self.model.scaling
        pixels = self.images if scaling is None else self.images * np.float32(scaling.scale) + np.float32(scaling.shift)
        self.x = tf.constant(pixels.astype(np.float32))
        self.zero = 0.0 if scaling is None else -scaling.shift[0] / scaling.scale[0]  # what the network sees as nothing
        self.k = most_varied(self.model, self.images, self.layer)
        self.objective = ClassObjective("class", ((1.0, (self.k,)),))
        self._compiled = tf.function(lambda x: net(x, training=False))

    def forward(self) -> Any:
        return self._compiled(self.x).numpy()

    def raw(self, name: str) -> Any:
        """Return our map as it is."""
        layer = self.layer if METHODS[name].layered else None
        return METHODS[name](self.model, self.images, self.objective, layer=layer).values

    def ours(self, name: str) -> Thing:
        def run() -> Any:
            values = self.raw(name)
            return resize(values, (SIDE, SIDE)) if METHODS[name].layered else np.abs(values).max(-1)

        return traced(run)

    def as_theirs(self, library: str, name: str) -> Any:
        """Return our map with the colors reduced, or masked and resized as the other library does with its own."""
        if name == "score_cam":
            with patch("shisen.attribution.score_cam.bilinear", corner_to_corner):
                layer, objective = self.layer, self.objective
                values = METHODS[name](self.model, self.images, objective, layer=layer, baseline=self.zero).values
        else:
            values = self.raw(name)
        if values.ndim == 4:
            return np.abs(values).max(-1)
        if library == "Xplique":
            import tensorflow as tf

            return tf.image.resize(values[..., None], (SIDE, SIDE), method="bicubic")
        matrix = corner_to_corner(values.shape[1], SIDE)
        return matrix @ values @ matrix.T

    def xplique(self, name: str) -> Thing:
        attributions = importlib.import_module("xplique.attributions")
        target = np.eye(1000, dtype=np.float32)[[self.k] * len(self.x)]
        options = {} if name == "Saliency" else {"conv_layer": self.layer}
        explainer = getattr(attributions, name)(self.linear, batch_size=len(self.x), **options)
        return traced(lambda: explainer(self.x, target))

    def tf_keras_vis(self, name: str) -> Thing:
        kind = getattr(importlib.import_module(f"tf_keras_vis.{PLACES[name]}"), name)
        scores = importlib.import_module("tf_keras_vis.utils.scores")
        made, score = kind(self.linear, clone=False), scores.CategoricalScore([self.k] * len(self.x))
        options: dict[str, Any] = {"penultimate_layer": self.layer, "seek_penultimate_conv_layer": False}
        return traced(lambda: made(score, self.x.numpy(), **({} if name == "Saliency" else options)))


def corner_to_corner(source: int, target: int) -> Any:
    """Return the `(target, source)` matrix of linear interpolation where corners fall on corners, as SciPy zooms."""
    at = np.linspace(0, source - 1, target)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(source))).astype(np.float32)


def traced(thing: Thing) -> Thing:
    """Return the thing, run once: what TensorFlow keeps of a graph is not what a run takes."""
    thing()
    return thing


MAKERS = {"Xplique": Setting.xplique, "tf-keras-vis": Setting.tf_keras_vis}


def table(key: str) -> tuple[Table, Setting]:
    """Return what is to be timed of a network at a batch, "lite0, batch 8", or its Score-CAM, "lite0, Score-CAM"."""
    name, what = key.split(", ")
    n = 1 if what == "Score-CAM" else int(what.split()[-1])
    names = ("score_cam",) if what == "Score-CAM" else OURS if n == 1 else ("grad_cam", "gradient")
    setting = Setting(name, n)
    made = Table(setting.forward)
    for one in names:
        made.add(one, setting.ours(one))
    for library, offered in LIBRARIES.items():
        for one in (one for one in offered if one in names):
            ours = setting.as_theirs(library, one)
            made.compare(f"{library} {offered[one]}", lambda p=library, t=offered[one]: MAKERS[p](setting, t), ours)  # type: ignore[misc]
    return made, setting


def peaks(key: str, threads: int) -> dict[str, float | None]:
    """Return the peaks of `table`, from a process in which TensorFlow gives back what it frees."""
    words = [sys.executable, "-m", "benchmarks.keras_speed", "--peaks", key, "--threads", str(threads)]
    own = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    ran = subprocess.run(words, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float | None] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measured(key: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return the rows of a key of `table`."""
    memory = peaks(key, given.threads)
    made, setting = table(key)
    made.memory = {name: memory.get(name) for name in made.things}
    n = len(setting.images)
    usual = {1: 7, 8: 3}.get(n, 2) if given.quick else {1: 15, 8: 7}.get(n, 3)
    rounds = 1 if key.endswith("Score-CAM") else given.rounds or usual
    return made.measured(setting.layer, rounds, before="forward" if n == 1 else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=None, help="by default 15 for one image, fewer for more")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rounds; batch 64 for EfficientNet-Lite0 only")
    parser.add_argument("--score-cam", action="store_true", help="Score-CAM of one image too, of EfficientNet-Lite0")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file")
    parser.add_argument("--peaks", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf

    keras.utils.disable_interactive_logging()  # no progress bar for every batch
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    if given.peaks:
        print(json.dumps(table(given.peaks)[0].memory))
        return
    keys = [f"{name}, batch {n}" for name in given.models for n in given.batches]
    if given.quick:
        keys = [key for key in keys if key.startswith("lite0") or int(key.split()[-1]) <= 8]
    measure([*keys, *(["lite0, Score-CAM"] if given.score_cam else [])], lambda key: measured(key, given), given.out)


if __name__ == "__main__":
    main()
