"""Whole networks from one file of torch.save: only on trust, since such a file is a program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..errors import N_, ModelError, explain_error
from .model import Model
from .torch_programs import is_torchscript, load_program
from .weight_files import load_weights
from .wrapping import Request, assemble, to_device

SAFER = (
    "Name the architecture and give the file as its weights: --model torchvision:NAME --weights {0} for a network of "
    "torchvision (timm:NAME for one of timm), or --model package.module:build --weights {0} for one of your own"
)


def load_whole(name: str, request: Request) -> Model:
    """Load a network that was saved whole, `torch.save(net, "whole.pt")`.

    Args:
        name: the file.
        request: `trust` must be set: reading the file imports and calls whatever it names.

    Returns:
        The model.

    Raises:
        ModelError: without trust, for a file of weights alone, and for one that cannot be read.
    """
    import torch

    path = Path(name).expanduser()
    if path.suffix.lower() == ".pt2" or is_torchscript(path):
        return _program(path, request)
    safer = SAFER.format(path.name)
    if path.suffix == ".safetensors" or _weights_alone(path):
        raise ModelError(
            explain_error(
                N_("A model file must hold a network."), f"{path.name}, which holds weights alone", safer + "."
            )
        )
    if not request.trust:
        raise ModelError(
            explain_error(
                N_("A model file must be readable without executing code."),
                f"{path.name}, a network pickled whole: reading it runs whatever it names",
                f"{safer}. Pass --trust (trust=True) only for a file of your own.",
            )
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # where the class of the network may lie
    try:
        net: Any = torch.load(str(path), map_location="cpu", weights_only=False)
    except Exception as problem:
        raise ModelError(
            explain_error(
                "The classes of a network pickled whole must be importable as when it was saved.",
                f"{path.name} ({type(problem).__name__}: {problem})",
                safer + ".",
            )
        ) from problem
    if not isinstance(net, torch.nn.Module):
        raise ModelError(
            explain_error(N_("A model file must hold a network."), f"{path.name}: {type(net).__name__}", safer)
        )
    if request.weights:
        load_weights(net, request.weights, trust=request.trust)
    return assemble(to_device(net, request.device), request, name=path.stem, source=str(path))


def _program(path: Path, request: Request) -> Model:
    if request.weights:
        raise ModelError(
            explain_error(
                "A compiled network holds its own weights.", f"weights={request.weights!r}", "Leave out weights=."
            )
        )
    if path.suffix.lower() == ".pt2" and not request.trust:  # its constants may be pickled
        raise ModelError(
            explain_error(
                N_("A model file must be readable without executing code."),
                f"{path.name}, an exported program, whose reader may unpickle objects",
                N_("Pass --trust (trust=True) only for a file of your own."),
            )
        )
    net = load_program(path)
    return assemble(to_device(net, request.device), request, name=path.stem, source=str(path))


def _weights_alone(path: Path) -> bool:
    import torch

    try:
        return isinstance(torch.load(str(path), map_location="cpu", weights_only=True), dict)
    except Exception:  # a whole network, or no file of torch at all
        return False
