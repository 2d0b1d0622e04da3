"""Training in torch: a frozen body whose activations are kept, a linear head, then the last blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from .._core.io import write_file
from ..models.weight_files import load_weights
from . import run_loading
from .cache import Cache
from .settings import Batch, Part, Settings, figures
from .split import Split, split, with_classes

if TYPE_CHECKING:
    from ..models.model import Model
    from ..models.wrapping import Request


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Take denormal numbers for zero, which small weights turn into and which are slow; as before afterwards."""
    before = float(torch.full((1,), 1e-40) * 0.5) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


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
        torch.manual_seed(settings.seed)
        self.scaling = model.network.scaling
        self.net = model.network.net
        self.home = next(self.net.parameters()).device
        x = self._inputs(sample).to(self.home)
        self.parts = split(self.net, x, classes, settings.blocks)
        self.shape = tuple(self.parts.body(x).shape[1:])

    @staticmethod
    def restored(file: Path, request: Request, backbone: str, classes: int) -> Any:
        """Return the network that a run has trained: the backbone with another classifier and the run's weights."""
        net = run_loading.load_backbone(backbone, "torch", request.device).network.net
        with_classes(net, classes)
        load_weights(net, file)
        return net.eval()

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

    def take(self, file: Path) -> None:
        """Take all weights from a file that `save` wrote."""
        from ..models.weight_files import load_weights

        load_weights(self.net, file)

    def start(self, settings: Settings) -> None:
        """Prepare the trainable part and its optimizer."""
        self.settings = settings
        for p in self.net.parameters():
            p.requires_grad_(False)
        for p in self.parts.trainable.parameters():
            p.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.parts.trainable.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.best: dict[str, Any] = {}

    def resume(self, checkpoint: Path) -> list[list[float]]:
        """Continue from a checkpoint of the same settings; return the figures of its epochs."""
        file = checkpoint.with_suffix(".pt")
        if not file.is_file():
            return []
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state.get("settings") != asdict(self.settings):
            return []
        self.parts.trainable.load_state_dict(state["trainable"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        history: list[list[float]] = state["history"]
        return history

    @flush_denormals()
    def fit_head(self, learn: Part) -> tuple[float, float]:
        """Fit the linear head, where the network could be cut in front of it; see `fit_head`."""
        if self.parts.features is None:
            return math.nan, math.nan
        rows = np.arange(len(learn.cache.rows))
        features = self._through(self.parts.features, learn.cache, rows)
        return fit_head(self.parts, features, torch.from_numpy(learn.targets).repeat(learn.views))

    @flush_denormals()
    def epoch(self, number: int, batches: Iterable[Batch]) -> tuple[float, float]:
        """Train for one epoch; see `settings.Trainer`."""
        torch.manual_seed(self.settings.seed * 1000 + number)  # dropout
        scaler = torch.amp.GradScaler("cuda", enabled=self.home.type == "cuda")
        self.net.eval()
        for module in self.parts.trainable.modules():
            # batch normalization keeps its statistics and learns scale and shift: small batches would blur them
            module.training = not isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        loss_sum, hits, seen = 0.0, 0, 0
        for batch in batches:
            for group in self.optimizer.param_groups:
                group["lr"] = batch.rate
            x = _laid_out(torch.from_numpy(batch.inputs).to(self.home), self.parts.trainable)
            t = torch.from_numpy(batch.targets).to(self.home)
            with torch.enable_grad(), autocast(self.home):
                y = self.parts.trainable(x)
                loss = F.cross_entropy(y.float(), t, label_smoothing=self.settings.label_smoothing)
            self.optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(self.optimizer)
            scaler.update()
            with torch.no_grad():
                loss_sum += float(F.cross_entropy(y.float(), t, reduction="sum"))
                hits += int((y.argmax(1) == t).sum())
                seen += len(t)
        return loss_sum / max(seen, 1), hits / max(seen, 1)

    def keep(self, checkpoint: Path, history: list[list[float]], best: bool) -> None:
        """Write a checkpoint; see `settings.Trainer`."""
        trainable = self.parts.trainable.state_dict()
        if best:
            self.best = {k: v.clone() for k, v in trainable.items()}
        state = {
            "settings": asdict(self.settings),
            "history": history,
            "trainable": trainable,
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
        }
        write_file(checkpoint.with_suffix(".pt"), lambda file: torch.save(state, file))

    def restore_best(self) -> None:
        """Take the weights of the best epoch."""
        self.parts.trainable.load_state_dict(self.best)
        self.net.eval()

    def _through(self, part: Any, cache: Cache, rows: npt.NDArray[np.int64]) -> Any:
        """Return the output of a piece of the trainable part for these rows, `(rows, c)` on the CPU."""
        self.net.eval()
        with torch.no_grad():
            batches = (cache.take(rows[i : i + 64]) for i in range(0, len(rows), 64))
            return torch.cat([part(_laid_out(torch.from_numpy(x).to(self.home))).float().cpu() for x in batches])

    @flush_denormals()
    def evaluate(self, part: Part) -> npt.NDArray[np.float32]:
        """Return the logits of every image."""
        found = self._through(self.parts.trainable, part.cache, np.arange(len(part.targets)))
        return np.asarray(found.numpy())

    def save(self, folder: Path) -> None:
        """Write the weights."""
        from safetensors.torch import save

        state = {k: v.detach().cpu().contiguous() for k, v in self.net.state_dict().items()}
        write_file(folder / self.weights, save(state))


def _laid_out(x: Any, trained: Any = None) -> Any:
    """Return feature maps channels last, as the convolutions like them; vectors as they are.

    Args:
        x: `(n, c, h, w)` or `(n, c)`.
        trained: the layers whose weights get gradients; None if there are none.
    """
    if x.dim() != 4 or (trained is not None and any(_needs_contiguous(m) for m in trained.modules())):
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last)


def _needs_contiguous(module: Any) -> bool:
    """Tell of a convolution for whose weight gradient torch 2.13 writes out of bounds in channels-last memory."""
    return (
        isinstance(module, torch.nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < 16
    )


def autocast(device: Any) -> Any:
    """Return mixed precision on a GPU, and nothing on a CPU, where it is slower."""
    return torch.autocast("cuda") if device.type == "cuda" else nullcontext()


def fit_head(parts: Split, features: Any, targets: Any, *, penalty: float = 1e-4) -> tuple[float, float]:
    """Fit the linear classifier on pooled features: softmax regression with an L2 penalty, by L-BFGS.

    loss = mean cross-entropy + penalty · ‖W·σ‖², on features divided by their standard deviations σ.

    Args:
        parts: the network, whose classifier is set.
        features: `(n, c)`, a tensor on the CPU.
        targets: `(n,)` class numbers.
        penalty: weight of the L2 penalty.

    Returns:
        Mean cross-entropy and accuracy on these features.
    """
    mean, deviation = features.mean(0), features.std(0).clamp_min(1e-4)
    x = ((features - mean) / deviation).double()
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
        scaled = weight / deviation
        parts.classifier.weight.copy_(scaled)
        parts.classifier.bias.copy_(bias - scaled @ mean.double())
        logits = x @ weight.T + bias
    return figures(logits.float().numpy(), targets.numpy())
