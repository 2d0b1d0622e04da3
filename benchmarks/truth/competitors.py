"""Everything that makes a map for the table: shisen's methods, other libraries' own calls, and control maps.

A competitor takes a `Question` and gives `(n, h, w)` maps at the input's size, in units of its own: what speaks for the
class is positive. Other libraries are called as they are; one that is not installed is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from shisen import attribution as _attribution  # noqa: F401  fills the registry
from shisen._core.image_ops import resize
from shisen.evaluation.control_maps import CONTROL_MAPS
from shisen.registry import METHODS, suiting
from shisen.targets import ClassObjective, to_numpy

Map = npt.NDArray[np.float64]

OPTIONS: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 20},
    "integrated_gradients": {"n_steps": 32},
    "smooth_grad_cam_pp": {"n_samples": 10},
    "rise": {"n_samples": 500},
    "score_cam": {"max_evals": 64},
    "lime": {"n_samples": 200},
    "kernel_shap": {"n_samples": 200},
}
"""Numbers of passes that a person would wait for; other options are the defaults."""


@dataclass(frozen=True)
class Question:
    """Images of one shape, the classes asked about, and the network.

    Attributes:
        model: of shisen.
        net: the torch module behind it, which takes `tensor(images)`.
        tensor: from `(n, h, w, c)` pixels in [0, 1] to what the module takes.
        module: the layer of `layer` as a module, for other libraries.
        images: `(n, h, w, c)` float32.
        classes: one index an image.
        layer: where CAMs work.
    """

    model: Any
    net: Any
    tensor: Callable[[Any], Any]
    module: Any
    images: npt.NDArray[np.float32]
    classes: tuple[int, ...]
    layer: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[1], self.images.shape[2]


Competitor = Callable[[Question], Map]


def _flat(maps: Any, sensitivity: bool, size: tuple[int, int]) -> Map:
    """Return one value a position: channels summed, magnitudes where the sign says nothing, at the images' size."""
    values = np.asarray(to_numpy(maps), np.float64)
    if sensitivity:
        values = np.abs(values)
    if values.ndim == 4:
        values = values.sum(axis=-1)
    return np.asarray(values if values.shape[1:] == size else resize(values, size), np.float64)


def _ours(name: str) -> Competitor:
    spec = METHODS[name]

    def run(asked: Question) -> Map:
        objective = ClassObjective("class", ((1.0, asked.classes),), head=asked.model.head)
        layer = {"layer": asked.layer} if spec.layered else {}
        maps = spec(asked.model, asked.images, objective, **layer, **OPTIONS.get(name, {})).values
        return _flat(maps, spec.shows == "sensitivity", asked.size)

    return run


def _control(name: str) -> Competitor:
    def run(asked: Question) -> Map:
        maps = [np.asarray(CONTROL_MAPS[name](image, i), np.float64) for i, image in enumerate(asked.images)]
        return np.stack([m if m.shape == asked.size else resize(m[None], asked.size)[0] for m in maps])

    return run


def _captum(make: Callable[[Any, Question], Any], call: dict[str, Any] | None = None) -> Competitor:
    def run(asked: Question) -> Map:
        import captum.attr
        import torch

        x = asked.tensor(asked.images).requires_grad_()
        found = make(captum.attr, asked).attribute(x, target=torch.tensor(asked.classes), **(call or {}))
        maps = found.detach().numpy().sum(axis=1).astype(np.float64)
        return maps if maps.shape[1:] == asked.size else np.asarray(resize(maps, asked.size))

    return run


def _pytorch_grad_cam(name: str) -> Competitor:
    def run(asked: Question) -> Map:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        cam = getattr(pytorch_grad_cam, name)(model=asked.net, target_layers=[asked.module])
        targets = [ClassifierOutputTarget(k) for k in asked.classes]
        return np.asarray(cam(input_tensor=asked.tensor(asked.images), targets=targets), np.float64)

    return run


CAPTUM: dict[str, Competitor] = {
    "Saliency": lambda q: np.abs(_captum(lambda c, q: c.Saliency(q.net), {"abs": False})(q)),
    "InputXGradient": _captum(lambda c, q: c.InputXGradient(q.net)),
    "IntegratedGradients": _captum(lambda c, q: c.IntegratedGradients(q.net), {"n_steps": 32}),
    "DeepLift": _captum(lambda c, q: c.DeepLift(q.net)),
    "LayerGradCam": _captum(lambda c, q: c.LayerGradCam(q.net, q.module), {"relu_attributions": True}),
}
GRAD_CAM = ("GradCAM", "HiResCAM", "XGradCAM", "GradCAMPlusPlus", "LayerCAM", "EigenCAM")


def competitors(model: Any, *, quick: bool = False) -> Iterator[tuple[str, str, Competitor]]:
    """Yield library, name and function of everything that can run.

    Args:
        model: of shisen; methods for transformers are left out where it has no attention.
        quick: without methods of more than some 60 passes.
    """
    for name in suiting(model):
        if not quick or name not in ("rise", "lime", "kernel_shap", "occlusion", "score_cam"):
            yield "shisen", name, _ours(name)
    for name in CONTROL_MAPS:
        yield "control", name, _control(name)
    if find_spec("captum"):
        for name, run in CAPTUM.items():
            yield "Captum", name, run
    if find_spec("pytorch_grad_cam"):
        for name in GRAD_CAM:
            yield "pytorch-grad-cam", name, _pytorch_grad_cam(name)
