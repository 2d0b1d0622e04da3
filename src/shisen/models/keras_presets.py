"""The networks of keras.applications: names, preprocessing and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import unknown
from .declared import declared_input
from .labels import Labels, imagenet
from .preprocess import Preprocess

OPEN_SIZE = 224
"""Side of the input where a network leaves it open (MobileNetV3)."""


@dataclass(frozen=True)
class Application:
    """One network of keras.applications.

    Attributes:
        name: as Keras writes it, such as "VGG16".
        build: the function that makes it.
        module: the module it comes with, which holds `preprocess_input`.
    """

    name: str
    build: Any
    module: Any

    def preprocess(self, net: Any) -> Preprocess:
        """Return what the network expects: its own input size, its own module's preprocessing, found by trying.

        Args:
            net: the network, or one built with the same function.
        """
        h, w, _ = declared_input(net)
        size = (h or OPEN_SIZE, w or OPEN_SIZE)
        return Preprocess.of(lambda x: self.module.preprocess_input(x, data_format="channels_last"), size)

    def labels(self, net: Any) -> Labels:
        """Return the ImageNet labels for a network with their 1000 classes; Keras decodes in the same order."""
        return imagenet() if net.output_shape[-1] == 1000 else Labels(())


def application_preprocess(name: str) -> Preprocess:
    """Return what a network of keras.applications expects, such as "VGG16"."""
    chosen = application(name.partition("@")[0])
    return chosen.preprocess(chosen.build(weights=None))


def applications() -> dict[str, Application]:
    """Return every network of keras.applications by name."""
    from keras import applications as library

    found = {}
    for name in dir(library):
        build = getattr(library, name)
        if name[0].isupper() and callable(build):
            module = getattr(library, build.__module__.rpartition(".")[2], None)
            if hasattr(module, "preprocess_input"):
                found[name] = Application(name, build, module)
    return found


def application(name: str) -> Application:
    """Return a network of keras.applications by its name, in any case, or raise with the nearest names."""
    known = applications()
    same = [key for key in known if key.lower() == name.lower().replace("-", "").replace("_", "")]
    if not same:
        raise unknown("network in keras.applications", name, known)
    return known[same[0]]
