"""The tab that measures explanations on the folder, and recommends a method for this network."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from .._core.i18n import N_, Message, translator
from .._core.progress import Progress
from ..errors import InputError
from ..evaluation.metrics import METRICS
from ..evaluation.recommend import Recommendation, recommend
from ..evaluation.runner import evaluate
from ..evaluation.scores import Scores
from .context import QUICK, Build, safely, seconds
from .long_work import LongWork, Work, stoppable
from .method_choices import cautions
from .view import framed, note

LEAST = 4  # images that a recommendation needs
CLEAR = 6  # images with which signs alone can give p < 0.05: 2 / 2⁶ = 0.03
SPOKEN = {"insertion_deletion": "insertion − deletion", "adcc": "ADCC"}


def build(b: Build) -> None:
    """Build the tab."""

    evaluation(b)
    recommendation(b)


def evaluation(b: Build) -> None:
    """Add the evaluation of methods by metrics."""
    import gradio as gr

    long = LongWork(b, "trust")
    with gr.Column(elem_classes="shisen-card"):
        b.markdown(
            N_(
                "Measures how faithful the maps of each method are on the images of the folder, against control "
                "maps that carry no information about the model, with 95 % confidence intervals."
            )
        )
        with gr.Row():
            methods, metrics = _methods(b), _metrics(b)
        careful = gr.HTML(elem_id="shisen-trust-caution")
        with gr.Row():
            total = len(b.session.store.names)
            steps = {"minimum": 1, "maximum": max(2, total), "step": 1, "value": min(total, 20), "min_width": 200}
            count = b.part(gr.Slider, {"label": N_("Number of images")}, elem_id="shisen-trust-count", **steps)
            long.buttons(N_("Evaluate"))
        status = gr.HTML(elem_id="shisen-trust-status")
        keep = b.part(gr.DownloadButton, {"label": N_("Download report")}, visible=False, elem_id="shisen-trust-keep")
        report = gr.HTML(elem_id="shisen-trust-report")

    def plan(_: str, methods: list[str], metrics: list[str], count: float, lang: str) -> Work:
        if not methods or not metrics:
            raise InputError(N_("Choose at least one method and one metric."))
        images = _images(b)
        n = min(int(count), len(images))

        def work(step: Progress) -> tuple[Scores, Path]:
            watching, report = stoppable(b.session.model.batched(4), step, N_("Evaluating"), n)
            scores = evaluate(watching, images, methods, metrics, n_images=n, progress=report)
            return scores, scores.save(b.exports.folder(), lang=lang)

        return work

    def show(made: tuple[Scores, Path], time: float, lang: str) -> list[Any]:
        _, (scores, page) = translator(lang), made
        done = _("Done: {n} images, {time}.", n=scores.facts["n_images"], time=seconds(time))
        shown = framed(page.read_text(encoding="utf-8"), _("Report"))
        return [note(done), gr.update(value=str(page), visible=True), shown]

    def warned(methods: list[str], lang: str) -> str:
        return note(cautions(methods, lang), "warn")

    for part in (methods, b.lang):
        part.input(safely(warned), [methods, b.lang], careful, **QUICK)
    inputs = [methods, metrics, count, b.lang]
    long.offer(inputs, [status, keep, report], plan, show, show_progress="hidden")


def _methods(b: Build) -> Any:
    import gradio as gr

    return b.part(
        gr.Dropdown,
        {"label": N_("Methods"), "choices": b.session.offered},
        value=["grad_cam", "gradient"],
        multiselect=True,
        elem_id="shisen-trust-methods",
    )


def _metrics(b: Build) -> Any:
    import gradio as gr

    plain = [name for name, spec in METRICS.items() if spec.needs not in ("region", "collage")]
    return b.part(
        gr.Dropdown,
        {"label": N_("Metrics")},
        choices=plain,
        value=[m for m in ("deletion", "insertion", "adcc") if m in plain],
        multiselect=True,
        elem_id="shisen-trust-metrics",
    )


def _images(b: Build) -> list[str]:
    return [str(b.session.store.path(name)) for name in b.session.store.names]


def recommendation(b: Build) -> None:
    """Add the recommendation, with its evidence."""
    import gradio as gr

    long = LongWork(b, "recommend")
    with gr.Column(elem_classes="shisen-card"):
        b.markdown(
            N_(
                "Which method and layer suit this model? Candidates are searched on half of the folder; the "
                "best one is confirmed on the other half."
            )
        )
        with gr.Row():
            steps = {"minimum": 10, "maximum": 600, "step": 10, "value": 60, "min_width": 200}
            budget = b.part(gr.Slider, {"label": N_("Time budget in seconds")}, elem_id="shisen-budget", **steps)
            long.buttons(N_("Recommend"))
        status = gr.HTML(elem_id="shisen-recommend-status")
        evidence = gr.HTML(elem_id="shisen-recommendation")
        with gr.Row():
            use = b.part(
                gr.Button,
                {"value": N_("Use it under Explain")},
                visible=False,
                variant="primary",
                elem_id="shisen-use-it",
            )
            keep = b.part(
                gr.DownloadButton, {"label": N_("Download JSON")}, visible=False, elem_id="shisen-recommend-keep"
            )
        setting = gr.State(None)

    def plan(_: str, budget: float, lang: str) -> Work:
        images = _images(b)
        if len(images) < LEAST:
            few = N_(
                "A recommendation needs at least {least} images; this folder has {n}. Start the page with --folder."
            )
            raise InputError(Message(few, n=len(images), least=LEAST))

        def work(step: Progress) -> tuple[Recommendation, Path]:
            watching, report = stoppable(b.session.model.batched(4), step, N_("Choosing"))
            file = b.exports.folder() / "recommendation.json"
            return recommend(watching, images, budget=float(budget), save=False, out=file, progress=report), file

        return work

    def show(made: tuple[Recommendation, Path], _: float, lang: str) -> list[Any]:
        found, file = made
        own = found.setting
        unusable = N_(
            "This setting averages several layers or several versions of the image, which the page cannot do. Use "
            "it on the command line or in Python."
        )
        plain = not own.options and not own.augment and (own.layer is None or isinstance(own.layer, str))
        return [
            "",
            reasons(found, lang) + ("" if plain else note(translator(lang)(unusable), "quiet")),
            gr.update(visible=plain),
            gr.update(value=str(file), visible=True),
            (own.method, own.layer or (b.session.default.path if b.session.default else None)) if plain else None,
        ]

    def used(setting: tuple[str, str | None]) -> list[Any]:
        return [*setting, gr.Tabs(selected="explain")]

    long.offer([budget, b.lang], [status, evidence, use, keep, setting], plan, show, show_progress="hidden")
    if b.explaining is not None:
        to = b.explaining
        use.click(safely(used), setting, [to.method, to.layer, b.tabs], **QUICK).success(
            inputs=to.inputs, outputs=to.outputs, **to.event
        )


def reasons(found: Recommendation, lang: str) -> str:
    """Return a recommendation with its evidence: what was confirmed on other images, and all that was tried.

    Args:
        found: the recommendation.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    own, default, n = found.setting, found.default, int(found.facts.get("confirming", 0))
    better = N_("Use {name} for {model}, the best of {tried} settings.")
    kept = N_("Keep {name} for {model}: none of {tried} settings was confirmed to be better.")

    def name(words: str) -> str:
        return words.replace("flipped", _("flipped"))

    head = _(
        better if own != default else kept,
        name=name(own.name),
        model=found.facts.get("model", ""),
        tried=len(found.tried),
    )
    lines = [
        _(
            "{metric} compared with the default on {n} other images: {value:+.3g} (95 % interval {low:+.3g} to "
            "{high:+.3g}, p = {p:.2g}): {verdict}",
            metric=SPOKEN.get(metric, metric),
            value=d.interval.value,
            low=d.interval.low,
            high=d.interval.high,
            p=d.p,
            verdict=_(d.verdict),
            n=n,
        )
        for metric, d in found.confirmed.items()
    ]
    one, two = (found.scores.score(own.name, metric).value for metric in SPOKEN)
    text = _("On {n} other images: insertion − deletion {one:.3f}, ADCC {two:.1f} %.", n=n, one=one, two=two)
    few = (
        ""
        if not lines or n >= CLEAR
        else _(
            "{n} images are too few to confirm a difference: at least {least} are needed, so {all} in the folder.",
            n=n,
            least=CLEAR,
            all=2 * CLEAR,
        )
    )
    rows = "".join(
        f"<tr><td>{escape(name(setting))}</td><td>{count}</td><td>{one:.3f}</td><td>{two:.1f}</td></tr>"
        for setting, count, one, two in found.tried
    )
    titles = _("setting|images|insertion − deletion|ADCC").split("|")
    heads = "".join(f"<th scope='col'>{escape(title)}</th>" for title in titles)
    caption = escape(_("All settings that were tried, on the first half"))
    return (
        f'<div class="shisen-found"><h3>{escape(head)}</h3><p>{escape(text)}</p>'
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>{note(few, 'warn')}"
        f'<div class="shisen-scroll"><table><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )
