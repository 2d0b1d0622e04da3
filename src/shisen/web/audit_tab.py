"""The tab that audits the folder: one subfolder a class."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .._core.i18n import N_, translator
from .._core.progress import Progress
from ..auditing.run import audit
from ..errors import InputError
from .context import Build, seconds
from .long_work import LongWork, Work, stoppable
from .view import framed, note


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    long = LongWork(b, "audit", canceled=N_("Canceled. The next audit continues from here."))
    with gr.Column(elem_classes="shisen-card"):
        b.markdown(
            N_(
                "Searches the folder (one subfolder per class) for shortcuts that the model has learned, and "
                "tests them by changing images."
            )
        )
        with gr.Row():
            long.buttons(N_("Start audit"))
        status = gr.HTML(elem_id="shisen-audit-status")
        found = gr.HTML(elem_id="shisen-findings")
        keep = b.part(gr.DownloadButton, {"label": N_("Download report")}, visible=False, elem_id="shisen-audit-keep")
        with b.part(gr.Accordion, {"label": N_("Report")}, open=False, visible=False) as whole:
            report = gr.HTML(elem_id="shisen-audit-report")

    def plan(visitor: str, lang: str) -> Work:
        if not any("/" in name for name in b.session.store.names):
            raise InputError(
                N_("An audit needs one subfolder of images per class. Start the page with --folder and such a folder.")
            )

        def work(step: Progress) -> Any:
            watching, report = stoppable(b.session.model, step, N_("Starting …"))
            folder = b.exports.folder(visitor)  # a canceled audit continues there
            return audit(watching, b.session.store.root, folder, lang=lang, progress=report)

        return work

    def show(made: Any, time: float, lang: str) -> list[Any]:
        _, page = translator(lang), Path(made.report)
        return [
            note(_("Done: {n} findings, {time}.", n=len(made.findings), time=seconds(time))),
            cards(made.cards, lang),
            gr.update(value=str(page), visible=True),
            gr.update(visible=True),
            framed(page.read_text(encoding="utf-8"), _("Report")),
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
    _ = translator(lang)
    moments = {"before": _("before"), "after": _("after")}
    tags = "".join(f'<span class="shisen-tag">{escape(tag)}</span>' for tag in one["tags"])
    lines = "".join(f"<p>{escape(line)}</p>" for line in one["lines"])
    alt = escape(_("Image with: {what}", what=one["headline"]))
    members = "".join(f'<img src="{escape(address)}" alt="{alt}">' for address in one["members"])
    pairs = "".join(
        '<div class="shisen-pair">'
        + "".join(
            f'<figure><img src="{escape(pair[key])}" alt="{escape(words)}: {escape(caption)}">'
            f"<figcaption>{escape(words)}<br>{escape(caption)}</figcaption></figure>"
            for (key, words), caption in zip(moments.items(), pair["predicted"], strict=True)
        )
        + "</div>"
        for pair in one["pairs"]
    )
    return (
        f'<article class="shisen-finding shisen-{escape(one["severity"])}"><h3>{escape(one["headline"])}</h3>{tags}'
        f'{lines}<div class="shisen-members">{members}</div><div class="shisen-pairs">{pairs}</div></article>'
    )
