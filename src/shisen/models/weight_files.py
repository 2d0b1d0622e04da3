"""Weights from files, read without executing code, for torch modules and Keras models."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..adapters.frameworks import framework_of
from ..errors import N_, InputError, ModelError, ShisenWarning, briefly, explain_error
from .sources import missing_file

WRAPPINGS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
"""Keys under which checkpoints hold the weights beside the optimizer's state."""


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
        raise missing_file("file of weights", path)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(str(file))
        else:
            found = torch.load(str(file), map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as problem:
        raise ModelError(
            explain_error(
                N_("A file of weights must hold tensors only, so that reading it executes no code."),
                f"{file.name}, which requires more ({str(problem).splitlines()[0]})",
                N_("Save net.state_dict() or a safetensors file; pass trust=True (--trust) only for your own files."),
            )
        ) from problem
    except Exception as problem:
        reason = briefly(problem)
        raise ModelError(
            explain_error(
                N_("A file of weights must be readable."),
                f"{file.name} ({reason})",
                N_("It may be incomplete or of another kind."),
            )
        ) from problem
    return _unwrapped(found)


def _unwrapped(found: Any) -> dict[str, Any]:
    import torch

    if hasattr(found, "state_dict"):
        found = found.state_dict()
    for key in WRAPPINGS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        received = f"a dict of {', '.join(map(str, found))[:100]}" if isinstance(found, dict) else type(found).__name__
        raise ModelError(
            explain_error(N_("A file of weights must hold named tensors."), received, N_("Save net.state_dict()."))
        )
    return {str(k): v for k, v in found.items()}


def fitted(weights: Mapping[str, Any], own: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return weights under the network's own names: what wrappers put in front of them is removed, with a warning.

    DataParallel writes "module.", torch.compile "_orig_mod.", Lightning the attribute's name, such as "model.".

    Args:
        weights: name → tensor, from a file.
        own: the network's own state dict.
        name: of the file, for the warning.

    Returns:
        Name → tensor; as given where no prefix explains the difference.
    """
    found, removed = dict(weights), ""
    for _ in range(4):
        if sum(k in own for k in found) == len(own):
            break
        counts = Counter(k.partition(".")[0] for k in found if "." in k)
        options = {p: {k[len(p) + 1 :]: v for k, v in found.items() if k.startswith(f"{p}.")} for p in counts}
        if not options:
            break
        # one wrapper may lie inside another: then names match only when both are gone
        prefix = max(options, key=lambda p: (_matches(options[p], own), counts[p]))
        found, removed = options[prefix], f"{removed}{prefix}."
    if not removed or _matches(found, own) <= _matches(weights, own):
        return dict(weights)
    left_out = len(weights) - len(found)
    rest = f"; {left_out} entries outside of it were left out" if left_out else ""
    warnings.warn(f"The prefix {removed!r} of the names in {name} was removed{rest}.", ShisenWarning, stacklevel=2)
    return found


def _matches(weights: Mapping[str, Any], own: Mapping[str, Any]) -> int:
    return sum(k in own for k in weights)


def load_weights(net: Any, path: str | Path, *, trust: bool = False) -> None:
    """Put weights from a file into a network; every name must fit.

    Args:
        net: a torch module or a Keras model.
        path: a state dict or safetensors file for torch; a file of `save_weights`, or a saved model, for Keras.
        trust: whether a pickle that needs code to be executed may be read.

    Raises:
        ModelError: listing missing, unexpected and misshapen entries, and for a file that cannot be read.
        InputError: for a network that takes no weights.
    """
    load = LOADERS.get(framework_of(net))
    if load is None:
        raise InputError(
            explain_error(
                "Weights can be loaded into a torch module or a Keras model.", type(net).__name__, "Leave out weights=."
            )
        )
    load(net, path, trust)


def _load_torch(net: Any, path: str | Path, trust: bool) -> None:
    own = net.state_dict()
    weights = fitted(read_weights(path, trust=trust), own, Path(path).name)
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
                N_("The weights must fit the network name by name."),
                "; ".join(lists),
                N_("Build the network with the same settings as in training."),
            )
        )
    net.load_state_dict(weights)


def _load_keras(net: Any, path: str | Path, trust: bool) -> None:
    file = Path(path).expanduser()
    if not file.is_file():
        raise missing_file("file of weights", path)
    try:
        net.load_weights(str(file))
    except Exception as problem:  # a file of another network fails in many ways
        raise ModelError(
            explain_error(
                "The weights must fit the network.",
                f"{file.name} ({briefly(problem)})",
                "Use a file written by save_weights of the same architecture.",
            )
        ) from problem


LOADERS: Mapping[str, Callable[[Any, str | Path, bool], None]] = {"torch": _load_torch, "keras": _load_keras}
"""Framework → what puts weights from a file into its networks."""
