"""The tab where methods and classes stand side by side."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from ..naming import top
from ..registry import METHODS
from .building import NETWORK, QUICK, Build, handed, how_far
from .desk import Chosen
from .jobs import Far
from .view import note
from .words import say

FIRST = ("gradient", "input_x_gradient", "grad_cam", "grad_cam_pp", "layer_cam", "hires_cam")  # one pass each


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    names = list(METHODS)
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "compare_help"})
        chosen = [m for m in FIRST if m in names] or names[:3]
        methods = b.part(
            gr.Dropdown, {"label": "methods"}, choices=names, value=chosen, multiselect=True, elem_id="shisen-methods"
        )
        with gr.Row():
            many = b.part(gr.Slider, {"label": "how_many"}, minimum=1, maximum=5, step=1, value=2, min_width=200)
            go = b.part(gr.Button, {"value": "go_compare"}, variant="primary", elem_id="shisen-go-compare")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-compare")
        status = gr.HTML(elem_id="shisen-compare-status")
    with gr.Column(elem_classes="shisen-card"):
        figure = b.part(
            gr.Image,
            {"label": "figure"},
            show_label=False,
            type="filepath",
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id="shisen-comparison",
        )
        problems = gr.HTML()

    def compared(request: Any, picture: Chosen, methods: list[str], many: float, lang: str) -> Iterator[list[Any]]:
        who = f"compare {request.session_hash}"

        def work(step: Any) -> Any:
            done = 0

            def named(method: str) -> None:
                nonlocal done
                done += 1
                step(done, len(methods), method)

            found = b.desk.compare(picture, list(methods), [top(k) for k in range(int(many))], None, named)
            return found, found.save(b.exports.folder() / "comparison.png", columns=3)

        yield [note(say("starting", lang)), gr.skip(), ""]
        for far in b.jobs.run(who, work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip(), gr.skip()]
                continue
            found, file = far[0]
            lines = "".join(f"<li><b>{escape(m)}</b>: {escape(w)}</li>" for m, w in found.failures.items())
            yield ["", str(file), f"<p>{say('why_not', lang)}</p><ul>{lines}</ul>" if lines else ""]
            return
        yield [note(say("cancelled", lang)), gr.skip(), gr.skip()]

    def cancelled(request: Any) -> None:
        b.jobs.cancel(f"compare {request.session_hash}")

    go.click(
        handed(compared, "request", gr.Request),
        [b.chosen, methods, many, b.lang],
        [status, figure, problems],
        show_progress_on=figure,
        **NETWORK,
    )
    stop.click(handed(cancelled, "request", gr.Request), None, None, **QUICK)
