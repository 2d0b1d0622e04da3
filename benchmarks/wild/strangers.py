"""Networks as other people write them, each through the plain call and through the command line."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

import shisen

from .situations import agrees, close, conv_net, gradient, logits, noise, photo, refused, tensor, works

X = noise(16, 16, 3)
Build = Callable[[], nn.Module]


def typed(*words: Any) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and what it printed."""
    from shisen.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
    return int(code or 0), out.getvalue()


def both_ways(folder: Path, build: Build, reference: Any = None, method: str = "grad_cam") -> None:
    """Raise unless the call and the command line answer as plain torch does, and the network stays as it was."""
    net = build()
    before = {k: copy.deepcopy(v) for k, v in net.state_dict().items()}
    agrees(shisen.wrap(net), reference or net, X)
    for name, values in net.state_dict().items():
        assert torch.equal(torch.as_tensor(values), torch.as_tensor(before[name])), f"{name} has changed"
    path = photo(folder)
    model = f"{build.__module__}:{build.__name__}"
    code, text = typed("predict", path, "--model", model, "--json", "--top", 9)
    assert code == 0, text
    rows = json.loads(next(line for line in text.splitlines() if line.startswith("{")))["predictions"]
    pixels = np.asarray(Image.open(path), np.float32) / 255
    close([p["logit"] for p in sorted(rows, key=lambda p: p["index"])], logits(reference or build(), pixels), 1e-4)
    code, text = typed("explain", path, "--model", model, "--method", method, "--out", folder / "out")
    assert code == 0, text
    assert any(file.suffix == ".png" for file in (folder / "out").rglob("*")), text


class Around(nn.Module):
    """A body whose feature maps and answer a function makes the output of."""

    def __init__(self, end: Callable[..., Any] = lambda y, maps: y) -> None:
        super().__init__()
        net = conv_net()
        self.body, self.top, self.end = net[:4], net[4:], end

    def forward(self, x: Any) -> Any:
        maps = self.body(x)
        return self.end(self.top(maps), maps)


def stranger(
    words: str, reference: Callable[[], Any] | None = None, method: str = "grad_cam"
) -> Callable[[Build], Build]:
    """Register a network that must answer both ways as plain torch does."""

    def register(build: Build) -> Build:
        def check(folder: Path) -> None:
            both_ways(folder, build, reference() if reference else None, method)

        works("strangers", words)(check)
        return build

    return register


# ---- how a network is written


@stranger("two modules that share one weight")
def tied() -> nn.Module:
    torch.manual_seed(0)
    a, b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    b.weight = a.weight
    return nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)).eval()


@stranger("one module that is called four times")
def repeated() -> nn.Module:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            for _ in range(4):
                x = self.conv(x).relu()
            return self.fc(x.mean((2, 3)))

    return Loop().eval()


@stranger("a forward of keyword arguments only, as transformers write it", conv_net)
def keywords() -> nn.Module:
    class Keywords(Around):
        def forward(self, *, pixel_values: Any, labels: Any = None) -> Any:  # type: ignore[override]
            return super().forward(pixel_values)

    return Keywords().eval()


@stranger("a forward of *args and **kwargs", conv_net)
def variadic() -> nn.Module:
    class Variadic(Around):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs)

    return Variadic().eval()


@stranger("a forward that counts its calls in a buffer", conv_net)
def counting() -> nn.Module:
    class Counting(Around):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return super().forward(x)

    return Counting().eval()


@stranger("a forward that replaces a buffer and keeps its features", conv_net)
def keeping() -> nn.Module:
    class Keeping(Around):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: Any) -> Any:
            self.features = self.body(x)
            self.seen = self.features.detach().mean().reshape(1)
            return self.top(self.features)

    return Keeping().eval()


@stranger("a frozen body inside torch.no_grad()", conv_net)
def frozen_body() -> nn.Module:
    class Frozen(Around):
        def forward(self, x: Any) -> Any:
            with torch.no_grad():
                maps = self.body(x)
            return self.top(maps)

    return Frozen().eval()


@stranger("spectral and weight normalization as parametrizations")
def parametrized() -> nn.Module:
    net = conv_net()
    nn.utils.parametrizations.spectral_norm(net[0])
    nn.utils.parametrizations.weight_norm(net[2])
    return net.eval()


@stranger("weight normalization by hooks, as it was before parametrizations")
def old_weight_norm() -> nn.Module:
    net = conv_net()
    nn.utils.weight_norm(net[2])
    return net.eval()


class LowRank(nn.Module):
    """A linear layer with a low-rank update beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.ones(2, base.in_features)), nn.Parameter(torch.ones(base.out_features, 2))

    def forward(self, x: Any) -> Any:
        return self.base(x) + x @ self.a.T @ self.b.T / 2


@stranger("a low-rank update (LoRA) around a frozen layer")
def low_rank() -> nn.Module:
    net = conv_net()
    net[6] = LowRank(net[6])
    return net.eval()


@stranger("DataParallel", conv_net)
def data_parallel() -> nn.Module:
    return nn.DataParallel(conv_net())


@stranger("a network whose forward was replaced on the object", conv_net)
def patched() -> nn.Module:
    net = conv_net()
    net.forward = types.MethodType(lambda self, x: nn.Sequential.forward(self, x), net)  # type: ignore[method-assign]
    return net


@stranger("an attribute that is a partial of one of the network's own methods", conv_net)
def partial() -> nn.Module:
    class Partial(Around):
        def __init__(self) -> None:
            super().__init__()
            self.run = functools.partial(Around.forward, self)

        def forward(self, x: Any) -> Any:
            return self.run(x)

    return Partial().eval()


@stranger("layers in a plain list, which torch does not see", conv_net, "gradient")
def listed() -> nn.Module:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = list(conv_net())

        def forward(self, x: Any) -> Any:
            return functools.reduce(lambda value, part: part(value), self.parts, x)

    return Listed().eval()


@stranger("a functional call with weights kept beside the network", conv_net, "gradient")
def functional() -> nn.Module:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = [conv_net()]
            self.weights = {k: v.detach() for k, v in self.held[0].named_parameters()}

        def forward(self, x: Any) -> Any:
            return torch.func.functional_call(self.held[0], self.weights, (x,))

    return Functional().eval()


@stranger("a user's hook that changes a feature map")
def hooked() -> nn.Module:
    net = conv_net()
    net[1].register_forward_hook(lambda module, given, found: found * 2)
    return net


@stranger("gradient checkpointing in the body", conv_net)
def checkpointed() -> nn.Module:
    class Checkpointed(Around):
        def forward(self, x: Any) -> Any:
            return self.top(torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False))

    return Checkpointed().eval()


@stranger("a custom autograd function")
def own_function() -> nn.Module:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    class Squares(nn.Module):
        def forward(self, x: Any) -> Any:
            return Square.apply(x)

    net = conv_net()
    net[3] = Squares()
    return net


@stranger("a scripted part inside of a network")
def scripted_part() -> nn.Module:
    net = conv_net()
    return nn.Sequential(torch.jit.script(net[:2]), net[2:]).eval()


# ---- what a network returns


class Scores(NamedTuple):
    """Features and the answer."""

    features: Any
    logits: Any


@dataclass
class Result:
    """An answer with its features."""

    features: Any
    answer: Any


@stranger("a named tuple of features and logits", conv_net)
def named_tuple() -> nn.Module:
    return Around(lambda y, maps: Scores(maps, y)).eval()


@stranger("a dataclass of features and an answer", conv_net)
def data_class() -> nn.Module:
    return Around(lambda y, maps: Result(maps, y)).eval()


@stranger("a nested dict of features and an answer", conv_net)
def nested() -> nn.Module:
    return Around(lambda y, maps: {"aux": [maps], "out": {"scores": y}}).eval()


@stranger("an answer without an axis for one image", conv_net)
def squeezed() -> nn.Module:
    return Around(lambda y, maps: y.squeeze()).eval()


@stranger("all answers in one row", conv_net)
def flattened() -> nn.Module:
    return Around(lambda y, maps: y.view(-1)).eval()


@works("strangers", "time first, as CTC wants it: one time step's class as a score function")
def time_first(folder: Path) -> None:
    net = Around(lambda y, maps: maps.mean(2).permute(2, 0, 1)).eval()
    found = shisen.explain(shisen.wrap(net), X, "gradient", target=lambda y: y[:, 3, 2])
    close(found.values, gradient(net, X, lambda y: y[3, 0, 2]), 1e-4)


def class_maps() -> nn.Module:
    """Return a network of one map per class."""
    return Around(lambda y, maps: maps).eval()


@works("strangers", "class maps: a region's class as a score function, and a sentence for a class alone")
def region(folder: Path) -> None:
    net = class_maps()
    found = shisen.explain(shisen.wrap(net), X, "gradient", target=lambda y: y[:, 2, 3:6, 3:6].mean((1, 2)))
    close(found.values, gradient(net, X, lambda y: y[0, 2, 3:6, 3:6].mean()), 1e-4)
    for command in ("predict", "explain"):
        code, text = typed(command, photo(folder), "--model", f"{__name__}:class_maps")
        assert code in (1, 2), text
        assert "one number per class" in text, text
        assert "Traceback" not in text


@refused("strangers", "detections in the form of torchvision")
def detections(folder: Path) -> None:
    net = Around(lambda y, maps: [{"boxes": maps[0, 0, :4, :4], "scores": y[0]}]).eval()
    shisen.wrap(net).predict(X)


@works("strangers", "the score of a detection by output=")
def detection_score(folder: Path) -> None:
    net = Around(
        lambda y, maps: [{"boxes": m[0, :4, :4], "scores": row} for m, row in zip(maps, y, strict=True)]
    ).eval()
    model = shisen.wrap(net, output=lambda found: torch.stack([one["scores"] for one in found]))
    agrees(model, conv_net(), X)


@refused("strangers", "the index of the class instead of scores")
def argmax(folder: Path) -> None:
    shisen.wrap(Around(lambda y, maps: y.argmax(1)).eval()).predict(X)


@refused("strangers", "the mean over the batch")
def batch_mean(folder: Path) -> None:
    shisen.wrap(Around(lambda y, maps: y.mean(0)).eval()).predict(X)


@refused("strangers", "an answer as a NumPy array")
def numpy_answer(folder: Path) -> None:
    shisen.wrap(Around(lambda y, maps: y.detach().numpy()).eval()).predict(X)


# ---- numbers and devices


@works("strangers", "bfloat16 and float16 networks")
def half(folder: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        net = conv_net().to(dtype)
        want = net(tensor(X).to(dtype))[0].float().detach().numpy()
        close(shisen.wrap(net).activations(X[None])[0], want, 2e-2)
        assert shisen.explain(shisen.wrap(net), X, target=1).values.any()


@refused("strangers", "a network on the meta device, whose weights were never loaded")
def meta(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net().to("meta")), X)


@refused("strangers", "lazy layers that have not seen an image")
def lazy(folder: Path) -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    shisen.explain(shisen.wrap(net), X)


@refused("strangers", "torch.inference_mode() inside of the forward, by gradients")
def inference(folder: Path) -> None:
    class Inference(Around):
        @torch.inference_mode()
        def forward(self, x: Any) -> Any:
            return super().forward(x)

    shisen.explain(shisen.wrap(Inference().eval()), X, "gradient")


@refused("strangers", "an assertion about the size of the image")
def asserting(folder: Path) -> None:
    class Asserting(Around):
        def forward(self, x: Any) -> Any:
            assert x.shape[-1] == 224, "224 only"
            return super().forward(x)

    shisen.explain(shisen.wrap(Asserting().eval()), X)


@works("strangers", "channels last inside, by inputs=")
def channels_last(folder: Path) -> None:
    class Last(Around):
        def forward(self, x: Any) -> Any:
            return super().forward(x.permute(0, 3, 1, 2))

    agrees(shisen.wrap(Last().eval(), inputs=lambda x: (x.permute(0, 2, 3, 1),)), conv_net(), X)


@works("strangers", "a list of images, as detectors take it, by inputs=")
def image_list(folder: Path) -> None:
    class Listing(Around):
        def forward(self, images: Any) -> Any:
            return super().forward(torch.stack(images))

    agrees(shisen.wrap(Listing().eval(), inputs=lambda x: (list(x),)), conv_net(), X)
