"""The folder of a run: weights, figures and a record, written last, by which `shisen.load` knows it."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.io import write_file
from ..errors import ModelError, ShisenWarning, explain_error
from ..viz.files import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..models.model import Model
    from ..models.wrapping import Request
    from .run import Run
    from .settings import Trainer

FORMAT = 1


def write_run(run: Run, model: Model, trainer: Trainer, facts: Mapping[str, Any]) -> None:
    """Write weights, figures and, last, the record that makes the folder a run.

    Args:
        run: what the training gave.
        model: the backbone, with the preprocessing of the run.
        trainer: holds the weights.
        facts: further entries of the record.
    """
    from .. import __version__
    from .plots import confusion_figure, history_figure

    folder = Path(run.folder)
    trainer.save(folder)
    history_figure(run.history, folder / "history.png")
    if run.confusion:
        shown = {"labels": run.labels, "accuracy": run.accuracy, "counts": run.confusion}
        write_file(folder / "confusion.json", to_json(shown))
        confusion_figure(run.confusion, run.labels, folder / "confusion.png")
    record = {
        "format": FORMAT,
        "shisen": __version__,
        **facts,
        "labels": run.labels,
        "preprocess": model.preprocess,
        "history": run.history,
        "accuracy": run.accuracy,
        "sha256": {trainer.weights: hashlib.sha256((folder / trainer.weights).read_bytes()).hexdigest()},
    }
    write_file(folder / "shisen.json", to_json(record))


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
        labels, backbone = record["labels"], record["backbone"]
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
    net = _keras_net(file, request) if file.suffix == ".keras" else _torch_net(file, request, backbone, len(labels))
    known = Preprocess(**settings)
    return assemble(net, request, preprocess=known, labels=Labels(tuple(labels)), name=folder.name)


def _torch_net(file: Path, request: Request, backbone: str, classes: int) -> Any:
    from ..models.weight_files import load_weights
    from .split import with_classes

    net = load_backbone(backbone, "torch", request.device).network.net
    with_classes(net, classes)
    load_weights(net, file)
    return net.eval()


def _keras_net(file: Path, request: Request) -> Any:
    from ..models.keras_files import load_file

    with warnings.catch_warnings():  # the run knows how pixels are scaled
        warnings.simplefilter("ignore", ShisenWarning)
        return load_file(str(file), replace(request, weights=None, output=None)).network.net
