"""Networks of gray or RGBA images as networks of color images, for generated images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..adapters.wrappers import Wrapper
from ..errors import InputError, explain_error
from ..models.channels import LUMINANCE
from ..types import Array, Classifier


class OfColorImages(Wrapper):
    """A network of one or four channels that takes color: their luminance, or them and an opaque alpha.

    Args:
        model: the network.
        channels: 1 or 4.
    """

    def __init__(self, model: Classifier, channels: int = 1) -> None:
        super().__init__(model)
        self.channels = channels

    def _like(self, model: Classifier) -> Classifier:
        return OfColorImages(model, self.channels)

    def _converted(self, images: Array) -> Array:
        xp = array_namespace(images)
        if self.channels == 4:
            return xp.concat([images, xp.ones_like(images[..., :1])], axis=-1)
        gray = sum(w * images[..., c : c + 1] for c, w in enumerate(LUMINANCE))
        return gray

    def activations(self, images: Array, at: str | Sequence[str] = "logits") -> Any:
        return self.model.activations(self._converted(images), at)

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        value, gradient = self.model.gradients(self._converted(images), objective, at, wrt)
        if wrt != "input":
            return value, gradient
        if self.channels == 4:
            return images, gradient[..., :3]
        return images, array_namespace(gradient).concat([w * gradient for w in LUMINANCE], axis=-1)


def of_color_images(model: Classifier) -> Classifier:
    """Return a network that takes color images: the network itself if it does.

    Args:
        model: from `load` or `wrap`, or any classifier.

    Raises:
        InputError: for a network of another number of channels than 1, 3 and 4.
    """
    channels = getattr(model, "channels", None) or 3
    if channels == 3:
        return model
    if channels not in (1, 4):
        raise InputError(
            explain_error(
                "Images are generated for networks of 1, 3 or 4 channels.",
                f"a network of {channels}",
                "Use shisen.activations, which shows the channels for images of your own.",
            )
        )
    return OfColorImages(model, channels)


def shown(model: Classifier, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return generated images `(n, h, w, 3)` as the network sees them: gray where it takes gray.

    Args:
        model: the network.
        images: `(n, h, w, c)` pixels in [0, 1].
    """
    if not isinstance(model, OfColorImages) or model.channels != 1:
        return images
    gray = images @ np.asarray(LUMINANCE, images.dtype)
    return np.repeat(gray[..., None], 3, axis=-1)
