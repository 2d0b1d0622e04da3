"""Networks as practitioners write and wrap them: compiled, of one image, with a second head, with odd layers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import shisen

from .situations import agrees, close, conv_net, gradient, noise, refused, tensor, works
from .strangers import Around

X = noise(16, 16, 3)


def occlusion(model: Any, x: Any = X) -> Any:
    """Return the occlusion map of class 1 in four parts."""
    return shisen.explain(model, x, "occlusion", target=1, window=8, stride=8).values


def cam_of(net: nn.Module, layer: nn.Module, score: Any, x: Any = X) -> Any:
    """Return Grad-CAM by plain torch."""
    kept: list[Any] = []

    def keep(module: Any, given: Any, found: Any) -> Any:
        found.retain_grad()
        kept.append(found)
        return found.clone()

    handle = layer.register_forward_hook(keep)
    score(net(tensor(x).requires_grad_())).backward()
    handle.remove()
    maps = kept[-1]
    return (maps.grad.mean((2, 3), keepdim=True) * maps).sum(1).relu()[0].detach().numpy()


# ---- compiled


@works("compiled", "a part compiled by torch.compile: layers, maps and gradients as without")
def compiled_part(folder: Path) -> None:
    for build in (lambda net: torch.compile(net, backend="eager"), nn.DataParallel):
        net = Around().eval()
        net.body = build(net.body)
        agrees(shisen.wrap(net), conv_net(), X)
        found = shisen.explain(shisen.wrap(net), X, target=1)
        close(found.values, shisen.explain(shisen.wrap(conv_net()), X, target=1, layer="3").values, 1e-4)


@works("compiled", "module.compile(), and torch.compile inside of DataParallel")
def compiled_in_place(folder: Path) -> None:
    inside, around = Around().eval(), nn.DataParallel(torch.compile(Around(), backend="eager"))
    inside.body.compile(backend="eager")
    for net in (inside, around):
        agrees(shisen.wrap(net), conv_net(), X)
        assert shisen.explain(shisen.wrap(net), X, target=1).values.shape == (12, 12)


@works("compiled", "TorchScript in training mode: right values, and its statistics and mode stay")
def script_in_training(folder: Path) -> None:
    def build() -> nn.Module:
        net = conv_net()
        return nn.Sequential(net[0], nn.BatchNorm2d(4), *net[1:], nn.Dropout(0.5))

    torch.manual_seed(0)
    reference = build().eval()
    torch.manual_seed(0)
    net = torch.jit.script(build().train())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    agrees(shisen.wrap(net), reference, X)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


# ---- one image at a time


class OneImage(Around):
    """A network that was written for a batch of one."""

    def forward(self, x: Any) -> Any:
        features = self.top[:2](self.body(x))
        return self.top[2](features.view(1, 6))


class FirstImage(Around):
    """A network that looks at the first image of a batch only."""

    def forward(self, x: Any) -> Any:
        return super().forward(x)[0][None]


class BatchStatistics(nn.Module):
    """A network that normalizes by the batch in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        net = conv_net()
        self.conv, self.rest = net[0], nn.Sequential(nn.BatchNorm2d(4, track_running_stats=False), *net[1:])

    def forward(self, x: Any) -> Any:
        return self.rest(self.conv(x))


@works("batches", "a network for a batch of one, by occlusion, RISE and Ablation-CAM")
def one_image(folder: Path) -> None:
    for net in (OneImage().eval(), FirstImage().eval(), torch.jit.trace(OneImage().eval(), tensor(X))):
        close(occlusion(shisen.wrap(net)), occlusion(shisen.wrap(conv_net())), 1e-4)
        a, b = (shisen.explain(shisen.wrap(n), X, "rise", target=1, n_samples=40).values for n in (net, conv_net()))
        close(a, b, 1e-4)
    a = shisen.explain(shisen.wrap(OneImage().eval()), X, "ablation_cam", target=1, layer="body.3").values
    close(a, shisen.explain(shisen.wrap(conv_net()), X, "ablation_cam", target=1, layer="3").values, 1e-4)
    two = shisen.explain(shisen.wrap(OneImage().eval()), [X, X[::-1]], "gradient", target=[1, 2])
    close(two[1].values, gradient(conv_net(), X[::-1].copy(), lambda y: y[0, 2]), 1e-4)


@works("batches", "normalization by the batch: every altered image alone, not beside the others")
def batch_statistics(folder: Path) -> None:
    class Apart(BatchStatistics):
        def forward(self, x: Any) -> Any:
            return torch.cat([super(Apart, self).forward(one[None]) for one in x])

    close(occlusion(shisen.wrap(BatchStatistics().eval())), occlusion(shisen.wrap(Apart().eval())), 1e-4)


@works("batches", "dropout that is always on: a warning")
def always_dropped(folder: Path) -> None:
    class Dropped(Around):
        def forward(self, x: Any) -> Any:
            return self.top(nn.functional.dropout(self.body(x), 0.5, training=True))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        occlusion(shisen.wrap(Dropped().eval()))
    assert any("another answer at every call" in str(w.message) for w in caught)


# ---- several heads


class Decoder(Around):
    """A classifier with a decoder beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Sequential(nn.ConvTranspose2d(6, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x: Any) -> Any:
        maps = self.body(x)
        return {"classes": self.top(maps), "drawn": self.decoder(maps)}


@works("outputs", "a decoder beside the classifier: the default layer is not in the decoder")
def decoder(folder: Path) -> None:
    net = Decoder().eval()
    found = shisen.explain(shisen.wrap(net), X, target=1)
    assert found.layer == "body", found.layer
    close(found.values, _cam(1), 1e-4)
    drawn = shisen.wrap(net, output="drawn", input_shape=(16, 16, 3))
    assert drawn.default_layer.startswith("decoder"), drawn.default_layer


def _cam(target: int) -> Any:
    net = conv_net()
    return cam_of(net, net[3], lambda y: y[0, target])


@works("outputs", "a part inside of a part, by the name that is announced")
def nested_name(folder: Path) -> None:
    net = Around(lambda y, maps: {"aux": {"maps": maps}, "main": [{"a": y * 2}, {"b": y}]}).eval()
    close(shisen.wrap(net, output="main.1.b").activations(X[None])[0], net.top(net.body(tensor(X)))[0].detach())


@refused("outputs", "a part inside of a part that is not there")
def missing_nested(folder: Path) -> None:
    shisen.wrap(Around(lambda y, maps: {"main": {"b": y}}).eval(), output="main.c").predict(X)


# ---- layers


@works("layers", "reentrant checkpoints: gradients and Grad-CAM inside of them")
def reentrant(folder: Path) -> None:
    class Checkpointed(Around):
        def forward(self, x: Any) -> Any:
            return self.top(checkpoint(self.body, x, use_reentrant=True))

    net = Checkpointed().eval()
    found = shisen.explain(shisen.wrap(net), X, "gradient", target=1)
    close(found.values, gradient(conv_net(), X, lambda y: y[0, 1]), 1e-4)
    close(shisen.explain(shisen.wrap(net), X, target=1).values, _cam(1), 1e-4)
    trained = tensor(X).requires_grad_()
    net(trained).sum().backward()  # the user's own training still checkpoints
    assert trained.grad is not None


@works("layers", "complex numbers inside: a spectrum that is filtered")
def spectrum(folder: Path) -> None:
    class Filter(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.fft.rfft2(x) * torch.complex(torch.tensor(1.0), torch.tensor(0.5))

    class Filtered(Around):
        def __init__(self) -> None:
            super().__init__()
            self.filter = Filter()

        def forward(self, x: Any) -> Any:
            maps = self.body(x)
            return self.top(torch.fft.irfft2(self.filter(maps), s=maps.shape[-2:]).relu())

    net = Filtered().eval()
    agrees(shisen.wrap(net), net, X)
    assert shisen.wrap(net, input_shape=(16, 16, 3)).default_layer == "body"


@works("layers", "capsules with routing by agreement")
def capsules(folder: Path) -> None:
    class Capsules(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.primary = nn.Conv2d(3, 8, 5), nn.Conv2d(8, 16, 5, 2)
            self.weight = nn.Parameter(torch.randn(1, 64, 5, 4, 4) * 0.1)

        def squash(self, x: Any) -> Any:
            size = (x**2).sum(-1, keepdim=True)
            return size / (1 + size) * x / (size + 1e-8).sqrt()

        def forward(self, x: Any) -> Any:
            u = self.primary(self.conv(x).relu())
            u = self.squash(u.view(len(u), 4, 4, -1).transpose(2, 3).reshape(len(u), -1, 4))
            votes = (self.weight @ u[:, :, None, :, None]).squeeze(-1)
            logits = x.new_zeros(len(u), votes.shape[1], 5, 1)
            for _ in range(3):
                found = self.squash((logits.softmax(2) * votes).sum(1))
                logits = logits + (votes * found[:, None]).sum(-1, keepdim=True)
            return found.norm(dim=-1)

    net = Capsules().eval()
    agrees(shisen.wrap(net), net, X)


@works("layers", "a mixture of experts that sends each image elsewhere")
def experts(folder: Path) -> None:
    class Experts(Around):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.experts = nn.Linear(6, 3), nn.ModuleList(nn.Linear(6, 4) for _ in range(3))

        def forward(self, x: Any) -> Any:
            features = self.body(x).mean((2, 3))
            weights, chosen = self.gate(features).softmax(1).topk(2, 1)
            found = features.new_zeros(len(x), 4)
            for k, expert in enumerate(self.experts):
                rows, places = (chosen == k).nonzero(as_tuple=True)
                found[rows] += weights[rows, places, None] * expert(features[rows])
            return found

    net = Experts().eval()
    agrees(shisen.wrap(net), net, X)


@refused("layers", "in-place changes that torch itself cannot differentiate")
def in_place(folder: Path) -> None:
    shisen.explain(shisen.wrap(Around(lambda y, maps: maps.mul_(2).mean((2, 3))).eval()), X, "gradient", target=1)


class Embedded(nn.Module):
    """A network that looks pixels up in a table."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.conv, self.fc = nn.Embedding(256, 2), nn.Conv2d(6, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        found = self.table((x * 255).long().clamp(0, 255).permute(0, 2, 3, 1)).flatten(3)
        return self.fc(self.conv(found.permute(0, 3, 1, 2)).relu().mean((2, 3)))


@refused("layers", "pixels as indices of an embedding, by the gradient")
def gradient_of_indices(folder: Path) -> None:
    shisen.explain(shisen.wrap(Embedded().eval()), X, "gradient", target=1)


@works("layers", "pixels as indices of an embedding: Grad-CAM after it")
def embedded_pixels(folder: Path) -> None:
    net = Embedded().eval()
    found = shisen.explain(shisen.wrap(net), X, target=1)
    close(found.values, cam_of(net, net.conv, lambda y: y[0, 1]), 1e-4)


def static_int8() -> nn.Module:
    """Return a network of statically quantized layers."""
    quant = torch.ao.quantization
    net = nn.Sequential(quant.QuantStub(), *conv_net(), quant.DeQuantStub()).eval()
    net.qconfig = quant.get_default_qconfig(torch.backends.quantized.engine)
    quant.prepare(net, inplace=True)
    net(tensor(X))
    quant.convert(net, inplace=True)
    return net


@works("forms", "static int8, by occlusion")
def int8(folder: Path) -> None:
    net = static_int8()
    close(shisen.wrap(net).activations(X[None])[0], net(tensor(X))[0].detach())
    assert occlusion(shisen.wrap(net)).any()


@refused("forms", "static int8, by Grad-CAM")
def int8_cam(folder: Path) -> None:
    shisen.explain(shisen.wrap(static_int8()), X, target=1)
