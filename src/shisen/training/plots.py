"""Figures of a training: its history and its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.io import write_file

if TYPE_CHECKING:
    from .settings import Epoch


def history_figure(history: Sequence[Epoch], path: Path) -> None:
    """Draw loss and accuracy by epoch; epoch 0 is the linear head alone.

    Args:
        history: scores of each epoch, the oldest first.
        path: path of the image to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = [e.epoch for e in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [getattr(e, name) for e in history], "o-", label="training, measured on the way")
        values = [getattr(e, f"val_{name}") for e in history]
        if not any(v != v for v in values):
            axes.plot(epochs, values, "s-", label="validation")
        axes.set_xlabel("epoch (0: linear head, frozen body)")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def confusion_figure(counts: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix: rows true, columns predicted, colored by the fraction of the row.

    Args:
        counts: number of images of each true class (rows) and predicted class (columns).
        labels: names of the classes.
        path: path of the image to write.
    """
    from matplotlib.figure import Figure

    side = max(3.5, 1.8 + 0.55 * len(labels))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    fractions = [[v / max(sum(row), 1) for v in row] for row in counts]
    shown = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, label="fraction of the true class", shrink=0.8)
    if len(labels) <= 30:
        for i, row in enumerate(counts):
            for j, value in enumerate(row):
                if value:
                    color = "white" if fractions[i][j] > 0.5 else "black"
                    axes.text(j, i, str(value), ha="center", va="center", color=color)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    import io

    buffer = io.BytesIO()
    # no version or date inside: equal figures are equal files
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_file(path, buffer.getvalue())
