"""The feature maps of one layer for one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .._core.i18n import Message
from ..errors import unknown

ORDERS = ("index", "magnitude")


@dataclass(frozen=True)
class LayerActivations:
    """The feature maps of one layer for one image.

    Attributes:
        path: the layer.
        values: `(h, w, c)` float32, raw, in the layer's own unit.
    """

    path: str
    values: npt.NDArray[np.float32]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[2])

    @cached_property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Which channels are zero at every position, `(c,)`."""
        return np.asarray(~self.values.any(axis=(0, 1)))

    @cached_property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Which channels have the layer's highest value at every position, such as the 6 of a ReLU6, `(c,)`.

        A layer with a single position, or with a single value, has no saturated channels.
        """
        if self.values.shape[0] * self.values.shape[1] < 2 or self.values.min() == self.values.max():
            return np.zeros(self.channels, bool)
        return np.asarray((self.values == self.values.max()).all(axis=(0, 1)) & ~self.dead)

    @cached_property
    def magnitude(self) -> npt.NDArray[np.float32]:
        """Mean magnitude of each channel: mean over positions of |v|, `(c,)`, in the layer's unit."""
        return np.asarray(np.abs(self.values).mean(axis=(0, 1)))

    def order(self, by: str = "index") -> npt.NDArray[np.int64]:
        """Return the channel numbers by "index", or by "magnitude" with the largest first."""
        if by not in ORDERS:
            raise unknown("order", by, ORDERS)
        return np.argsort(-self.magnitude, kind="stable") if by == "magnitude" else np.arange(self.channels)

    @property
    def summary(self) -> Message:
        """The layer in one line: its shape, and its dead and saturated channels."""
        h, w, c = self.values.shape
        return Message(
            "{path}: {channels} channels, {height} × {width}; {dead} dead, {saturated} saturated",
            path=self.path,
            channels=c,
            height=h,
            width=w,
            dead=int(self.dead.sum()),
            saturated=int(self.saturated.sum()),
        )
