"""Which channels of a layer contribute to a class, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..models.model import Model
from ..targets import to_numpy
from ..types import Frame, InputImage
from ..viz.legend import number
from .activation_sheets import contributions


@dataclass(frozen=True)
class Ranking:
    """The channels of one layer by what they contribute to a score.

    Attributes:
        path: the layer.
        target: name of the target.
        maps: `(h, w, c)` gradient × activation, in units of the score.
        image: the image.
        frame: the part of it that the network saw.
    """

    path: str
    target: str
    maps: npt.NDArray[np.float32]
    image: InputImage
    frame: Frame

    @property
    def contribution(self) -> npt.NDArray[np.float32]:
        """Sum over positions of gradient · activation, `(c,)`, in units of the score."""
        return np.asarray(self.maps.sum(axis=(0, 1)))

    @property
    def channels(self) -> npt.NDArray[np.int64]:
        """The channel numbers, the largest contribution to the target first."""
        return np.argsort(-self.contribution, kind="stable")

    def draw(self, n_channels: int = 8, *, per_row: int = 4) -> Image.Image:
        """Draw where the first channels support the target, over the image, on one common scale.

        Args:
            n_channels: number of channels.
            per_row: images in a row.

        Returns:
            The drawn image.
        """
        best = self.channels[:n_channels]
        total = number(float(self.contribution.sum()))
        return contributions(
            self.maps[:, :, best],
            [f"{c}: {self.contribution[c]:+.2f}" for c in best],
            self.image,
            self.frame,
            title=f"{self.path}: channels that support {self.target}\n"
            f"gradient × activation; sum over all channels {total}",
            per_row=per_row,
        )


def rank(
    model: Model, pixels: npt.NDArray[np.float32], target: Any, path: str, image: InputImage, frame: Frame
) -> Ranking:
    """Order channels by contribution_c = Σ_hw ∂score/∂A_c · A_c.

    Args:
        model: the network.
        pixels: `(h, w, c)`, its input.
        target: as in `shisen.explain`; None for the top class.
        path: the layer.
        image: the image that the input was made from.
        frame: the part of it that the network saw.

    Returns:
        A `Ranking` in logits.

    Raises:
        UnknownName: for an unknown target or layer.
    """
    objective = model.objective(target)
    name = str(objective.name)
    if hasattr(objective, "resolve"):
        logits = model.activations(pixels[None])
        objective = objective.resolve(logits)
        name = model.predictions(logits, 1)[0][0].label if len(objective.indices) == 1 else name
    values, gradients = model.gradients(pixels[None], objective, wrt=path)
    product = to_numpy(values * gradients)[0].astype(np.float32)
    maps = product.reshape((1, 1, -1)) if product.ndim == 1 else product
    return Ranking(path, name, maps, image, frame)
