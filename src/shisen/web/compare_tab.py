"""The tab where methods, classes, images and networks stand side by side."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from .._core.i18n import N_, translator
from .._core.progress import Progress
from ..comparison import Comparison, compare
from ..errors import InputError
from ..naming import top
from .context import QUICK, Build, safely
from .long_work import LongWork, Work, stoppable
from .method_choices import cautions
from .request import ImageChoice
from .view import note

FIRST = ("gradient", "input_x_gradient", "grad_cam", "grad_cam_pp", "layer_cam", "hires_cam")  # one pass each
NONE = ""
BOTH = -1


class CompareTab:
    """The tab: its layout, and what happens on each event."""

    def __init__(self, b: Build) -> None:
        self.b, self.session = b, b.session
        self.networks = [b.session.model, *([b.session.versus] if b.session.versus is not None else [])]
        self.work = LongWork(b, "compare")
        self._layout()
        for part in (self.methods, b.lang):
            part.input(safely(_warned), [self.methods, b.lang], self.careful, **QUICK)
        self.work.offer(
            [b.chosen, self.methods, self.second, self.upload, self.model, self.many, b.lang],
            [self.status, self.problems, *self.figures],
            self.plan,
            self.show,
            show_progress_on=self.figures[0],
        )

    def _layout(self) -> None:
        import gradio as gr

        b = self.b
        with gr.Column(elem_classes="shisen-card"):
            b.markdown(
                N_(
                    "Compares several methods on the image chosen under Explain, for its top classes. A second "
                    "image or model can be shown beside it, each with its own top classes. Times are for all "
                    "classes together."
                )
            )
            names = [name for _, name in self.session.offered("en")]
            self.methods = b.part(
                gr.Dropdown,
                {"label": N_("Methods"), "choices": self.session.offered},
                value=[m for m in FIRST if m in names] or names[:3],
                multiselect=True,
                elem_id="shisen-methods",
            )
            self.careful = gr.HTML(elem_id="shisen-compare-caution")
            with gr.Row():
                self._beside()
            with gr.Row():
                steps = {"minimum": 1, "maximum": 5, "step": 1, "value": 2, "min_width": 200}
                self.many = b.part(gr.Slider, {"label": N_("Number of top classes")}, **steps)
                self.work.buttons(N_("Compare"))
            self.status = gr.HTML(elem_id="shisen-compare-status")
        with gr.Column(elem_classes="shisen-card"):
            self.figures = [
                b.part(
                    gr.Image,
                    {"label": N_("Comparison")},
                    show_label=False,
                    type="filepath",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    visible=i == 0,
                    elem_id=f"shisen-comparison-{i}",
                    elem_classes="shisen-figure",
                )
                for i in range(2 * len(self.networks))
            ]
            self.problems = gr.HTML()

    def _beside(self) -> None:
        """Add what the image or the network is compared with."""
        import gradio as gr

        b, several = self.b, len(self.networks) > 1
        self.second = b.part(
            gr.Dropdown,
            {"label": N_("Second image"), "choices": self._images},
            value=NONE,
            min_width=180,
            elem_id="shisen-second",
        )
        self.upload = b.part(
            gr.File,
            {"label": N_("… or drop an image here")},
            type="filepath",
            height=96,
            elem_id="shisen-second-upload",
        )
        self.model = b.part(
            gr.Radio,
            {
                "label": N_("Models"),
                "choices": self._models,
                **({} if several else {"info": N_("To compare two models, start the page with --versus MODEL.")}),
            },
            value=BOTH if several else 0,
            elem_id="shisen-models",
        )

    def _images(self, lang: str) -> list[tuple[str, str]]:
        _ = translator(lang)
        return [(_("(none)"), NONE), *((n, n) for n in self.session.store.names[:2000])]

    def _models(self, lang: str) -> list[tuple[str, int]]:
        _ = translator(lang)
        every = [(model.name, i) for i, model in enumerate(self.networks)]
        return [*every, (_("both"), BOTH)] if len(every) > 1 else every

    def plan(
        self,
        _: str,
        image: ImageChoice,
        methods: list[str],
        second: str,
        file: str | None,
        model: int,
        many: float,
        lang: str,
    ) -> Work:
        """Check what is chosen, and return the work of comparing it.

        Args:
            image: the image.
            methods: names of the methods.
            second: path of the second image, empty without one.
            file: the uploaded file.
            model: the network.
            many: number of classes.
            lang: language of the text, such as "en" or "ja".

        Returns:
            The work.

        Raises:
            InputError: if nothing was chosen.
        """
        if not methods:
            raise InputError(N_("Choose at least one method and one metric."))
        images = [image]
        if file:
            images.append(ImageChoice(Path(file).name, file))
            self.session.image(images[-1])  # refused here, before the work begins
        elif second:
            self.session.store.path(second)
            images.append(ImageChoice(second))
        networks = self.networks if model == BOTH else [self.networks[int(model)]]
        pairs = [(network, one) for one in images for network in networks]
        total = len(methods) * len(pairs)

        def work(step: Progress) -> list[tuple[Comparison, Path]]:
            made: list[tuple[Comparison, Path]] = []
            folder = self.b.exports.folder()
            done = 0
            for i, (network, one) in enumerate(pairs):
                watching, report = stoppable(network, step, N_("Comparing"), total, done)

                def named(_: int, __: int, words: str, report: Progress = report) -> None:
                    nonlocal done
                    done += 1
                    report(done, total, words)

                targets = [top(k) for k in range(int(many))]
                found = compare(watching, self.session.image(one), list(methods), targets, progress=named)
                made.append((found, found.save(folder / f"comparison_{i + 1}.png", columns=3)))
            return made

        return work

    def show(self, made: list[tuple[Comparison, Path]], _: float, lang: str) -> list[Any]:
        """Return a value for every output.

        Args:
            made: what was computed.
            lang: language of the text, such as "en" or "ja".
        """
        import gradio as gr

        shown = [
            gr.update(value=str(made[i][1]) if i < len(made) else None, visible=i < max(1, len(made)))
            for i in range(len(self.figures))
        ]
        return ["", unsuited([found for found, _ in made], lang), *shown]


def _warned(methods: list[str], lang: str) -> str:
    return note(cautions(methods, lang), "warn")


def unsuited(made: list[Comparison], lang: str) -> str:
    """Return as a list which methods do not suit which network, and why; empty if all do.

    Args:
        made: what was computed.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    lines = {f"{c.model}, {m}": _(w) for c in made for m, w in c.failures.items()}
    if not lines:
        return ""
    items = "".join(f"<li><b>{escape(k)}</b>: {escape(w)}</li>" for k, w in lines.items())
    head = _("Not applicable to this model")
    return f"<p>{head}</p><ul>{items}</ul>"
