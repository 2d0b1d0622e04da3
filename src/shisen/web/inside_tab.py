"""The tab that shows what the channels of a layer answer."""

from __future__ import annotations

from typing import Any

from .building import NETWORK, Build, safely
from .desk import Chosen
from .words import choices, say

ORDERS = ("strength", "index")
SCALES = ("channel", "layer")


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    def scales(lang: str) -> list[tuple[str, str]]:
        return [(say(f"by_{key}", lang), key) for key in SCALES]

    points = [point.path for point in b.desk.model.layers if point.spatial]
    default, _ = b.desk.reason()
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "inside_help"})
        with gr.Row():
            layer = b.part(
                gr.Dropdown,
                {"label": "layer"},
                choices=points,
                value=default or next(iter(points), None),
                min_width=200,
                elem_id="shisen-inside-layer",
            )
            order = b.part(
                gr.Radio, {"label": "order", "choices": lambda lang: choices(ORDERS, lang)}, value="strength"
            )
            scale = b.part(gr.Radio, {"label": "scale", "choices": scales}, value="channel")
            sheet = b.part(gr.Number, {"label": "page"}, value=1, minimum=1, precision=0, min_width=80)
        go = b.part(gr.Button, {"value": "go_inside"}, variant="primary", elem_id="shisen-go-inside")
    with gr.Row():
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.part(gr.Markdown, {"value": "grid"})
            grid = b.part(
                gr.Image,
                {"label": "grid"},
                show_label=False,
                interactive=False,
                format="png",
                buttons=["download", "fullscreen"],
                elem_id="shisen-grid",
            )
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.part(gr.Markdown, {"value": "ranked"})
            speaking = b.part(
                gr.Image,
                {"label": "ranked"},
                show_label=False,
                interactive=False,
                format="png",
                buttons=["download", "fullscreen"],
                elem_id="shisen-ranked",
            )

    def looked(chosen: Chosen, layer: str, order: str, scale: str, sheet: float, lang: str) -> list[Any]:
        grids = b.desk.inside(chosen, layer)
        page = min(max(1, int(sheet or 1)), grids.pages(layer))
        with b.desk.lock:
            ranking = grids.ranked(None, layer).draw()
        label = f"{say('page', lang)} (1–{grids.pages(layer)})"
        return [grids.grid(layer, order=order, scale=scale, page=page), ranking, gr.update(value=page, label=label)]

    inputs = [b.chosen, layer, order, scale, sheet, b.lang]
    outputs = [grid, speaking, sheet]
    go.click(safely(looked), inputs, outputs, show_progress_on=grid, **NETWORK)
    for part in (layer, order, scale, sheet):
        part.input(safely(looked), inputs, outputs, show_progress_on=grid, trigger_mode="always_last", **NETWORK)
