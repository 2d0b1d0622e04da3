"""The same for programs: what `gradio_client` can call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._core.i18n import translator
from ..auditing.run import audit as audited
from ..comparison import compare as compared
from ..errors import N_, ImageError, InputError, Message, explain_error, unknown
from ..evaluation.recommend import recommend as recommended
from ..evaluation.runner import evaluate as evaluated
from ..naming import top
from ..registry import get as method_of
from ..viz.files import plain
from .context import Build, safely
from .request import SCORES, STYLES, Drawing, ExplainRequest, ImageChoice, file_name


def build(b: Build) -> None:
    """Build the parts that nobody sees, and the calls `/explain` and `/images`."""
    import gradio as gr

    with gr.Row(visible=False):
        file = gr.File(label="upload", type="filepath")
        image = gr.Textbox(label="image")
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
        go, lists = gr.Button("explain"), gr.Button("images")

    def explain(
        upload: str | None,
        image: str,
        method: str,
        target: str,
        layer: str,
        score: str,
        style: str,
        colormap: str,
        alpha: float,
    ) -> list[Any]:
        chosen = _chosen(b, upload, image)
        for word, known in ((score, SCORES), (style, STYLES)):
            if word not in known:
                raise unknown("option", word, known)
        if not 0.0 <= float(alpha) <= 1.0:
            raise InputError(explain_error(N_("alpha must lie between 0 and 1."), alpha, N_("Try 0.4.")))
        spec = method_of(method)
        request = ExplainRequest(spec.name, *_target(b, target), layer=layer or None, score=score)
        drawing = Drawing(style, colormap, float(alpha))
        seen = b.session.explain(chosen, request).whole
        written = seen.save(b.exports.folder() / file_name(b.session.model, request, chosen.name), **vars(drawing))
        return [str(written), plain(seen.manifest(vars(drawing)))]

    go.click(
        safely(explain),
        [file, image, method, target, layer, score, style, colormap, alpha],
        [drawn, record],
        api_name="explain",
        api_description="Explain an upload or an image of the folder; returns the drawing and its record.",
        concurrency_id="network",
        concurrency_limit=4,
    )
    lists.click(
        lambda: b.session.store.names,
        None,
        names,
        api_name="images",
        api_description="Names of the folder's images.",
    )

    others(b, file, image)


def others(b: Build, file: Any, image: Any) -> None:
    """Build the calls `/compare`, `/activations`, `/evaluate`, `/recommend` and `/audit`: the same as the tabs.

    Args:
        b: the page under construction.
        file: the uploaded file.
        image: the image.
    """
    import gradio as gr

    with gr.Row(visible=False):
        methods, metrics = gr.JSON(label="methods"), gr.JSON(label="metrics")
        layer, lang = gr.Textbox("", label="layer"), gr.Textbox("en", label="lang")
        number, budget = gr.Number(2, label="n"), gr.Number(60, label="budget")
        made, facts = gr.File(label="made"), gr.JSON(label="facts")

    def compare(upload: str | None, image: str, methods: Any, n: float) -> list[Any]:
        targets = [top(k) for k in range(_count(n, 5))]
        found = compared(b.session.model, b.session.image(_chosen(b, upload, image)), _names(methods), targets)
        written = found.save(b.exports.folder() / "comparison.png")
        return [str(written), json.loads(written.with_suffix(".json").read_text(encoding="utf-8"))]

    def activations(upload: str | None, image: str, layer: str, n: float) -> list[Any]:
        known = [point.path for point in b.session.model.layers if point.spatial]
        at = layer or b.session.model.default_layer
        if at not in known:
            raise unknown("layer", at, known)
        grids = b.session.inside(_chosen(b, upload, image), at)
        written = b.exports.folder() / "activations.png"
        grids.grid(at, page=_count(n, grids.pages(at))).save(written)
        return [str(written), {"layer": at, "pages": grids.pages(at), "summary": grids[at].summary}]

    def evaluate(methods: Any, metrics: Any, n: float, lang: str) -> list[Any]:
        scores = evaluated(
            b.session.model.batched(4),
            _all(b),
            _names(methods),
            _names(metrics),
            n_images=_count(n, len(b.session.store.names)),
        )
        return [str(scores.save(b.exports.folder(), lang=_language(lang))), plain(scores.records())]

    def recommend(budget: float) -> list[Any]:
        written = b.exports.folder() / "recommendation.json"
        recommended(b.session.model.batched(4), _all(b), budget=_count(budget, 600), save=False, out=written)
        return [str(written), json.loads(written.read_text(encoding="utf-8"))]

    def audit(lang: str) -> list[Any]:
        found = audited(b.session.model, b.session.store.root, b.exports.folder(), lang=_language(lang))
        record = Path(found.report).with_name("findings.json")
        return [found.report, json.loads(record.read_text(encoding="utf-8"))]

    calls: tuple[tuple[Any, list[Any], str], ...] = (
        (compare, [file, image, methods, number], "Methods (a list of names) and the top n classes in one figure."),
        (activations, [file, image, layer, number], "Sheet n of what the channels of a layer answer."),
        (evaluate, [methods, metrics, number, lang], "Methods measured on n images of the folder: report, figures."),
        (recommend, [budget], "The setting that suits the network, searched on the folder for some seconds."),
        (audit, [lang], "The folder audited, one subfolder a class: report, findings."),
    )
    for function, inputs, words in calls:
        gr.Button(function.__name__, visible=False).click(
            safely(function),
            inputs,
            [made, facts],
            api_name=function.__name__,
            api_description=words,
            concurrency_id="network",
            concurrency_limit=4,
        )


def _chosen(b: Build, upload: str | None, image: str) -> ImageChoice:
    return ImageChoice(Path(upload).name, upload) if upload else ImageChoice(_named(b, image))


def _all(b: Build) -> list[str]:
    return [str(b.session.store.path(name)) for name in b.session.store.names]


def _names(given: Any) -> list[str]:
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise InputError(explain_error(N_("A list of names is needed."), repr(given)[:80], N_('Give ["grad_cam"].')))
    return given


def _count(given: Any, most: int) -> int:
    if not isinstance(given, (int, float)) or not 1 <= given <= most:
        raise InputError(
            explain_error(Message("A number from 1 to {most} is needed.", most=most), repr(given)[:80], N_("Try 1."))
        )
    return int(given)


def _language(given: str) -> str:
    return translator(given).lang


def _named(b: Build, image: str) -> str:
    if not image:
        raise ImageError(
            explain_error(N_("An image is needed."), Message("none"), N_("Upload one, or name one of the folder."))
        )
    b.session.store.path(image)
    return image


def _target(b: Build, text: str) -> tuple[int | None, int | None, bool]:
    """Read a class, "a / b" or "not a", as on the command line; empty for the top class."""
    words = text.strip()
    find = b.session.model.find
    if not words:
        return None, None, False
    if " / " in words:
        one, other = words.split(" / ", 1)
        return find(one.strip()), find(other.strip()), False
    if words.lower().startswith("not "):
        return find(words[4:].strip()), None, True
    return find(words), None, False
