"""Fine-tune a backbone and keep the result in a folder that `shisen.load` reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ModelError, explain_error, require
from ..run.ahead import ahead
from .data import DataReport, Dataset, Item, look, read_dataset
from .store import Store

if TYPE_CHECKING:
    from ..models.loading import Request
    from ..models.model import Model
    from .split import Split
    from .torch import Cache, Epoch, Progress, Settings

FORMAT = 1
BATCH = 32


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: where weights, `shisen.json` and figures are.
        labels: the classes, in the order of the logits.
        history: figures of every epoch; epoch 0 is the linear head alone.
        accuracy: on the validation pictures, or NaN.
        confusion: `[true][predicted]` counts on the validation pictures, or empty.
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
    out: str | Path = "runs/latest",
    framework: str = "torch",
    device: str = "",
    seed: int = 0,
    size: int | None = None,
    keep: str | Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Fine-tune a backbone on labelled pictures: a linear head on the frozen body first, then the last blocks.

    Args:
        train: a folder with one folder a class, or a CSV file with the columns path and label.
        val: the same, for measuring; None measures nothing.
        backbone: a name for `load`, of a network that ends in a linear classifier.
        epochs: passes with the last blocks and their batch normalisation trained; 0 trains the head only.
        out: the folder for the result. A run that was stopped continues there.
        framework: "torch".
        device: where to train, such as "cuda"; by default a GPU if there is one.
        seed: of every random choice; the same seed gives the same weights on the same machine.
        size: side of the input in pixels; None for the backbone's own.
        keep: a folder where the frozen body's activations of every picture stay, for further runs on the same pictures;
            for one run at a time.
        progress: called with `(words, done, total)`.
        **settings: further fields of `shisen.train.torch.Settings`.

    Returns:
        A `Run`; `shisen.load(out)` gives the model.

    Raises:
        InputError: for sources without labelled pictures, or classes that do not fit.
        ModelError: for a backbone that cannot be fine-tuned.
    """
    if framework != "torch":
        raise InputError(explain_error("finetune() trains in torch.", repr(framework), "Use framework='torch'."))
    try:
        from .torch import Settings
    except ImportError as problem:
        raise require("torch", "torch", "finetune()") from problem
    wanted = Settings(epochs=epochs, seed=seed, **settings)
    learn = read_dataset(train)
    check = None if val is None else read_dataset(val)
    report = look(learn, check)
    learn = _readable(learn, report)
    check = None if check is None else _readable(check, report)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    told = progress or (lambda words, done, total: None)
    return _train_torch(folder, (learn, check), (backbone, device, size, keep), wanted, (report, told))


def _readable(data: Dataset, report: DataReport) -> Dataset:
    items = tuple(i for i in data.items if i.name not in report.unreadable)
    if not items:
        raise InputError(explain_error("There must be pictures that can be read.", "none", "Check the files."))
    return Dataset(data.root, items, data.labels)


def _train_torch(
    folder: Path,
    data: tuple[Dataset, Dataset | None],
    choice: tuple[str, str, int | None, str | Path | None],
    settings: Settings,
    around: tuple[DataReport, Progress],
) -> Run:
    import torch

    from .split import split
    from .torch import Cache, Part, evaluate
    from .torch import train as train_tail

    (learn, check), (backbone, device, size, keep), (report, told) = data, choice, around
    torch.manual_seed(settings.seed)
    model = _stretched(_load(backbone, device), size)
    sample = _inputs(model, [model.prepare(model.read(learn.items[0].path))[0]] * 2)
    parts = split(model.network.net, sample.to(_home(model.network.net)), len(learn.labels), settings.blocks)
    shape = tuple(parts.body(sample.to(_home(parts.net))).shape[1:])
    made: list[Part | None] = [None, None]
    for i, (part, views) in enumerate(((learn, 1 + settings.flip), (check, 1))):
        if part is None:
            continue
        key = _key(part, backbone, (shape, views, asdict(settings)["blocks"]))
        cache = Cache(folder / "cache" / f"{key}.bin", views * len(part), shape)
        store = None
        if keep is not None:  # the body's own weights are part of the name
            body = _digest(parts.body.state_dict(), (asdict(model.preprocess), shape))  # type: ignore[arg-type]
            store = Store(Path(keep) / f"{body}.bin", shape)
        _fill(cache, store, parts, _Views(model, part.items, views), told)
        made[i] = Part(cache, part.indices(learn.labels))
    identity = _key(learn, backbone, "" if check is None else _key(check, backbone, ""))
    history = train_tail(parts, made, settings, folder / "cache" / f"{identity}.pt", told)
    counts = np.zeros((0, 0), np.int64)
    accuracy = float("nan")
    if made[1] is not None:
        logits = evaluate(parts, made[1].cache, np.arange(len(made[1].targets)))
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
    _write(run, model, {"backbone": backbone, "settings": asdict(settings)}, (learn, check))
    shutil.rmtree(folder / "cache")
    return run


class _Views:
    """Scaled inputs, decoded ahead in threads: all pictures, then all of them mirrored."""

    def __init__(self, model: Model, items: tuple[Item, ...], views: int) -> None:
        self.model, self.items, self.total = model, items, views * len(items)

    def _one(self, row: int) -> Any:
        image = self.model.prepare(self.model.read(self.items[row % len(self.items)].path))[0]
        return image[:, ::-1] if row >= len(self.items) else image

    def names(self) -> list[str]:
        """Return a name for every row: digest of the file, and whether it is mirrored."""
        files = list(ahead(lambda item: hashlib.sha256(Path(item.path).read_bytes()).hexdigest(), self.items))
        return [f"{name}/{view}" for view in range(self.total // len(files)) for name in files]

    def batches(self, rows: Sequence[int]) -> Iterator[Any]:
        """Yield inputs of these rows, batch by batch."""
        batch: list[Any] = []
        for image in ahead(self._one, rows):
            batch.append(image)
            if len(batch) == BATCH:
                yield _inputs(self.model, batch)
                batch = []
        if batch:
            yield _inputs(self.model, batch)


def _fill(cache: Cache, store: Store | None, parts: Split, views: _Views, told: Progress) -> None:
    """Fill the cache from where it ends: from the store where it has a picture, else through the body."""
    from .torch import fill

    words = "Reading pictures"
    if store is None:
        rows = range(cache.done, views.total)
        fill(cache.write, parts, views.batches(rows), lambda done: told(words, done, views.total))
        return
    names = views.names()
    missing = list({name: row for row, name in reversed(list(enumerate(names))) if name not in store}.values())[::-1]
    new = iter([names[row] for row in missing])

    def write(values: Any) -> int:
        store.write([next(new) for _ in values], values)
        return views.total - sum(name not in store for name in names)

    fill(write, parts, views.batches(missing), lambda done: told(words, done, views.total))
    for start in range(cache.done, views.total, 256):
        cache.write(store.take(names[start : start + 256]))
    told(words, views.total, views.total)


def _digest(state: Any, rest: Any) -> str:
    """Return a name for weights and whatever else a result depends on."""
    digest = hashlib.sha256(json.dumps(rest, default=str).encode())
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def _load(backbone: str, device: str) -> Model:
    from ..models.loading import load

    return load(backbone, framework="torch" if ":" not in backbone else "", device=device)


def _stretched(model: Model, size: int | None) -> Model:
    """Return the model with whole pictures as input: what lies at their border must not be cut off."""
    if model.preprocess is None:
        raise ModelError(
            explain_error("A backbone must come with its preprocessing.", model.name, "Take one that load() knows.")
        )
    return model.with_preprocess(model.preprocess.with_size(size, "stretch"))


def _home(net: Any) -> Any:
    return next(net.parameters()).device


def _inputs(model: Model, images: list[Any]) -> Any:
    """Return pictures as the torch network itself takes them: scaled, `(n, c, h, w)`."""
    import torch

    scaling = model.preprocess.scaling()  # type: ignore[union-attr]
    x = torch.from_numpy(np.stack(images))
    x = x * x.new_tensor(scaling.scale) + x.new_tensor(scaling.shift)
    return (x.flip(-1) if scaling.reverse else x).permute(0, 3, 1, 2)


def _key(part: Dataset, backbone: str, rest: Any) -> str:
    """Return a name for cached work that changes when pictures, classes, backbone or settings change."""
    digest = hashlib.sha256(json.dumps([backbone, rest], default=str).encode())
    for item in part.items:
        size = Path(item.path).stat()
        digest.update(f"{item.name}\0{item.label}\0{size.st_size}\0{size.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _write(run: Run, model: Model, made: dict[str, Any], data: tuple[Dataset, Dataset | None]) -> None:
    """Write weights, figures and, last, the record that makes the folder a run."""
    from safetensors.torch import save

    from .. import __version__
    from .figures import confusion_figure, history_figure
    from .torch import replace_file

    folder = Path(run.folder)
    weights = save({k: v.detach().cpu().contiguous() for k, v in model.network.net.state_dict().items()})
    replace_file(folder / "weights.safetensors", weights)
    history_figure(run.history, folder / "history.png")
    if run.confusion:
        shown = {"labels": list(run.labels), "accuracy": run.accuracy, "counts": [list(row) for row in run.confusion]}
        replace_file(folder / "confusion.json", _json(shown))
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
        "sha256": {"weights.safetensors": hashlib.sha256(weights).hexdigest()},
    }
    replace_file(folder / "shisen.json", _json(record))


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

    Raises:
        ModelError: for a folder that is incomplete or altered.
    """
    from ..models.loading import load, wrap
    from ..models.preprocess import Preprocess
    from ..models.torch_files import load_weights
    from .split import with_classes

    folder = Path(name).expanduser()
    try:
        record = json.loads((folder / "shisen.json").read_text("utf-8"))
        content = (folder / "weights.safetensors").read_bytes()
        labels, backbone, expected = record["labels"], record["backbone"], record["sha256"]["weights.safetensors"]
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
    net = load(backbone, framework="torch" if ":" not in backbone else "", device=request.device).network.net
    with_classes(net, len(labels))
    load_weights(net, folder / "weights.safetensors")
    net.eval()
    return wrap(net, preprocess=Preprocess(**settings), labels=labels, name=folder.name)


__all__ = ["Run", "finetune", "load_run"]
