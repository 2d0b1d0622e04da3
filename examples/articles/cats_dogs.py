"""A small network of four blocks for cats and dogs: trained, saved as .h5, and explained from the file.

    python examples/articles/cats_dogs.py path/to/train cats_dogs.h5
    shisen explain cat.jpg --model cats_dogs.h5 --size 150 --scale 1/255 --labels cat,dog

The folder contains one folder per class, cats before dogs in alphabetical order. The network ends in a single sigmoid
unit: near 0 for a cat, near 1 for a dog; shisen explains both classes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

SIZE = 150


def build() -> Any:
    """Return the network from pixels in [0, 1] to the probability of the second class."""
    x = image = keras.Input((SIZE, SIZE, 3))
    for k, channels in enumerate((32, 64, 128, 128), 1):
        x = layers.Conv2D(channels, 3, activation="relu", name=f"conv{k}")(x)
        x = layers.MaxPooling2D(name=f"pool{k}")(x)
    x = layers.Dropout(0.3, name="dropout")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(512, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(1, activation="sigmoid", name="dog")(x), name="cats_dogs")


def read(folder: Path, most: int) -> tuple[Any, Any]:
    """Return pixels `(n, 150, 150, 3)` in [0, 1] and classes `(n,)`, the same number of each class."""
    rows, classes = [], []
    for k, own in enumerate(sorted(p for p in folder.iterdir() if p.is_dir())):
        for file in sorted(own.glob("*.jpg"))[:most]:
            rows.append(keras.utils.img_to_array(keras.utils.load_img(file, target_size=(SIZE, SIZE))) / 255)
            classes.append(k)
    return np.stack(rows), np.asarray(classes)


def trained(folder: Path, most: int = 10_000, epochs: int = 12) -> Any:
    """Return the network trained on a folder; every epoch sees each image, or its mirror image."""
    keras.utils.set_random_seed(0)
    x, y = read(folder, most)
    net = build()
    net.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    for epoch in range(epochs):
        net.fit(x if epoch % 2 else x[:, :, ::-1], y, batch_size=20, verbose=0)
    return net


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    net = trained(folder)
    net.save(out)
    print(f"written: {out}\nNow: shisen explain cat.jpg --model {out} --size {SIZE} --scale 1/255 --labels cat,dog")


if __name__ == "__main__":
    main()
