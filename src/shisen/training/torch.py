"""Training in torch: a frozen body whose activations are kept, a linear head, then the last blocks."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from .._core.i18n import N_
from .._core.io import write_file
from .._core.progress import Progress
from .cache import Cache
from .settings import Epoch, Part, Settings, figures, rate_at, stale
from .split import Split, split

if TYPE_CHECKING:
    from ..models.model import Model


class TorchTrainer:
    """A torch backbone cut in two; see `settings.Trainer`.

    Args:
        model: from `load`, with the preprocessing of the run.
        sample: two images `(2, h, w, 3)` in [0, 1].
        classes: number of classes.
        settings: how many blocks to train, and the seed.

    Raises:
        ModelError: for a network without a linear classifier.
    """

    weights = "weights.safetensors"

    def __init__(self, model: Model, sample: npt.NDArray[np.float32], classes: int, settings: Settings) -> None:
        self.scaling = model.preprocess.scaling()  # type: ignore[union-attr]
        self.net = model.network.net
        self.home = next(self.net.parameters()).device
        x = self._inputs(sample).to(self.home)
        self.parts = split(self.net, x, classes, settings.blocks)
        self.shape = tuple(self.parts.body(x).shape[1:])

    def _inputs(self, images: npt.NDArray[np.float32]) -> Any:
        """Return images as the network itself takes them: scaled, `(n, c, h, w)`."""
        x = torch.from_numpy(images)
        x = x * x.new_tensor(self.scaling.scale) + x.new_tensor(self.scaling.shift)
        return (x.flip(-1) if self.scaling.reverse else x).permute(0, 3, 1, 2)

    def body(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
        """Return the frozen body's activations of images `(n, h, w, 3)` in [0, 1]."""
        self.net.eval()
        with torch.no_grad(), autocast(self.home):
            y = self.parts.body(_laid_out(self._inputs(images).to(self.home)))
        # beyond the range of 16-bit floats lies nothing that a sane body answers
        return np.asarray(y.float().clamp(-65504, 65504).cpu().numpy().astype(np.float16))

    def frozen(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the body's weights by name."""
        for name, value in self.parts.body.state_dict().items():
            yield name, value.detach().cpu().numpy()

    def train(
        self, data: Sequence[Part | None], settings: Settings, checkpoint: Path, progress: Progress
    ) -> list[Epoch]:
        """Train the head, then the last blocks; see `train`."""
        return train(self.parts, data, settings, checkpoint.with_suffix(".pt"), progress)

    def evaluate(self, part: Part) -> npt.NDArray[np.float32]:
        """Return the logits of every image."""
        return evaluate(self.parts, part.cache, np.arange(len(part.targets)))

    def save(self, folder: Path) -> None:
        """Write the weights."""
        from safetensors.torch import save

        state = {k: v.detach().cpu().contiguous() for k, v in self.net.state_dict().items()}
        write_file(folder / self.weights, save(state))


def _laid_out(x: Any) -> Any:
    """Return feature maps channels last, as the convolutions like them; vectors as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def autocast(device: Any) -> Any:
    """Return mixed precision on a GPU, and nothing on a CPU, where it is slower."""
    return torch.autocast("cuda") if device.type == "cuda" else nullcontext()


def pooled(cache: Cache, parts: Split) -> Any:
    """Return what the classifier is given for every row, `(rows, c)`.

    Args:
        cache: the activations of the frozen backbone.
        parts: the network, cut into frozen backbone and trained part.
    """
    device, found = parts.classifier.weight.device, []
    parts.net.eval()
    with torch.no_grad():
        for start in range(0, len(cache.rows), 64):
            rows = np.arange(start, min(start + 64, len(cache.rows)))
            x = _laid_out(torch.from_numpy(cache.take(rows)).to(device))
            found.append(parts.features(x).float().cpu())
    return torch.cat(found)


def fit_head(parts: Split, features: Any, targets: Any, *, penalty: float = 1e-4) -> tuple[float, float]:
    """Fit the linear classifier on pooled features: softmax regression with an L2 penalty, by L-BFGS.

    loss = mean cross-entropy + penalty · ‖W·σ‖², on features divided by their standard deviations σ.

    Args:
        parts: the network, cut into frozen backbone and trained part.
        features: `(n, c)` pooled features.
        targets: class numbers, `(n,)`.
        penalty: weight of the L2 penalty.

    Returns:
        Mean cross-entropy and accuracy on these features.
    """
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-4)
    x = ((features - mean) / spread).double()
    weight = torch.zeros(parts.classifier.out_features, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(parts.classifier.out_features, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight.T + bias, targets) + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        scaled = weight / spread
        parts.classifier.weight.copy_(scaled)
        parts.classifier.bias.copy_(bias - scaled @ mean.double())
        logits = x @ weight.T + bias
    return figures(logits.float().numpy(), targets.numpy())


def evaluate(parts: Split, cache: Cache, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the logits of these rows, in evaluation mode.

    Args:
        parts: the network, cut into frozen backbone and trained part.
        cache: the activations of the frozen backbone.
        rows: row numbers in the cache.
    """
    device, found = parts.classifier.weight.device, []
    parts.net.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            x = _laid_out(torch.from_numpy(cache.take(rows[start : start + 64])).to(device))
            found.append(parts.tail(x).float().cpu().numpy())
    return np.concatenate(found)


def train(
    parts: Split, data: Sequence[Part | None], settings: Settings, checkpoint: Path, progress: Progress
) -> list[Epoch]:
    """Train the head, then the last blocks with scale and shift of their batch normalization; keep the best epoch.

    Every epoch ends in a checkpoint, from which a stopped run continues to the same weights.

    Args:
        parts: the network.
        data: images to learn from, and images to validate on or None.
        settings: how.
        checkpoint: file for the state after each epoch.
        progress: called after every epoch.

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
    optimizer = torch.optim.AdamW(parts.tail.parameters(), lr=settings.rate, weight_decay=settings.decay)
    total = max(1, settings.epochs * steps)
    state: dict[str, Any] = {}
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if state.get("settings") != asdict(settings):
            state = {}
    if state:
        parts.tail.load_state_dict(state["tail"])
        optimizer.load_state_dict(state["optimizer"])
    else:
        head = (math.nan, math.nan)
        if parts.features is not None:
            head = fit_head(parts, pooled(learn.cache, parts), targets.repeat(learn.views))
        state = {"epoch": -1, "history": [], "best": None, "settings": asdict(settings)}
        _close_epoch(parts, optimizer, state, (head, check), checkpoint)
    for epoch in range(state["epoch"] + 1, settings.epochs + 1):
        if stale(state["history"], settings.patience):
            break
        learned = _one_epoch(parts, optimizer, learn, settings, (epoch, steps, total))
        _close_epoch(parts, optimizer, state, (learned, check), checkpoint)
        progress(epoch, settings.epochs, N_("Training"))
    parts.tail.load_state_dict(state["best"])
    parts.net.eval()
    return [Epoch(*row) for row in state["history"]]


def _one_epoch(
    parts: Split, optimizer: Any, learn: Part, settings: Settings, when: tuple[int, int, int]
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
        # batch normalization keeps its statistics and learns scale and shift: small batches would blur them
        module.training = not isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    losses, hits, seen = 0.0, 0, 0
    for step in range(steps):
        now = ((epoch - 1) * steps + step) / total
        for group in optimizer.param_groups:
            group["lr"] = rate_at(settings, now, 1 / total)
        rows = order[step * settings.batch : (step + 1) * settings.batch]
        x = torch.from_numpy(learn.cache.take(views[rows] * len(order) + rows)).to(device)
        with torch.enable_grad(), autocast(device):
            y = parts.tail(_laid_out(x))
            t = torch.from_numpy(learn.targets[rows]).to(device)
            loss = F.cross_entropy(y.float(), t, label_smoothing=settings.smoothing)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        with torch.no_grad():
            losses += float(F.cross_entropy(y.float(), t, reduction="sum"))
            hits += int((y.argmax(1) == t).sum())
            seen += len(rows)
    return losses / max(seen, 1), hits / max(seen, 1)


def _close_epoch(
    parts: Split,
    optimizer: Any,
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
    state["optimizer"] = optimizer.state_dict()
    if better:
        state["best"] = {k: v.clone() for k, v in parts.tail.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_file(checkpoint, buffer.getvalue())


__all__ = ["TorchTrainer", "train"]
