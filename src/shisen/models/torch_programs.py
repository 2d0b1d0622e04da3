"""Compiled torch networks: TorchScript and exported programs, whose layers cannot be seen from outside."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ..adapters.base import lock_of
from ..errors import N_, InputError, ModelError, briefly, explain_error


def is_torchscript(path: Path) -> bool:
    """Tell whether a file was written by `torch.jit.save`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(n.endswith("constants.pkl") for n in names) and any("/code/" in f"/{n}" for n in names)


def load_program(path: Path) -> Any:
    """Return the network of a TorchScript file or of an exported program, `.pt2`.

    Args:
        path: the file.

    Raises:
        ModelError: for a file that cannot be read.
    """
    import torch

    try:
        if path.suffix.lower() == ".pt2":
            return torch.export.load(str(path)).module()
        return torch.jit.load(str(path), map_location="cpu")
    except Exception as problem:
        reason = briefly(problem)
        raise ModelError(
            explain_error(
                N_("A compiled network must be readable with the installed torch."),
                f"{path.name} ({type(problem).__name__}: {reason})",
                N_("Export it again, or load the original network as package.module:build."),
            )
        ) from problem


def is_opaque(net: Any) -> bool:
    """Tell whether a torch module runs as one piece: TorchScript, or a program of `torch.export`."""
    import torch

    if isinstance(net, torch.jit.ScriptModule):
        return True
    return isinstance(net, torch.fx.GraphModule) and not any(
        n.op == "call_module" and n.target != "_guards_fn" for n in net.graph.nodes
    )


def fixed_shape(net: Any) -> tuple[int | None, ...] | None:
    """Return the shape of the first input of an exported program, None for what is free; None for other networks."""
    import torch

    if not isinstance(net, torch.fx.GraphModule):
        return None
    for node in net.graph.nodes:
        value: Any = node.meta.get("val") if node.op == "placeholder" else None
        if hasattr(value, "shape") and len(value.shape) == 4:
            return tuple(s if isinstance(s, int) else None for s in value.shape)
    return None


def one_piece(net: Any) -> Any:
    """Return a module around a compiled network: without layers, for images one by one where its batch size is fixed.

    Gradients by the pixels and methods without gradients work; those of a layer do not.

    Args:
        net: TorchScript or the module of an exported program; it is not changed.
    """
    import torch

    shape = fixed_shape(net)

    class OnePiece(torch.nn.Module):
        """A compiled network as one module."""

        def __init__(self) -> None:
            super().__init__()
            self.__dict__["whole"] = net
            self.__dict__["shape"] = shape

        def parameters(self, recurse: bool = True) -> Any:
            return net.parameters()

        def buffers(self, recurse: bool = True) -> Any:
            return net.buffers()

        def _apply(self, function: Any, recurse: bool = True) -> Any:
            net._apply(function)
            return self

        def forward(self, x: Any) -> Any:
            if shape is not None:
                wanted = [(a, b) for a, b in zip(shape[1:], x.shape[1:], strict=True) if a is not None and a != b]
                if wanted:
                    c, h, w = shape[1:]
                    raise InputError(
                        explain_error(
                            f"The exported program takes images of {h} × {w} pixels and {c} channels.",
                            f"{x.shape[2]} × {x.shape[3]} and {x.shape[1]}",
                            f"Pass preprocess={{'size': ({h}, {w})}} (--size {h}x{w}).",
                        )
                    )
            with evaluated(net):
                return self.in_parts(x)

        def in_parts(self, x: Any) -> Any:
            fixed = None if shape is None else shape[0]
            if fixed is None or fixed == len(x):
                return net(x)
            parts = []
            for i in range(0, len(x), fixed):
                part = x[i : i + fixed]
                filled = torch.cat([part, part[-1:].expand(fixed - len(part), *part.shape[1:])])
                parts.append(_rows(net(filled), len(part)))
            return _joined(parts)

    return OnePiece()


@contextmanager
def evaluated(net: Any) -> Iterator[None]:
    """Put TorchScript in evaluation mode for one call; a program of `torch.export` has its mode built in."""
    script = isinstance(net, sys.modules["torch"].jit.ScriptModule)
    with lock_of(net) if script else nullcontext():
        training = [m for m in net.modules() if getattr(m, "training", False)] if script else []
        try:
            for module in training:
                module.training = False
            yield
        finally:
            for module in training:
                module.training = True


def _rows(output: Any, n: int) -> Any:
    if isinstance(output, dict):
        return {k: v[:n] for k, v in output.items()}
    return tuple(v[:n] for v in output) if isinstance(output, (tuple, list)) else output[:n]


def _joined(parts: list[Any]) -> Any:
    import torch

    first = parts[0]
    if isinstance(first, dict):
        return {k: torch.cat([p[k] for p in parts]) for k in first}
    if isinstance(first, tuple):
        return tuple(torch.cat([p[i] for p in parts]) for i in range(len(first)))
    return torch.cat(parts)
