"""The tab that audits the folder: one subfolder a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

from ..auditing.run import audit
from .context import NETWORK, QUICK, Build, handed, handed_each, how_far, seconds
from .jobs import Far
from .session import watched
from .view import framed, note
from .words import Said, say


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "audit_help"})
        with gr.Row():
            go = b.part(gr.Button, {"value": "go_audit"}, variant="primary", elem_id="shisen-go-audit")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-audit")
        status = gr.HTML(elem_id="shisen-audit-status")
        found = gr.HTML(elem_id="shisen-findings")
        keep = b.part(gr.DownloadButton, {"label": "save_report"}, visible=False, elem_id="shisen-audit-keep")
        with b.part(gr.Accordion, {"label": "report"}, open=False, visible=False) as whole:
            report = gr.HTML(elem_id="shisen-audit-report")

    def audited(request: Any, lang: str) -> Iterator[list[Any]]:
        start = perf_counter()
        if not any("/" in name for name in b.session.store.names):
            raise Said(say("no_classes", lang))
        who = f"audit {request.session_hash}"

        def work(step: Any) -> Any:
            far: list[Any] = [0, 0, say("starting", lang)]

            def told(done: int, total: int, words: str) -> None:
                far[:] = [done, total, words]
                step(*far)

            watching = watched(b.session.model, lambda *_: step(*far))  # stops after any pass
            return audit(watching, b.session.store.root, b.exports.folder(who), lang=lang, progress=told)

        skips = [gr.skip()] * 4
        yield [note(say("starting", lang)), *skips]
        for far in b.jobs.run(who, work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), *skips]
                continue
            made = far[0]
            page = Path(made.report)
            done = say("audited", lang).format(n=len(made.findings), time=seconds(perf_counter() - start))
            yield [
                note(done),
                cards(made.cards, lang),
                gr.update(value=str(page), visible=True),
                gr.update(visible=True),
                framed(page.read_text(encoding="utf-8"), say("report", lang)),
            ]
            return
        yield [note(say("audit_stopped", lang)), *skips]

    def canceled(request: Any) -> None:
        b.jobs.cancel(f"audit {request.session_hash}")

    go.click(
        handed_each(audited, request=gr.Request),
        b.lang,
        [status, found, keep, whole, report],
        show_progress="hidden",
        **NETWORK,
    )
    stop.click(handed(canceled, request=gr.Request), None, None, **QUICK)


def cards(found: tuple[Mapping[str, Any], ...], lang: str) -> str:
    """Return every finding as a card: what it is, whether the model uses it, images before and after."""
    return f'<div class="shisen-findings">{"".join(_card(one, lang) for one in found)}</div>' if found else ""


def _card(one: Mapping[str, Any], lang: str) -> str:
    tags = "".join(f'<span class="shisen-tag">{escape(tag)}</span>' for tag in one["tags"])
    lines = "".join(f"<p>{escape(line)}</p>" for line in one["lines"])
    alt = escape(say("alt_member", lang).format(what=one["headline"]))
    members = "".join(f'<img src="{escape(address)}" alt="{alt}">' for address in one["members"])
    pairs = "".join(
        '<div class="shisen-pair">'
        + "".join(
            f'<figure><img src="{escape(pair[key])}" alt="{escape(say(key, lang))}: {escape(said)}">'
            f"<figcaption>{escape(say(key, lang))}<br>{escape(said)}</figcaption></figure>"
            for key, said in zip(("before", "after"), pair["said"], strict=True)
        )
        + "</div>"
        for pair in one["pairs"]
    )
    return (
        f'<article class="shisen-finding shisen-{escape(one["severity"])}"><h3>{escape(one["headline"])}</h3>{tags}'
        f'{lines}<div class="shisen-members">{members}</div><div class="shisen-pairs">{pairs}</div></article>'
    )
