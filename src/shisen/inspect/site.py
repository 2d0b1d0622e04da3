"""Static pages about what channels of a model detect: one page per layer and one per channel; no server is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.html import render
from .._core.io import write_file
from ..naming import label
from ..targets import to_numpy
from ..viz.files import save_image
from .examples import Examples
from .filters import FilterGrid, labels_of

BINS = 24


@dataclass(frozen=True)
class CropFile:
    """A crop of a photo: its file, the channel's activation there, and the photo's name."""

    file: str
    value: float
    source: str


@dataclass(frozen=True)
class Histogram:
    """Counts as fractions of the highest one, between the lowest and the highest value."""

    bars: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Contribution:
    """The part of a class's logit that a channel carries."""

    label: str
    logit: float


@dataclass(frozen=True)
class Unit:
    """What a page says about one channel.

    Attributes:
        name: number or class.
        address: file name of its page.
        image: file of the generated image.
        fired: whether that activates the channel.
        final: its objective there.
        ratio: `final` divided by the maximum on photos, or None.
        crops: the photos' crops.
        histogram: of the channel's maximum activation in each photo, or None.
        classes: the classes it contributes to most.
    """

    name: str
    address: str
    image: str
    fired: bool
    final: float
    ratio: float | None
    crops: tuple[CropFile, ...]
    histogram: Histogram | None
    classes: tuple[Contribution, ...]


def site(items: Sequence[tuple[FilterGrid, Examples | None]], folder: str | Path, *, lang: str = "en") -> Path:
    """Write the pages.

    Args:
        items: the generated images of each layer, with the examples of the same channels or None.
        folder: made if missing.
        lang: code of the pages' language.

    Returns:
        The path of index.html.

    Raises:
        UnknownName: for an unknown language.
        MissingDependency: without jinja2.
    """
    root = Path(folder)

    def write(file: str, template: str, **values: Any) -> None:
        html = render("shisen.inspect", template, lang, extra="inside", **values)
        write_file(root / file, html)

    layers = []
    for made, examples in items:
        name = made.layer.replace("/", ".")
        units = [_unit(made, examples, i, root, name) for i in range(len(made.channels))]
        for unit, before, after in zip(units, [None, *units], [*units[1:], None], strict=False):
            write(
                unit.address,
                "unit.html",
                layer=made.layer,
                home=f"{name}.html",
                unit=unit,
                before=before.address if before else "",
                after=after.address if after else "",
            )
        write(f"{name}.html", "layer.html", layer=made.layer, recipe=made.recipe, units=units)
        layers.append({"path": made.layer, "address": f"{name}.html", "units": units})
    write("index.html", "index.html", title=items[0][0].model_name if items else "", layers=layers)
    return root / "index.html"


def contributions(made: FilterGrid, index: int, *, n_classes: int = 5) -> tuple[Contribution, ...]:
    """Return the classes whose logits fall most when a channel is set to zero in its own generated image.

    logit(image) − logit(image with channel = 0); only what lies downstream of the layer is run again.

    Args:
        made: the generated images.
        index: which of them.
        n_classes: number of classes.

    Returns:
        The largest first; nothing for objectives that are not channels, and for the logits.
    """
    channel = made.channels[index]
    if made.layer == "logits" or not isinstance(channel, (int, np.integer)):
        return ()
    image = made.images[index : index + 1]
    value = to_numpy(made.model.activations(image, made.layer)).astype(np.float32)
    both = np.concatenate([value, value])
    both[1, ..., int(channel)] = 0.0
    logits = to_numpy(made.model.replaced(image, both, made.layer))
    fall = logits[0] - logits[1]
    names = labels_of(made.model)
    best = np.argsort(-fall)[:n_classes]
    return tuple(Contribution(label(int(k), names), float(fall[k])) for k in best if fall[k] > 0)


def histogram(values: npt.NDArray[Any]) -> Histogram:
    """Return the histogram of some values in 24 bins."""
    counts, edges = np.histogram(values, bins=BINS)
    bars = tuple(float(c) / max(int(counts.max()), 1) for c in counts)
    return Histogram(bars, float(edges[0]), float(edges[-1]))


def _unit(made: FilterGrid, examples: Examples | None, i: int, root: Path, name: str) -> Unit:
    stem = f"{name}_{i}"
    image = f"img/{stem}.webp"
    save_image(made.image(i), root / image)
    crops = []
    for k, crop in enumerate(examples.crops[i] if examples else ()):
        file = f"img/{stem}_{k}.webp"
        save_image(Image.fromarray(crop.pixels), root / file)
        crops.append(CropFile(file, crop.value, Path(crop.source).name))
    return Unit(
        name=made.name(i),
        address=f"{stem}.html",
        image=image,
        fired=bool(made.fired[i]),
        final=float(made.final[i]),
        ratio=None if made.ratio is None else float(made.ratio[i]),
        crops=tuple(crops),
        histogram=histogram(examples.values[:, i]) if examples else None,
        classes=contributions(made, i),
    )
