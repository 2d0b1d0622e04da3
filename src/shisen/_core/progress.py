"""One way for long work to say how far it is, for the terminal, the page and programs alike."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, words)`: units done, units in all, and what is being done, in English.

Words that change from step to step are a `Message`, whose template stays the same. What it raises stops the work.
"""


def silent(done: int, total: int, words: str) -> None:
    """Report to nobody.

    Args:
        done: number of finished steps.
        total: number of all steps.
        words: what is being done.
    """
