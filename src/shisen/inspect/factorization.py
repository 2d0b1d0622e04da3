"""Deep feature factorization: a few concepts whose maps, added up, give a layer's activations for several images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, explain_error, requiring
from ..models.model import Model
from ..naming import label
from ..targets import probabilities, to_numpy
from ..types import Frame, InputImage
from .activation_sheets import contributions

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Factorization:
    """A layer's activations as a sum of concepts: A ≈ offset + Σ_k map_k · concept_k, maps and concepts ≥ 0.

    Attributes:
        layer: path of the layer.
        maps: `(n, h', w', k)`, how much of each concept is at each position.
        concepts: `(k, channels)`, in units of the activation, each of length 1.
        offset: `(channels,)`, the smallest value of each channel over all images; 0 after a ReLU.
        error: part of the norm of A − offset that the concepts leave, 0 to 1.
        labels: of each concept, the class that the layers downstream predict if nothing but it is everywhere.
        probabilities: of these classes.
        images: the images.
        frames: the parts of them that the network saw.
    """

    layer: str
    maps: Values
    concepts: Values
    offset: Values
    error: float
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    images: tuple[InputImage, ...]
    frames: tuple[Frame, ...]

    def draw(self, number: int = 0, *, per_row: int = 4) -> Image.Image:
        """Draw where the concepts are in one image, on one common scale.

        Args:
            number: of the image.
            per_row: maps in a row.

        Returns:
            The drawn image.
        """
        named = zip(self.labels, self.probabilities, strict=True)
        captions = [f"{k}: {name} {p:.0%}" for k, (name, p) in enumerate(named)]
        title = f"{self.layer}: {len(captions)} concepts, {self.error:.0%} of the activations are left\n"
        title += "the class that each concept alone is taken for"
        return contributions(
            self.maps[number], captions, self.images[number], self.frames[number], title=title, per_row=per_row
        )


def factorize(
    model: Model, images: Sequence[Any], *, layer: Any = None, n_concepts: int = 6, iterations: int = 400
) -> Factorization:
    """Find concepts that the activations of several images have in common (non-negative matrix factorization).

    min ‖A − offset − M C‖², M ≥ 0, C ≥ 0: rows of A are positions of all images, columns channels

    Nothing is random: the factorization starts from the singular vectors (NNDSVDa). Concepts are in the order of how
    much of the activations they make up.

    Args:
        model: from `load` or `wrap`.
        images: paths, arrays or PIL images, at least one.
        layer: a path or the network's own layer object; None for the model's default.
        n_concepts: number of concepts, at most the number of channels and of positions.
        iterations: of the factorization, at most.

    Returns:
        maps, concepts, and what the network takes each concept for.

    Raises:
        InputError: without images, for another number of concepts than there can be, or a layer without a feature map.
        MissingDependency: without scikit-learn.

    Reference:
        Collins, Achanta, Süsstrunk: Deep Feature Factorization for Concept Discovery, 2018. As in the package grad-cam,
        activations below zero are shifted by each channel's minimum; there the start is random.
    """
    if not images:
        raise InputError(explain_error("There must be at least one image.", "none", "Give a list of files."))
    path = model.default_layer if layer is None else model.layer_path(layer)
    opened = [model.read(image) for image in images]
    prepared = [model.prepare(image) for image in opened]
    found = [to_numpy(model.activations(np.asarray(x)[None], path)).astype(np.float64) for x, _ in prepared]
    shapes = {a.shape[1:] for a in found}
    if len(shapes) > 1 or len(next(iter(shapes))) != 3:
        raise InputError(
            explain_error("All images must have feature maps of one shape.", sorted(shapes), "Choose another layer.")
        )
    a = np.concatenate(found)
    n, h, w, channels = a.shape
    rows = a.reshape(-1, channels)
    if not 1 <= n_concepts <= min(rows.shape):
        raise InputError(explain_error(f"n_concepts must lie between 1 and {min(rows.shape)}.", n_concepts, "Try 6."))
    offset = np.minimum(rows.min(axis=0), 0.0)
    maps, concepts = _nmf(rows - offset, n_concepts, iterations)
    lengths = np.linalg.norm(concepts, axis=1)
    maps, concepts = maps * lengths, concepts / np.where(lengths > 0, lengths, 1.0)[:, None]
    order = np.argsort(-maps.sum(axis=0), kind="stable")
    maps, concepts = maps[:, order], concepts[order]
    whole = float(np.linalg.norm(rows - offset))
    error = float(np.linalg.norm(rows - offset - maps @ concepts)) / whole if whole > 0 else 0.0
    typical = np.linalg.norm(rows - offset, axis=1).max()
    alone = np.broadcast_to((offset + typical * concepts)[:, None, None, :], (n_concepts, h, w, channels))
    logits = to_numpy(model.replaced(np.asarray(prepared[0][0])[None], alone.astype(np.float32), path))
    chances = probabilities(logits.astype(np.float64), model.head)
    best = chances.argmax(axis=1)
    return Factorization(
        path,
        maps.reshape(n, h, w, n_concepts).astype(np.float32),
        concepts.astype(np.float32),
        offset.astype(np.float32),
        error,
        tuple(label(int(k), model.labels) for k in best),
        tuple(float(p) for p in chances.max(axis=1)),
        tuple(opened),
        tuple(frame for _, frame in prepared),
    )


def _nmf(
    rows: npt.NDArray[np.float64], count: int, iterations: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    with requiring("scikit-learn", "perturbation", "The factorization"):
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning
    if not rows.any():
        return np.zeros((len(rows), count)), np.zeros((count, rows.shape[1]))
    solver = NMF(count, init="nndsvda", max_iter=iterations, tol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the error left is reported
        maps = solver.fit_transform(rows)
    return maps, solver.components_
