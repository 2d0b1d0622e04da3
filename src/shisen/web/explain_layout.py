"""Where the components of the tab stand in which one image is explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core.i18n import N_, translator
from ..naming import label
from .context import Build, Texts, choices
from .request import COLORMAPS, NO_CLASS, SCORES, STYLES

TOP = 5
"""Number of predictions shown."""


class ExplainLayout:
    """The components of the tab.

    Args:
        b: the page.
    """

    def __init__(self, b: Build) -> None:
        self.b, self.session = b, b.session
        self._layout()

    def _layout(self) -> None:
        import gradio as gr

        with gr.Row(equal_height=False):
            with gr.Column(scale=6, min_width=280):
                with gr.Column(elem_classes="shisen-card"):
                    self._result_card()
                with gr.Column(elem_classes="shisen-card"):
                    self._drawing_card()
            with gr.Column(scale=4, min_width=280):
                with gr.Column(elem_classes="shisen-card"):
                    self._images_card()
                with gr.Column(elem_classes="shisen-card"):
                    self._request_card()
        with self.b.part(
            gr.Accordion,
            {"label": N_("Reproduce this on the command line or in Python")},
            open=False,
            elem_classes="shisen-card",
        ):
            fixed: dict[str, Any] = {"lines": 1, "interactive": False, "wrap_lines": True}
            self.shell = self.b.part(gr.Code, {"label": N_("Command line")}, language="shell", **fixed)
            self.lines = self.b.part(gr.Code, {"label": N_("Python")}, language="python", **fixed)
        self.ranked = gr.State([])

    def _result_card(self) -> None:
        import gradio as gr

        b = self.b
        self.view = gr.HTML(elem_id="shisen-view")
        with gr.Row(elem_classes="shisen-step"):
            self.back = b.part(gr.Button, {"value": N_("‹ Previous")}, size="sm", elem_id="shisen-previous")
            self.on = b.part(gr.Button, {"value": N_("Next ›")}, size="sm", elem_id="shisen-next")
        self.status = gr.HTML(elem_id="shisen-status")
        self.summary = gr.HTML(elem_id="shisen-summary")
        b.markdown(N_("Predictions – click a class to explain it"))
        with gr.Row(elem_classes="shisen-answers"):
            self.answers = [gr.Button("–", elem_id=f"shisen-answer-{i}", size="sm") for i in range(TOP)]
        with gr.Row():
            self.png = b.part(gr.Button, {"value": N_("Download PNG")}, variant="primary", elem_id="shisen-png")
            self.record = b.part(gr.Button, {"value": N_("Download JSON")}, elem_id="shisen-json")
        self.redraw, self.stop = (
            gr.Button(k, elem_id=f"shisen-{k}", visible="hidden") for k in ("redraw", "stop-explain")
        )
        self.files = [gr.DownloadButton(k, elem_id=f"shisen-file-{k}", visible="hidden") for k in ("png", "json")]

    def _drawing_card(self) -> None:
        import gradio as gr

        part = self.b.part
        styles: Texts = {"label": N_("Style"), "choices": choices(STYLES)}
        self.style = part(gr.Radio, styles, value="blend", elem_id="shisen-style")
        with gr.Row():
            maps = {"choices": list(COLORMAPS), "value": "jet", "min_width": 120}
            self.colormap = part(gr.Dropdown, {"label": N_("Colormap")}, elem_id="shisen-colormap", **maps)
            opacity = {"minimum": 0, "maximum": 1, "step": 0.05, "value": 0.4, "min_width": 140}
            self.alpha = part(gr.Slider, {"label": N_("Opacity")}, elem_id="shisen-opacity", **opacity)

    def _images_card(self) -> None:
        import gradio as gr

        names = self.session.store.names
        self.upload = self.b.part(
            gr.File,
            {"label": N_("Drop an image here, or click to choose one")},
            type="filepath",
            height=96,
            elem_id="shisen-upload",
        )
        self.store = self.b.part(gr.Dropdown, {"label": N_("Images")}, choices=names[:2000], value=names[0])
        self.thumbs = gr.Gallery(
            columns=4,
            rows=2,
            height=132 if len(names) <= 4 else 244,
            show_label=False,
            allow_preview=False,
            interactive=False,
            object_fit="cover",
            buttons=[],
            elem_id="shisen-images",
        )

    def _request_card(self) -> None:
        import gradio as gr

        part, session = self.b.part, self.session
        offered: Texts = {"label": N_("Method"), "choices": session.offered}
        self.method = part(gr.Dropdown, offered, value="grad_cam", elem_id="shisen-method")
        self.about = gr.HTML(elem_id="shisen-about")
        layers = [point.path for point in session.model.layers if point.spatial]
        default = session.default.path if session.default else None
        self.layer = part(gr.Dropdown, {"label": N_("Layer")}, choices=layers, value=default)
        self.why = gr.HTML(elem_id="shisen-why")
        with gr.Row():
            self.positive, self.negative = (
                part(
                    gr.Dropdown,
                    {"label": text, "choices": self._classes(first)},
                    value=NO_CLASS,
                    min_width=140,
                    elem_id=name,
                )
                for text, first, name in (
                    (N_("Class to explain"), N_("(top class)"), "shisen-class"),
                    (N_("… rather than"), N_("(none)"), "shisen-other"),
                )
            )
        self.negated = part(gr.Checkbox, {"label": N_("Show the evidence against the class")}, value=False)
        scores: Texts = {"label": N_("Score to explain"), "choices": choices(SCORES)}
        self.score = part(gr.Radio, scores, value="logit")

    def _classes(self, first: str) -> Callable[[str], list[tuple[str, int]]]:
        every = [(label(k, self.session.model.labels), k) for k in range(self.session.classes)]
        return lambda lang: [(translator(lang)(first), NO_CLASS), *every]
