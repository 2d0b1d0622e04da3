"""The same for programs: what `gradio_client` can call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError, PictureError, explain_error
from ..registry import get as method_of
from ..render.files import plain
from .asking import SCORES, STYLES, Ask, Drawing, file_name
from .building import Build, safely
from .desk import Chosen


def build(b: Build) -> None:
    """Build the parts that nobody sees, and the calls `/explain` and `/pictures`."""
    import gradio as gr

    with gr.Row(visible=False):
        file = gr.File(label="upload", type="filepath")
        picture = gr.Textbox(label="picture")
        method = gr.Textbox("grad_cam", label="method")
        target = gr.Textbox("", label="target")
        layer = gr.Textbox("", label="layer")
        score = gr.Textbox("logit", label="score")
        style = gr.Textbox("blend", label="style")
        colormap = gr.Textbox("jet", label="colormap")
        alpha = gr.Number(0.4, label="alpha")
        drawn = gr.File(label="overlay")
        record = gr.JSON(label="record")
        names = gr.JSON(label="names")
        go, lists = gr.Button("explain"), gr.Button("pictures")

    def explain(
        upload: str | None,
        picture: str,
        method: str,
        target: str,
        layer: str,
        score: str,
        style: str,
        colormap: str,
        alpha: float,
    ) -> list[Any]:
        chosen = Chosen(Path(upload).name, upload) if upload else Chosen(_named(b, picture))
        for word, known in ((score, SCORES), (style, STYLES)):
            if word not in known:
                raise InputError(explain_error(f"One of {', '.join(known)} is needed.", repr(word), "Check it."))
        if not 0.0 <= float(alpha) <= 1.0:
            raise InputError(explain_error("alpha must lie between 0 and 1.", alpha, "Try 0.4."))
        spec = method_of(method)
        ask = Ask(spec.name, *_target(b, target), layer=layer or None, score=score)
        drawing = Drawing(style, colormap, float(alpha))
        seen = b.desk.explain(chosen, ask).whole
        written = seen.save(b.exports.folder() / file_name(chosen.name, spec.name), **vars(drawing))
        return [str(written), plain(seen.manifest(vars(drawing)))]

    go.click(
        safely(explain),
        [file, picture, method, target, layer, score, style, colormap, alpha],
        [drawn, record],
        api_name="explain",
        api_description="Explain an upload or a picture of the folder; returns the drawing and its record.",
        concurrency_id="network",
        concurrency_limit=4,
    )
    lists.click(
        lambda: b.desk.shelf.names,
        None,
        names,
        api_name="pictures",
        api_description="Names of the folder's pictures.",
    )


def _named(b: Build, picture: str) -> str:
    if not picture:
        raise PictureError(explain_error("A picture is needed.", "none", "Upload one, or name one of the folder."))
    b.desk.shelf.path(picture)
    return picture


def _target(b: Build, text: str) -> tuple[int | None, int | None, bool]:
    """Read a class, "a / b" or "not a", as on the command line; empty for the top class."""
    words = text.strip()
    find = b.desk.model.find
    if not words:
        return None, None, False
    if " / " in words:
        one, other = words.split(" / ", 1)
        return find(one.strip()), find(other.strip()), False
    if words.lower().startswith("not "):
        return find(words[4:].strip()), None, True
    return find(words), None, False
