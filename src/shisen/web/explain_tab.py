"""The tab where one image is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from ..naming import label
from ..registry import get as method_of
from ..results import Explanation
from .context import NETWORK, QUICK, Build, Explaining, handed, handed_each, how_far, safely, seconds
from .image_store import open_upload
from .jobs import Far
from .method_choices import about, caution
from .request import COLORMAPS, SCORES, STYLES, Ask, Drawing, command, file_name, python
from .script import DRAW, LATER
from .session import Chosen, Seen
from .view import both, note
from .words import Said, choices, say

TOP = 5
THUMBS = 8
NONE = -1
PATIENCE, FEW = 0.7, 4  # seconds, and images sent through the network, until a visitor is told how far it is


def build(b: Build) -> Any:
    """Build the tab; return the event that shows the first image, to be run when the page is opened."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=280):
            with gr.Column(elem_classes="shisen-card"):
                view = gr.HTML(elem_id="shisen-view")
                with gr.Row(elem_classes="shisen-step"):
                    back = b.part(gr.Button, {"value": "previous"}, size="sm", elem_id="shisen-previous")
                    on = b.part(gr.Button, {"value": "next"}, size="sm", elem_id="shisen-next")
                status = gr.HTML(elem_id="shisen-status")
                summary = gr.HTML(elem_id="shisen-summary")
                b.part(gr.Markdown, {"value": "answers"})
                with gr.Row(elem_classes="shisen-answers"):
                    answers = [gr.Button("–", elem_id=f"shisen-answer-{i}", size="sm") for i in range(TOP)]
                with gr.Row():
                    png = b.part(gr.Button, {"value": "png"}, variant="primary", elem_id="shisen-png")
                    record = b.part(gr.Button, {"value": "json"}, elem_id="shisen-json")
                redraw, stop = (
                    gr.Button(k, elem_id=f"shisen-{k}", visible="hidden") for k in ("redraw", "stop-explain")
                )
                files = [gr.DownloadButton(k, elem_id=f"shisen-file-{k}", visible="hidden") for k in ("png", "json")]
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
                        gr.Slider,
                        {"label": "alpha"},
                        minimum=0,
                        maximum=1,
                        step=0.05,
                        value=0.4,
                        min_width=140,
                        elem_id="shisen-strength",
                    )
        with gr.Column(scale=4, min_width=280):
            with gr.Column(elem_classes="shisen-card"):
                upload = b.part(gr.File, {"label": "upload"}, type="filepath", height=96, elem_id="shisen-upload")
                names = b.session.store.names
                store = b.part(gr.Dropdown, {"label": "images"}, choices=names[:2000], value=names[0])
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
                method = b.part(
                    gr.Dropdown,
                    {"label": "method", "choices": b.session.offered},
                    value="grad_cam",
                    elem_id="shisen-method",
                )
                what = gr.HTML(elem_id="shisen-about")
                layers = [point.path for point in b.session.model.layers if point.spatial]
                default = b.session.default
                layer = b.part(gr.Dropdown, {"label": "layer"}, choices=layers, value=default.path if default else None)
                why = gr.HTML(elem_id="shisen-why")

                def named(first: str) -> Any:
                    every = [(label(k, b.session.model.labels), k) for k in range(b.session.classes)]
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
    with b.part(gr.Accordion, {"label": "again"}, open=False, elem_classes="shisen-card"):
        line = b.part(gr.Code, {"label": "command"}, language="shell", lines=1, interactive=False, wrap_lines=True)
        lines = b.part(gr.Code, {"label": "python"}, language="python", lines=1, interactive=False, wrap_lines=True)

    ranked = gr.State([])
    question = [b.chosen, method, layer, a, other, against, score]
    drawing = [style, colormap, alpha]
    inputs = [*question, *drawing, b.lang]
    outputs = [view, line, lines, summary, what, why, layer, ranked, *answers]

    def asked(method: str, layer: Any, a: Any, other: Any, against: bool, score: str) -> Ask:
        return Ask(
            method_of(method).name,
            None if a in (None, NONE) else int(a),
            None if other in (None, NONE) else int(other),
            bool(against),
            layer or None,
            score,
        )

    def written(chosen: Chosen, *given: Any) -> list[str]:
        *asking, style, colormap, alpha, _ = given
        at = (b.session.model, b.session.start, asked(*asking), Drawing(style, colormap, float(alpha)), chosen.name)
        return [command(*at), python(*at)]

    def explained(request: Any, chosen: Chosen, *given: Any, first: Sequence[Any] = ()) -> Iterator[list[Any]]:
        """Yield how far a slow method is, then every output; `first` are outputs that come before those."""
        *asking, _, _, _, lang = given
        ask = asked(*asking)
        rest = [gr.skip()] * (len(first) + len(outputs))
        told = perf_counter() + PATIENCE
        for far in b.jobs.run(_who(request), lambda step: b.session.explain(chosen, ask, step)):
            if not isinstance(far, Far):
                yield ["", *first, *finished(far[0], ask, chosen, *given)]
                return
            if far.done > FEW and perf_counter() > told:
                words = say("passes", lang).format(method=ask.method, n=far.done)
                yield [how_far(Far(0, 0, words), lang, "shisen-stop-explain"), *rest]
        yield [note(say("canceled", lang)), *rest]

    def finished(found: Seen, ask: Ask, chosen: Chosen, *given: Any) -> list[Any]:
        *_, style, colormap, alpha, lang = given
        seen = found.whole
        spec = method_of(ask.method)
        return [
            both(found, Drawing(style, colormap, float(alpha)), lang),
            *written(chosen, *given),
            note(said(seen, lang)) + note(b.session.warning(seen, lang), "warn"),
            note(about(ask.method, lang), "quiet") + note(caution(ask.method, lang), "warn"),
            note(b.session.where(lang) if spec.layered else say("no_layer", lang), "quiet"),
            gr.update(interactive=spec.layered),
            [p.index for p in seen.predictions],
            *(_answer(seen, i, ask) for i in range(TOP)),
        ]

    def of_rank(place: int) -> Any:
        def ranked_explained(
            request: Any, best: list[int], chosen: Chosen, method: str, layer: Any, *given: Any
        ) -> Iterator[list[Any]]:
            if place >= len(best):
                raise Said(say("no_upload", str(given[-1])))
            _, _, _, score, *rest = given
            k = best[place]
            return explained(request, chosen, method, layer, k, NONE, False, score, *rest, first=(k, NONE, False))

        return ranked_explained

    def thumbnails(name: str) -> list[tuple[Any, str]]:
        return [(b.session.thumbnail(n), n) for n in b.session.store.around(name, THUMBS)]

    def showing(request: Any, chosen: Chosen, method: str, layer: Any, *given: Any) -> Iterator[list[Any]]:
        """A new image begins with its own top class."""
        score, *rest = given[3:]
        strip = gr.skip() if chosen.path else thumbnails(chosen.name)
        first = (chosen, chosen.name if not chosen.path else None, strip, NONE, NONE, False)
        return explained(request, chosen, method, layer, NONE, NONE, False, score, *rest, first=first)

    def opened(request: Any, chosen: Chosen | None, *given: Any) -> Iterator[list[Any]]:
        return showing(request, chosen or Chosen(b.session.store.names[0]), *given)

    def stepped(by: int) -> Any:
        def step(request: Any, chosen: Chosen, *given: Any) -> Iterator[list[Any]]:
            return showing(request, Chosen(b.session.store.step(chosen.name if not chosen.path else None, by)), *given)

        return step

    def picked(request: Any, name: str, *given: Any) -> Iterator[list[Any]]:
        b.session.store.path(name)
        return showing(request, Chosen(name), *given[1:])

    def selected(request: Any, event: Any, chosen: Chosen, *given: Any) -> Iterator[list[Any]]:
        name = event.value["caption"] if isinstance(event.value, dict) else str(event.value)
        return picked(request, name, chosen, *given)

    def uploaded(request: Any, file: str | None, *given: Any) -> Iterator[list[Any]]:
        if file is None:
            raise Said(say("no_upload", str(given[-1])))
        open_upload(file, Path(file).name)
        return showing(request, Chosen(Path(file).name, file), *given[1:])

    def taken(kind: str) -> Any:
        def take(chosen: Chosen, *given: Any) -> str:
            *asking, style, colormap, alpha, _ = given
            ask = asked(*asking)
            seen = b.session.explain(chosen, ask).whole
            file = b.exports.folder() / file_name(chosen.name, ask.method)
            seen.save(file, style=style, colormap=colormap, alpha=float(alpha))
            return str(file.with_suffix(f".{kind}"))

        return safely(take)

    def stopped(request: Any) -> None:
        b.jobs.cancel(_who(request))

    def asks(function: Callable[..., Iterator[list[Any]]], **kinds: type) -> dict[str, Any]:
        """What an event has that asks the network."""
        return {"fn": handed_each(function, request=gr.Request, **kinds), "show_progress_on": view, **NETWORK}

    all_of_it = [status, *outputs]
    again = [status, a, other, against, *outputs]
    new = [status, b.chosen, store, thumbs, a, other, against, *outputs]
    for part in (method, layer, a, other, against, score):
        part.input(inputs=inputs, outputs=all_of_it, trigger_mode="always_last", **asks(explained))
    for part in drawing:
        part.input(None, drawing, None, js=DRAW, api_visibility="private")
        part.input(safely(written), inputs, [line, lines], trigger_mode="always_last", js=LATER, **QUICK)
    redraw.click(inputs=inputs, outputs=all_of_it, trigger_mode="always_last", **asks(explained))
    for i, button in enumerate(answers):
        button.click(inputs=[ranked, *inputs], outputs=again, **asks(of_rank(i)))
    back.click(inputs=inputs, outputs=new, **asks(stepped(-1)))
    on.click(inputs=inputs, outputs=new, **asks(stepped(1)))
    store.input(inputs=[store, *inputs], outputs=new, **asks(picked))
    thumbs.select(inputs=inputs, outputs=new, **asks(selected, event=gr.SelectData))
    upload.upload(inputs=[upload, *inputs], outputs=new, **asks(uploaded))
    stop.click(handed(stopped, request=gr.Request), None, None, **QUICK)
    for button, file, kind in ((png, files[0], "png"), (record, files[1], "json")):
        press = f"() => document.querySelector('#shisen-file-{kind}').closest('a, button').click()"
        button.click(taken(kind), inputs, file, **QUICK).success(None, None, None, js=press, api_visibility="private")
    b.lang.input(inputs=inputs, outputs=all_of_it, **asks(explained))
    b.explaining = Explaining(method, layer, inputs, all_of_it, asks(explained))
    return handed_each(opened, request=gr.Request), inputs, new


def _who(request: Any) -> str:
    return f"explain {request.session_hash}"


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
    return gr.update(value=f"{p.label}  {p.strength}", visible=True, variant="primary" if on else "secondary")
