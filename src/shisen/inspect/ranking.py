"""Which channels of a layer speak for a class, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..naming import resolve
from ..targets import TopKObjective, to_numpy
from ..types import Frame, InputImage
from ..viz.legend import badge, number
from ..viz.overlay import overlay
from ..viz.scale import place, unseen_as_nan
from ..viz.sheet import tile
from .contact_sheet import titled

if TYPE_CHECKING:
    from .activations import ActivationGrids


@dataclass(frozen=True)
class Ranking:
    """The channels of one layer by what they contribute to a score.

    Attributes:
        path: the layer.
        target: what was asked for, in words.
        maps: `(h, w, c)` gradient × activation, in units of the score.
        image: what was shown.
        frame: which part of it the network saw.
    """

    path: str
    target: str
    maps: npt.NDArray[np.float32]
    image: InputImage
    frame: Frame

    @property
    def contribution(self) -> npt.NDArray[np.float32]:
        """Σ over places of gradient · activation, `(c,)`, in units of the score."""
        return np.asarray(self.maps.sum(axis=(0, 1)))

    @property
    def channels(self) -> npt.NDArray[np.int64]:
        """The channel numbers, the one that speaks most for the target first."""
        return np.argsort(-self.contribution, kind="stable")

    def draw(self, count: int = 8, *, per_row: int = 4) -> Image.Image:
        """Draw where the first channels speak for the target, over the image, on one common scale.

        Args:
            count: how many channels.
            per_row: images a row.
        """
        best = self.channels[:count]
        top = float(np.maximum(self.maps[:, :, best], 0.0).max()) or 1.0
        images = []
        for c in best:
            heat = place(np.maximum(self.maps[:, :, c], 0.0) / np.float32(top), self.frame)
            drawn = overlay(self.image.pixels, unseen_as_nan(heat, self.frame))
            drawn.thumbnail((320, 320))
            images.append(np.asarray(badge(drawn, f"{c}: {self.contribution[c]:+.2f}")))
        total = number(float(self.contribution.sum()))
        words = (
            f"{self.path}: channels that speak for {self.target}\ngradient × activation; all channels together {total}"
        )
        return titled(tile(images, per_row=per_row, numbers=False, gap=4), words)


def rank(grids: ActivationGrids, target: Any, path: str) -> Ranking:
    """Order channels by contribution_c = Σ_hw ∂score/∂A_c · A_c.

    Args:
        grids: activations of one image.
        target: as in `shisen.explain`; None for the top class.
        path: the layer.

    Returns:
        a `Ranking` in logits.
    """
    model: Any = grids.model
    grids[path]  # an unknown layer is answered in the usual words
    objective = resolve(target, find=model.find, names=model.labels, head=model.head, score="logit")
    name = str(objective.name)
    if isinstance(objective, TopKObjective):
        logits = model.activations(grids.pixels[None])
        objective = objective.resolve(logits)
        name = model.predictions(logits, 1)[0][0].label if objective.indices else name
    values, gradients = model.gradients(grids.pixels[None], objective, wrt=path)
    product = to_numpy(values * gradients)[0].astype(np.float32)
    maps = product.reshape((1, 1, -1)) if product.ndim == 1 else product
    return Ranking(path, name, maps, grids.image, grids.frame)
