"""What the tabs have in common while the page is built: the session, the texts, errors in words."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.i18n import languages, translator
from ..errors import ShisenError
from .errors import in_words
from .jobs import Exports, Jobs
from .session import Session

log = logging.getLogger("shisen.web")

NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 4, "api_visibility": "private"}
"""Of events that run the network: some may wait for it, and none is part of the page's interface for programs."""

QUICK: dict[str, Any] = {"concurrency_limit": 8, "api_visibility": "private", "show_progress": "hidden"}
"""Of events that only draw."""


Texts = Mapping[str, str | Callable[[str], Any]]
"""Properties of a component that change with the language: messages, or functions of the language."""


@dataclass(frozen=True)
class Explaining:
    """What other tabs need to have the image explained anew.

    Attributes:
        method: the component where the method is chosen.
        layer: the component where the layer is chosen.
        inputs: of the event.
        outputs: of the event.
        event: function and settings of the event.
    """

    method: Any
    layer: Any
    inputs: list[Any]
    outputs: list[Any]
    event: dict[str, Any]


@dataclass
class Build:
    """The page while it is being built.

    Attributes:
        session: what it calls of the library.
        opening_lang: the language that it opens in.
        exports: where files to take away are written.
        jobs: long work.
        parts: every component whose texts change with the language, and these texts.
        lang: the component that holds the language.
        chosen: the component that holds the visitor's image.
        tabs: the component that holds the tabs.
        explaining: how the image is explained anew.
    """

    session: Session
    opening_lang: str
    exports: Exports
    jobs: Jobs = field(default_factory=Jobs)
    parts: list[tuple[Any, Texts]] = field(default_factory=list)
    lang: Any = None
    chosen: Any = None
    tabs: Any = None
    explaining: Explaining | None = None

    def part(self, kind: Callable[..., Any], texts: Texts, **fixed: Any) -> Any:
        """Make a component whose texts change with the language.

        Args:
            kind: class of the component.
            texts: properties that change with the language.
            **fixed: properties that do not depend on the language.

        Returns:
            The component.
        """
        made = kind(**in_language(texts, self.opening_lang), **fixed)
        self.parts.append((made, texts))
        return made

    def markdown(self, message: str) -> None:
        """Add a paragraph that changes with the language."""
        import gradio as gr

        self.part(gr.Markdown, {"value": message})


def in_language(texts: Texts, lang: str) -> dict[str, Any]:
    """Return properties of a component in a language.

    Args:
        texts: messages, or functions of the language, by property.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    return {name: _(text) if isinstance(text, str) else text(lang) for name, text in texts.items()}


def choices(words: Mapping[str, str]) -> Callable[[str], list[tuple[str, str]]]:
    """Return what gives `(text, value)` pairs to choose from in a language.

    Args:
        words: a message for every value.
    """
    return lambda lang: [(translator(lang)(message), value) for value, message in words.items()]


def safely(function: Callable[..., Any], **kinds: type) -> Callable[..., Any]:
    """Show errors in words, in the visitor's language.

    Args:
        function: handles an event.
        **kinds: parameters that gradio fills in with what it knows of the event or the visitor, by type.

    Returns:
        The function that shows errors.
    """

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except Exception as problem:
            raise shown(problem, given) from problem

    call.__annotations__ = kinds
    return call


def safely_each(function: Callable[..., Iterator[Any]], **kinds: type) -> Callable[..., Iterator[Any]]:
    """As `safely`, for work that yields its status in the first output, which is emptied if the work fails.

    Args:
        function: the function.
        **kinds: number of outputs.

    Yields:
        The function that shows errors.
    """
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

    call.__annotations__ = kinds
    return call


def shown(problem: Exception, given: tuple[Any, ...]) -> Any:
    """Return an error as the page shows it; one of the library's own states itself what to do.

    Args:
        problem: the error.
        given: what the user gave.
    """
    import gradio as gr

    if isinstance(problem, gr.Error):
        return problem
    lang = next((g for g in given if isinstance(g, str) and g in languages()), "en")
    _ = translator(lang)
    if isinstance(problem, ShisenError):
        text = in_words(problem, lang)
    else:
        log.exception("unexpected error on the page", exc_info=problem)
        text = _(
            "An unexpected error occurred ({kind}). See the server's log for details.", kind=type(problem).__name__
        )
    return gr.Error(text, title=_("This did not work"), duration=15, print_exception=False)


def seconds(value: float) -> str:
    """Return a time in words."""
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"
