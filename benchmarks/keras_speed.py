"""What Grad-CAM, saliency and Score-CAM cost on Keras with TensorFlow, beside tf-keras-vis and Xplique.

    python -m venv .venv-keras && .venv-keras/bin/pip install -e '.[keras]' -r benchmarks/keras_requirements.txt
    .venv-keras/bin/python -m benchmarks.keras_speed [--rounds 12] [--score-cam]

MobileNetV2 at 224 pixels with random weights. The unit is one compiled forward of the same batch, `tf.function` around
the model; figures are medians of ratios taken in turns. `--score-cam` adds Score-CAM, which takes minutes: its
processor time and the memory at its peak, each in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.timing import in_turns, table

LAYER = "out_relu"
CLASS = 281
Things = dict[str, Callable[[], object]]


class Setting:
    """The network, with its softmax for us and without for the peers, and a batch."""

    def __init__(self, n: int) -> None:
        import keras
        import tensorflow as tf

        from shisen.backends.keras import KerasClassifier
        from shisen.targets import ClassSeed

        keras.utils.set_random_seed(0)
        self.net = keras.applications.MobileNetV2(weights=None)
        linear = keras.layers.Dense(1000, name="logits")
        self.linear = keras.Model(self.net.input, linear(self.net.layers[-2].output))
        linear.set_weights(self.net.layers[-1].get_weights())
        self.x = np.random.default_rng(0).random((n, 224, 224, 3), dtype=np.float32)
        self.tensor = tf.constant(self.x)
        self.model = KerasClassifier(self.net)
        self.seed = ClassSeed("class", ((1.0, (CLASS,)),))
        self._compiled = tf.function(lambda x: self.net(x, training=False))

    def forward(self) -> Any:
        return self._compiled(self.tensor).numpy()

    def ours(self, name: str, **options: Any) -> Callable[[], Any]:
        import shisen.attribution  # noqa: F401
        from shisen.registry import METHODS

        if METHODS[name].layered:
            options["layer"] = LAYER
        return lambda: METHODS[name](self.model, self.x, self.seed, **options).values

    def xplique(self, name: str) -> Callable[[], Any]:
        attributions = importlib.import_module("xplique.attributions")
        target = np.eye(1000, dtype=np.float32)[[CLASS] * len(self.x)]
        options = {"conv_layer": LAYER} if name == "GradCAM" else {}
        explainer = getattr(attributions, name)(self.linear, batch_size=len(self.x), **options)
        return lambda: explainer(self.tensor, target)

    def tf_keras_vis(self, name: str) -> Callable[[], Any]:
        places = {"Gradcam": "gradcam", "Saliency": "saliency", "Scorecam": "scorecam"}
        kind = getattr(importlib.import_module(f"tf_keras_vis.{places[name]}"), name)
        scores = importlib.import_module("tf_keras_vis.utils.scores")
        made, score = kind(self.linear, clone=False), scores.CategoricalScore([CLASS] * len(self.x))
        options = {} if name == "Saliency" else {"penultimate_layer": LAYER}
        return lambda: made(score, self.x, **options)


def offered(makers: dict[str, Callable[[], Callable[[], object]]]) -> Things:
    """Return what runs; says of the rest why it does not."""
    things: Things = {}
    for name, make in makers.items():
        try:
            thing = make()
            thing()
        except Exception as problem:  # a peer may not import, or fail with this version of Keras
            print(f"{name}: {type(problem).__name__}: {' '.join(str(problem).split())[:200]}", flush=True)
            continue
        things[name] = thing
    return things


def maps(n: int, rounds: int) -> None:
    """Print Grad-CAM and saliency in compiled forwards."""
    setting = Setting(n)
    things = offered(
        {
            "forward": lambda: setting.forward,
            "shisen Grad-CAM": lambda: setting.ours("grad_cam"),
            "shisen gradient": lambda: setting.ours("gradient"),
            "Xplique GradCAM": lambda: setting.xplique("GradCAM"),
            "Xplique Saliency": lambda: setting.xplique("Saliency"),
            "tf-keras-vis Gradcam": lambda: setting.tf_keras_vis("Gradcam"),
            "tf-keras-vis Saliency": lambda: setting.tf_keras_vis("Saliency"),
        }
    )
    print(f"\nbatch {n}: in compiled forwards, by the clock and by processor time", flush=True)
    for name, wall, processor, milliseconds in table(in_turns(things, rounds), "forward"):
        print(f"  {name:24} {wall:7.2f} {processor:7.2f}   {milliseconds:8.1f} ms", flush=True)


def alone(who: str) -> None:
    """Run Score-CAM once in this process and print its seconds, its forwards and the memory it added."""
    setting = Setting(1)
    run = setting.ours("score_cam") if who == "shisen" else setting.tf_keras_vis("Scorecam")
    for _ in range(5):
        setting.forward()
    start = perf_counter()
    for _ in range(20):
        setting.forward()
    one = (perf_counter() - start) / 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, processor = perf_counter(), os.times()
    run()
    seconds, after = perf_counter() - start, os.times()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    own = after.user + after.system - processor.user - processor.system
    print(
        f"  {who:14} {seconds:7.1f} s  {own:7.1f} s of processor  {seconds / one:7.0f} forwards  {grown:6.0f} MiB more",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--score-cam", action="store_true")
    parser.add_argument("--alone", choices=["shisen", "tf-keras-vis"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.alone:
        alone(given.alone)
        return 0
    for n in given.batches:
        maps(n, given.rounds)
    if given.score_cam:
        print("\nScore-CAM, one picture, 1,280 channels", flush=True)
        for who in ("shisen", "tf-keras-vis"):
            subprocess.run([sys.executable, "-m", "benchmarks.keras_speed", "--alone", who], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
