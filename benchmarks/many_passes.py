"""Score-CAM, exact and from 64 passes, and Ablation-CAM, compared with pytorch-grad-cam and torch-cam in one run.

    python -m benchmarks.many_passes [--photos FOLDER --n 1] [--only score_cam …] [--out many_passes.json]
    python -m benchmarks.many_passes --network vgg16       # Ablation-CAM, non-linear downstream of the layer

EfficientNet-Lite0 and one photo (scikit-image's cat without a folder), all 1,280 channels; or networks with the shapes
of VGG16 (512 channels) and ViT-B/16 (768) and random weights, and Ablation-CAM alone. Immediately before each
measurement, 32 plain masked forward passes are timed in batches of four; one of them is the unit, in CPU time, with
wall-clock time in parentheses. The other libraries weight channels by the softmax over all of them, shisen by the
probability itself, like the authors' code, and shisen multiplies pixels where they multiply normalized values. So their
scores are taken from their own masked forward passes, our formula is applied to them, and r compares that map with
ours, masked in their way.
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.methods_speed import photograph, pytorch_grad_cam
from benchmarks.shapes import vgg16, vit_b_16
from shisen.models.sources import find_images
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

UNIT = 32


class Setting:
    """The network as shisen and as the other libraries see it, one photo and its top class."""

    def __init__(self, model: Any, image: Any) -> None:
        self.model, self.net, self.layer = model, model.network.net, model.default_layer
        self.images = image
        scaling = model.network.scaling
        scale, shift = ((1.0,), (0.0,)) if scaling is None else (scaling.scale, scaling.shift)
        pixels = torch.from_numpy(image) * torch.tensor(scale) + torch.tensor(shift)
        self.x = pixels.float().permute(0, 3, 1, 2)
        self.zero = -shift[0] / scale[0]  # the level that the network sees as nothing
        self.k = int(to_numpy(model.activations(image))[0].argmax())
        self.objective = ClassObjective("top", ((1.0, (self.k,)),))
        self.a = to_numpy(model.activations(image, self.layer))[0].astype(np.float64)
        self.masks = torch.rand(UNIT, 1, 224, 224)
        self.scores: list[float] = []

    def unit(self) -> None:
        with torch.no_grad():
            for i in range(0, UNIT, 4):
                self.net(self.x * self.masks[i : i + 4])

    def ours(self, name: str, **options: Any) -> Any:
        return to_numpy(METHODS[name](self.model, self.images, self.objective, layer=self.layer, **options).values)[0]

    def chance(self, output: Any) -> Any:
        """Return the probability of the class and record it: a score of another library's masked forward pass."""
        found = output.softmax(-1)[..., self.k]
        self.scores.extend(found.reshape(-1).tolist())
        return found

    def from_scores(self) -> Any:
        """Return the map that our formula makes of the scores that another library has computed last."""
        return np.maximum((self.a * np.asarray(self.scores[-self.a.shape[-1] :])).sum(-1), 0)

    def pytorch_grad_cam(self, name: str) -> Any:
        package = pytorch_grad_cam()
        if package is None:
            raise ImportError("pytorch_grad_cam")
        layer = self.net.get_submodule(self.layer)
        options: dict[str, Any] = {}
        if self.layer.startswith("blocks.11"):
            from pytorch_grad_cam.ablation_layer import AblationLayerVit

            options = {"reshape_transform": grid, "ablation_layer": AblationLayerVit()}
        with (
            redirect_stderr(io.StringIO()),
            getattr(package, name)(model=self.net, target_layers=[layer], **options) as cam,
        ):
            target = self.chance if name == "ScoreCAM" else (lambda output: output[self.k])
            found = cam(input_tensor=self.x, targets=[target])[0]
        return self.from_scores() if name == "ScoreCAM" else found

    def torch_cam(self) -> Any:
        from torchcam.methods import ScoreCAM

        setting = self

        class Heard(ScoreCAM):  # type: ignore[misc]
            """The other library's own class, which records its scores."""

            def _score_input(self, inputs: Any, *_: Any) -> Any:
                return setting.chance(self.model(inputs))

        with Heard(self.net, target_layer=self.layer) as cam, torch.no_grad():
            cam(self.k, self.net(self.x))
        return self.from_scores()


def grid(tokens: Any) -> Any:
    """Return tokens without the first as a map, channels first."""
    return tokens[:, 1:].reshape(len(tokens), 14, 14, -1).permute(0, 3, 1, 2)


NETWORKS: dict[str, Callable[[], Any]] = {
    "lite0": lambda: shisen.load("efficientnet_lite0", device="cpu"),
    "vgg16": lambda: shisen.wrap(vgg16().eval()),
    "vit_b_16": lambda: shisen.wrap(vit_b_16().eval()),
}
AGAIN, TIMES = "ablation_cam, later maps", 5  # of a network that has been tested for bends behind the layer once


def things_of(s: Setting) -> dict[str, tuple[Callable[[], Any], str]]:
    """Return what is timed, and the name of what of ours its map is compared with."""
    like_them = "score_cam, masked as the others"
    return {
        "score_cam": (lambda: s.ours("score_cam"), ""),
        "score_cam, max_evals=64": (lambda: s.ours("score_cam", max_evals=64), "score_cam"),
        like_them: (lambda: s.ours("score_cam", baseline=s.zero), ""),
        "torch-cam ScoreCAM": (s.torch_cam, like_them),
        "pytorch-grad-cam ScoreCAM": (lambda: s.pytorch_grad_cam("ScoreCAM"), like_them),
        "ablation_cam": (lambda: s.ours("ablation_cam"), ""),
        AGAIN: (lambda: [s.ours("ablation_cam") for _ in range(TIMES)].pop(), "ablation_cam"),
        "pytorch-grad-cam AblationCAM": (lambda: s.pytorch_grad_cam("AblationCAM"), "ablation_cam"),
    }


def alike(a: Any, b: Any) -> float:
    """Return the correlation of two maps; the smaller one is enlarged."""
    if a.shape != b.shape:
        b = torch.nn.functional.interpolate(torch.from_numpy(b)[None, None].float(), a.shape, mode="bilinear")[0, 0]
    return float(np.corrcoef(np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel())[0, 1])


def timed(thing: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a run gives, its processor seconds and its seconds."""
    clock, processor = perf_counter(), process_time()
    found = thing()
    return found, process_time() - processor, perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), default="lite0")
    parser.add_argument("--photos", type=Path, default=None)
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--quick", action="store_true", help="without pytorch-grad-cam's, which take longest")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file; what it holds already is not done again")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    model = NETWORKS[given.network]()
    if given.network != "lite0":
        given.only = given.only or ["ablation_cam", "pytorch-grad-cam AblationCAM"]
    images = {"cat": photograph()}
    if given.photos:
        files = find_images([str(given.photos)])
        files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: given.n]]
        reader = NETWORKS["lite0"]()  # 224 pixels in [0, 1], which all of them take
        images = {Path(f).name: reader.prepare(reader.read(f))[0][None] for f in files}
    pytorch_grad_cam()  # its import is not part of the time
    rows: dict[str, Any] = {}
    if given.out and given.out.is_file():
        rows = json.loads(given.out.read_text(encoding="utf-8"))
    print(f"{'':44s} in masked forwards      seconds  r with ours")
    for photo, image in images.items():
        setting = Setting(model, image)
        setting.unit()
        things, made = things_of(setting), {}
        for name, (thing, other) in things.items():
            if (given.only and name not in given.only) or (given.quick and name.startswith("pytorch")):
                continue
            key = f"{photo}: {name}" if given.network == "lite0" else f"{given.network}, {photo}: {name}"
            if key not in rows:
                _, unit, unit_clock = timed(setting.unit)
                try:
                    made[name], processor, clock = timed(thing)
                except ImportError as problem:
                    print(f"{key}: left out, {problem}")
                    continue
                if other and other not in made:
                    made[other] = things[other][0]()
                r = alike(made[name], made[other]) if other else None
                if name == AGAIN:
                    processor, clock = processor / TIMES, clock / TIMES
                rows[key] = {
                    "processor": processor / unit * UNIT,
                    "clock": clock / unit_clock * UNIT,
                    "s": clock,
                    "r": r,
                }
                if given.out:
                    given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
            row = rows[key]
            r = "" if row["r"] is None else f"{row['r']:.5f}"
            print(f"{key:44s} {row['processor']:9.1f} ({row['clock']:8.1f}) {row['s']:8.1f}   {r}", flush=True)


if __name__ == "__main__":
    main()
