"""The tab that shows what a network has inside: channels' answers, filters, attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import InputError
from ..inspect.attention_maps import attention
from ..inspect.attention_page import page as sliders
from ..inspect.feature_visualization import filters
from ..inspect.recipes import RECIPES
from .context import NETWORK, QUICK, Build, handed, handed_each, how_far, safely
from .jobs import Far
from .session import Chosen
from .view import framed, note
from .words import Said, choices, say

ORDERS = ("strength", "index")
SCALES = ("channel", "layer")
MOST = 64  # filters made at a time
CARRIED = 10_000_000  # bytes of attention sent to the browser; beyond, nothing can be asked from a place


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
    """Return the layers with a place, and the one to begin with."""
    points = [point.path for point in b.session.model.layers if point.spatial]
    return points, b.session.default.path if b.session.default else next(iter(points), None)


def middle_of(points: list[str]) -> str | None:
    """Return the end of a block at about 60 % of the way; what lies deeper often does not answer to noise at all."""
    ends = [p for p in points if any(other.startswith(f"{p}.") for other in points)] or points
    return ends[len(ends) * 3 // 5] if ends else None


def image(b: Build, says: str, name: str) -> Any:
    """Add an image that can be taken away and looked at in full."""
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
                gr.Radio, {"label": "order", "choices": lambda lang: choices(ORDERS, lang)}, value="strength"
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

    def looked(chosen: Chosen, layer: str, order: str, scale: str, sheet: float, lang: str) -> list[Any]:
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
    """Add the images that channels of a layer like best."""
    import gradio as gr

    points, _ = layers_of(b)
    first = middle_of(points)
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "filters_help"})
        with gr.Row():
            layer = b.part(
                gr.Dropdown,
                {"label": "layer"},
                choices=points,
                value=first,
                min_width=200,
                elem_id="shisen-filters-layer",
            )
            which = b.part(
                gr.Textbox, {"label": "which_channels", "info": "which_help"}, value="", elem_id="shisen-which"
            )
            recipe = b.part(gr.Dropdown, {"label": "recipe"}, choices=list(RECIPES), value="modern", min_width=120)
        with gr.Row():
            go = b.part(gr.Button, {"value": "go_filters"}, variant="primary", elem_id="shisen-go-filters")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-filters")
        status = gr.HTML(elem_id="shisen-filters-status")
    with gr.Column(elem_classes="shisen-card"):
        grid = image(b, "filters", "shisen-filters")

    def made(request: Any, chosen: Chosen, layer: str, which: str, recipe: str, lang: str) -> Iterator[list[Any]]:
        numbers = read_channels(which, lang) or b.session.inside(chosen, layer)[layer].order("strength")[:4].tolist()

        def work(step: Any) -> Any:
            model = b.session.model
            try:
                found = filters(model, layer, numbers, recipe=recipe, progress=step)
            except InputError:  # a network that takes its own size alone
                if model.preprocess is None:
                    raise
                side = model.preprocess.size
                size = side if isinstance(side, int) else max(side)
                found = filters(model, layer, numbers, recipe=recipe, size=size, progress=step)
            return found.grid(per_row=min(8, len(numbers)))

        yield [note(say("starting", lang)), gr.skip()]
        for far in b.jobs.run(f"filters {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip()]
                continue
            yield ["", far[0]]
            return
        yield [note(say("canceled", lang)), gr.skip()]

    def canceled(request: Any) -> None:
        b.jobs.cancel(f"filters {request.session_hash}")

    inputs = [b.chosen, layer, which, recipe, b.lang]
    go.click(handed_each(made, request=gr.Request), inputs, [status, grid], show_progress_on=grid, **NETWORK)
    stop.click(handed(canceled, request=gr.Request), None, None, **QUICK)


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

    def looked(chosen: Chosen, lang: str) -> list[Any]:
        found = attention(b.session.model, b.session.image(chosen))
        return [framed(sliders(found, lang, CARRIED), say("one_head", lang)), found.sheet()]

    go.click(safely(looked), [b.chosen, b.lang], [one, sheet], show_progress_on=[one, sheet], **NETWORK)


def read_channels(text: str, lang: str) -> list[int]:
    """Read channel numbers such as "3, 8-11"; nothing for empty text.

    Raises:
        InputError: for anything else, or more than `MOST`.
    """
    found: list[int] = []
    for part in text.replace("、", ",").split(","):
        ends = part.strip().split("-")
        if not part.strip():
            continue
        if len(ends) > 2 or not all(end.strip().isdecimal() and len(end.strip()) < 7 for end in ends):
            raise Said(say("bad_channels", lang).format(most=MOST))
        low, high = int(ends[0]), int(ends[-1])
        if not low <= high < low + MOST:
            raise Said(say("bad_channels", lang).format(most=MOST))
        found += range(low, high + 1)
    if len(found) > MOST:
        raise Said(say("bad_channels", lang).format(most=MOST))
    return found
