"""Fine-tune a backbone and keep the result in a folder that `shisen.load` reads."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.io import write_file
from .._core.prefetch import prefetched
from .._core.progress import Progress, silent
from ..errors import InputError, ModelError, ShisenWarning, explain_error, require, unknown
from .cache import Cache
from .data import DataReport, Dataset, Item, look, read_dataset
from .settings import Epoch, Part, Settings, Trainer
from .store import Store

if TYPE_CHECKING:
    from ..models.model import Model
    from ..models.wrapping import Request

FORMAT = 1
BATCH = 32
FRAMEWORKS = ("torch", "keras")


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
        framework: "torch" or "keras"; a name such as "keras:MobileNetV2" says it by itself.
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
    if framework not in FRAMEWORKS:
        raise unknown("framework", framework, FRAMEWORKS)
    if backbone.startswith("keras:"):
        framework = "keras"
    _need("torch" if framework == "torch" else "keras")
    wanted = Settings(epochs=epochs, seed=seed, **settings)
    learn = read_dataset(train)
    check = None if val is None else read_dataset(val)
    report = look(learn, check)
    learn = _readable(learn, report)
    check = None if check is None else _readable(check, report)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    return _train(folder, (learn, check), (framework, backbone, device, size, cache), wanted, (report, progress))


def _need(framework: str) -> None:
    for package in (framework, *(("safetensors",) if framework == "torch" else ("scipy",))):
        if importlib.util.find_spec(package) is None:
            raise require(package, "train", "finetune()")


def _readable(data: Dataset, report: DataReport) -> Dataset:
    items = tuple(i for i in data.items if i.name not in report.unreadable)
    if not items:
        raise InputError(explain_error("There must be images that can be read.", "none", "Check the files."))
    return Dataset(data.root, items, data.labels)


def _train(
    folder: Path,
    data: tuple[Dataset, Dataset | None],
    choice: tuple[str, str, str, int | None, str | Path | None],
    settings: Settings,
    around: tuple[DataReport, Progress],
) -> Run:
    (learn, check), (framework, backbone, device, size, keep), (report, progress) = data, choice, around
    model = _stretched(_load(backbone, framework, device), size)
    trainer = _trainer(framework, model, learn, settings)
    made: list[Part | None] = [None, None]
    for i, (part, views) in enumerate(((learn, 1 + settings.flip), (check, 1))):
        if part is None:
            continue
        key = _key(part, backbone, (framework, trainer.shape, views, asdict(settings)["blocks"]))
        cache = Cache(folder / "cache" / f"{key}.bin", views * len(part), trainer.shape)
        store = None
        if keep is not None:  # the body's own weights are part of the name
            body = _digest(trainer.frozen(), (asdict(model.preprocess), trainer.shape))  # type: ignore[arg-type]
            store = Store(Path(keep) / f"{body}.bin", trainer.shape)
        _fill(cache, store, trainer, _Views(model, part.items, views), progress)
        made[i] = Part(cache, part.indices(learn.labels))
    identity = _key(learn, backbone, (framework, "" if check is None else _key(check, backbone, "")))
    history = trainer.train(made, settings, folder / "cache" / identity, progress)
    counts = np.zeros((0, 0), np.int64)
    accuracy = float("nan")
    if made[1] is not None:
        logits = trainer.evaluate(made[1])
        counts = np.zeros((len(learn.labels), len(learn.labels)), np.int64)
        np.add.at(counts, (made[1].targets, logits.argmax(1)), 1)
        accuracy = float(np.trace(counts) / counts.sum())
    run = Run(
        str(folder),
        learn.labels,
        tuple(history),
        accuracy,
        tuple(tuple(int(v) for v in row) for row in counts),
        report,
    )
    made_by = {"framework": framework, "backbone": backbone, "settings": asdict(settings)}
    _write(run, model, trainer, made_by, (learn, check))
    shutil.rmtree(folder / "cache")
    return run


def _trainer(framework: str, model: Model, learn: Dataset, settings: Settings) -> Trainer:
    sample = np.stack([model.prepare(model.read(learn.items[0].path))[0]] * 2)
    if framework == "keras":
        from .keras import KerasTrainer

        return KerasTrainer(model, sample, len(learn.labels), settings)
    import torch

    from .torch import TorchTrainer

    torch.manual_seed(settings.seed)
    return TorchTrainer(model, sample, len(learn.labels), settings)


class _Views:
    """Scaled inputs, decoded ahead in threads: all images, then all of them mirrored."""

    def __init__(self, model: Model, items: tuple[Item, ...], views: int) -> None:
        self.model, self.items, self.total = model, items, views * len(items)

    def _one(self, row: int) -> Any:
        image = self.model.prepare(self.model.read(self.items[row % len(self.items)].path))[0]
        return image[:, ::-1] if row >= len(self.items) else image

    def names(self) -> list[str]:
        """Return a name for every row: digest of the file, and whether it is mirrored."""
        files = list(prefetched(lambda item: hashlib.sha256(Path(item.path).read_bytes()).hexdigest(), self.items))
        return [f"{name}/{view}" for view in range(self.total // len(files)) for name in files]

    def batches(self, rows: Sequence[int]) -> Iterator[Any]:
        """Yield images `(n, h, w, 3)` in [0, 1] of these rows, batch by batch."""
        batch: list[Any] = []
        for image in prefetched(self._one, rows):
            batch.append(image)
            if len(batch) == BATCH:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def _fill(cache: Cache, store: Store | None, trainer: Trainer, views: _Views, progress: Progress) -> None:
    """Fill the cache from where it ends: from the store where it has an image, else through the body."""
    words = "Reading images"
    if store is None:
        for images in views.batches(range(cache.done, views.total)):
            progress(cache.write(trainer.body(images)), views.total, words)
        return
    names = views.names()
    missing = list({name: row for row, name in reversed(list(enumerate(names))) if name not in store}.values())[::-1]
    new = iter([names[row] for row in missing])
    for images in views.batches(missing):
        values = trainer.body(images)
        store.write([next(new) for _ in values], values)
        progress(views.total - sum(name not in store for name in names), views.total, words)
    for start in range(cache.done, views.total, 256):
        cache.write(store.take(names[start : start + 256]))
    progress(views.total, views.total, words)


def _digest(state: Iterable[tuple[str, Any]], rest: Any) -> str:
    """Return a name for weights and whatever else a result depends on."""
    digest = hashlib.sha256(json.dumps(rest, default=str).encode())
    for name, value in state:
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _load(backbone: str, framework: str, device: str) -> Model:
    from ..models.loading import load

    return load(backbone, framework=framework if ":" not in backbone else "", device=device)


def _stretched(model: Model, size: int | None) -> Model:
    """Return the model with whole images as input: what lies at their border must not be cut off."""
    if model.preprocess is None:
        raise ModelError(
            explain_error("A backbone must come with its preprocessing.", model.name, "Take one that load() knows.")
        )
    return model.with_preprocess(model.preprocess.with_size(size, "stretch"))


def _key(part: Dataset, backbone: str, rest: Any) -> str:
    """Return a name for cached work that changes when images, classes, backbone or settings change."""
    digest = hashlib.sha256(json.dumps([backbone, rest], default=str).encode())
    for item in part.items:
        size = Path(item.path).stat()
        digest.update(f"{item.name}\0{item.label}\0{size.st_size}\0{size.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _write(
    run: Run, model: Model, trainer: Trainer, made: dict[str, Any], data: tuple[Dataset, Dataset | None]
) -> None:
    """Write weights, figures and, last, the record that makes the folder a run."""
    from .. import __version__
    from .plots import confusion_figure, history_figure

    folder = Path(run.folder)
    trainer.save(folder)
    history_figure(run.history, folder / "history.png")
    if run.confusion:
        shown = {"labels": list(run.labels), "accuracy": run.accuracy, "counts": [list(row) for row in run.confusion]}
        write_file(folder / "confusion.json", _json(shown))
        confusion_figure(run.confusion, run.labels, folder / "confusion.png")
    record = {
        "format": FORMAT,
        "shisen": __version__,
        **made,
        "labels": list(run.labels),
        "preprocess": asdict(model.preprocess),  # type: ignore[arg-type]
        "history": [asdict(epoch) for epoch in run.history],
        "accuracy": run.accuracy,
        "data": {**asdict(run.data), "sources": [None if d is None else d.root for d in data]},
        "sha256": {trainer.weights: hashlib.sha256((folder / trainer.weights).read_bytes()).hexdigest()},
    }
    write_file(folder / "shisen.json", _json(record))


def _json(value: Any) -> bytes:
    def plain(thing: Any) -> Any:
        if isinstance(thing, float) and thing != thing:  # JSON has no NaN
            return None
        if isinstance(thing, dict):
            return {str(k): plain(v) for k, v in thing.items()}
        if isinstance(thing, (list, tuple)):
            return [plain(v) for v in thing]
        return thing

    return json.dumps(plain(value), ensure_ascii=False, indent=1).encode()


def load_run(name: str, request: Request) -> Model:
    """Load the model of a run folder; the weights must be those that the run wrote.

    Args:
        name: path of the run folder.
        request: how the model is to be loaded.

    Returns:
        The model.

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
    net = _torch_net(backbone, len(labels), (file, request)) if file.suffix != ".keras" else _keras_net(file, request)
    known = Preprocess(**settings)
    return assemble(net, request, preprocess=known, labels=Labels(tuple(labels)), name=folder.name)


def _torch_net(backbone: str, classes: int, saved: tuple[Path, Request]) -> Any:
    from ..models.weight_files import load_weights
    from .split import with_classes

    file, request = saved
    net = _load(backbone, "torch", request.device).network.net
    with_classes(net, classes)
    load_weights(net, file)
    return net.eval()


def _keras_net(file: Path, request: Request) -> Any:
    from ..models.keras_files import load_file

    with warnings.catch_warnings():  # the run knows how pixels are scaled
        warnings.simplefilter("ignore", ShisenWarning)
        return load_file(str(file), replace(request, weights=None, output=None)).network.net


__all__ = ["Run", "finetune", "load_run"]
