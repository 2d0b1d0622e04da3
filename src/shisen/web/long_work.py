"""Long work that a visitor starts: one way to run it, show how far it is, and let it be canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from time import perf_counter
from typing import Any

from .._core.i18n import N_, translator
from .._core.progress import Progress
from ..models.model import Model
from .context import NETWORK, QUICK, Build, safely, safely_each
from .jobs import Update
from .session import watched
from .view import note

Work = Callable[[Progress], Any]


class LongWork:
    """One kind of long work; a visitor has at most one of a kind running.

    Args:
        b: the page.
        name: of the kind.
        replaces: cancel the visitor's last work of this kind instead of refusing to start another, and show no line
            before `line` gives one.
        line: turns seconds since the start, progress and language into a status line; "" shows none yet.
        canceled: the message shown after canceling.
    """

    def __init__(
        self,
        b: Build,
        name: str,
        *,
        replaces: bool = False,
        line: Callable[[float, Update, str], str] | None = None,
        canceled: str = N_("Canceled."),
    ) -> None:
        self.b, self.name, self.replaces, self.canceled = b, name, replaces, canceled
        self.line = line or (lambda _, progress, lang: progress_line(progress, lang))

    def _visitor(self, request: Any) -> str:
        return f"{self.name} {request.session_hash}"

    def run(
        self, request: Any, work: Work, show: Callable[[Any], list[Any]], lang: str, n_outputs: int
    ) -> Iterator[list[Any]]:
        """Run the work in a thread of its own; yield values for the event's outputs, of which the first is the status.

        Args:
            request: who requests it.
            work: called with a function that reports progress and raises once the work is canceled.
            show: turns the result into a value for every output.
            lang: the visitor's language.
            n_outputs: number of outputs.

        Yields:
            Values for the outputs of the event.
        """
        import gradio as gr

        _ = translator(lang)
        kept = [gr.skip()] * (n_outputs - 1)
        start = perf_counter()
        if not self.replaces:
            yield [note(_("Starting …")), *kept]
        busy = "" if self.replaces else N_("A job is already running. Cancel it, or wait until it is done.")
        for item in self.b.jobs.run(self._visitor(request), work, busy):
            if not isinstance(item, Update):
                yield show(item[0])
                return
            line = self.line(perf_counter() - start, item, lang)
            if line:
                yield [line, *kept]
        yield [note(_(self.canceled)), *kept]

    def cancel(self, request: Any) -> None:
        """Cancel the visitor's work."""
        self.b.jobs.cancel(self._visitor(request))

    def buttons(self, start: str) -> None:
        """Add the buttons that start and cancel the work; `start` is the message on the first."""
        import gradio as gr

        name = self.name
        self.go = self.b.part(gr.Button, {"value": start}, variant="primary", elem_id=f"shisen-go-{name}")
        self.stop = self.b.part(gr.Button, {"value": N_("Cancel")}, elem_id=f"shisen-stop-{name}")

    def offer(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        plan: Callable[..., Work],
        show: Callable[..., list[Any]],
        **look: Any,
    ) -> None:
        """Connect the buttons.

        Args:
            inputs: components whose values `plan` is given; the last holds the language.
            outputs: components to fill; the first shows the status.
            plan: given the name of the visitor and the inputs, checks these and returns the work.
            show: called with the result, the seconds it took and the language; returns a value for every output.
            **look: further settings of the event.
        """
        import gradio as gr

        def run(request: Any, *given: Any) -> Iterator[list[Any]]:
            began, lang = perf_counter(), str(given[-1])
            work = plan(self._visitor(request), *given)
            yield from self.run(
                request, work, lambda result: show(result, perf_counter() - began, lang), lang, len(outputs)
            )

        self.go.click(safely_each(run, request=gr.Request), list(inputs), list(outputs), **look, **NETWORK)
        self.stop.click(safely(self.cancel, request=gr.Request), None, None, **QUICK)


def stoppable(model: Model, step: Progress, words: str, total: int = 0, done: int = 0) -> tuple[Model, Progress]:
    """Let work be canceled after any pass through the network, not only where it reports progress.

    Args:
        model: the model that the work uses.
        step: reports progress, and raises once the work is canceled.
        words: the status before the first report.
        total: number of steps, 0 if it is not known yet.
        done: number of steps done before.

    Returns:
        The model to use, and the function to report with.
    """
    last: list[Any] = [done, total, words]

    def report(done: int, total: int, words: str) -> None:
        last[:] = [done, total, words]
        step(done, total, words)

    return watched(model, lambda *_: step(*last)), report


def progress_line(progress: Update, lang: str, stop: str = "") -> str:
    """Return how far work is, as a bar with words.

    Args:
        progress: how far; a total of 0 if it is not known, then only its words are shown.
        lang: the visitor's language.
        stop: name of the component that cancels the work, for a button beside the bar; empty for none.
    """
    _ = translator(lang)
    words = escape(_(progress.words))
    text = words
    if progress.total:
        text = _("{words}: {done} of {total}", words=words, done=progress.done, total=progress.total)
    value = f'max="{progress.total}" value="{progress.done}" ' if progress.total else ""
    cancel = _("Cancel")
    press = f'<button type="button" class="shisen-press" data-press="{stop}">{cancel}</button>'
    return (
        f'<div class="shisen-note" role="status">{text}{press if stop else ""}'
        f'<progress style="width:100%" {value}aria-label="{text}"></progress></div>'
    )
