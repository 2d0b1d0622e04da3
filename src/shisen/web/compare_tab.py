"""The tab where methods, classes, images and networks stand side by side."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from ..comparison import Comparison, compare
from ..naming import top
from .context import NETWORK, QUICK, Build, handed, handed_each, how_far, safely
from .image_store import open_upload
from .jobs import Far
from .method_choices import cautions
from .session import Chosen, watched
from .view import note
from .words import Said, say

FIRST = ("gradient", "input_x_gradient", "grad_cam", "grad_cam_pp", "layer_cam", "hires_cam")  # one pass each
NONE = ""


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    names = [name for _, name in b.session.offered("en")]
    networks = [b.session.model, *([b.session.versus] if b.session.versus is not None else [])]

    def seconds_to_choose(lang: str) -> list[tuple[str, str]]:
        return [(say("nothing", lang), NONE), *((n, n) for n in b.session.store.names[:2000])]

    def of_networks(lang: str) -> list[tuple[str, int]]:
        every = [(model.name, i) for i, model in enumerate(networks)]
        return [*every, (say("both_models", lang), -1)] if len(every) > 1 else every

    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "compare_help"})
        chosen = [m for m in FIRST if m in names] or names[:3]
        methods = b.part(
            gr.Dropdown,
            {"label": "methods", "choices": b.session.offered},
            value=chosen,
            multiselect=True,
            elem_id="shisen-methods",
        )
        careful = gr.HTML(elem_id="shisen-compare-caution")
        with gr.Row():
            second = b.part(
                gr.Dropdown,
                {"label": "second_image", "choices": seconds_to_choose},
                value=NONE,
                min_width=180,
                elem_id="shisen-second",
            )
            upload = b.part(
                gr.File, {"label": "second_upload"}, type="filepath", height=96, elem_id="shisen-second-upload"
            )
            model = b.part(
                gr.Radio,
                {"label": "models", "choices": of_networks, **({} if len(networks) > 1 else {"info": "one_model"})},
                value=-1 if len(networks) > 1 else 0,
                elem_id="shisen-models",
            )
        with gr.Row():
            many = b.part(gr.Slider, {"label": "how_many"}, minimum=1, maximum=5, step=1, value=2, min_width=200)
            go = b.part(gr.Button, {"value": "go_compare"}, variant="primary", elem_id="shisen-go-compare")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-compare")
        status = gr.HTML(elem_id="shisen-compare-status")
    with gr.Column(elem_classes="shisen-card"):
        figures = [
            b.part(
                gr.Image,
                {"label": "figure"},
                show_label=False,
                type="filepath",
                interactive=False,
                buttons=["download", "fullscreen"],
                visible=i == 0,
                elem_id=f"shisen-comparison-{i}",
                elem_classes="shisen-figure",
            )
            for i in range(2 * len(networks))
        ]
        problems = gr.HTML()

    def compared(
        request: Any, image: Chosen, methods: list[str], second: str, file: str | None, model: int, *given: Any
    ) -> Iterator[list[Any]]:
        many, lang = given
        if not methods:
            raise Said(say("no_methods", lang))
        images = [image]
        if file:
            open_upload(file, Path(file).name)
            images.append(Chosen(Path(file).name, file))
        elif second:
            b.session.store.path(second)
            images.append(Chosen(second))
        chosen = networks if model == -1 else [networks[int(model)]]
        pairs = [(network, one) for one in images for network in chosen]

        def work(step: Any) -> list[tuple[Comparison, Path]]:
            done, made = 0, []
            folder = b.exports.folder()

            def named(_: int, __: int, words: str) -> None:
                nonlocal done
                done += 1
                step(done, len(methods) * len(pairs), words)

            for i, (network, one) in enumerate(pairs):
                watching = watched(network, lambda *_: step(done, len(methods) * len(pairs), say("in_work", lang)))
                targets = [top(k) for k in range(int(many))]
                found = compare(watching, b.session.image(one), list(methods), targets, progress=named)
                made.append((found, found.save(folder / f"comparison_{i + 1}.png", columns=3)))
            return made

        yield [note(say("starting", lang)), "", *(gr.skip() for _ in figures)]
        for far in b.jobs.run(f"compare {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip(), *(gr.skip() for _ in figures)]
                continue
            made = far[0]
            shown = [
                gr.update(value=str(made[i][1]) if i < len(made) else None, visible=i < max(1, len(made)))
                for i in range(len(figures))
            ]
            yield ["", unsuited([found for found, _ in made], lang), *shown]
            return
        yield [note(say("canceled", lang)), *(gr.skip() for _ in range(1 + len(figures)))]

    def canceled(request: Any) -> None:
        b.jobs.cancel(f"compare {request.session_hash}")

    def warned(methods: list[str], lang: str) -> str:
        return note(cautions(methods, lang), "warn")

    for part in (methods, b.lang):
        part.input(safely(warned), [methods, b.lang], careful, **QUICK)
    go.click(
        handed_each(compared, request=gr.Request),
        [b.chosen, methods, second, upload, model, many, b.lang],
        [status, problems, *figures],
        show_progress_on=figures[0],
        **NETWORK,
    )
    stop.click(handed(canceled, request=gr.Request), None, None, **QUICK)


def unsuited(made: list[Comparison], lang: str) -> str:
    """Return as a list which methods do not suit which network, and why; empty if all do."""
    lines = {f"{c.model}, {m}": w for c in made for m, w in c.failures.items()}
    if not lines:
        return ""
    items = "".join(f"<li><b>{escape(k)}</b>: {escape(w)}</li>" for k, w in lines.items())
    return f"<p>{say('why_not', lang)}</p><ul>{items}</ul>"
