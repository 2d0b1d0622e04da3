"""Fine-tune a backbone and keep the result in a folder that `shisen.load` reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.progress import Progress, silent
from ..errors import InputError, ModelError, explain_error, require, unknown
from ..models.wrapping import installed
from . import run_folder, run_loading
from .cache import Cache
from .data import DataReport, Dataset, look, read_dataset
from .loop import train as train_epochs
from .settings import Epoch, Part, Settings, Trainer
from .store import Store
from .views import Views, fill

if TYPE_CHECKING:
    from ..models.model import Model


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: where weights, `shisen.json` and figures are.
        labels: the classes, in the order of the logits.
        history: figures of every epoch; epoch 0 is the linear head alone.
        accuracy: on the validation images, or NaN.
        confusion: `[true][predicted]` counts on the validation images, or empty.
        data: what was found in the data.
    """

    folder: str
    labels: tuple[str, ...]
    history: tuple[Epoch, ...]
    accuracy: float
    confusion: tuple[tuple[int, ...], ...]
    data: DataReport


def finetune(
    train: str | Path,
    val: str | Path | None = None,
    backbone: str = "efficientnet_lite0",
    epochs: int = 5,
    *,
    out: str | Path = "shisen-out/finetune",
    framework: str = "torch",
    device: str = "",
    seed: int = 0,
    size: int | None = None,
    cache: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> Run:
    """Fine-tune a backbone on labeled images: a linear head on the frozen body first, then the last blocks.

    Args:
        train: a folder with one folder a class, or a CSV file with the columns path and label.
        val: the same, for measuring; None measures nothing.
        backbone: a name for `load`, of a network that ends in a linear classifier.
        epochs: passes with the last blocks and their batch normalization trained; 0 trains the head only.
        out: the folder for the result. A run that was stopped continues there.
        framework: "torch" or "keras", for a backbone that exists in both; others have their own.
        device: where to train, such as "cuda"; by default a GPU if there is one.
        seed: of every random choice; the same seed gives the same weights on the same machine.
        size: side of the input in pixels; None for the backbone's own.
        cache: a folder where the frozen body's activations of every image stay, for further runs on the same images;
            for one run at a time.
        progress: called as `progress(done, total, words)`.
        **settings: further fields of `shisen.training.settings.Settings`.

    Returns:
        A `Run`; `shisen.load(out)` gives the model.

    Raises:
        InputError: for sources without labeled images, or classes that do not fit.
        ModelError: for a backbone that cannot be fine-tuned.
    """
    if framework not in run_loading.TRAINERS:
        raise unknown("framework", framework, run_loading.TRAINERS)
    wanted = Settings(epochs=epochs, seed=seed, **settings)
    learn = read_dataset(train)
    check = None if val is None else read_dataset(val)
    report = look(learn, check)
    learn = _readable(learn, report)
    check = None if check is None else _readable(check, report)
    model = _stretched(run_loading.load_backbone(backbone, framework, device), size)
    framework = model.framework.partition("-")[0]  # "keras-tensorflow" is trained as "keras"
    make_trainer = run_loading.trainer_class(framework)
    _need(run_loading.TRAINERS[framework][1])
    sample = np.stack([model.prepare(model.read(learn.items[0].path))[0]] * 2)
    trainer = make_trainer(model, sample, len(learn.labels), wanted)
    kept = None if cache is None else Path(cache)
    job = _Job(Path(out), framework, backbone, model, trainer, wanted, kept, progress)
    run = job.run(learn, check, report)
    shutil.rmtree(job.folder / "cache")
    return run


def _need(packages: Iterable[str]) -> None:
    for package in packages:
        if not installed(package):
            raise require(package, "train", "finetune()")


def _readable(data: Dataset, report: DataReport) -> Dataset:
    items = tuple(i for i in data.items if i.name not in report.unreadable)
    if not items:
        raise InputError(explain_error("There must be images that can be read.", "none", "Check the files."))
    return Dataset(data.root, items, data.labels)


@dataclass(frozen=True)
class _Job:
    """What all steps of a training need to know; `kept` is the folder for activations that outlast it, or None."""

    folder: Path
    framework: str
    backbone: str
    model: Model
    trainer: Trainer
    settings: Settings
    kept: Path | None
    progress: Progress

    def run(self, learn: Dataset, check: Dataset | None, report: DataReport) -> Run:
        """Train, measure, and write the folder."""
        part = self.part(learn, learn.labels, 1 + self.settings.flip)
        validation = None if check is None else self.part(check, learn.labels, 1)
        identity = self.key(learn, "" if check is None else self.key(check))
        checkpoint = self.folder / "cache" / identity
        history = train_epochs(self.trainer, part, validation, self.settings, checkpoint, self.progress)
        counts, accuracy = np.zeros((0, 0), np.int64), float("nan")
        if validation is not None:
            counts = np.zeros((len(learn.labels), len(learn.labels)), np.int64)
            np.add.at(counts, (validation.targets, self.trainer.evaluate(validation).argmax(1)), 1)
            accuracy = float(np.trace(counts) / counts.sum())
        confusion = tuple(tuple(int(v) for v in row) for row in counts)
        run = Run(str(self.folder), learn.labels, tuple(history), accuracy, confusion, report)
        facts = {
            "framework": self.framework,
            "backbone": self.backbone,
            "settings": self.settings,
            "data": {**asdict(report), "sources": [None if d is None else d.root for d in (learn, check)]},
        }
        run_folder.write_run(run, self.model, self.trainer, facts)
        return run

    def part(self, data: Dataset, labels: tuple[str, ...], views: int) -> Part:
        """Return the body's activations of images, `views` rows each, with the numbers of their classes."""
        trainer, store = self.trainer, None
        name = self.key(data, trainer.shape, views, self.settings.blocks)
        cache = Cache(self.folder / "cache" / f"{name}.bin", views * len(data), trainer.shape)
        if self.kept is not None:  # the body's own weights are part of the name
            expected: Any = self.model.preprocess
            body = _digest(trainer.frozen(), (asdict(expected), trainer.shape))
            store = Store(self.kept / f"{body}.bin", trainer.shape)
        fill(cache, store, trainer, Views(self.model, data.items, views), self.progress)
        return Part(cache, data.indices(labels))

    def key(self, data: Dataset, *rest: Any) -> str:
        """Return a name for cached work that changes when images, classes, backbone or settings change."""
        digest = hashlib.sha256(json.dumps([self.framework, self.backbone, rest], default=str).encode())
        for item in data.items:
            facts = Path(item.path).stat()
            digest.update(f"{item.name}\0{item.label}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


def _digest(state: Iterable[tuple[str, Any]], rest: Any) -> str:
    """Return a name for weights and whatever else a result depends on."""
    digest = hashlib.sha256(json.dumps(rest, default=str).encode())
    for name, value in state:
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _stretched(model: Model, size: int | None) -> Model:
    """Return the model with whole images as input: what lies at their border must not be cut off."""
    if model.preprocess is None:
        raise ModelError(
            explain_error("A backbone must come with its preprocessing.", model.name, "Take one that load() knows.")
        )
    return model.with_preprocess(model.preprocess.with_size(size, "stretch"))
