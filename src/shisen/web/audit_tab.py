"""The tab that audits the folder: one subfolder a class."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .._core.progress import Progress
from ..auditing.run import audit
from .context import Build, seconds
from .errors import PageError
from .long_work import LongWork, Work, stoppable
from .view import framed, note
from .words import say


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    long = LongWork(b, "audit", canceled="audit_stopped")
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "audit_help"})
        with gr.Row():
            long.buttons()
        status = gr.HTML(elem_id="shisen-audit-status")
        found = gr.HTML(elem_id="shisen-findings")
        keep = b.part(gr.DownloadButton, {"label": "save_report"}, visible=False, elem_id="shisen-audit-keep")
        with b.part(gr.Accordion, {"label": "report"}, open=False, visible=False) as whole:
            report = gr.HTML(elem_id="shisen-audit-report")

    def plan(visitor: str, lang: str) -> Work:
        if not any("/" in name for name in b.session.store.names):
            raise PageError(say("no_classes", lang))

        def work(step: Progress) -> Any:
            watching, report = stoppable(b.session.model, step, say("starting", lang))
            folder = b.exports.folder(visitor)  # a canceled audit continues there
            return audit(watching, b.session.store.root, folder, lang=lang, progress=report)

        return work

    def show(made: Any, time: float, lang: str) -> list[Any]:
        page = Path(made.report)
        return [
            note(say("audited", lang).format(n=len(made.findings), time=seconds(time))),
            cards(made.cards, lang),
            gr.update(value=str(page), visible=True),
            gr.update(visible=True),
            framed(page.read_text(encoding="utf-8"), say("report", lang)),
        ]

    outputs = [status, found, keep, whole, report]
    long.offer([b.lang], outputs, plan, show, show_progress="hidden")


def cards(found: tuple[Mapping[str, Any], ...], lang: str) -> str:
    """Return every finding as a card: what it is, whether the model uses it, images before and after.

    Args:
        found: the findings and their images.
        lang: language of the text, such as "en" or "ja".
    """
    return f'<div class="shisen-findings">{"".join(_card(one, lang) for one in found)}</div>' if found else ""


def _card(one: Mapping[str, Any], lang: str) -> str:
    tags = "".join(f'<span class="shisen-tag">{escape(tag)}</span>' for tag in one["tags"])
    lines = "".join(f"<p>{escape(line)}</p>" for line in one["lines"])
    alt = escape(say("alt_member", lang).format(what=one["headline"]))
    members = "".join(f'<img src="{escape(address)}" alt="{alt}">' for address in one["members"])
    pairs = "".join(
        '<div class="shisen-pair">'
        + "".join(
            f'<figure><img src="{escape(pair[key])}" alt="{escape(say(key, lang))}: {escape(caption)}">'
            f"<figcaption>{escape(say(key, lang))}<br>{escape(caption)}</figcaption></figure>"
            for key, caption in zip(("before", "after"), pair["predicted"], strict=True)
        )
        + "</div>"
        for pair in one["pairs"]
    )
    return (
        f'<article class="shisen-finding shisen-{escape(one["severity"])}"><h3>{escape(one["headline"])}</h3>{tags}'
        f'{lines}<div class="shisen-members">{members}</div><div class="shisen-pairs">{pairs}</div></article>'
    )
