"""Training in torch: a frozen body whose activations are kept, a linear head, then the last blocks."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from .split import Split

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the pictures with the last blocks trained.
        blocks: number of last blocks to train; None for 7 of 16, 0 for the linear head only.
        rate: highest learning rate of the last blocks, on a cosine after a short rise.
        batch: pictures a step.
        decay: weight decay.
        smoothing: label smoothing.
        patience: epochs without a better validation loss after which training stops.
        flip: whether mirrored pictures are shown too.
        seed: of every random choice.
    """

    epochs: int = 5
    blocks: int | None = None
    rate: float = 5e-4
    batch: int = 32
    decay: float = 1e-2
    smoothing: float = 0.1
    patience: int = 3
    flip: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; epoch 0 is the linear head on the frozen body. NaN where there is no validation."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


class Cache:
    """The body's activations of many pictures in a file of 16-bit floats, made once, continued after a stop.

    Args:
        path: the file; its progress is kept beside it.
        count: number of rows.
        shape: of one row.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.mark = path, path.with_suffix(".done")
        fresh = not (path.is_file() and path.stat().st_size == 2 * count * math.prod(shape))
        if fresh:
            self.mark.unlink(missing_ok=True)
        self.rows = np.memmap(path, np.float16, "w+" if fresh else "r+", shape=(count, *shape))
        self.done = int(self.mark.read_text()) if self.mark.is_file() else 0

    def write(self, values: npt.NDArray[np.float16]) -> int:
        """Append rows and note that they are there; return how many are."""
        self.rows[self.done : self.done + len(values)] = values
        self.rows.flush()
        self.done += len(values)
        replace_file(self.mark, str(self.done).encode())
        return self.done

    def take(self, rows: npt.NDArray[np.int64]) -> Any:
        """Return rows as a float32 tensor."""
        return torch.from_numpy(np.asarray(self.rows[rows], dtype=np.float32))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _laid_out(x: Any) -> Any:
    """Return feature maps channels last, as the convolutions like them; vectors as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def autocast(device: Any) -> Any:
    """Return mixed precision on a GPU, and nothing on a CPU, where it is slower."""
    return torch.autocast("cuda") if device.type == "cuda" else nullcontext()


def fill(write: Callable[[Any], int], parts: Split, batches: Iterable[Any], told: Callable[[int], None]) -> None:
    """Send pictures through the frozen body.

    Args:
        write: takes the activations of a batch, `(n, …)` in 16-bit floats, and answers how many are done.
        parts: the network.
        batches: scaled inputs `(n, c, h, w)`.
        told: told how many are done.
    """
    device = parts.classifier.weight.device
    parts.net.eval()
    with torch.no_grad(), autocast(device):
        for x in batches:
            y = parts.body(_laid_out(x.to(device)))
            # beyond the range of 16-bit floats lies nothing that a sane body answers
            told(write(y.float().clamp(-65504, 65504).cpu().numpy().astype(np.float16)))


def pooled(cache: Cache, parts: Split) -> Any:
    """Return what the classifier is given for every row, `(rows, c)`."""
    device, found = parts.classifier.weight.device, []
    parts.net.eval()
    with torch.no_grad():
        for start in range(0, len(cache.rows), 64):
            rows = np.arange(start, min(start + 64, len(cache.rows)))
            x = _laid_out(cache.take(rows).to(device))
            found.append(parts.features(x).float().cpu())
    return torch.cat(found)


def fit_head(parts: Split, features: Any, targets: Any, *, penalty: float = 1e-4) -> tuple[float, float]:
    """Fit the linear classifier on pooled features: softmax regression with an L2 penalty, by L-BFGS.

    loss = mean cross-entropy + penalty · ‖W·σ‖², on features divided by their standard deviations σ.

    Returns:
        Mean cross-entropy and accuracy on these features.
    """
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-4)
    x = ((features - mean) / spread).double()
    weight = torch.zeros(parts.classifier.out_features, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(parts.classifier.out_features, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimiser.zero_grad()
        loss = F.cross_entropy(x @ weight.T + bias, targets) + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
    with torch.no_grad():
        scaled = weight / spread
        parts.classifier.weight.copy_(scaled)
        parts.classifier.bias.copy_(bias - scaled @ mean.double())
        logits = x @ weight.T + bias
    return figures(logits.float().numpy(), targets.numpy())


def evaluate(parts: Split, cache: Cache, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the logits of these rows, in evaluation mode."""
    device, found = parts.classifier.weight.device, []
    parts.net.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            x = _laid_out(cache.take(rows[start : start + 64]).to(device))
            found.append(parts.tail(x).float().cpu().numpy())
    return np.concatenate(found)


def figures(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy."""
    y, t = torch.from_numpy(logits), torch.from_numpy(targets)
    return float(F.cross_entropy(y, t)), float((y.argmax(1) == t).float().mean())


@dataclass(frozen=True)
class Part:
    """Cached activations and classes; `views` rows a picture, the pictures of one view together."""

    cache: Cache
    targets: npt.NDArray[np.int64]

    @property
    def views(self) -> int:
        return len(self.cache.rows) // len(self.targets)


def train(
    parts: Split, data: Sequence[Part | None], settings: Settings, checkpoint: Path, progress: Progress
) -> list[Epoch]:
    """Train the head, then the last blocks with scale and shift of their batch normalisation; keep the best epoch.

    Every epoch ends in a checkpoint, from which a stopped run continues to the same weights.

    Args:
        parts: the network.
        data: pictures to learn from, and pictures to validate on or None.
        settings: how.
        checkpoint: file for the state after each epoch.
        progress: told about epochs done.

    Returns:
        The figures of every epoch.
    """
    learn, check = data[0], data[1]
    assert learn is not None
    torch.manual_seed(settings.seed)
    torch.set_flush_denormal(True)
    for p in parts.net.parameters():
        p.requires_grad_(False)
    for p in parts.tail.parameters():
        p.requires_grad_(True)
    targets = torch.from_numpy(learn.targets)
    steps = math.ceil(len(learn.targets) / settings.batch)
    optimiser = torch.optim.AdamW(parts.tail.parameters(), lr=settings.rate, weight_decay=settings.decay)
    total = max(1, settings.epochs * steps)
    state: dict[str, Any] = {}
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if state.get("settings") != asdict(settings):
            state = {}
    if state:
        parts.tail.load_state_dict(state["tail"])
        optimiser.load_state_dict(state["optimiser"])
    else:
        head = (math.nan, math.nan)
        if parts.features is not None:
            head = fit_head(parts, pooled(learn.cache, parts), targets.repeat(learn.views))
        state = {"epoch": -1, "history": [], "best": None, "settings": asdict(settings)}
        _close_epoch(parts, optimiser, state, (head, check), checkpoint)
    for epoch in range(state["epoch"] + 1, settings.epochs + 1):
        if _stale(state["history"], settings.patience):
            break
        learned = _one_epoch(parts, optimiser, learn, settings, (epoch, steps, total))
        _close_epoch(parts, optimiser, state, (learned, check), checkpoint)
        progress("Training", epoch, settings.epochs)
    parts.tail.load_state_dict(state["best"])
    parts.net.eval()
    return [Epoch(*row) for row in state["history"]]


def _one_epoch(
    parts: Split, optimiser: Any, learn: Part, settings: Settings, when: tuple[int, int, int]
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss without smoothing and the accuracy, measured on the way."""
    epoch, steps, total = when
    device = parts.classifier.weight.device
    draw = np.random.default_rng([settings.seed, epoch])
    torch.manual_seed(settings.seed * 1000 + epoch)  # dropout
    order = draw.permutation(len(learn.targets))
    views = draw.integers(learn.views, size=len(order))
    scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")
    parts.net.eval()
    for module in parts.tail.modules():
        # batch normalisation keeps its statistics and learns scale and shift: small batches would blur them
        module.training = not isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    losses, hits, seen = 0.0, 0, 0
    for step in range(steps):
        now = ((epoch - 1) * steps + step) / total
        rise = min(1.0, (now + 1 / total) / 0.1)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * rise * 0.5 * (1 + math.cos(math.pi * now))
        rows = order[step * settings.batch : (step + 1) * settings.batch]
        x = learn.cache.take(views[rows] * len(order) + rows).to(device)
        with torch.enable_grad(), autocast(device):
            y = parts.tail(_laid_out(x))
            t = torch.from_numpy(learn.targets[rows]).to(device)
            loss = F.cross_entropy(y.float(), t, label_smoothing=settings.smoothing)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        with torch.no_grad():
            losses += float(F.cross_entropy(y.float(), t, reduction="sum"))
            hits += int((y.argmax(1) == t).sum())
            seen += len(rows)
    return losses / max(seen, 1), hits / max(seen, 1)


def _close_epoch(
    parts: Split,
    optimiser: Any,
    state: dict[str, Any],
    data: tuple[tuple[float, float], Part | None],
    checkpoint: Path,
) -> None:
    """Measure, remember the best weights, and write the checkpoint."""
    (loss, accuracy), check = data
    state["epoch"] += 1
    val_loss, val_accuracy = math.nan, math.nan
    if check is not None:
        val_loss, val_accuracy = figures(evaluate(parts, check.cache, np.arange(len(check.targets))), check.targets)
    history = [Epoch(*row) for row in state["history"]]
    now = Epoch(state["epoch"], loss, accuracy, val_loss, val_accuracy)
    better = not history or check is None or val_loss < min(e.val_loss for e in history)
    state["history"].append([now.epoch, now.loss, now.accuracy, now.val_loss, now.val_accuracy])
    state["tail"] = parts.tail.state_dict()
    state["optimiser"] = optimiser.state_dict()
    if better:
        state["best"] = {k: v.clone() for k, v in parts.tail.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(checkpoint, buffer.getvalue())


def _stale(history: list[list[float]], patience: int) -> bool:
    losses = [row[3] for row in history]
    if any(math.isnan(v) for v in losses) or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])


__all__ = ["Cache", "Epoch", "Part", "Progress", "Settings", "Split", "fill", "train"]
