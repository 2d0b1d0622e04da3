"""One progress bar for all commands, on standard error; silent where that is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Bar:
    """A progress bar to be used in a `with` statement: one line for each description that it is called with."""

    def __enter__(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.tasks: dict[str, Any] = {}
        self.bar.start()
        return self

    def __call__(self, done: int, total: int, words: str) -> None:
        """Say how far work is; see `Progress`.

        Args:
            done: steps done.
            total: of how many; 0 if that is not known.
            words: what is being done; of a `Message`, only the template names the line.
        """
        line = getattr(words, "template", words)
        if line not in self.tasks:
            self.tasks[line] = self.bar.add_task(words, total=total or None)
        self.bar.update(self.tasks[line], completed=done, total=total or None, description=words)

    def __exit__(self, *problem: object) -> None:
        self.bar.stop()


def progress(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """Yield the items under a progress bar; a single item needs none.

    Args:
        items: what is iterated over.
        total: number of items.
        words: what is being done.
    """
    if total < 2:
        yield from items
        return
    with Bar() as bar:
        bar(0, total, words)
        for done, item in enumerate(items, 1):
            yield item
            bar(done, total, words)
