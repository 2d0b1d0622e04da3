"""The tab where one image is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .._core.i18n import N_, translator
from .._core.progress import Progress
from ..errors import InputError
from ..registry import get as method_of
from ..results import Explanation
from .context import NETWORK, QUICK, Build, Explaining, safely, safely_each, seconds
from .explain_layout import TOP, ExplainLayout
from .jobs import Update
from .long_work import LongWork, progress_line
from .method_choices import about, caution
from .request import (
    NO_CLASS,
    ExplainRequest,
    ImageChoice,
    PageRequest,
    command,
    file_name,
    python,
)
from .script import DRAW, LATER
from .session import Explained
from .view import both, note

THUMBS = 8
UNLAYERED = N_("This method works on the input itself and has no layer.")
PATIENCE, FEW = 0.7, 4  # seconds, and images sent through the network, until a visitor is shown progress


class ExplainTab(ExplainLayout):
    """The tab: what happens on each event.

    Args:
        b: the page; its `explaining` is set for other tabs.
    """

    def __init__(self, b: Build) -> None:
        super().__init__(b)
        self.work = LongWork(b, "explain", replaces=True, line=self._line)
        self.inputs = [
            *(b.chosen, self.method, self.layer, self.positive, self.negative, self.negated, self.score),
            *(self.style, self.colormap, self.alpha, b.lang),
        ]
        self.outputs = [
            *(self.view, self.shell, self.lines, self.summary, self.about, self.why, self.layer),
            *(self.ranked, *self.answers),
        ]
        self.of_class = [self.status, self.positive, self.negative, self.negated, *self.outputs]
        self.of_image = [self.status, b.chosen, self.store, self.thumbs, *self.of_class[1:]]
        self._connect()

    def _connect(self) -> None:
        import gradio as gr

        b, inputs = self.b, self.inputs
        event = self._event(self.update)
        whole = [self.status, *self.outputs]
        drawing = [self.style, self.colormap, self.alpha]
        for part in (self.method, self.layer, self.positive, self.negative, self.negated, self.score):
            part.input(inputs=inputs, outputs=whole, trigger_mode="always_last", **event)
        for part in drawing:
            part.input(None, drawing, None, js=DRAW, api_visibility="private")
            part.input(
                safely(self.reproduce),
                inputs,
                [self.shell, self.lines],
                trigger_mode="always_last",
                js=LATER,
                **QUICK,
            )
        self.redraw.click(inputs=inputs, outputs=whole, trigger_mode="always_last", **event)
        for i, button in enumerate(self.answers):
            button.click(inputs=[self.ranked, *inputs], outputs=self.of_class, **self._event(self.explain_rank(i)))
        self.back.click(inputs=inputs, outputs=self.of_image, **self._event(self.step(-1)))
        self.on.click(inputs=inputs, outputs=self.of_image, **self._event(self.step(1)))
        self.store.input(inputs=[self.store, *inputs], outputs=self.of_image, **self._event(self.pick))
        self.thumbs.select(inputs=inputs, outputs=self.of_image, **self._event(self.select, event=gr.SelectData))
        self.upload.upload(inputs=[self.upload, *inputs], outputs=self.of_image, **self._event(self.take_upload))
        self.stop.click(safely(self.work.cancel, request=gr.Request), None, None, **QUICK)
        for button, file, kind in ((self.png, self.files[0], "png"), (self.record, self.files[1], "json")):
            press = f"() => document.querySelector('#shisen-file-{kind}').closest('a, button').click()"
            saved = button.click(safely(self.download(kind)), inputs, file, **QUICK)
            saved.success(None, None, None, js=press, api_visibility="private")
        b.lang.input(inputs=inputs, outputs=whole, **event)
        b.explaining = Explaining(self.method, self.layer, inputs, whole, event)

    def _event(self, function: Callable[..., Iterator[list[Any]]], **kinds: type) -> dict[str, Any]:
        """Return function and settings of an event that uses the network."""
        import gradio as gr

        return {"fn": safely_each(function, request=gr.Request, **kinds), "show_progress_on": self.view, **NETWORK}

    @property
    def opening(self) -> tuple[Callable[..., Any], list[Any], list[Any]]:
        """The event that shows the first image, to be run when the page is opened: function, inputs, outputs."""
        import gradio as gr

        return safely_each(self.open, request=gr.Request), self.inputs, self.of_image

    def update(self, request: Any, *given: Any) -> Iterator[list[Any]]:
        """Explain what is chosen.

        Args:
            request: what is to be explained.
            *given: values of the tab's inputs.

        Yields:
            Values for the outputs of the event.
        """
        return self._explained(request, PageRequest.of(given))

    def explain_rank(self, rank: int) -> Callable[..., Iterator[list[Any]]]:
        """Return what explains the class at a rank of the predictions, 0 the most probable."""

        def update_class(request: Any, ranked: list[int], *given: Any) -> Iterator[list[Any]]:
            if rank >= len(ranked):
                raise InputError(N_("Choose an image first."))
            page = PageRequest.of(given).about(positive=ranked[rank])
            return self._explained(request, page, first=(ranked[rank], NO_CLASS, False))

        return update_class

    def open(self, request: Any, chosen: ImageChoice | None, *given: Any) -> Iterator[list[Any]]:
        """Show the first image, or the one that the visitor had.

        Args:
            request: what is to be explained.
            chosen: the image that the user chose, None without one.
            *given: values of the tab's inputs.

        Yields:
            Values for the outputs of the event.
        """
        return self._show(request, chosen or ImageChoice(self.session.store.names[0]), given)

    def step(self, by: int) -> Callable[..., Iterator[list[Any]]]:
        """Return what goes on to another image of the folder."""

        def step(request: Any, chosen: ImageChoice, *given: Any) -> Iterator[list[Any]]:
            name = self.session.store.step(chosen.name if not chosen.path else None, by)
            return self._show(request, ImageChoice(name), given)

        return step

    def pick(self, request: Any, name: str, *given: Any) -> Iterator[list[Any]]:
        """Show an image of the folder.

        Args:
            request: what is to be explained.
            name: name of the component.
            *given: values of the tab's inputs.

        Yields:
            Values for the outputs of the event.
        """
        self.session.store.path(name)
        return self._show(request, ImageChoice(name), given[1:])

    def select(self, request: Any, event: Any, *given: Any) -> Iterator[list[Any]]:
        """Show the image of a thumbnail.

        Args:
            request: what is to be explained.
            event: the event of the page.
            *given: values of the tab's inputs.

        Yields:
            Values for the outputs of the event.
        """
        name = event.value["caption"] if isinstance(event.value, dict) else str(event.value)
        return self.pick(request, name, *given)

    def take_upload(self, request: Any, file: str | None, *given: Any) -> Iterator[list[Any]]:
        """Show an upload.

        Args:
            request: what is to be explained.
            file: the uploaded file.
            *given: values of the tab's inputs.

        Yields:
            Values for the outputs of the event.

        Raises:
            InputError: if there is no upload.
        """
        if file is None:
            raise InputError(N_("Choose an image first."))
        chosen = ImageChoice(Path(file).name, file)
        self.session.image(chosen)
        return self._show(request, chosen, given[1:])

    def download(self, kind: str) -> Callable[..., str]:
        """Return what writes a map with its record, and returns the path of the one with this suffix."""

        def save(*given: Any) -> str:
            page = PageRequest.of(given)
            seen = self.session.explain(page.image, page.explain).whole
            file = self.b.exports.folder() / file_name(self.session.model, page.explain, page.image.name)
            return str(seen.save(file, **vars(page.drawing)).with_suffix(f".{kind}"))

        return save

    def reproduce(self, *given: Any) -> list[str]:
        """Return the command and the Python lines for what is shown."""
        return self._reproduced(PageRequest.of(given))

    def _reproduced(self, page: PageRequest) -> list[str]:
        at = (self.session.model, self.session.load, page.explain, page.drawing, page.image.name)
        return [command(*at), python(*at)]

    def _show(self, request: Any, chosen: ImageChoice, given: Sequence[Any]) -> Iterator[list[Any]]:
        """Show another image; it begins with its own top class."""
        import gradio as gr

        around = [] if chosen.path else self.session.store.around(chosen.name, THUMBS)
        strip = [(self.session.thumbnail(name), name) for name in around]
        where = (None, gr.skip()) if chosen.path else (chosen.name, strip)
        page = PageRequest.of([chosen, *given]).about()
        return self._explained(request, page, first=(chosen, *where, NO_CLASS, NO_CLASS, False))

    def _explained(self, request: Any, page: PageRequest, first: Sequence[Any] = ()) -> Iterator[list[Any]]:
        """Yield how far a slow method is, then every output; `first` are outputs that come before those."""

        def work(step: Progress) -> Explained:
            return self.session.explain(
                page.image, page.explain, lambda done, total, _: step(done, total, page.explain.method)
            )

        return self.work.run(
            request,
            work,
            lambda found: ["", *first, *self._finished(page, found)],
            page.lang,
            1 + len(first) + len(self.outputs),
        )

    def _line(self, elapsed: float, progress: Update, lang: str) -> str:
        if progress.done <= FEW or elapsed < PATIENCE:
            return ""
        _ = translator(lang)
        words = _("{method}: {n} images evaluated so far", method=progress.words, n=progress.done)
        return progress_line(Update(0, 0, words), lang, "shisen-stop-explain")

    def _finished(self, page: PageRequest, found: Explained) -> list[Any]:
        import gradio as gr

        seen, lang, method = found.whole, page.lang, page.explain.method
        layered = method_of(method).layered
        where = self.session.where(lang) if layered else translator(lang)(UNLAYERED)
        return [
            both(found, page.drawing, lang),
            *self._reproduced(page),
            note(summary(seen, lang)) + note(self.session.warning(seen, lang), "warn"),
            note(about(method, lang), "quiet") + note(caution(method, lang), "warn"),
            note(where, "quiet"),
            gr.update(interactive=layered),
            [p.index for p in seen.predictions],
            *(_answer(seen, i, page.explain) for i in range(TOP)),
        ]


def summary(seen: Explanation, lang: str) -> str:
    """Say in one line what was explained, what the network predicts, and how long it took.

    Args:
        seen: the explanation.
        lang: language of the text, such as "en" or "ja".

    Returns:
        The text.
    """
    _ = translator(lang)
    best = seen.predictions[0] if seen.predictions else None
    chance = _("prediction: “{label}”, {p:.1%}", label=best.label, p=best.probability) if best else ""
    return _(
        "{method} of “{target}” · {chance} · {time}",
        method=seen.method,
        target=seen.target.name,
        chance=chance,
        time=seconds(seen.seconds),
    )


def _answer(seen: Explanation, rank: int, request: ExplainRequest) -> Any:
    import gradio as gr

    if rank >= len(seen.predictions):
        return gr.update(visible=False)
    p = seen.predictions[rank]
    on = seen.target.indices[:1] == (p.index,) and not request.negated
    return gr.update(value=f"{p.label}  {p.confidence}", visible=True, variant="primary" if on else "secondary")
