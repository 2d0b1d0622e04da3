"""The tab that measures explanations on the folder."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from ..evaluate.harness import evaluate
from ..evaluate.metrics import METRICS
from ..registry import METHODS
from .building import NETWORK, QUICK, Build, handed, how_far, seconds
from .jobs import Far
from .view import framed, note
from .words import say


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    from ..evaluate import fill_registry

    fill_registry()
    plain = [name for name, spec in METRICS.items() if spec.needs not in ("region", "collage")]
    first = [m for m in ("deletion", "insertion", "adcc") if m in plain]
    total = len(b.desk.shelf.names)
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "trust_help"})
        with gr.Row():
            methods = b.part(
                gr.Dropdown,
                {"label": "methods"},
                choices=list(METHODS),
                value=["grad_cam", "gradient"],
                multiselect=True,
                elem_id="shisen-trust-methods",
            )
            metrics = b.part(
                gr.Dropdown,
                {"label": "metrics"},
                choices=plain,
                value=first,
                multiselect=True,
                elem_id="shisen-trust-metrics",
            )
        with gr.Row():
            count = b.part(
                gr.Slider,
                {"label": "count"},
                minimum=1,
                maximum=max(2, total),
                step=1,
                value=min(total, 20),
                min_width=200,
            )
            go = b.part(gr.Button, {"value": "go_trust"}, variant="primary", elem_id="shisen-go-trust")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-trust")
        status = gr.HTML(elem_id="shisen-trust-status")
    with gr.Column(elem_classes="shisen-card"):
        keep = b.part(gr.DownloadButton, {"label": "save_report"}, interactive=False)
        report = gr.HTML(elem_id="shisen-trust-report")

    def measured(request: Any, methods: list[str], metrics: list[str], count: float, lang: str) -> Iterator[list[Any]]:
        start = perf_counter()
        pictures = [str(b.desk.shelf.path(name)) for name in b.desk.shelf.names]

        def work(step: Any) -> Any:
            scores = evaluate(
                b.desk.model.chunked(4), pictures, methods, metrics, n=min(int(count), len(pictures)), progress=step
            )
            return scores, scores.save(b.exports.folder(), lang=lang)

        yield [note(say("starting", lang)), gr.skip(), gr.skip()]
        for far in b.jobs.run(f"trust {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip(), gr.skip()]
                continue
            scores, page = far[0]
            done = say("finished", lang).format(n=scores.facts["n"], time=seconds(perf_counter() - start))
            shown = framed(page.read_text(encoding="utf-8"), say("report", lang))
            yield [note(done), gr.update(value=str(page), interactive=True), shown]
            return
        yield [note(say("cancelled", lang)), gr.skip(), gr.skip()]

    def cancelled(request: Any) -> None:
        b.jobs.cancel(f"trust {request.session_hash}")

    go.click(
        handed(measured, "request", gr.Request),
        [methods, metrics, count, b.lang],
        [status, keep, report],
        show_progress="hidden",
        **NETWORK,
    )
    stop.click(handed(cancelled, "request", gr.Request), None, None, **QUICK)
