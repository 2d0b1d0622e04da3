"""Progress on the terminal for work that reports steps by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps(total: int, words: str) -> Iterator[Callable[[str], None]]:
    """Show a bar of `total` steps; the function given moves it on by one. Silent where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(words, total=total)

        def step(name: str) -> None:
            bar.update(task, advance=1, description=f"{words}: {name}")

        yield step
