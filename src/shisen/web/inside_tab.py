"""The tab that shows what a network has inside: channels' answers, filters, attention."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._core.i18n import N_, Message, translator
from .._core.progress import Progress
from ..errors import InputError
from ..inspect.attention_maps import attention
from ..inspect.attention_page import page as sliders
from ..inspect.feature_visualization import filters
from ..inspect.recipes import RECIPES
from .context import NETWORK, Build, choices, safely
from .long_work import LongWork, Work
from .request import ImageChoice
from .view import framed

ORDERS = {"magnitude": N_("largest first"), "index": N_("by number")}
SCALES = {"channel": N_("channel"), "layer": N_("layer")}
MOST = 64  # filters made at a time
CARRIED = 10_000_000  # bytes of attention sent to the browser; beyond, positions cannot be clicked


def build(b: Build) -> None:
    """Build the tab."""
    import gradio as gr

    with gr.Tabs():
        with b.part(gr.Tab, {"label": N_("Channels")}):
            channels(b)
        with b.part(gr.Tab, {"label": N_("Filters")}):
            patterns(b)
        with b.part(gr.Tab, {"label": N_("Attention")}):
            heads(b)


def layers_of(b: Build) -> tuple[list[str], str | None]:
    """Return the layers with spatial positions, and the one to begin with."""
    points = [point.path for point in b.session.model.layers if point.spatial]
    return points, b.session.default.path if b.session.default else next(iter(points), None)


def middle_of(points: list[str]) -> str | None:
    """Return the end of a block at about 60 % of the way; what lies deeper often does not answer to noise at all."""
    ends = [p for p in points if any(other.startswith(f"{p}.") for other in points)] or points
    return ends[len(ends) * 3 // 5] if ends else None


def image(b: Build, text: str, name: str) -> Any:
    """Add an image that can be taken away and looked at in full.

    Args:
        b: the page under construction.
        text: the message that names it.
        name: name of the component.

    Returns:
        The component.
    """
    import gradio as gr

    return b.part(
        gr.Image,
        {"label": text},
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

    points, first = layers_of(b)
    with gr.Column(elem_classes="shisen-card"):
        b.markdown(N_("Feature maps: the activation of every channel of a layer on the image chosen under Explain."))
        with gr.Row():
            layer = b.part(
                gr.Dropdown,
                {"label": N_("Layer")},
                choices=points,
                value=first,
                min_width=200,
                elem_id="shisen-inside-layer",
            )
            order = b.part(gr.Radio, {"label": N_("Order"), "choices": choices(ORDERS)}, value="magnitude")
            scale = b.part(gr.Radio, {"label": N_("Normalize by"), "choices": choices(SCALES)}, value="channel")
            sheet = b.part(gr.Number, {"label": N_("Page")}, value=1, minimum=1, precision=0, min_width=80)
        go = b.part(gr.Button, {"value": N_("Show feature maps")}, variant="primary", elem_id="shisen-go-inside")
    with gr.Row():
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.markdown(N_("All channels"))
            grid = image(b, N_("All channels"), "shisen-grid")
        with gr.Column(scale=1, min_width=280, elem_classes="shisen-card"):
            b.markdown(N_("Channels that contribute most to the top class"))
            speaking = image(b, N_("Channels that contribute most to the top class"), "shisen-ranked")

    def looked(chosen: ImageChoice, layer: str, order: str, scale: str, sheet: float, lang: str) -> list[Any]:
        grids = b.session.inside(chosen, layer)
        page = min(max(1, int(sheet or 1)), grids.pages(layer))
        _ = translator(lang)
        label = _("Page") + f" (1–{grids.pages(layer)})"
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
        b.markdown(
            N_(
                "Feature visualization: images optimized from noise to maximize the activation of a channel. "
                "They show which patterns the channel detects."
            )
        )
        with gr.Row():
            settings = {"choices": points, "value": middle_of(points), "min_width": 200}
            layer = b.part(gr.Dropdown, {"label": N_("Layer")}, elem_id="shisen-filters-layer", **settings)
            texts = {
                "label": N_("Channel numbers"),
                "info": N_(
                    "For example 3, 8-11. Leave empty for the four channels with the strongest activation on the image."
                ),
            }
            which = b.part(gr.Textbox, texts, value="", elem_id="shisen-which")
            recipe = b.part(gr.Dropdown, {"label": N_("Recipe")}, choices=list(RECIPES), value="modern", min_width=120)
        with gr.Row():
            long.buttons(N_("Generate images"))
        status = gr.HTML(elem_id="shisen-filters-status")
    with gr.Column(elem_classes="shisen-card"):
        grid = image(b, N_("Feature visualization"), "shisen-filters")

    def plan(_: str, chosen: ImageChoice, layer: str, which: str, recipe: str, lang: str) -> Work:
        numbers = read_channels(which) or b.session.inside(chosen, layer)[layer].order("magnitude")[:4].tolist()

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

    introduction = N_(
        "Attention maps of every head of every layer for the image chosen under Explain: one head chosen with sliders, "
        "and all heads below it."
    )
    without = N_(
        "This model has no attention layers. Start the page with a transformer, for example `--model "
        "timm:vit_tiny_patch16_224`, to see its attention heads here."
    )
    attends = any(name == "attention_rollout" for _, name in b.session.offered("en"))
    with gr.Column(elem_classes="shisen-card"):
        b.markdown(introduction if attends else without)
        if not attends:
            return
        go = b.part(gr.Button, {"value": N_("Show attention")}, variant="primary", elem_id="shisen-go-attention")
    with gr.Column(elem_classes="shisen-card"):
        one = gr.HTML(elem_id="shisen-heads")
        b.markdown(N_("Layers × heads"))
        sheet = image(b, N_("Layers × heads"), "shisen-attention")

    def looked(chosen: ImageChoice, lang: str) -> list[Any]:
        found = attention(b.session.model, b.session.image(chosen))
        _ = translator(lang)
        return [framed(sliders(found, lang, CARRIED), _("One head, chosen with sliders")), found.sheet()]

    go.click(safely(looked), [b.chosen, b.lang], [one, sheet], show_progress_on=[one, sheet], **NETWORK)


def read_channels(text: str) -> list[int]:
    """Read channel numbers such as "3, 8-11"; nothing for empty text.

    Returns:
        The numbers, in the order given.

    Raises:
        InputError: for anything else, or more than `MOST`.
    """
    found: list[int] = []
    wrong = InputError(Message("Channels are numbers such as 3, 8-11; at most {most} of them.", most=MOST))
    for part in text.replace("、", ",").split(","):
        ends = part.strip().split("-")
        if not part.strip():
            continue
        if len(ends) > 2 or not all(end.strip().isdecimal() and len(end.strip()) < 7 for end in ends):
            raise wrong
        low, high = int(ends[0]), int(ends[-1])
        if not low <= high < low + MOST:
            raise wrong
        found += range(low, high + 1)
    if len(found) > MOST:
        raise wrong
    return found
