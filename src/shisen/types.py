"""The frozen records that flow through shisen, and the protocol of every network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = Any
"""Any array of the array-API standard: NumPy, torch or JAX."""

Pixels = npt.NDArray[np.float32]
"""`(n, h, w, 3)` pixels in [0, 1], or arrays as they are for networks without preprocessing."""


@dataclass(frozen=True)
class Layer:
    """A named point of a network.

    Attributes:
        path: the name by which the point is requested.
        kind: the class of the layer, such as `Conv2d`.
        shape: `(*positions, c)` of one image's feature map, such as `(h, w, c)`; `(c,)` of a vector; channels last.
        parameters: number of weights the layer holds itself.
        default: whether methods use this point by default.
        reason: why it is the default, or what a reader should know about the point.
        rank: number of axes of positions that a feature map here has: 1 for signals, 2 for images, 3 for volumes.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int = 0
    default: bool = False
    reason: str = ""
    rank: int = 2

    @property
    def spatial(self) -> bool:
        """Whether the point has a spatial feature map: more than one position."""
        return len(self.shape) == self.rank + 1 and math.prod(self.shape[:-1]) > 1


@dataclass(frozen=True)
class Space:
    """Where the positions of a volume or a video lie in the world.

    Attributes:
        affine: `(4, 4)`, from indices of voxels, in the order of the array's axes, to millimeters to the right, to the
            front and up (RAS+); None if it is not known.
        rate: frames or samples per second; 0 if it is not known.
    """

    affine: npt.NDArray[np.float64] | None = None
    rate: float = 0.0


@dataclass(frozen=True)
class InputImage:
    """One decoded image, signal, volume or video.

    Attributes:
        pixels: `(H, W, 3)` uint8, upright; or an array as it was given, `(H, W, C)` of any type; of a signal
            `(length, C)`, of a volume or video `(D, H, W, C)`.
        source: file name, URL or "array".
        sha256: digest of the file or of the array's bytes.
        data: `(H, W, C)`, uint8 or float32 in units of [0, 1], for a network that takes other than 8-bit RGB; `pixels`
            is then a view of it for drawing.
        space: where a volume or a video lies.
    """

    pixels: npt.NDArray[Any]
    source: str = "array"
    sha256: str = ""
    data: npt.NDArray[Any] | None = None
    space: Space | None = None

    @property
    def size(self) -> tuple[int, ...]:
        """`(H, W)` in pixels; `(length,)` of a signal, `(D, H, W)` of a volume or video."""
        return tuple(int(side) for side in self.pixels.shape[:-1])


@dataclass(frozen=True)
class Frame:
    """Which part of an image the network saw, and at what size.

    Attributes:
        image: `(H, W)` of the image, or as many sides as it has.
        size: `(h, w)` of the network's input, likewise.
        box: left, top, right, bottom in image pixels that the input covers; it lies partly
            outside of the image where the image was padded. Of a volume left, top, front, right, bottom, back: the
            starts of all axes, the last axis first, then the ends.
    """

    image: tuple[int, ...]
    size: tuple[int, ...]
    box: tuple[float, ...]

    @classmethod
    def whole(cls, size: tuple[int, ...]) -> Frame:
        """Return the frame of an image that the network sees as it is."""
        return cls(size, size, (*(0.0 for _ in size), *(float(side) for side in reversed(size))))

    @property
    def spans(self) -> tuple[tuple[float, float], ...]:
        """Start and end of the box along each axis, in the order of the axes."""
        rank = len(self.image)
        return tuple(zip(reversed(self.box[:rank]), reversed(self.box[rank:]), strict=True))


@dataclass(frozen=True)
class Scaling:
    """What the network side does to pixels in [0, 1]: value = pixels · scale + shift, per channel.

    Attributes:
        scale: one factor per channel, in the order of the pixels, such as red, green, blue.
        shift: one summand per channel.
        reverse: whether the order of the channels is then reversed, such as to blue, green, red.
    """

    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)
    reverse: bool = False

    def applied(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return scaled pixels, `(n, h, w, c)` like those given."""
        x = images * np.asarray(self.scale, np.float32) + np.asarray(self.shift, np.float32)
        return x[..., ::-1] if self.reverse else x


@dataclass(frozen=True)
class Prediction:
    """One class of a network's prediction.

    `probability` is in [0, 1], or the raw score where a network has no probabilities (`head="none"`); `logit` is the
    raw score.
    """

    index: int
    label: str
    wordnet_id: str | None
    probability: float
    logit: float

    @property
    def confidence(self) -> str:
        """The probability in per cent, or the score where there is none."""
        return f"{self.probability:.1%}" if 0.0 <= self.probability <= 1.0 else f"{self.logit:.4g}"


@dataclass(frozen=True)
class Target:
    """What was explained, in words and as class numbers.

    Attributes:
        name: such as "African elephant" or "cat rather than dog".
        indices: the classes concerned, the positive one first; empty for other objectives.
        score: "logit", "probability" or "log_probability", or what else was measured.
        value: the score the network gave, for this image; NaN if it was not measured.
    """

    name: str
    indices: tuple[int, ...] = ()
    score: str = "logit"
    value: float = float("nan")


@dataclass(frozen=True)
class Maps:
    """What a method returns: raw maps and what there is to say about them.

    Attributes:
        values: `(n, *positions)` or `(n, *positions, c)`, raw, in the method's unit, at native resolution.
        notes: facts about this run, such as a completeness gap or a fallback, by name; a value that
            is a sequence of length n belongs to the images one by one.
    """

    values: Array
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Attribution:
    """One map of one image, with its unit and where it comes from.

    Attributes:
        values: `(h, w)` or `(h, w, c)` float32, raw: never normalized; of a signal `(length,)`, of a volume
            `(d, h, w)`, each with or without channels.
        method: registered name.
        unit: unit of the values, such as "logit" or "logit per unit of pixel value".
        signed: whether negative values carry meaning.
        shows: "evidence" (values add up like a score: positive speaks for the target) or
            "sensitivity" (only the magnitude of a value is evidence of importance).
        target: what was explained.
        layer: the point used, or None.
        options: the options the method ran with.
        notes: facts about the run.
        rank: number of axes of positions that the values have: 1 of a signal, 2 of an image, 3 of a volume or video.
    """

    values: npt.NDArray[np.float32]
    method: str
    unit: str
    signed: bool
    shows: str
    target: Target
    layer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 2


@dataclass(frozen=True)
class Attention:
    """How much every token attended to every other, in one layer.

    Attributes:
        path: the module in which it happened, followed by ".attention".
        values: `(n, heads, queries, keys)`; every row sums to 1.
        gradients: of the score by the values, same shape; None if no score was requested.
        grid: `(h, w)` of the keys that have a spatial position; `(0, 0)` where they have none, as in windows.
        prefix: number of leading tokens without a position (class, distillation, registers).
        windows: number of windows an image is cut into; their heads follow one another along the heads.
        positions: `(windows, keys)`, where each key lies in the flattened grid, −1 for padding; None without windows,
            or where it could not be found.
    """

    path: str
    values: Array
    gradients: Array | None = None
    grid: tuple[int, ...] = (0, 0)
    prefix: int = 0
    windows: int = 1
    positions: Any = None


@dataclass(frozen=True)
class Score:
    """One value of an evaluation, with its 95 % interval."""

    method: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool


class Objective(Protocol):
    """An objective on the value at a point: its score and its cotangent, row by row.

    An objective for n images takes an array of r·n rows too: row i belongs to image i mod n.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, y: Array) -> Array:
        """Return the cotangent: the gradient of the summed score by `y`, of the shape of `y`."""
        ...

    def value(self, y: Array) -> Array:
        """Return the score of each row, shape `(rows,)`."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> Objective:
        """Return the objective for these rows of the batch."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A network as a few calls on named points. `"input"` and `"logits"` are points like any layer.

    `images` are `(n, h, w, c)`, signals `(n, length, c)`, volumes and video `(n, d, h, w, c)`; feature maps come back
    channels last, `(n, *positions, c)`, float32, in the network's own array type and on its device (NumPy for
    TensorFlow and ONNX).
    """

    @property
    def framework(self) -> str: ...

    @property
    def layers(self) -> tuple[Layer, ...]: ...

    @property
    def default_layer(self) -> str: ...

    @property
    def head(self) -> str:
        """ "softmax" (one class of many), "sigmoid" (independent units) or "none" (not a classifier)."""
        ...

    @property
    def batch_size(self) -> int:
        """How many images the network takes at a time; methods make masks and noise in batches of this size."""
        ...

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        """Return the value at one point, or a tuple of values at several, from one forward.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            at: path of the point, or paths of several.
        """
        ...

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        """Return the value at `wrt` and the gradient there of the objective's score at `at`.

        With a sequence of points in `wrt` both are tuples. With a sequence of objectives every gradient has
        one more axis in front, one entry an objective; all come from one forward.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            objective: what is explained.
            at: path of the point where the score is taken.
            wrt: path of the point, or paths of the points, where the gradient is taken.
        """
        ...

    def replaced(self, images: Array, values: Array, at: str) -> Array:
        """Return the logits if the value at this point were `values`.

        One image and k values give k rows of logits; only what lies downstream of the point runs k times. Otherwise
        there are as many values as images.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            values: values at the point, channels last.
            at: path of the point.
        """
        ...

    def rewired(self, relu: str) -> Classifier:
        """Return the same network with another rule for ReLUs in the backward pass: "guided" or "deconvnet"."""
        ...
