"""A microscope for one's own model: static pages, one a layer and one a unit, that need no server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.io import write_file
from ..naming import label
from ..targets import to_numpy
from ..viz.files import save_image
from .examples import Examples
from .filters import FilterGrid
from .page import render

BINS = 24


@dataclass(frozen=True)
class Unit:
    """What a page says about one channel.

    Attributes:
        name: number or class.
        address: file name of its page.
        image: file of the made image.
        fired: whether that excites it.
        final: its objective there.
        ratio: against the highest on photos, or None.
        crops: `(file, value, source)` of the photos' crops.
        bars: heights in [0, 1] of the histogram of the photos' highest activations.
        span: lowest and highest of these.
        classes: `(name, logit)` of the classes it feeds most.
    """

    name: str
    address: str
    image: str
    fired: bool
    final: float
    ratio: float | None
    crops: tuple[tuple[str, float, str], ...]
    bars: tuple[float, ...]
    span: tuple[float, float]
    classes: tuple[tuple[str, float], ...]


def site(items: Sequence[tuple[FilterGrid, Examples | None]], folder: str | Path) -> Path:
    """Write the pages and return the first.

    Args:
        items: the made images of each layer, with the examples of the same channels or None.
        folder: made if missing.

    Returns:
        the path of index.html.

    Raises:
        MissingDependency: without jinja2.
    """
    root = Path(folder)
    layers = []
    for made, examples in items:
        name = made.layer.replace("/", ".")
        units = [_unit(made, examples, i, root, name) for i in range(len(made.channels))]
        for i, unit in enumerate(units):
            before = units[i - 1].address if i else ""
            after = units[i + 1].address if i + 1 < len(units) else ""
            page = render("unit.html", layer=made.layer, home=f"{name}.html", unit=unit, before=before, after=after)
            write_file(root / unit.address, page)
        page = render("layer.html", layer=made.layer, recipe=made.recipe, units=units)
        write_file(root / f"{name}.html", page)
        layers.append({"path": made.layer, "address": f"{name}.html", "units": units})
    title = getattr(items[0][0].model, "name", "") if items else ""
    write_file(root / "index.html", render("index.html", title=title, layers=layers))
    return root / "index.html"


def feeds(made: FilterGrid, place: int, *, top: int = 5) -> tuple[tuple[str, float], ...]:
    """Return the classes whose logits fall most when the channel is silenced in its own made image.

    logit(image) − logit(image with channel = 0); only what lies behind the layer is run again.

    Args:
        made: the images.
        place: which of them.
        top: how many classes.

    Returns:
        `(class, logit)` pairs, the most first; nothing for objectives that are not channels, and for the logits.
    """
    channel = made.channels[place]
    if made.layer == "logits" or not isinstance(channel, (int, np.integer)):
        return ()
    image = made.images[place : place + 1]
    value = to_numpy(made.model.activations(image, made.layer)).astype(np.float32)
    both = np.concatenate([value, value])
    both[1, ..., int(channel)] = 0.0
    logits = to_numpy(made.model.replaced(image, both, made.layer))
    fall = logits[0] - logits[1]
    names = getattr(made.model, "labels", ())
    return tuple((label(int(k), names), float(fall[k])) for k in np.argsort(-fall)[:top] if fall[k] > 0)


def _unit(made: FilterGrid, examples: Examples | None, i: int, root: Path, name: str) -> Unit:
    stem = f"{name}_{i}"
    image = f"img/{stem}.webp"
    save_image(made.image(i), root / image)
    crops: list[tuple[str, float, str]] = []
    bars: tuple[float, ...] = ()
    span = (0.0, 0.0)
    if examples is not None:
        for k, crop in enumerate(examples.crops[i]):
            file = f"img/{stem}_{k}.webp"
            save_image(Image.fromarray(crop.pixels), root / file)
            crops.append((file, crop.value, Path(crop.source).name))
        bars, span = histogram(examples.values[:, i])
    return Unit(
        made.words(i),
        f"{stem}.html",
        image,
        bool(made.fired[i]),
        float(made.final[i]),
        None if made.ratio is None else float(made.ratio[i]),
        tuple(crops),
        bars,
        span,
        feeds(made, i),
    )


def histogram(values: npt.NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Return the counts of 24 bins as fractions of the highest, and the lowest and the highest value."""
    counts, edges = np.histogram(values, bins=BINS)
    return tuple(float(c) / max(int(counts.max()), 1) for c in counts), (float(edges[0]), float(edges[-1]))
