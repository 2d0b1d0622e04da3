"""What a layer in the middle of the audited network sees in images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._core.prefetch import prefetched
from ..targets import ClassObjective, to_numpy
from .scanned import map_layer

if TYPE_CHECKING:
    from ..models.model import Model

Floats = npt.NDArray[np.float32]
BATCH = 32
KEPT = 2**27
"""Bytes of maps that are kept in memory: those of the first images that are looked at."""


def middle_layer(model: Model) -> str | None:
    """Return a layer in the middle: the block after which a little more than half of the blocks have run.

    Only whole blocks count, layers as deep in the names as the network's first ones; None for a network without.
    """
    last = map_layer(model)
    if last is None:
        return None
    spatial = [layer.path for layer in model.layers if layer.spatial]
    depth = min((path.count(".") for path in spatial if "." in path), default=0)
    blocks = [path for path in spatial if path.count(".") == depth and "." in path] or spatial
    upstream = blocks[: blocks.index(last)] if last in blocks else blocks
    return upstream[round(0.55 * (len(upstream) - 1))] if len(upstream) >= 2 else last


class Hottest(NamedTuple):
    """Positions where the evidence for a class is largest.

    Attributes:
        images: `(m,)` index of the image of each.
        at: `(m, 2)` down and to the right, in fractions of the image.
        features: `(m, c)` what the network sees there, of length one.
        cell: side of a position, as a fraction of the image.
    """

    images: npt.NDArray[np.int64]
    at: npt.NDArray[np.float64]
    features: Floats
    cell: float


@dataclass(frozen=True)
class Middle:
    """Maps of images at the middle layer.

    Attributes:
        model: the audited network.
        layer: the layer.
        paths: files.
        kept: row → map `(h, w, c)`, of the images that were pooled, as many as `KEPT` allows. Nothing else is added, so
            that no map depends on which images were looked at before, in which batches.
    """

    model: Model
    layer: str
    paths: Sequence[str]
    kept: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, paths: Sequence[str]) -> Middle | None:
        """Return that of a model; None where it has no feature maps, or where images keep sizes of their own.

        Args:
            model: the network.
            paths: files.
        """
        layer = None if model.preprocess is None else middle_layer(model)
        return None if layer is None else cls(model, layer, paths)

    def prepared(self, rows: Sequence[int]) -> Iterator[Any]:
        """Yield prepared images `(b, h, w, c)`, at most `BATCH` at a time."""
        stream = prefetched(lambda row: self.model.prepare(self.model.read(self.paths[row]))[0], rows, depth=2 * BATCH)
        batch: list[Any] = []
        for image in stream:
            if batch and (batch[0].shape != image.shape or len(batch) == BATCH):
                yield np.stack(batch)
                batch = []
            batch.append(image)
        if batch:
            yield np.stack(batch)

    def maps(self, rows: Sequence[int]) -> Iterator[Floats]:
        """Yield maps `(b, h, w, c)` in the order of `rows`, at most `BATCH` at a time."""
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            fresh = [row for row in some if row not in self.kept]
            made = dict(zip(fresh, (one for maps in self._computed(fresh) for one in maps), strict=True))
            yield np.stack([self.kept[row] if row in self.kept else made[row] for row in some])

    def batches(self, rows: Sequence[int]) -> Iterator[tuple[Any, Floats]]:
        """Yield the first prepared image `(1, h, w, c)` and the maps of at most `BATCH` rows at a time."""
        for number, maps in enumerate(self.maps(rows)):
            yield next(self.prepared(rows[number * BATCH : number * BATCH + 1])), maps

    def _computed(self, rows: Sequence[int]) -> Iterator[Floats]:
        for x in self.prepared(rows):
            yield to_numpy(self.model.activations(x, self.layer)).astype(np.float32)

    def pooled(self, rows: Sequence[int]) -> Floats:
        """Return mean and standard deviation of each channel, `(n, 2c)`; the maps are kept."""
        found, left = [], list(rows)
        for maps in self._computed(rows):
            found.append(np.concatenate([maps.mean((1, 2)), maps.std((1, 2))], 1))
            room = max(0, KEPT // maps[0].nbytes - len(self.kept))
            self.kept.update(zip(left[:room], maps, strict=False))
            left = left[len(maps) :]
        return np.concatenate(found).astype(np.float32)

    def hottest(self, rows: Sequence[int], label: int, count: int) -> Hottest:
        """Return where the evidence for a class is largest in each image: HiResCAM of its score at the layer.

        Args:
            rows: images.
            label: the class.
            count: positions an image, the largest first; none touches another.

        Returns:
            What the network sees there.
        """
        at: list[tuple[float, float]] = []
        features: list[Floats] = []
        for x in self.prepared(rows):
            objective = ClassObjective("class", ((1.0, (label,) * len(x)),), head=self.model.head)
            values, gradient = (to_numpy(v) for v in self.model.gradients(x, objective, wrt=self.layer))
            for a, evidence in zip(values, (values * gradient).sum(-1), strict=True):
                left = evidence.astype(np.float64)
                for _ in range(count):
                    y, x_ = np.unravel_index(int(left.argmax()), left.shape)
                    at.append(((y + 0.5) / left.shape[0], (x_ + 0.5) / left.shape[1]))
                    features.append(a[y, x_] / max(float(np.linalg.norm(a[y, x_])), 1e-9))
                    left[max(0, y - 1) : y + 2, max(0, x_ - 1) : x_ + 2] = -np.inf
            cell = 1 / max(evidence.shape)
        return Hottest(np.repeat(np.arange(len(rows)), count), np.asarray(at), np.stack(features), cell)

    def class_maps(self, rows: Sequence[int]) -> Floats:
        """Return the maps `(n, h, w, c)` of some images, all of one size."""
        return np.concatenate(list(self.maps(rows)))
