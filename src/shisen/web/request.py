"""What a visitor requests on the page, and the command and the Python lines that do the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._core.i18n import N_
from ..errors import ShisenError
from ..models.model import Model
from ..models.preprocess_names import OPTIONS, fields_of_options
from ..naming import contrast, file_words, label, negative
from ..registry import get

SCORES = {"logit": N_("logit"), "probability": N_("probability"), "log_probability": N_("log-probability")}
STYLES = {"blend": N_("blend"), "mask": N_("mask"), "heatmap": N_("heatmap"), "contour": N_("contour")}
NO_CLASS = -1
"""Stands for no class in the page's lists of classes."""
COLORMAPS = ("jet", "viridis", "inferno", "magma", "turbo", "gray", "coolwarm", "RdBu_r", "seismic")


@dataclass(frozen=True)
class Drawing:
    """How a map is drawn, as in `Explanation.overlay`."""

    style: str = "blend"
    colormap: str = "jet"
    alpha: float = 0.4


@dataclass(frozen=True)
class ImageChoice:
    """The image that a visitor looks at.

    Attributes:
        name: its name in the folder, or of the upload.
        path: of an upload on the server; "" for an image of the folder.
    """

    name: str
    path: str = ""


@dataclass(frozen=True)
class ExplainRequest:
    """What is to be explained, and how.

    Attributes:
        method: registered name.
        positive: the class explained; None for the top class.
        negative: the class it is contrasted with, or None.
        negated: explain the evidence against the class instead.
        layer: the layer for methods that have one, None for the default.
        score: one of `SCORES`.
    """

    method: str = "grad_cam"
    positive: int | None = None
    negative: int | None = None
    negated: bool = False
    layer: str | None = None
    score: str = "logit"

    @property
    def target(self) -> Any:
        """What `shisen.explain` takes as its target."""
        if self.positive is None:
            return None
        if self.negative is not None and self.negative != self.positive:
            return contrast(self.positive, self.negative)
        return negative(self.positive) if self.negated else self.positive

    @property
    def quick(self) -> bool:
        """Whether a pass or two through the network suffice, for any class."""
        return get(self.method).passes.isdigit()

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `shisen.explain`."""
        layer = self.layer if get(self.method).layered else None
        return {"method": self.method, "target": self.target, "layer": layer, "score": self.score}


@dataclass(frozen=True)
class PageRequest:
    """What a visitor has chosen on the page.

    Attributes:
        image: the image.
        explain: what is to be explained.
        drawing: how the map is drawn.
        lang: code of the page's language.
    """

    image: ImageChoice
    explain: ExplainRequest
    drawing: Drawing
    lang: str

    @classmethod
    def of(cls, values: Sequence[Any]) -> PageRequest:
        """Read the values of the page's components, in the order of the fields; −1 stands for no class."""
        image, method, layer, positive, negative, negated, score, style, colormap, alpha, lang = values
        a, b = (None if k in (None, NO_CLASS) else int(k) for k in (positive, negative))
        explain = ExplainRequest(get(method).name, a, b, bool(negated), layer or None, score)
        return cls(image, explain, Drawing(style, colormap, float(alpha)), str(lang))

    def about(self, image: ImageChoice | None = None, positive: int | None = None) -> PageRequest:
        """Return the same for another class, the top class if None, and for another image if there is one.

        Args:
            image: the image.
            positive: index of the class.
        """
        explain = replace(self.explain, positive=positive, negative=None, negated=False)
        return replace(self, image=image or self.image, explain=explain)


@dataclass(frozen=True)
class LoadRequest:
    """How the model was loaded when the page was started.

    Attributes:
        model: name or file.
        options: what else `shisen.load` was given, such as labels or device.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)


def class_word(model: Model, index: int) -> str | int:
    """Return the label of a class where the label alone finds it, else its index.

    Args:
        model: the network.
        index: index of the class.
    """
    word = label(index, model.labels)
    try:
        clear = len(model.labels) > 0 and model.find(word) == index
    except ShisenError:
        clear = False
    odd = " / " in word or word.lower().startswith(("not ", "top")) or word.lstrip("-").isdigit()
    return word if clear and not odd else index


def command(model: Model, load: LoadRequest, request: ExplainRequest, drawing: Drawing, image: str) -> str:
    """Return the line to type for the same image.

    Args:
        model: the network.
        load: how the model was loaded.
        request: what is to be explained.
        drawing: how the map is drawn.
        image: the image.
    """
    words = ["shisen", "explain", image, "--model", load.model]
    for name, value in load.options.items():
        option = "--" + name.removesuffix("_").removeprefix("input_").replace("_", "-")
        words += [option] if value is True else [option, str(value)]
    words += ["--method", request.method]
    target = target_words(model, request)
    if target:
        words += ["--target", target]
    if request.arguments["layer"] not in (None, model.default_layer):
        words += ["--layer", str(request.layer)]
    if request.score != "logit":
        words += ["--score", request.score]
    standard = Drawing()
    for name in ("style", "colormap", "alpha"):
        if getattr(drawing, name) != getattr(standard, name):
            words += [f"--{name}", str(getattr(drawing, name))]
    words += ["--out", file_name(model, request, image)]
    return shlex.join(words)


def python(model: Model, load: LoadRequest, request: ExplainRequest, drawing: Drawing, image: str) -> str:
    """Return the Python lines for the same image.

    Args:
        model: the network.
        load: how the model was loaded.
        request: what is to be explained.
        drawing: how the map is drawn.
        image: the image.
    """
    given = "".join(f", {k}={v!r}" for k, v in load.options.items() if k not in (*OPTIONS, "batch_size", "no_top"))
    fields = fields_of_options({k: v for k, v in load.options.items() if k in OPTIONS})
    if fields:
        given += f", preprocess={fields!r}"
    if load.options.get("no_top"):
        given += ", top=False"
    more = ""
    if request.positive is not None:
        a = repr(class_word(model, request.positive))
        if request.negative is not None and request.negative != request.positive:
            a = f"shisen.contrast({a}, {class_word(model, request.negative)!r})"
        elif request.negated:
            a = f"shisen.negative({a})"
        more = f", target={a}{more}"
    if request.arguments["layer"] not in (None, model.default_layer):
        more += f", layer={request.layer!r}"
    if request.score != "logit":
        more += f", score={request.score!r}"
    drawn = f"style={drawing.style!r}, colormap={drawing.colormap!r}, alpha={drawing.alpha!r}"
    return (
        f"import shisen\n\nmodel = shisen.load({load.model!r}{given})\n"
        f"seen = shisen.explain(model, {image!r}, {request.method!r}{more})\n"
        f"seen.save({file_name(model, request, image)!r}, {drawn})\n"
    )


def target_words(model: Model, request: ExplainRequest) -> str:
    """Return the target as it is typed on the command line; "" for the top class.

    Args:
        model: the network.
        request: what is to be explained.
    """
    if request.positive is None:
        return ""
    words = str(class_word(model, request.positive))
    if request.negative is not None and request.negative != request.positive:
        return f"{words} / {class_word(model, request.negative)}"
    return f"not {words}" if request.negated else words


def file_name(model: Model, request: ExplainRequest, image: str) -> str:
    """Return what the command line calls the result for an image.

    Args:
        model: the network.
        request: what is to be explained.
        image: the image.
    """
    target = target_words(model, request)
    return f"{Path(image).stem or 'image'}_{request.method}{f'_{file_words(target)}' if target else ''}.png"
