"""The page: a head, tabs, and one switch for its language."""

from __future__ import annotations

from typing import Any

from .._core.i18n import N_, languages, translator
from . import audit_tab, inside_tab, interface, trust_tab
from .compare_tab import CompareTab
from .context import QUICK, Build, in_language
from .explain_tab import ExplainTab
from .jobs import Exports
from .session import Session


def page(session: Session, exports: Exports, lang: str = "en") -> Any:
    """Build the page for a session.

    Args:
        session: the model, the images and recent results.
        exports: where files to take away are written.
        lang: "en" or "ja", to begin with.

    Returns:
        A `gradio.Blocks`, not yet served.
    """
    import gradio as gr

    b = Build(session, lang, exports)
    with gr.Blocks(title=f"shisen – {session.model.name}", analytics_enabled=False, delete_cache=(3600, 3600)) as made:
        with gr.Row(elem_id="shisen-head"):
            head = gr.HTML(_head(session, lang), elem_id="shisen-title")
            b.lang = gr.Radio(
                [(words, key) for key, words in languages().items()],
                value=lang,
                label="Language / 言語",
                show_label=False,
                container=False,
                elem_id="shisen-lang",
            )
        b.chosen = gr.State(None)
        with gr.Tabs() as b.tabs:
            with b.part(gr.Tab, {"label": N_("Explain")}, id="explain"):
                opening, inputs, outputs = ExplainTab(b).opening
            with b.part(gr.Tab, {"label": N_("Compare")}, id="compare"):
                CompareTab(b)
            with b.part(gr.Tab, {"label": N_("Inside")}, id="inside"):
                inside_tab.build(b)
            with b.part(gr.Tab, {"label": N_("Trust")}, id="trust"):
                trust_tab.build(b)
            with b.part(gr.Tab, {"label": N_("Audit")}, id="audit"):
                audit_tab.build(b)
        interface.build(b)

        def translated(lang: str) -> list[Any]:
            return [_head(session, lang), *(gr.update(**in_language(texts, lang)) for _, texts in b.parts)]

        b.lang.input(translated, b.lang, [head, *(part for part, _ in b.parts)], **QUICK)
        made.load(opening, inputs, outputs, api_visibility="private", concurrency_id="network", concurrency_limit=4)
    made.queue(default_concurrency_limit=8, max_size=256)
    return made


def _head(session: Session, lang: str) -> str:
    from html import escape

    name = escape(session.model.name)
    _ = translator(lang)
    line = _("See where an image classifier looks, and check whether the explanation can be trusted.")
    return f"<h1>shisen <small>視線 · {name}</small></h1><p>{escape(line)}</p>"
