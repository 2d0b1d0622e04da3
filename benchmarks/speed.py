"""Gradient-based maps of three networks at batch 1, 8 and 64, compared with other libraries in one process.

    python -m benchmarks.speed [--models lite0 resnet50 vgg16 vit_b_16] [--batches 1 8 64] [--quick] [--out speed.json]

EfficientNet-Lite0 as shisen loads it; networks with the shapes of ResNet-50, VGG16 and ViT-B/16 and random weights,
wrapped.
All get the same images in channels-last memory format. The unit is a forward pass of the same batch. Every map is
resized to the image, as the other libraries do. The time of another library counts only if its map equals ours: r ≥
0.99 for every image. Ratios are medians over interleaved rounds, in wall-clock time and in CPU time (`--threads 1`,
which is the least sensitive to other load). `explain` and `predict` are the public calls with a list of images,
preprocessing and predictions included. Memory is the peak of one run above what the process held before, on Linux. What
the file of `--out` already contains is not measured again.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.libraries import Table, measure, most_varied
from benchmarks.methods_speed import pytorch_grad_cam
from benchmarks.shapes import resnet50, vgg16, vit_b_16
from shisen._core.image_ops import resize
from shisen.registry import METHODS
from shisen.targets import ClassObjective

MODELS: dict[str, Callable[[], Any]] = {
    "lite0": lambda: shisen.load("efficientnet_lite0", device="cpu"),
    "resnet50": lambda: shisen.wrap(resnet50().eval()),
    "vgg16": lambda: shisen.wrap(vgg16().eval()),
    "vit_b_16": lambda: shisen.wrap(vit_b_16().eval()),
}
LARGEST = {"vgg16": 8}  # of 64 images its first feature map alone has 800 MB
OURS = ("grad_cam", "grad_cam_pp", "layer_cam", "hires_cam", "eigen_cam", "ablation_cam", "gradient")
LIBRARIES = {  # of ours, the other library's name for it; the first of each is measured at every batch
    "pytorch-grad-cam": {
        "grad_cam": "GradCAM",
        "grad_cam_pp": "GradCAMPlusPlus",
        "layer_cam": "LayerCAM",
        "hires_cam": "HiResCAM",
    },
    "torch-cam": {"grad_cam": "GradCAM"},
    "Captum": {"grad_cam": "LayerGradCam", "gradient": "Saliency"},
    "zennit": {"gradient": "Gradient"},
}
FAST = "grad_cam --fast"  # ours in bfloat16: shown with its r, whatever that is above 0.9; noise shows more than photos


class Setting:
    """A network as shisen and as the other libraries see it, a batch for both, and a class to explain."""

    def __init__(self, name: str, n: int) -> None:
        self.model = MODELS[name]()
        self.net, self.layer = self.model.network.net, self.model.default_layer
        self.images = np.random.default_rng(0).random((n, 224, 224, 3), dtype=np.float32)
        scaling = self.model.network.scaling
        pixels = self.images if scaling is None else self.images * np.float32(scaling.scale) + np.float32(scaling.shift)
        self.x = torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2)  # channels last in memory
        self.k = most_varied(self.model, self.images, self.layer)
        self.objective = ClassObjective("class", ((1.0, (self.k,)),))

    def forward(self) -> Any:
        with torch.no_grad():
            return self.net(self.x)

    def ours(self, name: str, *, fast: bool = False) -> Callable[[], Any]:
        layered, model = METHODS[name].layered, self.model.fast() if fast else self.model

        def run() -> Any:
            values = METHODS[name](model, self.images, self.objective, layer=self.layer if layered else None).values
            return resize(values, (224, 224)) if layered else values

        return run

    def grid(self, tokens: Any) -> Any:
        """Return tokens without the first as a map, channels first."""
        return tokens[:, 1:].reshape(len(tokens), 14, 14, -1).permute(0, 3, 1, 2)


def pytorch_grad_cam_of(setting: Setting, name: str) -> Callable[[], Any]:
    package = pytorch_grad_cam()
    if package is None:
        raise ImportError("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kind, layer = getattr(package, name), setting.net.get_submodule(setting.layer)
    options = {"reshape_transform": setting.grid} if setting.layer.startswith("blocks.11") else {}
    targets = [ClassifierOutputTarget(setting.k)] * len(setting.x)

    def run() -> Any:
        with kind(model=setting.net, target_layers=[layer], **options) as cam:  # its hooks go when it goes
            return cam(input_tensor=setting.x, targets=targets)

    return run


def torch_cam_of(setting: Setting, name: str) -> Callable[[], Any]:
    from torchcam import methods

    if setting.layer.startswith("blocks.11"):
        raise ImportError("torch-cam does not support tokens")

    def run() -> Any:
        with getattr(methods, name)(setting.net, target_layer=setting.layer) as cam:
            small = cam([setting.k] * len(setting.x), setting.net(setting.x))[0]
        return torch.nn.functional.interpolate(small[:, None], (224, 224), mode="bilinear")[:, 0]

    return run


def captum_of(setting: Setting, name: str) -> Callable[[], Any]:
    from captum.attr import LayerAttribution, LayerGradCam, Saliency

    if name == "Saliency":
        return lambda: Saliency(setting.net).attribute(setting.x, target=setting.k, abs=False).permute(0, 2, 3, 1)
    if setting.layer.startswith("blocks.11"):
        raise ImportError("Captum's LayerGradCam does not support tokens")
    cam = LayerGradCam(setting.net, setting.net.get_submodule(setting.layer))

    def run() -> Any:
        small = cam.attribute(setting.x, target=setting.k, relu_attributions=True)
        return LayerAttribution.interpolate(small, (224, 224), "bilinear")[:, 0]

    return run


def zennit_of(setting: Setting, name: str) -> Callable[[], Any]:
    from zennit import attribution

    target = torch.eye(1000)[[setting.k] * len(setting.x)]

    def run() -> Any:
        with getattr(attribution, name)(model=setting.net) as explainer:
            return explainer(setting.x, target)[1].permute(0, 2, 3, 1)

    return run


MAKERS = {
    "pytorch-grad-cam": pytorch_grad_cam_of,
    "torch-cam": torch_cam_of,
    "Captum": captum_of,
    "zennit": zennit_of,
}


def measured(key: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return the rows of one network at one batch size, "lite0, batch 8"."""
    name, n = key.split(", batch ")[0], int(key.split()[-1])
    setting = Setting(name, n)
    for p in setting.net.parameters():
        p.requires_grad_(True)  # as a script has it
    names = OURS if n == 1 else ("grad_cam", "ablation_cam", "gradient") if n <= 8 else ("grad_cam",)
    if name.startswith("vit"):  # attention bends: a forward of what lies behind the layer for every channel
        names = tuple(one for one in names if one != "ablation_cam")
    made = Table(setting.forward)
    known = {one: made.add(one, setting.ours(one)) for one in names}
    images = list(setting.images)
    made.add("explain", lambda: shisen.explain(setting.model, images))
    made.add("predict", lambda: setting.model.predict(images))
    made.compare(FAST, lambda: setting.ours("grad_cam", fast=True), known["grad_cam"], least=0.9)
    for library, offered in LIBRARIES.items():
        for ours, theirs in offered.items():
            if ours in names:
                made.compare(f"{library} {theirs}", lambda m=MAKERS[library], t=theirs: m(setting, t), known[ours])  # type: ignore[misc]
    usual = {1: 5, 8: 2}.get(n, 1) if given.quick else {1: 9, 8: 5}.get(n, 2)
    return made.measured(setting.layer, given.rounds or usual, before="forward" if n == 1 else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=None, help="by default 9 for one image, fewer for more")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rounds; batch 64 for EfficientNet-Lite0 only")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    keys = [f"{name}, batch {n}" for name in given.models for n in given.batches if n <= LARGEST.get(name, n)]
    if given.quick:
        keys = [key for key in keys if key.startswith("lite0") or int(key.split()[-1]) <= 8]
    measure(keys, lambda key: measured(key, given), given.out)


if __name__ == "__main__":
    main()
