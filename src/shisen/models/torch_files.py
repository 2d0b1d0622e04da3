"""Weights from files, read without executing code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError, explain_error


def read_weights(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """Read a state dict from a safetensors file or a torch checkpoint.

    Args:
        path: `.safetensors`, or a file written by `torch.save`.
        trust: whether a pickle that needs code to be executed may be read.

    Returns:
        Name → tensor. Wrappings such as {"state_dict": …} or {"model": …} are taken off.

    Raises:
        ModelError: if the file cannot be read without executing code, or holds no weights.
    """
    import pickle

    import torch

    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelError(explain_error("A file of weights must exist.", repr(str(path)), "Check the path."))
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(str(file))
        else:
            found = torch.load(str(file), map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as problem:
        raise ModelError(
            explain_error(
                "A file of weights must hold tensors only, so that reading it executes no code.",
                f"{file.name}, which asks for more ({str(problem).splitlines()[0]})",
                "Save net.state_dict() or a safetensors file; pass trust=True (--trust) only for a file of your own.",
            )
        ) from problem
    except Exception as problem:
        raise ModelError(
            explain_error("A file of weights must be readable.", f"{file.name} ({problem})", "Is the file complete?")
        ) from problem
    if hasattr(found, "state_dict"):
        found = found.state_dict()
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelError(
            explain_error("A file of weights must hold named tensors.", type(found).__name__, "Save net.state_dict().")
        )
    return {str(k).removeprefix("module."): v for k, v in found.items()}


def load_weights(net: Any, path: str | Path, *, trust: bool = False) -> None:
    """Put weights from a file into a torch module; every name must fit.

    Raises:
        ModelError: listing missing, unexpected and misshapen entries.
    """
    weights = read_weights(path, trust=trust)
    own = net.state_dict()
    missing = [k for k in own if k not in weights]
    unexpected = [k for k in weights if k not in own]
    misshapen = [
        f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in weights and weights[k].shape != own[k].shape
    ]
    if missing or unexpected or misshapen:
        lists = [
            f"{word}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
            for word, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
            if names
        ]
        raise ModelError(
            explain_error(
                "The weights must fit the network name by name.",
                "; ".join(lists),
                "Build the network with the same settings as in training.",
            )
        )
    net.load_state_dict(weights)
