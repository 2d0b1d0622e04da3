"""What a person asks for on the page, and the command and the Python lines that ask for the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import attribution as _fill_registry  # noqa: F401
from ..errors import ShisenError
from ..models.model import Model
from ..models.preprocess_names import OPTIONS, fields_of_options
from ..naming import contrast, label, negative
from ..registry import get

SCORES = ("logit", "probability", "log_probability")
STYLES = ("blend", "mask", "heatmap", "contour")
COLORMAPS = ("jet", "viridis", "inferno", "magma", "turbo", "gray", "coolwarm", "RdBu_r", "seismic")


@dataclass(frozen=True)
class Drawing:
    """How a map is drawn, as in `Explanation.overlay`."""

    style: str = "blend"
    colormap: str = "jet"
    alpha: float = 0.4


@dataclass(frozen=True)
class Ask:
    """One question to the network.

    Attributes:
        method: registered name.
        a: class spoken for; None for the top class.
        b: class spoken against, or None.
        against: ask what speaks against `a` instead.
        layer: the point for methods that have one, None for the default.
        score: one of `SCORES`.
    """

    method: str = "grad_cam"
    a: int | None = None
    b: int | None = None
    against: bool = False
    layer: str | None = None
    score: str = "logit"

    @property
    def target(self) -> Any:
        """What `shisen.explain` takes as its target."""
        if self.a is None:
            return None
        if self.b is not None and self.b != self.a:
            return contrast(self.a, self.b)
        return negative(self.a) if self.against else self.a

    @property
    def quick(self) -> bool:
        """Whether the answer takes a pass or two through the network, whatever is asked about."""
        return get(self.method).passes.isdigit()

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `shisen.explain`."""
        layer = self.layer if get(self.method).layered else None
        return {"method": self.method, "target": self.target, "layer": layer, "score": self.score}


@dataclass(frozen=True)
class Start:
    """How the model was asked for when the page was started.

    Attributes:
        model: name or file.
        options: what else `shisen.load` was given, such as labels or device.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)


def class_word(model: Model, index: int) -> str | int:
    """Return the label of a class where the label alone finds it, else its index."""
    word = label(index, model.labels)
    try:
        clear = len(model.labels) > 0 and model.find(word) == index
    except ShisenError:
        clear = False
    odd = " / " in word or word.lower().startswith(("not ", "top")) or word.lstrip("-").isdigit()
    return word if clear and not odd else index


def command(model: Model, start: Start, ask: Ask, drawing: Drawing, image: str) -> str:
    """Return the line to type for the same image."""
    words = ["shisen", "explain", image, "--model", start.model]
    for name, value in start.options.items():
        option = "--" + name.removesuffix("_").removeprefix("input_").replace("_", "-")
        words += [option] if value is True else [option, str(value)]
    words += ["--method", ask.method]
    if ask.a is not None:
        a = str(class_word(model, ask.a))
        if ask.b is not None and ask.b != ask.a:
            a = f"{a} / {class_word(model, ask.b)}"
        elif ask.against:
            a = f"not {a}"
        words += ["--target", a]
    if ask.arguments["layer"] not in (None, model.default_layer):
        words += ["--layer", str(ask.layer)]
    if ask.score != "logit":
        words += ["--score", ask.score]
    standard = Drawing()
    for name in ("style", "colormap", "alpha"):
        if getattr(drawing, name) != getattr(standard, name):
            words += [f"--{name}", str(getattr(drawing, name))]
    words += ["--out", file_name(image, ask.method)]
    return shlex.join(words)


def python(model: Model, start: Start, ask: Ask, drawing: Drawing, image: str) -> str:
    """Return the Python lines for the same image."""
    given = "".join(f", {k}={v!r}" for k, v in start.options.items() if k not in (*OPTIONS, "batch_size", "no_top"))
    fields = fields_of_options({k: v for k, v in start.options.items() if k in OPTIONS})
    if fields:
        given += f", preprocess={fields!r}"
    if start.options.get("no_top"):
        given += ", top=False"
    more = ""
    if ask.a is not None:
        a = repr(class_word(model, ask.a))
        if ask.b is not None and ask.b != ask.a:
            a = f"shisen.contrast({a}, {class_word(model, ask.b)!r})"
        elif ask.against:
            a = f"shisen.negative({a})"
        more = f", target={a}{more}"
    if ask.arguments["layer"] not in (None, model.default_layer):
        more += f", layer={ask.layer!r}"
    if ask.score != "logit":
        more += f", score={ask.score!r}"
    drawn = f"style={drawing.style!r}, colormap={drawing.colormap!r}, alpha={drawing.alpha!r}"
    return (
        f"import shisen\n\nmodel = shisen.load({start.model!r}{given})\n"
        f"seen = shisen.explain(model, {image!r}, {ask.method!r}{more})\n"
        f"seen.save({file_name(image, ask.method)!r}, {drawn})\n"
    )


def file_name(image: str, method: str) -> str:
    """Return what the command line calls the result of an image."""
    return f"{Path(image).stem or 'image'}_{method}.png"
