"""Networks that a training starts from, and those that it has written."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, explain_error

if TYPE_CHECKING:
    from ..models.model import Model
    from ..models.wrapping import Request
    from .settings import Trainer

TRAINERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "torch": ("torch:TorchTrainer", ("torch", "safetensors")),
    "keras": ("keras:KerasTrainer", ("keras", "scipy")),
}
"""Framework → its trainer, in this package, and the packages that it needs."""


def trainer_class(framework: str) -> type[Trainer]:
    """Return what trains networks of a framework.

    Raises:
        ModelError: for a framework without one.
    """
    if framework not in TRAINERS:
        raise ModelError(
            explain_error(
                f"A backbone must be a network of {' or '.join(TRAINERS)}.",
                f"a network of {framework}",
                "Take another backbone, such as efficientnet_lite0.",
            )
        )
    module, _, name = TRAINERS[framework][0].partition(":")
    found: type[Trainer] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return found


def load_backbone(name: str, framework: str, device: str) -> Model:
    """Load the network that a training starts from.

    Args:
        name: as for `load`.
        framework: "torch" or "keras", where the name does not say it.
        device: where it runs; "" for the best there is.

    Returns:
        The model.
    """
    from ..models.loading import load

    return load(name, framework=framework if ":" not in name else "", device=device)


def load_run(name: str, request: Request) -> Model:
    """Load the model of a run folder; the weights must be those that the run wrote.

    Args:
        name: the folder.
        request: the arguments of `load`.

    Returns:
        The model, with the classes and the preprocessing of the run.

    Raises:
        ModelError: for a folder that is incomplete or altered.
    """
    from ..models.labels import Labels
    from ..models.preprocess import Preprocess
    from ..models.wrapping import assemble

    folder = Path(name).expanduser()
    try:
        record = json.loads((folder / "shisen.json").read_text("utf-8"))
        ((weights, expected),) = record["sha256"].items()
        content = (folder / Path(weights).name).read_bytes()
        labels, backbone, framework = record["labels"], record["backbone"], record["framework"]
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record["preprocess"].items()}
    except (OSError, ValueError, KeyError) as problem:
        raise ModelError(
            explain_error("A run folder must be complete.", f"{name!r} ({problem})", "Run `shisen finetune` again.")
        ) from problem
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelError(
            explain_error(
                "The weights must be those the run wrote.", f"other bytes in {name!r}", "Run `shisen finetune` again."
            )
        )
    file = folder / Path(weights).name
    net = trainer_class(framework).restored(file, request, backbone, len(labels))
    known = Preprocess(**settings)
    return assemble(net, request, preprocess=known, labels=Labels(tuple(labels)), name=folder.name, source=str(folder))
