"""A ResNet50 backbone nested in a Sequential model with pooling and softmax; a layer inside the backbone.

    python examples/articles/nested_resnet50.py image.jpg out.png

Layers of a nested model are named by their path: resnet50/conv5_block3_out. The model is not rebuilt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
from keras import layers

import shisen

LAYER = "resnet50/conv5_block3_out"


def build(weights: str | None = "imagenet", classes: int = 2) -> Any:
    """Return the network before fine-tuning; its last layer is random."""
    base = keras.applications.ResNet50(weights=weights, include_top=False, input_shape=(224, 224, 3), name="resnet50")
    pool, last = layers.GlobalAveragePooling2D(name="pool"), layers.Dense(classes, activation="softmax", name="classes")
    return keras.Sequential([keras.Input((224, 224, 3)), base, pool, last])


def main() -> None:
    model = shisen.wrap(build(), preprocess=keras.applications.resnet50.preprocess_input, labels=["cat", "dog"])
    print("\n".join(layer.path for layer in model.layers if layer.default or layer.path.endswith("_out")))
    print(shisen.explain(model, sys.argv[1], "grad_cam", layer=LAYER).save(Path(sys.argv[2])))


if __name__ == "__main__":
    main()
