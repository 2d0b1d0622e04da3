"""What the page calls of the library: one network, results kept by image and settings."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import weakref
from collections.abc import Hashable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .. import api
from .._core.i18n import translator
from .._core.lru import LRUCache
from .._core.progress import Progress
from ..adapters.wrappers import Watched
from ..errors import ShisenError
from ..inspect.activations import ActivationGrids, activations
from ..models.model import Model
from ..registry import suiting
from ..results import Explanation
from ..types import Frame, InputImage, Layer
from ..viz.overlay import displayable
from ..viz.scale import reduce_channels
from .image_store import ImageStore, open_upload
from .method_choices import offered
from .request import ExplainRequest, ImageChoice, LoadRequest

THUMB = 144  # pixels a side of a small image
SHOWN = 960  # pixels of the longer side on the page
FINEST = 240  # values a side that the browser is given
BUDGET = 256_000_000  # bytes of results kept


class Explained:
    """An explanation, its request, and the same at the size of the page, so that drawing it again is quick."""

    def __init__(self, whole: Explanation, chosen: ImageChoice, request: ExplainRequest) -> None:
        self.whole, self.chosen, self.request = whole, chosen, request
        self.token = secrets.token_urlsafe(16)

    @cached_property
    def shown(self) -> Explanation:
        """The explanation over an image of at most `SHOWN` pixels a side."""
        image, frame = self.whole.image, self.whole.frame
        h, w = image.size
        fraction = SHOWN / max(h, w)
        if fraction >= 1.0:
            return self.whole
        size = (max(1, round(h * fraction)), max(1, round(w * fraction)))
        small = np.asarray(Image.fromarray(image.pixels).resize(size[::-1], Image.Resampling.BOX, reducing_gap=2.0))
        left, top, right, bottom = frame.box
        x, y = size[1] / w, size[0] / h
        box = (left * x, top * y, right * x, bottom * y)
        return replace(self.whole, image=replace(image, pixels=small), frame=Frame(size, frame.size, box))

    @cached_property
    def values(self) -> str:
        """What the browser needs to name the raw value at a position of the image, as JSON.

        A map finer than `FINEST` a side is thinned out: every k-th value is given.
        """
        reduced = np.asarray(reduce_channels(self.whole.values, self.whole.attribution.shows), dtype="<f4")
        steps = [max(1, -(-side // FINEST)) for side in reduced.shape[:2]]
        grid = np.ascontiguousarray(reduced[:: steps[0], :: steps[1]])
        return json.dumps(
            {
                "h": grid.shape[0],
                "w": grid.shape[1],
                "data": base64.b64encode(grid.tobytes()).decode(),
                "box": list(self.whole.frame.box),
                "image": list(self.whole.image.size),
                "unit": self.whole.unit,
            }
        )

    @property
    def bytes(self) -> int:
        """Bytes it takes, with the maps that drawing keeps."""
        return int(self.whole.image.pixels.nbytes + self.whole.values.nbytes + 3 * 4 * SHOWN * SHOWN)


class Session:
    """One model for all visitors, and its recent results.

    Args:
        model: shared by all; its adapter runs one pass at a time, so that long work lets short questions through.
        store: the images of the folder.
        load: how the model was loaded.
        versus: another network to compare with, or None.
    """

    def __init__(self, model: Model, store: ImageStore, load: LoadRequest, versus: Model | None = None) -> None:
        self.model, self.store, self.load, self.versus = model, store, load, versus
        self.computed = 0
        self._turns: weakref.WeakValueDictionary[Hashable, _Turn] = weakref.WeakValueDictionary()
        self._counting = threading.Lock()
        self._images: LRUCache[InputImage] = LRUCache(BUDGET // 2, lambda p: int(p.pixels.nbytes))
        self._by_token: weakref.WeakValueDictionary[str, Explained] = weakref.WeakValueDictionary()
        self._seen: LRUCache[Explained] = LRUCache(BUDGET, lambda s: s.bytes)
        self._small: LRUCache[Image.Image] = LRUCache(BUDGET // 16, lambda i: 3 * i.width * i.height)
        self._grids: LRUCache[ActivationGrids] = LRUCache(BUDGET // 4, _bytes_of_grids)

    @cached_property
    def classes(self) -> int:
        """How many classes the network answers with."""
        if len(self.model.labels):
            return len(self.model.labels)
        shapes = [layer.shape for layer in self.model.layers if len(layer.shape) == 1]
        return int(shapes[-1][0]) if shapes else 0

    def image(self, chosen: ImageChoice) -> InputImage:
        """Return the image, decoded once."""
        path = Path(chosen.path) if chosen.path else self.store.path(chosen.name)
        facts = path.stat() if path.is_file() else None
        key = (str(path), chosen.name, facts and (facts.st_mtime_ns, facts.st_size))
        found = self._images.get(key)
        if found is None:
            found = open_upload(path, chosen.name, self.model.read)
            self._images.put(key, found)
        return found

    def explain(self, chosen: ImageChoice, request: ExplainRequest, step: Progress | None = None) -> Explained:
        """Explain an image; what was computed lately is not computed again.

        Args:
            chosen: the image.
            request: what is to be explained.
            step: called after every pass with the number of images sent through the network; may raise to stop.

        Returns:
            The explanation.
        """
        image = self.image(chosen)
        key: Hashable = (image.sha256, image.source, request)
        found = self._seen.get(key)
        if found is None:
            with self._turn(key):  # another visitor may request the same meanwhile
                found = self._seen.get(key)
                if found is None:
                    whole = api.explain(watched(self.model, step), image, **request.arguments)
                    found = Explained(whole, chosen, request)
                    self._seen.put(key, found)
                    with self._counting:
                        self.computed += 1
                        self._by_token[found.token] = found
        return found

    def _turn(self, key: Hashable) -> Any:
        with self._counting:
            turn = self._turns.get(key)
            if turn is None:
                turn = self._turns[key] = _Turn()
        return turn.lock

    def of_rank(self, seen: Explained, rank: int) -> Explained:
        """Explain the class at a rank of the predictions in the same way; 0 is the most probable.

        Args:
            seen: the explanation.
            rank: 0 for the most probable class.

        Returns:
            The explanation.
        """
        k = seen.whole.predictions[rank].index
        return self.explain(seen.chosen, replace(seen.request, positive=k, negative=None, negated=False))

    def find(self, token: str) -> Explained | None:
        """Return the explanation that a visitor knows by this token, as long as it is kept."""
        return self._by_token.get(token)

    def inside(self, chosen: ImageChoice, layer: str) -> ActivationGrids:
        """Return what the channels of a layer answer to an image.

        Args:
            chosen: the image that the user chose, None without one.
            layer: path of the layer, empty for the default.
        """
        image = self.image(chosen)
        key = (image.sha256, layer)
        found = self._grids.get(key)
        if found is None:
            found = activations(self.model, image, [layer])
            self._grids.put(key, found)
        return found

    def thumbnail(self, name: str) -> Image.Image:
        """Return a small square of an image of the folder; gray where it cannot be read."""
        found = self._small.get(name)
        if found is None:
            try:
                pixels = displayable(open_upload(self.store.path(name), name, self.model.read).pixels)
                found = ImageOps.fit(Image.fromarray(pixels), (THUMB, THUMB))
            except ShisenError:
                found = Image.new("RGB", (THUMB, THUMB), "#9ca3af")
            self._small.put(name, found)
        return found

    def offered(self, lang: str) -> list[tuple[str, str]]:
        """Return the methods to choose from, as `(text, name)`: all but those that need another kind of network."""
        return offered(suiting(self.model), lang)

    @cached_property
    def default(self) -> Layer | None:
        """The default layer, with the reason why it is; None where there is none."""
        try:
            path = self.model.default_layer
        except ShisenError:
            return None
        return next((layer for layer in self.model.layers if layer.path == path), None)

    def where(self, lang: str) -> str:
        """Say which layer is the default, and why; empty where there is none."""
        if self.default is None:
            return ""
        _ = translator(lang)
        return _("Default: {layer} – {reason}", layer=self.default.path, reason=_(self.default.reason))

    @staticmethod
    def warning(seen: Explanation, lang: str) -> str:
        """Return why a map shows no evidence, if it shows none.

        Args:
            seen: the explanation.
            lang: language of the text, such as "en" or "ja".
        """
        return translator(lang)(seen.warning or "")


class _Turn:
    """Held by the first visitor who makes a request, while others wait for its result."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def watched(model: Model, step: Progress | None) -> Model:
    """Return the model with every pass reported as `step(images sent through it, 0, "")`, which may raise to stop.

    Args:
        model: the network.
        step: called after every step, None without it.
    """
    if step is None:
        return model
    sent = 0

    def saw(_: str, rows: int) -> None:
        nonlocal sent
        sent += rows
        step(sent, 0, "")

    return model.around(Watched(model.model, saw))


def _bytes_of_grids(grids: ActivationGrids) -> int:
    return int(grids.image.pixels.nbytes + sum(m.values.nbytes for m in grids.maps.values()))
