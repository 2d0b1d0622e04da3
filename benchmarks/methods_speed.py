"""Cost of every method in forward passes of the same batch, compared with other libraries in the same process.

    python -m benchmarks.methods_speed                  # gradient CAMs, nine together, SmoothGrad, Score-CAM
    python -m benchmarks.methods_speed --rounds 15 --only cams

EfficientNet-Lite0 at 224 pixels. Every map is resized to the image, as the other libraries do. Figures are medians of
interleaved ratios: wall-clock time, and CPU time for busy machines.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
import warnings
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.timing import in_turns, table
from shisen._core.image_ops import resize
from shisen.adapters.wrappers import Shared
from shisen.registry import METHODS
from shisen.targets import ClassObjective

CAMS = (
    "grad_cam",
    "grad_cam_pp",
    "xgrad_cam",
    "hires_cam",
    "layer_cam",
    "eigen_cam",
    "eigen_grad_cam",
    "ablation_cam",
    "recipro_cam",
)
LIBRARIES = {
    "grad_cam": "GradCAM",
    "grad_cam_pp": "GradCAMPlusPlus",
    "xgrad_cam": "XGradCAM",
    "hires_cam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "eigen_grad_cam": "EigenGradCAM",
}
SEED = ClassObjective("class 281", ((1.0, (281,)),))
Things = dict[str, Callable[[], object]]


class Setting:
    """The network as shisen and as the other libraries see it, and a batch for both."""

    def __init__(self, n: int, photo: Any = None) -> None:
        self.model = shisen.load("efficientnet_lite0", device="cpu")
        adapter = self.model.network
        self.net = adapter.net.eval()
        self.layer = self.model.default_layer
        rng = np.random.default_rng(0)
        self.images = rng.random((n, 224, 224, 3), dtype=np.float32) if photo is None else photo
        scale, shift = adapter.scaling.scale[0], adapter.scaling.shift[0]
        self.x = torch.tensor(self.images.transpose(0, 3, 1, 2) * scale + shift).contiguous()

    def forward(self) -> Any:
        with torch.no_grad():
            return self.net(self.x)

    def ours(self, name: str, **options: Any) -> Callable[[], Any]:
        layer = self.layer if METHODS[name].layered else None

        def run() -> Any:
            values = METHODS[name](self.model, self.images, SEED, layer=layer, **options).values
            return resize(values, (224, 224))

        return run

    def together(self) -> Any:
        batch = self.images.copy()
        model = self.model.around(Shared(self.model.model, batch, [SEED]))
        return [resize(METHODS[name](model, batch, SEED, layer=self.layer).values, (224, 224)) for name in CAMS]


def photograph() -> Any:
    """Return scikit-image's cat, the middle of it, 224 × 224."""
    from skimage.data import cat
    from skimage.transform import resize as shrink

    return shrink(cat()[:, 75:375], (224, 224), anti_aliasing=True)[None].astype(np.float32)


class _NoTorchvision(MetaPathFinder, Loader):
    """Stands in for torchvision, of which the other libraries import names that are not used here."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] == "torchvision" else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def pytorch_grad_cam() -> Any:
    """Import pytorch-grad-cam; it needs torchvision only for a helper that is not used here."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError: one that was built for another torch
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, _NoTorchvision())
    try:
        import pytorch_grad_cam as package
    except ImportError:
        return None
    return package


def libraries(setting: Setting, names: list[str]) -> Things:
    """Return what the installed libraries offer, at the same layer."""
    things: Things = {}
    n, layer = len(setting.x), setting.net.get_submodule(setting.layer)
    package = pytorch_grad_cam()
    if package is not None:
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        for name in names:
            cam = getattr(package, LIBRARIES[name])(model=setting.net, target_layers=[layer])
            targets = [ClassifierOutputTarget(281)] * n
            things[f"pytorch-grad-cam {LIBRARIES[name]}"] = lambda cam=cam, targets=targets: cam(
                input_tensor=setting.x, targets=targets
            )
    try:
        from captum.attr import LayerAttribution, LayerGradCam

        captum = LayerGradCam(setting.net, layer)
        things["Captum LayerGradCam"] = lambda: LayerAttribution.interpolate(
            captum.attribute(setting.x, target=281), (224, 224), "bilinear"
        )
    except ImportError:
        pass
    return things


def cams(rounds: int, batches: list[int]) -> dict[str, Any]:
    """Gradient CAMs at batch 1 and 8, nine of them together, and those of other libraries."""
    found = {}
    for n in batches:
        setting = Setting(n)
        things: Things = {"forward": setting.forward}
        things |= {name: setting.ours(name) for name in CAMS}
        things["nine together"] = setting.together
        things |= libraries(setting, list(LIBRARIES) if n == 1 else ["grad_cam"])
        found[f"batch {n}"] = table(in_turns(things, rounds, before="forward"), "forward")
    return found


def smooth_grad(rounds: int, draws: int = 50) -> dict[str, Any]:
    """SmoothGrad beside the same number of batched forwards and backwards to the input, in forwards of one image."""
    setting = Setting(1)
    batch_size = setting.model.batch_size
    batches = [torch.randn(min(batch_size, draws - i), 3, 224, 224) for i in range(0, draws, batch_size)]
    for p in setting.net.parameters():
        p.requires_grad_(False)

    def plain() -> None:
        for batch in batches:
            x = batch.detach().requires_grad_()
            torch.autograd.grad(setting.net(x)[:, 281].sum(), x)

    things: Things = {
        "forward": setting.forward,
        f"{draws} batched forwards and input backwards": plain,
        "smooth_grad": setting.ours("smooth_grad", n_samples=draws),
    }
    try:
        from captum.attr import NoiseTunnel, Saliency

        tunnel = NoiseTunnel(Saliency(setting.net))
        options = {"nt_samples": draws, "nt_samples_batch_size": batch_size, "stdevs": 0.1, "abs": False}
        things["Captum NoiseTunnel"] = lambda: tunnel.attribute(setting.x, nt_type="smoothgrad", target=281, **options)
    except ImportError:
        pass
    times = in_turns(things, rounds, before="forward")
    del times["forward"]
    return {f"{draws} draws": table(times, f"{draws} batched forwards and input backwards")}


def score_cam(rounds: int, channels: int) -> dict[str, Any]:
    """Score-CAM beside plain masked forwards in several chunk sizes, and pytorch-grad-cam, for as many channels."""
    setting = Setting(1, photograph())  # noise would leave no channel silent, which images do
    masks = torch.rand(channels, 1, 224, 224)
    things: Things = {}

    def plain(batch_size: int) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                for i in range(0, channels, batch_size):
                    setting.net(setting.x * masks[i : i + batch_size])

        return run

    for batch_size in (4, 8, 16, 32):
        things[f"masked forwards by {batch_size}"] = plain(batch_size)
    things["score_cam"] = setting.ours("score_cam", max_channels=channels)
    package = pytorch_grad_cam()
    if package is not None:
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        class Some(package.ScoreCAM):  # type: ignore[misc, name-defined]
            """The other library's Score-CAM on the first channels only."""

            def get_cam_weights(self, x: Any, layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
                weights = np.zeros(activations.shape[:2], np.float32)
                weights[:, :channels] = super().get_cam_weights(x, layer, targets, activations[:, :channels], grads)
                return weights

        cam = Some(model=setting.net, target_layers=[setting.net.get_submodule(setting.layer)])
        things["pytorch-grad-cam ScoreCAM"] = lambda: cam(setting.x, targets=[ClassifierOutputTarget(281)])
    times = in_turns(things, rounds)
    best = min((n for n in times if n.startswith("masked")), key=lambda n: min(t[0] for t in times[n]))
    return {f"{channels} channels, by {best}": table(times, best)}


def score_cam_fast(rounds: int, passes: int = 64) -> dict[str, Any]:
    """Score-CAM from few passes beside as many plain masked forwards, four at a time."""
    setting = Setting(1, photograph())
    masks = torch.rand(passes, 1, 224, 224)

    def plain() -> None:
        with torch.no_grad():
            for i in range(0, passes, 4):
                setting.net(setting.x * masks[i : i + 4])

    base = f"{passes} masked forwards"
    things: Things = {base: plain, f"score_cam, max_evals={passes}": setting.ours("score_cam", max_evals=passes)}
    return {f"{passes} passes": table(in_turns(things, rounds), base)}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "cams": lambda a: cams(a.rounds, a.batches),
    "smooth_grad": lambda a: smooth_grad(max(2, a.rounds // 2), a.draws),
    "score_cam_fast": lambda a: score_cam_fast(max(3, a.rounds // 2)),
    "score_cam": lambda a: score_cam(max(1, a.rounds // 8), a.channels),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels", type=int, default=1280, help="of Score-CAM")
    parser.add_argument("--draws", type=int, default=50, help="of SmoothGrad")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--only", choices=list(PARTS), default=None)
    parser.add_argument("--out", default=None, help="a JSON file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    for name in [given.only] if given.only else PARTS:
        found |= PARTS[name](given)
    for title, rows in found.items():
        print(f"\n{title}\n{'':44s} wall   processor   ms")
        for name, wall, processor, ms in rows:
            print(f"{name:44s} {wall:6.2f} {processor:6.2f} {ms:10.1f}")
    if given.out:
        with open(given.out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
