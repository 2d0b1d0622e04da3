"""Toy networks in Keras, written in every style a person may use, and one slow twin of them in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

F = npt.NDArray[np.float64]
SIDES = (7, 6)


def weights() -> dict[str, F]:
    """Return the weights that all styles share: two convolutions and a classifier with three classes."""
    rng = np.random.default_rng(7)
    return {
        "conv1": rng.normal(size=(3, 3, 3, 4)),
        "bias1": rng.normal(size=4),
        "conv2": rng.normal(size=(2, 2, 4, 5)) / 2,
        "bias2": rng.normal(size=5),
        "fc": rng.normal(size=(5, 3)),
        "bias": rng.normal(size=3),
    }


def images(n: int = 2) -> npt.NDArray[np.float32]:
    """Return n non-square images whose activations reach zero, the gradient and the cap of a ReLU6."""
    return np.random.default_rng(3).uniform(-1, 2, (n, *SIDES, 3)).astype(np.float32)


@dataclass
class Twin:
    """conv 3×3 → ReLU → conv 2×2 → ReLU → mean over places → linear, forward and backward by hand.

    `cap` is the ReLUs' maximum. The backward rule is None, "guided" or "deconvnet".
    """

    cap: float = np.inf
    w: dict[str, F] = field(default_factory=weights)

    def forward(self, x: npt.NDArray[Any]) -> dict[str, F]:
        """Return every value of one forward."""
        v = {"input": x.astype(np.float64)}
        v["conv1"] = _convolve(v["input"], self.w["conv1"]) + self.w["bias1"]
        v["act1"] = np.clip(v["conv1"], 0, self.cap)
        v["conv2"] = _convolve(v["act1"], self.w["conv2"]) + self.w["bias2"]
        v["act2"] = np.clip(v["conv2"], 0, self.cap)
        v["logits"] = v["act2"].mean((1, 2)) @ self.w["fc"] + self.w["bias"]
        return v

    def backward(self, v: dict[str, F], cotangent: F, rule: str | None = None) -> dict[str, F]:
        """Return the gradient at every value."""
        places = v["act2"].shape[1] * v["act2"].shape[2]
        g = {"logits": cotangent}
        g["act2"] = np.broadcast_to((cotangent @ self.w["fc"].T)[:, None, None] / places, v["act2"].shape)
        g["conv2"] = self._relu(g["act2"], v["act2"], rule)
        g["act1"] = _transposed(g["conv2"], self.w["conv2"])
        g["conv1"] = self._relu(g["act1"], v["act1"], rule)
        g["input"] = _transposed(g["conv1"], self.w["conv1"])
        return g

    def _relu(self, g: F, a: F, rule: str | None) -> F:
        passes = (a > 0) & (a < self.cap)
        if rule is None:
            return g * passes
        return np.maximum(g, 0) * (passes if rule == "guided" else 1)


def _convolve(x: F, kernel: F) -> F:
    h, w = x.shape[1] - kernel.shape[0] + 1, x.shape[2] - kernel.shape[1] + 1
    places = [(i, j) for i in range(kernel.shape[0]) for j in range(kernel.shape[1])]
    return sum(x[:, i : i + h, j : j + w] @ kernel[i, j] for i, j in places)


def _transposed(g: F, kernel: F) -> F:
    h, w = g.shape[1:3]
    out = np.zeros((len(g), h + kernel.shape[0] - 1, w + kernel.shape[1] - 1, kernel.shape[2]))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            out[:, i : i + h, j : j + w] += g @ kernel[i, j].T
    return out


def _put(net: Any) -> Any:
    """Put the shared weights into a model, whatever its nesting."""
    w = weights()
    found = {layer.name: layer for layer in net._flatten_layers() if layer.name in ("conv1", "conv2", "fc")}
    found["conv1"].set_weights([w["conv1"], w["bias1"]])
    found["conv2"].set_weights([w["conv2"], w["bias2"]])
    found["fc"].set_weights([w["fc"], w["bias"]])
    return net


def _relu(kind: str, name: str) -> Any:
    """Return a ReLU in the style asked for, as a function of a tensor."""
    made = {
        "layers": lambda: layers.ReLU(name=name),
        "relu6": lambda: layers.ReLU(6.0, name=name),
        "capped": lambda: layers.ReLU(3.0, name=name),
        "activation": lambda: layers.Activation("relu", name=name),
        "ops": lambda: keras.ops.relu,
        "ops6": lambda: keras.ops.relu6,
    }
    return made[kind]()


CAPS = {"relu6": 6.0, "ops6": 6.0, "capped": 3.0}


def flat(kind: str = "layers", head: str | None = None) -> Any:
    """Return the functional model with this kind of ReLU ("fused" for inside the convolutions) and head."""
    x = image = keras.Input((*SIDES, 3))
    fused = "relu" if kind == "fused" else None
    x = layers.Conv2D(4, 3, name="conv1", activation=fused)(x)
    x = x if fused else _relu(kind, "act1")(x)
    x = layers.Conv2D(5, 2, name="conv2", activation=fused)(x)
    x = x if fused else _relu(kind, "act2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(3, name="fc", activation=head if head != "layer" else None)(x)
    return _put(keras.Model(image, layers.Softmax(name="soft")(x) if head == "layer" else x))


def nested(kind: str = "layers", head: str | None = None, depth: int = 1) -> Any:
    """Return the same network as a Sequential around a functional base, nested `depth` times."""
    x = image = keras.Input((*SIDES, 3))
    fused = "relu" if kind == "fused" else None
    x = layers.Conv2D(4, 3, name="conv1", activation=fused)(x)
    x = x if fused else _relu(kind, "act1")(x)
    x = layers.Conv2D(5, 2, name="conv2", activation=fused)(x)
    x = x if fused else _relu(kind, "act2")(x)
    base = keras.Model(image, x, name="base")
    for level in range(1, depth):
        around = keras.Input((*SIDES, 3))
        base = keras.Model(around, base(around), name=f"base{level}")
    parts = [base, layers.GlobalAveragePooling2D(name="pool"), layers.Dense(3, name="fc", activation=head)]
    return _put(keras.Sequential([keras.Input((*SIDES, 3)), *parts]))


class Own(keras.Model):
    """A subclassed model that calls `keras.ops.relu` and the softmax itself."""

    def __init__(self, head: str | None = None) -> None:
        super().__init__()
        self.conv1 = layers.Conv2D(4, 3, name="conv1")
        self.conv2 = layers.Conv2D(5, 2, name="conv2")
        self.fc = layers.Dense(3, name="fc")
        self.head = head

    def call(self, x: Any) -> Any:
        """Return the logits, or their softmax."""
        x = keras.ops.relu(self.conv1(x))
        x = keras.activations.relu(self.conv2(x))
        x = self.fc(keras.ops.mean(x, axis=(1, 2)))
        return keras.ops.softmax(x) if self.head else x


def own(kind: str = "", head: str | None = None) -> Any:
    """Return the subclassed model, built."""
    net = Own(head)
    net(np.zeros((1, *SIDES, 3), np.float32))
    return _put(net)


def published() -> Any:
    """Return the network of the published oracles: conv 1→2, ReLU, flatten channels first, linear 8→4, ReLU."""
    x = image = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, name="conv1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Flatten(name="flatten")(layers.Permute((3, 1, 2), name="channels_first")(x))
    x = layers.ReLU(name="relu2")(layers.Dense(4, name="fc")(x))
    net = keras.Model(image, x)
    net.get_layer("conv1").set_weights([np.ones((3, 3, 1, 2)), np.array([-50.0, -75.0])])
    net.get_layer("fc").set_weights([np.repeat([1.0, -1.0], [5, 3])[:, None].repeat(4, 1), np.zeros(4)])
    return net


def published_image() -> npt.NDArray[np.float32]:
    """Return the image of the published oracles: 0 … 15."""
    return np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)


def toy(net: Any, style: str = "modules", head: str | None = None) -> Any:
    """Return `nets.Toy` in Keras with the same weights; "nested" puts everything in front of the pool into a base."""
    w = {k: v.detach().numpy() for k, v in net.state_dict().items()}
    cap = 6.0 if net.style == "relu6" else None
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 3, padding="same", name="conv1")(x)
    x = layers.ReLU(cap, name="act1")(layers.BatchNormalization(epsilon=net.norm.eps, name="norm")(x))
    x = layers.ReLU(cap, name="act2")(
        layers.Conv2D(8, 3, padding="same", name="conv2")(layers.MaxPooling2D(name="down")(x))
    )
    if style == "nested":
        base = keras.Model(image, x, name="base")
        image = keras.Input((None, None, 3))
        x = base(image)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    made = keras.Model(image, layers.Dense(w["fc.bias"].size, name="fc", activation=head)(x))
    found = {layer.name: layer for layer in made._flatten_layers()}
    for name in ("conv1", "conv2"):
        found[name].set_weights([w[f"{name}.weight"].transpose(2, 3, 1, 0), w[f"{name}.bias"]])
    found["norm"].set_weights([w[f"norm.{k}"] for k in ("weight", "bias", "running_mean", "running_var")])
    found["fc"].set_weights([w["fc.weight"].T, w["fc.bias"]])
    return made
