"""Xception at 299 pixels: two classes explained in the same image.

    python examples/articles/two_classes.py image.jpg out/ "golden retriever" "tiger cat"

The softmax at the end is undone without changing the network: each map explains the logit of its class. Two more
lines explain one class as opposed to the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras

import shisen

LAYER = "block14_sepconv2_act"


def model(weights: str | None = "imagenet") -> shisen.Model:
    """Return Xception; without weights it is random, which only shows that it runs."""
    net = keras.applications.Xception(weights=weights)
    scaling = keras.applications.xception.preprocess_input
    return shisen.wrap(net, preprocess=scaling, labels="imagenet", name="Xception")


def explained(model: shisen.Model, image: Path, first: str, second: str) -> dict[str, shisen.Explanation]:
    """Return the map of each class, and of the first rather than the second."""
    targets = {first: first, second: second, "difference": shisen.contrast(first, second)}
    return {name: shisen.explain(model, image, "grad_cam", target=t, layer=LAYER) for name, t in targets.items()}


def main() -> None:
    image, out, first, second = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5]
    for name, found in explained(model(), image, first, second).items():
        print(found.save(out / f"{name.replace(' ', '_')}.png"))


if __name__ == "__main__":
    main()
