"""What the tabs share while the page is built: the desk, the texts, errors in words."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ShisenError
from .desk import Desk
from .jobs import Exports, Far, Jobs
from .words import LANGUAGES, Spoken, say

log = logging.getLogger("shisen.web")

NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 4, "api_visibility": "private"}
"""Of events that ask the network: some may wait for it, and none is part of the page's interface for programs."""

QUICK: dict[str, Any] = {"concurrency_limit": 8, "api_visibility": "private", "show_progress": "hidden"}
"""Of events that only draw."""


@dataclass
class Build:
    """The page while it is being built.

    Attributes:
        desk: what it asks of the library.
        spoken: its texts.
        exports: where files to take away are written.
        jobs: long work.
        lang: the part that holds the language.
        chosen: the part that holds the visitor's picture.
    """

    desk: Desk
    spoken: Spoken
    exports: Exports
    jobs: Jobs = field(default_factory=Jobs)
    lang: Any = None
    chosen: Any = None

    def part(self, kind: Callable[..., Any], says: dict[str, Any], **fixed: Any) -> Any:
        """Make a part whose texts change with the language."""
        return self.spoken.add(kind(**self.spoken.texts(says), **fixed), **says)


def safely(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have what goes wrong shown in words, in the visitor's language where it is ours."""

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except Exception as problem:
            raise shown(problem, given) from problem

    return call


def safely_each(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """As `safely`, for work that yields how far it is in its first output, which is emptied if it fails."""

    import gradio as gr

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Iterator[Any]:
        last: list[Any] = []
        try:
            for last in function(*given, **named):
                yield last
        except Exception as problem:
            if last:
                yield ["", *(gr.skip() for _ in last[1:])]
            raise shown(problem, given) from problem

    return call


def handed(function: Callable[..., Any], name: str, kind: type) -> Callable[..., Any]:
    """Have a parameter filled in by the page with what it knows of the event or of the visitor."""
    function.__annotations__ = {name: kind}
    return safely_each(function) if inspect.isgeneratorfunction(function) else safely(function)


def shown(problem: Exception, given: tuple[Any, ...]) -> Any:
    """Return an error as the page shows it; one of the library's own says itself what to do."""
    import gradio as gr

    if isinstance(problem, gr.Error):
        return problem
    lang = next((g for g in given if isinstance(g, str) and g in LANGUAGES), "en")
    if isinstance(problem, ShisenError):
        text = str(problem)
    else:
        log.exception("unexpected error on the page", exc_info=problem)
        text = say("unexpected", lang).format(kind=type(problem).__name__)
    return gr.Error(text, title=say("error", lang), duration=15, print_exception=False)


def how_far(far: Far, lang: str) -> str:
    """Return how far work is, as a bar with words."""
    text = say("working", lang).format(words=far.words, done=far.done, total=far.total)
    return (
        f'<div class="shisen-note" role="status">{text}<progress style="width:100%" max="{max(far.total, 1)}" '
        f'value="{far.done}" aria-label="{text}"></progress></div>'
    )


def seconds(value: float) -> str:
    """Return a time in words."""
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"
