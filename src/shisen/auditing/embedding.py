"""Early features of the embedded network: how images are made rather than what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import ShisenError
from ..targets import to_numpy
from ..types import InputImage

Pixels8 = npt.NDArray[np.uint8]
Embed = Callable[[Sequence[Pixels8]], npt.NDArray[np.float32]]
BLOCKS, BANDS, SIZE, BATCH = 5, 3, 112, 32


@lru_cache(maxsize=1)
def embedding() -> Embed | None:
    """Return what pools the embedded network's first blocks; None where no framework can run it.

    Of each block: the mean and the standard deviation over the image, and the means of three rows and three columns of
    equal parts, which tell how an image lies.
    """
    from ..models.loading import load

    try:
        model = load("efficientnet_lite0")
    except ShisenError:
        return None
    if model.preprocess is None:
        return None
    import dataclasses

    model = model.with_preprocess(dataclasses.replace(model.preprocess, size=(SIZE, SIZE), fit="stretch", resize=None))
    points = [layer.path for layer in model.layers if layer.path.startswith("blocks.") and layer.path.count(".") == 1]

    def embed(images: Sequence[Pixels8]) -> npt.NDArray[np.float32]:
        found = []
        for start in range(0, len(images), BATCH):
            x = np.stack([model.prepare(InputImage(p, "array"))[0] for p in images[start : start + BATCH]])
            found.append(np.concatenate([_pooled(to_numpy(a)) for a in model.activations(x, points[:BLOCKS])], 1))
        return np.concatenate(found).astype(np.float32)

    return embed


def _pooled(a: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return pooled features `(n, 8c)` of a map `(n, h, w, c)`."""
    rows = [part.mean((1, 2)) for part in np.array_split(a, BANDS, 1)]
    columns = [part.mean((1, 2)) for part in np.array_split(a, BANDS, 2)]
    return np.concatenate([a.mean((1, 2)), a.std((1, 2)), *rows, *columns], 1)
