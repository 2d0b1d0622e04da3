"""The tab that measures explanations on the folder, and says which method to use for this network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from time import perf_counter
from typing import Any

from .._core.i18n import N_
from ..evaluation.metrics import METRICS
from ..evaluation.recommend import Recommendation, recommend
from ..evaluation.runner import evaluate
from .context import NETWORK, QUICK, Build, handed, handed_each, how_far, safely, seconds
from .jobs import Far
from .method_choices import cautions
from .session import watched
from .view import framed, note
from .words import Said, say

LEAST = 4  # images that a recommendation needs
CLEAR = 6  # images with which signs alone can give p < 0.05: 2 / 2⁶ = 0.03
SPOKEN = {"insertion_deletion": "insertion − deletion", "adcc": "ADCC"}


def build(b: Build) -> None:
    """Build the tab."""
    from ..evaluation import fill_registry

    fill_registry()
    measured(b)
    recommended(b)


def measured(b: Build) -> None:
    """Add the evaluation of methods by metrics."""
    import gradio as gr

    plain = [name for name, spec in METRICS.items() if spec.needs not in ("region", "collage")]
    total = len(b.session.store.names)
    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "trust_help"})
        with gr.Row():
            methods = b.part(
                gr.Dropdown,
                {"label": "methods", "choices": b.session.offered},
                value=["grad_cam", "gradient"],
                multiselect=True,
                elem_id="shisen-trust-methods",
            )
            metrics = b.part(
                gr.Dropdown,
                {"label": "metrics"},
                choices=plain,
                value=[m for m in ("deletion", "insertion", "adcc") if m in plain],
                multiselect=True,
                elem_id="shisen-trust-metrics",
            )
        careful = gr.HTML(elem_id="shisen-trust-caution")
        with gr.Row():
            count = b.part(
                gr.Slider,
                {"label": "count"},
                minimum=1,
                maximum=max(2, total),
                step=1,
                value=min(total, 20),
                min_width=200,
                elem_id="shisen-trust-count",
            )
            go = b.part(gr.Button, {"value": "go_trust"}, variant="primary", elem_id="shisen-go-trust")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-trust")
        status = gr.HTML(elem_id="shisen-trust-status")
        keep = b.part(gr.DownloadButton, {"label": "save_report"}, visible=False, elem_id="shisen-trust-keep")
        report = gr.HTML(elem_id="shisen-trust-report")

    def worked(request: Any, methods: list[str], metrics: list[str], count: float, lang: str) -> Iterator[list[Any]]:
        start = perf_counter()
        if not methods or not metrics:
            raise Said(say("no_methods", lang))
        images = [str(b.session.store.path(name)) for name in b.session.store.names]

        def work(step: Any) -> Any:
            far: list[Any] = [0, min(int(count), len(images)), N_("Evaluating")]

            def told(done: int, total: int, words: str) -> None:
                far[:] = [done, total, words]
                step(done, total, words)

            watching = watched(b.session.model.batched(4), lambda *_: step(*far))  # stops after any pass
            scores = evaluate(watching, images, methods, metrics, n_images=far[1], progress=told)
            return scores, scores.save(b.exports.folder(), lang=lang)

        yield [note(say("starting", lang)), gr.skip(), gr.skip()]
        for far in b.jobs.run(f"trust {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), gr.skip(), gr.skip()]
                continue
            scores, page = far[0]
            done = say("finished", lang).format(n=scores.facts["n_images"], time=seconds(perf_counter() - start))
            shown = framed(page.read_text(encoding="utf-8"), say("report", lang))
            yield [note(done), gr.update(value=str(page), visible=True), shown]
            return
        yield [note(say("canceled", lang)), gr.skip(), gr.skip()]

    def canceled(request: Any) -> None:
        b.jobs.cancel(f"trust {request.session_hash}")

    def warned(methods: list[str], lang: str) -> str:
        return note(cautions(methods, lang), "warn")

    for part in (methods, b.lang):
        part.input(safely(warned), [methods, b.lang], careful, **QUICK)
    go.click(
        handed_each(worked, request=gr.Request),
        [methods, metrics, count, b.lang],
        [status, keep, report],
        show_progress="hidden",
        **NETWORK,
    )
    stop.click(handed(canceled, request=gr.Request), None, None, **QUICK)


def recommended(b: Build) -> None:
    """Add the recommendation, with its evidence."""
    import gradio as gr

    with gr.Column(elem_classes="shisen-card"):
        b.part(gr.Markdown, {"value": "recommend_help"})
        with gr.Row():
            budget = b.part(
                gr.Slider,
                {"label": "budget"},
                minimum=10,
                maximum=600,
                step=10,
                value=60,
                min_width=200,
                elem_id="shisen-budget",
            )
            go = b.part(gr.Button, {"value": "go_recommend"}, variant="primary", elem_id="shisen-go-recommend")
            stop = b.part(gr.Button, {"value": "cancel"}, elem_id="shisen-stop-recommend")
        status = gr.HTML(elem_id="shisen-recommend-status")
        evidence = gr.HTML(elem_id="shisen-recommendation")
        with gr.Row():
            use = b.part(gr.Button, {"value": "use_it"}, visible=False, variant="primary", elem_id="shisen-use-it")
            keep = b.part(gr.DownloadButton, {"label": "json"}, visible=False, elem_id="shisen-recommend-keep")
        setting = gr.State(None)

    def worked(request: Any, budget: float, lang: str) -> Iterator[list[Any]]:
        images = [str(b.session.store.path(name)) for name in b.session.store.names]
        if len(images) < LEAST:
            raise Said(say("few_images", lang).format(n=len(images), least=LEAST))

        def work(step: Any) -> Any:
            far: list[Any] = [0, 0, N_("Choosing")]

            def told(done: int, total: int, words: str) -> None:
                far[:] = [done, total, words]
                step(done, total, words)

            watching = watched(b.session.model.batched(4), lambda *_: step(*far))
            file = b.exports.folder() / "recommendation.json"
            return recommend(watching, images, budget=float(budget), save=False, out=file, progress=told), file

        skips = [gr.skip()] * 4
        yield [note(say("starting", lang)), *skips]
        for far in b.jobs.run(f"recommend {request.session_hash}", work, say("busy", lang)):
            if isinstance(far, Far):
                yield [how_far(far, lang), *skips]
                continue
            found, file = far[0]
            own = found.setting
            plain = not own.options and not own.augment and (own.layer is None or isinstance(own.layer, str))
            yield [
                "",
                grounds(found, lang) + ("" if plain else note(say("not_here", lang), "quiet")),
                gr.update(visible=plain),
                gr.update(value=str(file), visible=True),
                (own.method, own.layer or (b.session.default.path if b.session.default else None)) if plain else None,
            ]
            return
        yield [note(say("canceled", lang)), *skips]

    def canceled(request: Any) -> None:
        b.jobs.cancel(f"recommend {request.session_hash}")

    def used(setting: tuple[str, str | None]) -> list[Any]:
        return [*setting, gr.Tabs(selected="explain")]

    go.click(
        handed_each(worked, request=gr.Request),
        [budget, b.lang],
        [status, evidence, use, keep, setting],
        show_progress="hidden",
        **NETWORK,
    )
    stop.click(handed(canceled, request=gr.Request), None, None, **QUICK)
    if b.explaining is not None:
        to = b.explaining
        use.click(safely(used), setting, [to.method, to.layer, b.tabs], **QUICK).success(
            inputs=to.inputs, outputs=to.outputs, **to.asks
        )


def grounds(found: Recommendation, lang: str) -> str:
    """Return a recommendation with its evidence: what was confirmed on other images, and all that was tried."""
    own, default, n = found.setting, found.default, int(found.facts.get("confirming", 0))

    def name(words: str) -> str:
        return words.replace("flipped", say("flipped", lang))

    words = say("recommended", lang) if own != default else say("recommended_default", lang)
    head = words.format(name=name(own.name), model=found.facts.get("model", ""), tried=len(found.tried))
    lines = [
        say("confirmed", lang).format(
            metric=SPOKEN.get(metric, metric),
            value=d.interval.value,
            low=d.interval.low,
            high=d.interval.high,
            p=d.p,
            verdict=say(d.verdict.replace(" ", "_"), lang),
            n=n,
        )
        for metric, d in found.confirmed.items()
    ]
    one, two = (found.scores.score(own.name, metric).value for metric in SPOKEN)
    text = say("reached", lang).format(n=n, one=one, two=two)
    few = say("too_few", lang).format(n=n, least=CLEAR, all=2 * CLEAR) if lines and n < CLEAR else ""
    rows = "".join(
        f"<tr><td>{escape(name(setting))}</td><td>{count}</td><td>{one:.3f}</td><td>{two:.1f}</td></tr>"
        for setting, count, one, two in found.tried
    )
    heads = "".join(f"<th scope='col'>{escape(h)}</th>" for h in say("tried_heads", lang).split("|"))
    return (
        f'<div class="shisen-found"><h3>{escape(head)}</h3><p>{escape(text)}</p>'
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>{note(few, 'warn')}"
        f'<div class="shisen-scroll"><table><caption>{escape(say("tried", lang))}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )
