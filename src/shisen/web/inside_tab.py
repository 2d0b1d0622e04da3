"""The tab that shows what a network has inside: channels' answers, filters, attention."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._core.progress import Progress
from ..errors import InputError
from ..inspect.attention_maps import attention
from ..inspect.attention_page import page as sliders
from ..inspect.feature_visualization import filters
from ..inspect.recipes import RECIPES
from .context import NETWORK, Build, safely
from .errors import PageError
from .long_work import LongWork, Work
from .request import ImageChoice
from .view import framed
from .words import choices, say

ORDERS = ("magnitude", "index")
SCALES = ("channel", "layer")
MOST = 64  # filters made at a time
CARRIED = 10_000_000  # bytes of attention sent to the browser; beyond, positions cannot be clicked


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    with gr.Tabs():
        with b.part(gr.Tab, {"label": "tab_channels"}):
            channels(b)
        with b.part(gr.Tab, {"label": "tab_filters"}):
            patterns(b)
        with b.part(gr.Tab, {"label": "tab_attention"}):
            heads(b)


def layers_of(b: Build) -> tuple[list[str], str | None]:
    """Return the layers with spatial positions, and the one to begin with."""
    points = [point.path for point in b.session.model.layers if point.spatial]
    return points, b.session.default.path if b.session.default else next(iter(points), None)


def middle_of(points: list[str]) -> str | None:
    """Return the end of a block at about 60 % of the way; what lies deeper often does not answer to noise at all."""
    ends = [p for p in points if any(other.startswith(f"{p}.") for other in points)] or points
    return ends[len(ends) * 3 // 5] if ends else None


def image(b: Build, says: str, name: str) -> Any:
    """Add an image that can be taken away and looked at in full.

    Args:
        b: the page under construction.
        says: key of the text, or texts by property.
        name: name of the component.

    Returns:
        The component.
    """
    import gradio as gr

    return b.part(
        gr.Image,
        {"label": says},
        show_label=False,
        interactive=False,
        format="png",
        buttons=["download", "fullscreen"],
        elem_id=name,
        elem_classes="shisen-figure",
    )


def channels(b: Build) -> None:
    """Add what every channel of a layer answers to the image."""
    import gradio as gr

    def scales(lang: str) -> list[tuple[str, str]]:
        return [(say(f"by_{key}", lang), key) for key in SCALES]

    points, first = layers_of(b)
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "inside_help"})
        with gr.Row():
            layer = b.part(
                gr.Dropdown,
                {"label": "layer"},
                choices=points,
                value=first,
                min_width=200,
                elem_id="shisen-inside-layer",
            )
            order = b.part(
                gr.Radio, {"label": "order", "choices": lambda lang: choices(ORDERS, lang)}, value="magnitude"
            )
            scale = b.part(gr.Radio, {"label": "scale", "choices": scales}, value="channel")
            sheet = b.part(gr.Number, {"label": "page"}, value=1, minimum=1, precision=0, min_width=80)
        go = b.part(gr.Button, {"value": "go_inside"}, variant="primary", elem_id="shisen-go-inside")
    with gr.Row():
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.part(gr.Markdown, {"value": "grid"})
            grid = image(b, "grid", "shisen-grid")
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.part(gr.Markdown, {"value": "ranked"})
            speaking = image(b, "ranked", "shisen-ranked")

    def looked(chosen: ImageChoice, layer: str, order: str, scale: str, sheet: float, lang: str) -> list[Any]:
        grids = b.session.inside(chosen, layer)
        page = min(max(1, int(sheet or 1)), grids.pages(layer))
        label = f"{say('page', lang)} (1–{grids.pages(layer)})"
        drawn = grids.grid(layer, order=order, scale=scale, page=page)
        return [drawn, grids.ranked(None, layer).draw(), gr.update(value=page, label=label)]

    inputs = [b.chosen, layer, order, scale, sheet, b.lang]
    outputs = [grid, speaking, sheet]
    go.click(safely(looked), inputs, outputs, show_progress_on=grid, **NETWORK)
    for part in (layer, order, scale, sheet):
        part.input(safely(looked), inputs, outputs, show_progress_on=grid, trigger_mode="always_last", **NETWORK)


def patterns(b: Build) -> None:
    """Add the images that maximally activate channels of a layer."""
    import gradio as gr

    points, _ = layers_of(b)
    long = LongWork(b, "filters")
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "filters_help"})
        with gr.Row():
            settings = {"choices": points, "value": middle_of(points), "min_width": 200}
            layer = b.part(gr.Dropdown, {"label": "layer"}, elem_id="shisen-filters-layer", **settings)
            texts = {"label": "which_channels", "info": "which_help"}
            which = b.part(gr.Textbox, texts, value="", elem_id="shisen-which")
            recipe = b.part(gr.Dropdown, {"label": "recipe"}, choices=list(RECIPES), value="modern", min_width=120)
        with gr.Row():
            long.buttons()
        status = gr.HTML(elem_id="shisen-filters-status")
    with gr.Column(elem_classes="shisen-card"):
        grid = image(b, "filters", "shisen-filters")

    def plan(_: str, chosen: ImageChoice, layer: str, which: str, recipe: str, lang: str) -> Work:
        numbers = read_channels(which, lang) or b.session.inside(chosen, layer)[layer].order("magnitude")[:4].tolist()

        def work(step: Progress) -> Any:
            model = b.session.model
            made = partial(filters, model, layer, numbers, recipe=recipe, progress=step)
            try:
                found = made()
            except InputError:  # a network of fixed input size
                if model.preprocess is None:
                    raise
                side = model.preprocess.size
                found = made(size=side if isinstance(side, int) else max(side))
            return found.grid(per_row=min(8, len(numbers)))

        return work

    inputs = [b.chosen, layer, which, recipe, b.lang]
    long.offer(inputs, [status, grid], plan, lambda made, *_: ["", made], show_progress_on=grid)


def heads(b: Build) -> None:
    """Add where every head of a transformer looks."""
    import gradio as gr

    attends = any(name == "attention_rollout" for _, name in b.session.offered("en"))
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "attention_help" if attends else "no_attention"})
        if not attends:
            return
        go = b.part(gr.Button, {"value": "go_attention"}, variant="primary", elem_id="shisen-go-attention")
    with gr.Column(elem_classes="shisen-card"):
        one = gr.HTML(elem_id="shisen-heads")
        b.part(gr.Markdown, {"value": "attention"})
        sheet = image(b, "attention", "shisen-attention")

    def looked(chosen: ImageChoice, lang: str) -> list[Any]:
        found = attention(b.session.model, b.session.image(chosen))
        return [framed(sliders(found, lang, CARRIED), say("one_head", lang)), found.sheet()]

    go.click(safely(looked), [b.chosen, b.lang], [one, sheet], show_progress_on=[one, sheet], **NETWORK)


def read_channels(text: str, lang: str) -> list[int]:
    """Read channel numbers such as "3, 8-11"; nothing for empty text.

    Args:
        text: the text.
        lang: language of the text, such as "en" or "ja".

    Returns:
        The numbers, in the order given.

    Raises:
        InputError: for anything else, or more than `MOST`.
    """
    found: list[int] = []
    for part in text.replace("、", ",").split(","):
        ends = part.strip().split("-")
        if not part.strip():
            continue
        if len(ends) > 2 or not all(end.strip().isdecimal() and len(end.strip()) < 7 for end in ends):
            raise PageError(say("bad_channels", lang).format(most=MOST))
        low, high = int(ends[0]), int(ends[-1])
        if not low <= high < low + MOST:
            raise PageError(say("bad_channels", lang).format(most=MOST))
        found += range(low, high + 1)
    if len(found) > MOST:
        raise PageError(say("bad_channels", lang).format(most=MOST))
    return found
