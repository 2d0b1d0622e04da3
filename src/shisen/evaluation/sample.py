"""One map of one image, as metrics see it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.baselines import INPAINT, Eraser, baseline_pixels
from ..targets import class_logits, probabilities
from ..types import Frame
from ..viz.scale import on_image, reduce_channels

Map = npt.NDArray[np.float32]
Image = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sample:
    """One map of one image.

    Attributes:
        image: `(h, w, c)` at the network's input size, pixels in [0, 1].
        values: the raw map, `(h', w')` or `(h', w', c)`, at native resolution.
        index: the class that was explained.
        logits: `(classes,)`, for the image.
        head: "softmax", "sigmoid" or "none".
        shows: "evidence" or "sensitivity": how the map is to be read.
        zero: the pixel value that the network sees as zero, one a channel; see `network_zero`.
        region: `(h, w)` boolean, where the object is, or None.
        seed: of the image; random draws are the same for every map of the image.
    """

    image: Image
    values: npt.NDArray[Any]
    index: int
    logits: npt.NDArray[Any]
    head: str = "softmax"
    shows: str = "evidence"
    zero: tuple[float, ...] = (0.0,)
    region: npt.NDArray[np.bool_] | None = None
    seed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """`(h, w)` of the image."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    @cached_property
    def heat(self) -> Map:
        """`(h, w)`: one raw value a pixel of the image; higher is more important."""
        return heat(self.values, self.shows, self.size)

    @cached_property
    def mask(self) -> Map:
        """`(h, w)` in [0, 1]: the positive part of the heat, min–max scaled; see `normalized`."""
        return normalized(self.heat)

    @cached_property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Flat pixel numbers, the highest heat first, equal ones in an order drawn once for the image.

        The draw is shared by all maps of the image, so a constant map is removed exactly like the map of the draws
        itself, which is a random map: neither depends on the order in which pixels are stored.
        """
        drawn = _drawn(self.seed, self.heat.size)
        return np.asarray(drawn[np.argsort(-self.heat.ravel()[drawn], kind="stable")])

    @property
    def probability(self) -> float:
        """Probability of the class for the image."""
        return float(self.probabilities(self.logits[None])[0])

    def probabilities(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the probability of the class for each row of logits, in [0, 1]."""
        p = probabilities(np.asarray(logits, dtype=np.float64), self.head)
        return np.asarray(p[:, self.index], dtype=np.float64)

    def scores(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the logit of the class for each row of logits."""
        return np.asarray(class_logits(np.asarray(logits, dtype=np.float64), self.head)[:, self.index])

    def heat_of(self, values: npt.NDArray[Any]) -> Map:
        """Return another raw map of this method as a heat of the image's size."""
        return heat(values, self.shows, self.size)

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the generator of this image for one purpose, the same for all maps of the image."""
        return _generator(self.seed, purpose)

    def blended(self, keep: npt.NDArray[Any], baseline: str | float = "network_zero") -> Image:
        """Return keep · image + (1 − keep) · baseline, `(k, h, w, c)`.

        Args:
            keep: `(k, h, w)` in [0, 1].
            baseline: a pixel value or a name; see `baseline_pixels` and `Eraser`.
        """
        eraser = Eraser(self.image[None], baseline, self.zero)
        return np.asarray(eraser(np.asarray(keep, dtype=np.float32)), dtype=np.float32)

    def pixels(self, baseline: str | float) -> Image:
        """Return what replaces removed pixels, `(h, w, c)`; see `baseline_pixels`."""
        return np.asarray(baseline_pixels(self.image[None], baseline, self.zero)[0], dtype=np.float32)

    def without(self, removed: npt.NDArray[np.bool_], baseline: str | float) -> Image:
        """Return the image with pixels replaced by the baseline, `(k, h, w, c)`.

        Args:
            removed: `(k, h, w)`, True where a pixel is replaced.
            baseline: a pixel value or a name; see `baseline_pixels` and `Eraser`.
        """
        if baseline == INPAINT:
            return self.blended(~removed, baseline)
        pixel = np.dtype((np.void, self.image.itemsize * self.image.shape[2]))  # a pixel is copied as one item
        one, other = (
            np.ascontiguousarray(x, dtype=self.image.dtype).view(pixel)[..., 0]
            for x in (self.image, self.pixels(baseline))
        )
        return np.where(removed, other, one).view(self.image.dtype).reshape(*removed.shape, -1)


def first(ranks: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return `(k, h, w)`: for each count, whether a pixel is among the `count` first of `ranks`.

    Args:
        ranks: rank of every pixel, 0 for the most important.
        counts: numbers of pixels that are taken.
        size: number of pixels in all.
    """
    position = np.empty(ranks.size, dtype=np.int64)
    position[ranks] = np.arange(ranks.size)
    return (position[None, :] < counts[:, None]).reshape(len(counts), *size)


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


@lru_cache(maxsize=16)
def _drawn(seed: int, pixels: int) -> npt.NDArray[np.int64]:
    """Return the order in which equal pixels of an image fall: of falling draws, equal draws as they are stored."""
    order = np.argsort(-_generator(seed, "ties").random(pixels), kind="stable")
    order.flags.writeable = False
    return order


def heat(values: npt.NDArray[Any], shows: str, size: tuple[int, int]) -> Map:
    """Return one value a pixel: channels summed (evidence) or the largest magnitude (sensitivity), bilinearly enlarged.

    Args:
        values: `(h', w')` or `(h', w', c)`, raw.
        shows: "evidence" or "sensitivity".
        size: `(h, w)` wanted.

    Returns:
        `(h, w)` float32 in the unit of the values; values that are not finite become 0.
    """
    reduced = reduce_channels(np.nan_to_num(np.asarray(values), nan=0.0, posinf=0.0, neginf=0.0), shows)
    if reduced.shape == size:
        return reduced
    return on_image(reduced, Frame(size, size, (0.0, 0.0, float(size[1]), float(size[0]))))


def normalized(values: npt.NDArray[Any]) -> Map:
    """Return (v⁺ − min v⁺) / (max v⁺ − min v⁺) with v⁺ = max(v, 0), in [0, 1].

    A positive constant becomes ones (everything matters equally), a map that is nowhere positive becomes zeros
    (nothing matters). Never NaN.
    """
    positive = np.maximum(np.asarray(values, dtype=np.float64), 0.0)
    low, high = float(positive.min()), float(positive.max())
    if high - low <= 1e-6 * high:
        return np.full(positive.shape, 1.0 if high > 0.0 else 0.0, dtype=np.float32)
    return np.asarray((positive - low) / (high - low), dtype=np.float32)
