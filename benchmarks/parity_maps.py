"""The maps of one framework, for `benchmarks.parity`; one process a framework, since Keras takes one backend a process.

python -m benchmarks.parity_maps keras-jax lite0 maps.npz [--exact] [--methods gradient deconvnet]
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

F = npt.NDArray[np.float32]
CLASSES = 5
PHOTOS = ("cat", "coffee", "rocket", "astronaut")
# as few passes as show the point, and one image, for methods that take many
FEW: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 4},
    "smooth_grad_cam_pp": {"n_samples": 4},
    "integrated_gradients": {"n_steps": 8},
    "score_cam": {"max_channels": 96},
    "occlusion": {"window": 56, "stride": 28},
    "rise": {"n_samples": 48},
    "lime": {"n_samples": 48, "segments": "7x7"},
    "kernel_shap": {"n_samples": 48, "segments": "7x7"},
}


def head() -> tuple[F, F]:
    """Return weights and biases of a classifier of few classes, as after fine-tuning."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.05, (1280, CLASSES)).astype(np.float32), rng.normal(0, 0.1, CLASSES).astype(np.float32)


def torch_net(network: str) -> Any:
    """Return EfficientNet-Lite0 in torch, with its own classifier or with that of few classes."""
    import torch

    from shisen.models.efficientnet_lite_torch import load_net

    net = load_net(0)
    if network == "nested":
        weight, bias = head()
        net.classifier = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            net.classifier.weight.copy_(torch.tensor(weight.T))
            net.classifier.bias.copy_(torch.tensor(bias))
    return net.eval()


def keras_net(network: str) -> Any:
    """Return EfficientNet-Lite0 in Keras: flat, or as the base inside a Sequential with pooling and softmax."""
    import keras

    from shisen.models.efficientnet_lite_keras import load_net

    net = load_net(0)
    if network == "lite0":
        return net
    base = keras.Model(net.input, net.get_layer("head").output, name="base")
    last = keras.layers.Dense(CLASSES, activation="softmax", name="classes")
    pool, dropout = keras.layers.GlobalAveragePooling2D(name="pool"), keras.layers.Dropout(0.2, name="dropout")
    made = keras.Sequential([keras.Input((224, 224, 3)), base, pool, dropout, last])
    last.set_weights(list(head()))
    return made


def exact_normalization() -> None:
    """Let batch normalization compute in float64; Keras itself takes float32 for it on JAX and torch."""
    import keras

    class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            factor = self.gamma / keras.ops.sqrt(self.moving_variance + self.epsilon)
            return inputs * factor + (self.beta - self.moving_mean * factor)

    keras.layers.BatchNormalization = BatchNormalization


def exact_torch(net: Any, scale: F, shift: F) -> Any:
    """Return a torch network that computes in float64, from pixels on."""
    import torch

    class Exact(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net.double()

        def forward(self, x: Any) -> Any:
            a, b = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (scale, shift))
            return self.net(x.double() * a + b)

    return Exact().eval()


def exact_keras(net: Any, scale: F, shift: F) -> Any:
    """Return a Keras network that scales pixels in float64 too; its layers were built under that type."""
    import keras

    return keras.Sequential(
        [keras.Input((224, 224, 3)), keras.layers.Rescaling(float(scale[0]), float(shift[0]), dtype="float64"), net]
    )


def model(framework: str, network: str, exact: bool) -> Any:
    """Return a classifier on pixels in [0, 1]."""
    from shisen.models.presets import RECIPES

    scaling = RECIPES["efficientnet_lite0"].preprocess.scaling()
    scale, shift = np.asarray(scaling.scale), np.asarray(scaling.shift)
    if framework == "torch":
        from shisen.adapters.torch.adapter import TorchClassifier

        net = torch_net(network)
        if exact:
            return TorchClassifier(exact_torch(net, scale, shift), size=(224, 224, 3))
        return TorchClassifier(net, scaling, size=(224, 224, 3))
    if exact:
        import keras

        keras.config.set_floatx("float64")
        if framework == "keras-jax":
            import jax

            jax.config.update("jax_enable_x64", True)
        exact_normalization()
    from shisen.adapters.keras.adapter import KerasClassifier

    net = keras_net(network)
    if exact:
        return KerasClassifier(exact_keras(net, scale, shift), size=(224, 224, 3))
    return KerasClassifier(net, scaling, size=(224, 224, 3))


def photos() -> F:
    """Return free photos as the network takes them, `(n, 224, 224, 3)` in [0, 1]."""
    from PIL import Image
    from skimage import data

    small = [Image.fromarray(getattr(data, name)()).resize((224, 224), Image.Resampling.BICUBIC) for name in PHOTOS]
    return np.stack([np.asarray(p, np.float32) / 255 for p in small])


def maps(classifier: Any, names: Sequence[str], images: F) -> dict[str, F]:
    """Return every method's map for the class with the highest logit."""
    from shisen.registry import METHODS
    from shisen.targets import TopKObjective, to_numpy

    found = {}
    for name in names:
        x = images[:1] if name in FEW else images
        found[name] = to_numpy(METHODS[name](classifier, x, TopKObjective(), **FEW.get(name, {})).values)
        print(name, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=["torch", "keras-tensorflow", "keras-jax", "keras-torch"])
    parser.add_argument("network", choices=["lite0", "nested"])
    parser.add_argument("out")
    parser.add_argument("--exact", action="store_true", help="compute in float64")
    parser.add_argument("--methods", nargs="+", required=True)
    given = parser.parse_args()
    if given.framework != "torch":
        os.environ["KERAS_BACKEND"] = given.framework.removeprefix("keras-")
    warnings.simplefilter("ignore")
    made = model(given.framework, given.network, given.exact)
    np.savez(given.out, **maps(made, given.methods, photos()))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
