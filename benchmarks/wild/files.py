"""Situations about files of torch and about what is not a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

import shisen

from .situations import agrees, close, conv_net, gradient, logits, noise, refused, works

X = noise(16, 16, 3)
BUILDER = """
from benchmarks.wild.situations import conv_net

def build():
    return conv_net()

def ready():
    import shisen
    return shisen.wrap(conv_net(), labels=["a", "b", "c"])
"""


def own(folder: Path, function: str = "build", **options: Any) -> Any:
    """Load a function of a module that lies in a folder."""
    import sys

    (folder / "wild_builder.py").write_text(BUILDER)
    sys.modules.pop("wild_builder", None)
    sys.path.insert(0, str(folder))
    try:
        return shisen.load(f"wild_builder:{function}", **options)
    finally:
        sys.path.remove(str(folder))


def other_weights() -> Any:
    """Return a network with other weights, and write nothing."""
    net = conv_net()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.5)
    return net


@works("forms", "a TorchScript file: gradients by the pixels and methods without gradients")
def torchscript(folder: Path) -> None:
    net = conv_net()
    torch.jit.trace(net, torch.zeros(1, 3, 16, 16)).save(str(folder / "net.pt"))
    model = shisen.load(folder / "net.pt")
    agrees(model, net, X)
    close(
        shisen.explain(model, X, "occlusion", target=1).values,
        shisen.explain(shisen.wrap(net), X, "occlusion", target=1).values,
        1e-4,
    )


@works("forms", "a scripted module, wrapped")
def scripted(folder: Path) -> None:
    agrees(shisen.wrap(torch.jit.script(conv_net())), conv_net(), X)


@refused("forms", "Grad-CAM of a TorchScript file, whose layers cannot be seen")
def cam_of_script(folder: Path) -> None:
    shisen.explain(shisen.wrap(torch.jit.script(conv_net())), X)


@works("forms", "an exported program of one image, and a method that sends many")
def exported(folder: Path) -> None:
    net = conv_net()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 16, 16),)), str(folder / "net.pt2"))
    model = shisen.load(folder / "net.pt2", trust=True)
    agrees(model, net, X)
    close(model.activations(noise(3, 16, 16, 3)), net(torch.tensor(noise(3, 16, 16, 3)).permute(0, 3, 1, 2)).detach())


@refused("forms", "an exported program and an image of another size")
def exported_size(folder: Path) -> None:
    program = torch.export.export(conv_net(), (torch.zeros(1, 3, 16, 16),)).module()
    shisen.explain(shisen.wrap(program), noise(20, 20, 3), "gradient")


@refused("forms", "a .pt2 file without trust")
def exported_untrusted(folder: Path) -> None:
    torch.export.save(torch.export.export(conv_net(), (torch.zeros(1, 3, 16, 16),)), str(folder / "net.pt2"))
    shisen.load(folder / "net.pt2")


@refused("forms", "a state dict given as the model")
def state_dict_file(folder: Path) -> None:
    torch.save(conv_net().state_dict(), folder / "weights.pt")
    shisen.load(folder / "weights.pt")


@refused("forms", "a Lightning checkpoint given as the model")
def lightning_file(folder: Path) -> None:
    torch.save({"state_dict": conv_net().state_dict(), "epoch": 3}, folder / "last.ckpt")
    shisen.load(folder / "last.ckpt")


@refused("forms", "a state dict wrapped")
def state_dict_wrapped(folder: Path) -> None:
    shisen.wrap(conv_net().state_dict())


@refused("forms", "a class instead of an instance")
def a_class(folder: Path) -> None:
    shisen.wrap(nn.Linear)


@refused("forms", "a network pickled whole, without trust")
def pickled(folder: Path) -> None:
    torch.save(conv_net(), folder / "whole.pt")
    shisen.load(folder / "whole.pt")


@works("weights", "Lightning's prefix and DataParallel's and torch.compile's, one inside the other")
def prefixes(folder: Path) -> None:
    net = other_weights()
    state = {f"model._orig_mod.module.{k}": v for k, v in net.state_dict().items()} | {"loss.weight": torch.ones(3)}
    torch.save({"state_dict": state, "epoch": 3}, folder / "last.ckpt")
    close(own(folder, weights=folder / "last.ckpt").activations(X[None])[0], logits(net, X))


@works("weights", "weights for a function that returns a shisen model")
def weights_of_ready(folder: Path) -> None:
    net = other_weights()
    torch.save(net.state_dict(), folder / "weights.pt")
    model = own(folder, "ready", weights=folder / "weights.pt")
    close(model.activations(X[None])[0], logits(net, X))
    assert list(model.labels) == ["a", "b", "c"]


@refused("weights", "weights of another network")
def other_network(folder: Path) -> None:
    torch.save(nn.Linear(3, 3).state_dict(), folder / "weights.pt")
    own(folder, weights=folder / "weights.pt")


@refused("weights", "a file of weights that is not there")
def missing_weights(folder: Path) -> None:
    own(folder, weights=folder / "weigths.pt")


@works("forms", "dynamic int8, by occlusion")
def int8(folder: Path) -> None:
    net = torch.ao.quantization.quantize_dynamic(conv_net(), {nn.Linear}, dtype=torch.qint8)
    close(shisen.wrap(net).activations(X[None])[0], net(torch.tensor(X).permute(2, 0, 1)[None])[0].detach())
    assert shisen.explain(shisen.wrap(net), X, "occlusion", target=1).values.any()


@refused("forms", "dynamic int8, by gradients")
def int8_gradient(folder: Path) -> None:
    net = torch.ao.quantization.quantize_dynamic(conv_net(), {nn.Linear}, dtype=torch.qint8)
    shisen.explain(shisen.wrap(net), X, "gradient", target=1)


@refused("forms", "a TensorFlow Lite file")
def tflite(folder: Path) -> None:
    (folder / "net.tflite").write_bytes(b"TFL3")
    shisen.load(folder / "net.tflite")


@refused("forms", "a file that is not there, with a neighbor of nearly the name")
def missing_file(folder: Path) -> None:
    (folder / "network.onnx").write_bytes(b"")
    shisen.load(folder / "netwrok.onnx")


@refused("forms", "a folder without a model")
def empty_folder(folder: Path) -> None:
    shisen.load(folder)


@refused("forms", "an ONNX file that is cut off")
def damaged_onnx(folder: Path) -> None:
    (folder / "net.onnx").write_bytes(b"\x08\x07\x12\x03abc")
    shisen.load(folder / "net.onnx")


@works("forms", "a function of one's own")
def own_function(folder: Path) -> None:
    close(own(folder).activations(X[None])[0], logits(conv_net(), X))
    found = shisen.explain(own(folder), X, "gradient", target=1)
    close(found.values, gradient(conv_net(), X, lambda y: y[0, 1]), 1e-4)


@refused("forms", "a function that does not exist")
def missing_function(folder: Path) -> None:
    own(folder, "biuld")


@refused("forms", "a device that does not exist")
def missing_device(folder: Path) -> None:
    shisen.load(device="cuda:9")
