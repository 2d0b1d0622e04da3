"""What the page asks of the library: one network, results kept by picture and settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .. import api
from ..comparison import Comparison
from ..errors import ShisenError
from ..explanation import Explanation
from ..features.activations import ActivationGrids, activations
from ..models.model import Model
from ..render.overlay import displayable
from ..types import Frame, Picture
from .asking import Ask, Start
from .keeping import Kept
from .shelf import Shelf, open_upload

THUMB = 144  # pixels a side of a small picture
SHOWN = 960  # pixels of the longer side on the page
BUDGET = 256_000_000  # bytes of results kept


@dataclass(frozen=True)
class Chosen:
    """The picture that a visitor looks at.

    Attributes:
        name: what it is called, inside of the folder or as it was uploaded.
        path: of an upload on the server; "" for a picture of the folder.
    """

    name: str
    path: str = ""


class Seen:
    """An explanation, and the same at the size of the page, so that drawing it again is quick."""

    def __init__(self, whole: Explanation) -> None:
        self.whole = whole

    @cached_property
    def shown(self) -> Explanation:
        """The explanation over a picture of at most `SHOWN` pixels a side."""
        picture, frame = self.whole.picture, self.whole.frame
        h, w = picture.size
        share = SHOWN / max(h, w)
        if share >= 1.0:
            return self.whole
        size = (max(1, round(h * share)), max(1, round(w * share)))
        small = np.asarray(Image.fromarray(picture.pixels).resize(size[::-1], Image.Resampling.BOX, reducing_gap=2.0))
        left, top, right, bottom = frame.box
        x, y = size[1] / w, size[0] / h
        box = (left * x, top * y, right * x, bottom * y)
        return replace(self.whole, picture=replace(picture, pixels=small), frame=Frame(size, frame.size, box))

    @property
    def bytes(self) -> int:
        """Bytes it takes, with the maps that drawing leaves behind."""
        return int(self.whole.picture.pixels.nbytes + self.whole.values.nbytes + 3 * 4 * SHOWN * SHOWN)


class Desk:
    """One network for all visitors, and what it answered lately.

    Args:
        model: shared by all; one question at a time.
        shelf: the pictures of the folder.
        start: how the model was asked for.
    """

    def __init__(self, model: Model, shelf: Shelf, start: Start) -> None:
        self.model, self.shelf, self.start = model, shelf, start
        self.lock = threading.RLock()
        self.asked = 0
        self._pictures: Kept[Picture] = Kept(BUDGET // 2, lambda p: int(p.pixels.nbytes))
        self._seen: Kept[Seen] = Kept(BUDGET, lambda s: s.bytes)
        self._small: Kept[Image.Image] = Kept(BUDGET // 16, lambda i: 3 * i.width * i.height)
        self._grids: Kept[ActivationGrids] = Kept(BUDGET // 4, _bytes_of_grids)

    @cached_property
    def classes(self) -> int:
        """How many classes the network answers with."""
        if len(self.model.labels):
            return len(self.model.labels)
        shapes = [layer.shape for layer in self.model.layers if len(layer.shape) == 1]
        return int(shapes[-1][0]) if shapes else 0

    def picture(self, chosen: Chosen) -> Picture:
        """Return the picture, decoded once."""
        path = Path(chosen.path) if chosen.path else self.shelf.path(chosen.name)
        facts = path.stat() if path.is_file() else None
        key = (str(path), chosen.name, facts and (facts.st_mtime_ns, facts.st_size))
        found = self._pictures.get(key)
        if found is None:
            found = open_upload(path, chosen.name)
            self._pictures.put(key, found)
        return found

    def explain(self, chosen: Chosen, ask: Ask) -> Seen:
        """Answer a question about a picture; the network works only for questions not asked lately."""
        picture = self.picture(chosen)
        key: Hashable = (picture.sha256, picture.source, ask)
        found = self._seen.get(key)
        if found is None:
            with self.lock:
                found = self._seen.get(key)  # another visitor may have asked the same meanwhile
                if found is None:
                    found = Seen(api.explain(self.model, picture, **ask.arguments))
                    self.asked += 1
                    self._seen.put(key, found)
        return found

    def compare(
        self, chosen: Chosen, methods: list[str], targets: list[Any], layer: str | None, step: Callable[[str], None]
    ) -> Comparison:
        """Explain a picture by several methods and for several targets."""
        picture = self.picture(chosen)
        with self.lock:
            return api.compare(self.model, picture, methods, targets, layer=layer, progress=step)

    def inside(self, chosen: Chosen, layer: str) -> ActivationGrids:
        """Return what the channels of a layer answer to a picture."""
        picture = self.picture(chosen)
        key = (picture.sha256, layer)
        found = self._grids.get(key)
        if found is None:
            with self.lock:
                found = activations(self.model, picture, [layer])
            self._grids.put(key, found)
        return found

    def thumbnail(self, name: str) -> Image.Image:
        """Return a small square of a picture of the folder; grey where it cannot be read."""
        found = self._small.get(name)
        if found is None:
            try:
                pixels = displayable(open_upload(self.shelf.path(name), name).pixels)
                found = ImageOps.fit(Image.fromarray(pixels), (THUMB, THUMB))
            except ShisenError:
                found = Image.new("RGB", (THUMB, THUMB), "#9ca3af")
            self._small.put(name, found)
        return found

    def reason(self) -> tuple[str, str]:
        """Return the default layer and why it is the default; empty where there is none."""
        try:
            path = self.model.default_layer
        except ShisenError:
            return "", ""
        return path, next((layer.reason for layer in self.model.layers if layer.path == path), "")


def _bytes_of_grids(grids: ActivationGrids) -> int:
    return int(grids.picture.pixels.nbytes + sum(m.values.nbytes for m in grids.maps.values()))
