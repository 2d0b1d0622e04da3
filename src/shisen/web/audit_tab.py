"""The tab that audits the folder: one subfolder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from ..audit.run import audit
from ..errors import InputError
from .building import NETWORK, QUICK, Build, handed, how_far, seconds
from .jobs import Far
from .view import framed, note
from .words import say


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "audit_help"})
        with gr.Row():
            go = b.part(gr.Button, {"value": "go_audit"}, variant="primary", elem_id="shisen-go-audit")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-audit")
        status = gr.HTML(elem_id="shisen-audit-status")
    with gr.Column(elem_classes="shisen-card"):
        keep = b.part(gr.DownloadButton, {"label": "save_report"}, interactive=False)
        report = gr.HTML(elem_id="shisen-audit-report")

    def audited(request: Any, lang: str) -> Iterator[list[Any]]:
        start = perf_counter()
        if not any("/" in name for name in b.desk.shelf.names):
            raise InputError(say("no_classes", lang))

        def work(step: Any) -> Any:
            def told(words: str, done: int, total: int) -> None:
                step(done, total, words)

            return audit(b.desk.model, b.desk.shelf.root, b.exports.folder(), lang=lang, progress=told)

        yield [note(say("starting", lang)), gr.skip(), gr.skip()]
        for far in b.jobs.run(f"audit {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip(), gr.skip()]
                continue
            page = Path(far[0].report)
            done = say("audited", lang).format(n=len(far[0].findings), time=seconds(perf_counter() - start))
            shown = framed(page.read_text(encoding="utf-8"), say("report", lang))
            yield [note(done), gr.update(value=str(page), interactive=True), shown]
            return
        yield [note(say("cancelled", lang)), gr.skip(), gr.skip()]

    def cancelled(request: Any) -> None:
        b.jobs.cancel(f"audit {request.session_hash}")

    go.click(
        handed(audited, "request", gr.Request), [b.lang], [status, keep, report], show_progress="hidden", **NETWORK
    )
    stop.click(handed(cancelled, "request", gr.Request), None, None, **QUICK)
