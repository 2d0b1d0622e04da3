"""The tab where one picture is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..explanation import Explanation
from ..naming import label
from ..registry import METHODS
from ..registry import get as method_of
from .asking import COLORMAPS, SCORES, STYLES, Ask, Drawing, command, file_name, python
from .building import NETWORK, QUICK, Build, handed, safely, seconds
from .desk import Chosen
from .shelf import open_upload
from .view import both, note
from .words import choices, say

TOP = 5
THUMBS = 8
NONE = -1


def build(b: Build) -> Any:
    """Build the tab; return the event that shows the first picture, to be run when the page is opened."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=280, elem_classes="shisen-card"):
            view = gr.HTML(elem_id="shisen-view")
            with gr.Row(elem_classes="shisen-step"):
                back = b.part(gr.Button, {"value": "previous"}, size="sm", elem_id="shisen-previous")
                on = b.part(gr.Button, {"value": "next"}, size="sm", elem_id="shisen-next")
            summary = gr.HTML(elem_id="shisen-summary")
            b.part(gr.Markdown, {"value": "answers"})
            with gr.Row(elem_classes="shisen-answers"):
                answers = [gr.Button("–", elem_id=f"shisen-answer-{i}", size="sm") for i in range(TOP)]
            with gr.Row():
                png = b.part(gr.Button, {"value": "png"}, variant="primary", elem_id="shisen-png")
                record = b.part(gr.Button, {"value": "json"}, elem_id="shisen-json")
            files = [gr.DownloadButton(k, elem_id=f"shisen-file-{k}", visible="hidden") for k in ("png", "json")]
        with gr.Column(scale=4, min_width=280):
            with gr.Column(elem_classes="shisen-card"):
                upload = b.part(gr.File, {"label": "upload"}, type="filepath", height=96, elem_id="shisen-upload")
                names = b.desk.shelf.names
                shelf = b.part(gr.Dropdown, {"label": "pictures"}, choices=names[:2000], value=names[0])
                thumbs = gr.Gallery(
                    columns=4,
                    rows=2,
                    height=132 if len(names) <= 4 else 244,
                    show_label=False,
                    allow_preview=False,
                    interactive=False,
                    object_fit="cover",
                    buttons=[],
                    elem_id="shisen-shelf",
                )
            with gr.Column(elem_classes="shisen-card"):
                methods = list(METHODS)
                method = b.part(
                    gr.Dropdown, {"label": "method"}, choices=methods, value="grad_cam", elem_id="shisen-method"
                )
                about = gr.HTML(elem_id="shisen-about")
                layers = [point.path for point in b.desk.model.layers if point.spatial]
                default, _ = b.desk.reason()
                layer = b.part(gr.Dropdown, {"label": "layer"}, choices=layers, value=default or None)
                why = gr.HTML(elem_id="shisen-why")

                def named(first: str) -> Any:
                    every = [(label(k, b.desk.model.labels), k) for k in range(b.desk.classes)]
                    return lambda lang: [(say(first, lang), NONE), *every]

                with gr.Row():
                    a = b.part(
                        gr.Dropdown,
                        {"label": "class_a", "choices": named("top_class")},
                        value=NONE,
                        min_width=140,
                        elem_id="shisen-class",
                    )
                    other = b.part(
                        gr.Dropdown,
                        {"label": "class_b", "choices": named("nothing")},
                        value=NONE,
                        min_width=140,
                        elem_id="shisen-other",
                    )
                against = b.part(gr.Checkbox, {"label": "against"}, value=False)
                score = b.part(
                    gr.Radio, {"label": "score", "choices": lambda lang: choices(SCORES, lang)}, value="logit"
                )
            with gr.Column(elem_classes="shisen-card"):
                style = b.part(
                    gr.Radio,
                    {"label": "style", "choices": lambda lang: choices(STYLES, lang)},
                    value="blend",
                    elem_id="shisen-style",
                )
                with gr.Row():
                    colormap = b.part(
                        gr.Dropdown,
                        {"label": "colormap"},
                        choices=list(COLORMAPS),
                        value="jet",
                        min_width=120,
                        elem_id="shisen-colormap",
                    )
                    alpha = b.part(
                        gr.Slider, {"label": "alpha"}, minimum=0, maximum=1, step=0.05, value=0.4, min_width=140
                    )
    with b.part(gr.Accordion, {"label": "again"}, open=False, elem_classes="shisen-card"):
        line = b.part(gr.Code, {"label": "command"}, language="shell", lines=1, interactive=False, wrap_lines=True)
        lines = b.part(gr.Code, {"label": "python"}, language="python", lines=1, interactive=False, wrap_lines=True)

    ranked = gr.State([])
    question = [b.chosen, method, layer, a, other, against, score]
    drawing = [style, colormap, alpha]
    inputs = [*question, *drawing, b.lang]
    drawn = [view, line, lines]
    outputs = [*drawn, summary, about, why, layer, ranked, *answers]

    def asked(method: str, layer: Any, a: Any, other: Any, against: bool, score: str) -> Ask:
        return Ask(
            method_of(method).name,
            None if a in (None, NONE) else int(a),
            None if other in (None, NONE) else int(other),
            bool(against),
            layer or None,
            score,
        )

    def drawn_again(chosen: Chosen, *given: Any) -> list[Any]:
        *asking, style, colormap, alpha, lang = given
        ask, how = asked(*asking), Drawing(style, colormap, float(alpha))
        seen = b.desk.explain(chosen, ask)
        at = (b.desk.model, b.desk.start, ask, how, chosen.name)
        return [both(seen.shown, how, lang), command(*at), python(*at)]

    def explained(chosen: Chosen, *given: Any) -> list[Any]:
        *asking, _, _, _, lang = given
        ask = asked(*asking)
        seen = b.desk.explain(chosen, ask).whole
        best = [p.index for p in seen.predictions]
        spec = method_of(ask.method)
        default, reason = b.desk.reason()
        where = say("default_layer", lang).format(layer=default, reason=reason) if default else ""
        return [
            *drawn_again(chosen, *given),
            note(said(seen, lang)) + note(seen.warning or "", "warn"),
            note(spec.summary, "quiet"),
            note(where if spec.layered else say("no_layer", lang), "quiet"),
            gr.update(interactive=spec.layered),
            best,
            *(_answer(seen, i, ask) for i in range(TOP)),
        ]

    def of_rank(place: int) -> Any:
        def ranked_explained(best: list[int], chosen: Chosen, method: str, layer: Any, *given: Any) -> list[Any]:
            if place >= len(best):
                raise InputError(say("no_upload", str(given[-1])))
            _, _, _, score, *rest = given
            return [best[place], NONE, False, *explained(chosen, method, layer, best[place], NONE, False, score, *rest)]

        return safely(ranked_explained)

    def thumbnails(name: str) -> list[tuple[Any, str]]:
        return [(b.desk.thumbnail(n), n) for n in b.desk.shelf.around(name, THUMBS)]

    def showing(chosen: Chosen, method: str, layer: Any, *given: Any) -> list[Any]:
        """A new picture begins with its own top class."""
        score, *rest = given[3:]
        found = explained(chosen, method, layer, NONE, NONE, False, score, *rest)
        strip = gr.skip() if chosen.path else thumbnails(chosen.name)
        return [chosen, chosen.name if not chosen.path else None, strip, NONE, NONE, False, *found]

    def opened(chosen: Chosen | None, *given: Any) -> list[Any]:
        return showing(chosen or Chosen(b.desk.shelf.names[0]), *given)

    def stepped(by: int) -> Any:
        def step(chosen: Chosen, *given: Any) -> list[Any]:
            return showing(Chosen(b.desk.shelf.step(chosen.name if not chosen.path else None, by)), *given)

        return safely(step)

    def picked(name: str, *given: Any) -> list[Any]:
        b.desk.shelf.path(name)
        return showing(Chosen(name), *given[1:])

    def selected(event: Any, chosen: Chosen, *given: Any) -> list[Any]:
        name = event.value["caption"] if isinstance(event.value, dict) else str(event.value)
        return picked(name, chosen, *given)

    def uploaded(file: str | None, *given: Any) -> list[Any]:
        if file is None:
            raise InputError(say("no_upload", str(given[-1])))
        open_upload(file, Path(file).name)
        return showing(Chosen(Path(file).name, file), *given[1:])

    def taken(kind: str) -> Any:
        def take(chosen: Chosen, *given: Any) -> str:
            *asking, style, colormap, alpha, _ = given
            ask = asked(*asking)
            seen = b.desk.explain(chosen, ask).whole
            file = b.exports.folder() / file_name(chosen.name, ask.method)
            seen.save(file, style=style, colormap=colormap, alpha=float(alpha))
            return str(file.with_suffix(f".{kind}"))

        return safely(take)

    new = [b.chosen, shelf, thumbs, a, other, against, *outputs]
    for part in (method, layer, a, other, against, score):
        part.input(safely(explained), inputs, outputs, trigger_mode="always_last", show_progress_on=view, **NETWORK)
    for part in drawing:
        part.input(safely(drawn_again), inputs, drawn, trigger_mode="always_last", **QUICK)
    for i, button in enumerate(answers):
        button.click(of_rank(i), [ranked, *inputs], [a, other, against, *outputs], show_progress_on=view, **NETWORK)
    back.click(stepped(-1), inputs, new, show_progress_on=view, **NETWORK)
    on.click(stepped(1), inputs, new, show_progress_on=view, **NETWORK)
    shelf.input(safely(picked), [shelf, *inputs], new, show_progress_on=view, **NETWORK)
    thumbs.select(handed(selected, "event", gr.SelectData), inputs, new, show_progress_on=view, **NETWORK)
    upload.upload(safely(uploaded), [upload, *inputs], new, show_progress_on=view, **NETWORK)
    for button, file, kind in ((png, files[0], "png"), (record, files[1], "json")):
        press = f"() => document.querySelector('#shisen-file-{kind}').closest('a, button').click()"
        button.click(taken(kind), inputs, file, **QUICK).success(None, None, None, js=press, api_visibility="private")
    b.lang.input(safely(explained), inputs, outputs, **NETWORK)
    return safely(opened), inputs, new


def said(seen: Explanation, lang: str) -> str:
    """Say in one line what was explained, what the network answers, and how long it took."""
    best = seen.predictions[0] if seen.predictions else None
    chance = say("chance", lang).format(label=best.label, p=best.probability) if best else ""
    return say("summary", lang).format(
        method=seen.method, target=seen.target.name, chance=chance, time=seconds(seen.seconds)
    )


def _answer(seen: Explanation, place: int, ask: Ask) -> Any:
    import gradio as gr

    if place >= len(seen.predictions):
        return gr.update(visible=False)
    p = seen.predictions[place]
    on = seen.target.indices[:1] == (p.index,) and not ask.against
    return gr.update(value=f"{p.label}  {p.probability:.1%}", visible=True, variant="primary" if on else "secondary")
