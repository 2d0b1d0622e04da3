"""What several commands share: the model options, the images, the progress bar, the list of failures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..models.model import Model

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

LONG = 1000
"""Stands for many passes where nobody has counted them: enough that the best chunk is worth measuring."""

MODEL_OPTIONS = (
    click.option("--model", "-m", default="efficientnet_lite0", show_default=True, help="Name or file of the model."),
    click.option("--framework", default="", help="torch or keras, where both know the model."),
    click.option("--weights", default=None, help="A file of weights for the network."),
    click.option("--labels", default=None, help="A file of class names, or names divided by commas."),
    click.option("--device", default="", help="Where the network runs, such as cpu or cuda:0."),
    click.option("--fast", is_flag=True, help="Half precision where the machine is faster with it: nearly the same."),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=None,
        envvar="SHISEN_CHUNK",
        help="Images that go through the network at a time; found by itself if left out. Results are the same.",
    ),
    click.option("--size", default=None, help="Another input size, such as 224 or 300x200 (height x width)."),
    click.option("--fit", type=click.Choice(["stretch", "crop", "pad"]), default=None, help="How images fit."),
    click.option("--scale", default=None, help="Pixel values (0 to 255) are multiplied by this, such as 1/255."),
    click.option("--trust", is_flag=True, help="Allow model files that execute code when they are read."),
)


def model_options(command: F) -> F:
    """Add the options that say which model, to a command."""
    for option in reversed(MODEL_OPTIONS):
        command = option(command)
    return command


def load_model(choice: dict[str, Any], images: int = 1) -> Model:
    """Load the model that the options name; takes its own options out of `choice`.

    Args:
        choice: the options of the command.
        images: about how many will be sent through it; for many the best chunk is measured.
    """
    from ..models.loading import load
    from ..models.preprocess import Preprocess

    size, fit, scale, batch_size = (choice.pop(k) for k in ("size", "fit", "scale", "batch_size"))
    name, labels = choice.pop("model"), choice.pop("labels")
    settings = {k: choice.pop(k) for k in ("framework", "weights", "device", "fast", "trust")}
    preprocess = None
    if scale is not None:
        preprocess = Preprocess(size=_size(size or "224"), fit=fit or "stretch", range=(0.0, 255.0 * _number(scale)))
    with quiet_warnings():
        model = load(name, labels=labels, preprocess=preprocess, **settings)
        if preprocess is None and (size is not None or fit is not None):
            from ..models.loading import with_geometry

            model = with_geometry(model, None if size is None else _size(size), fit)
    if batch_size is not None:
        model = model.batched(batch_size)
    elif images > 1:
        from ..models.batch_size import MANY, tuned

        model = tuned(model) if images >= MANY else model
    if model.precision != "float32":
        click.echo(f"Note: the network runs in {model.precision}; its answers differ a little from float32.", err=True)
    return model


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().replace("×", "x").split("x")
    try:
        numbers = [int(p) for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise click.BadParameter(f"a size must be a number or HEIGHTxWIDTH; received {text!r}. Try 224 or 300x200.")
    return numbers[0], numbers[-1]


def _number(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError) as problem:
        raise click.BadParameter(f"a scale must be a number or a fraction; received {text!r}. Try 1/255.") from problem


def target_of(text: str | None) -> Any:
    """Read a target: a class, "a-vs-b" for a contrast written as "a / b", "not a", or "top2"."""
    from ..naming import contrast, negative, top

    if text is None:
        return None
    words = text.strip()
    if " / " in words:
        a, b = words.split(" / ", 1)
        return contrast(_class(a), _class(b))
    if words.lower().startswith("not "):
        return negative(_class(words[4:]))
    if words.lower().startswith("top") and words[3:].isdigit():
        return top(int(words[3:]) - 1)
    return _class(words)


def _class(text: str) -> Any:
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else text


def options_of(pairs: Sequence[str], method: Any) -> dict[str, Any]:
    """Read `-O name=value` pairs as the method's own options."""
    import ast

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"an option must look like name=value; received {pair!r}.")
        method.check({name: value})
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def images_of(sources: Sequence[str]) -> list[str]:
    """Return every image that files, folders, globs and addresses stand for."""
    from ..models.sources import find_images

    found = find_images(list(sources))
    if not found:
        raise click.UsageError(f"No image found in: {', '.join(sources)}. Give files, folders or globs.")
    return found


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Print warnings meant for the reader as one line each, and keep the frameworks' own out of the way."""
    from ..errors import ShisenWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    seen = set()
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, ShisenWarning) and text not in seen:
            seen.add(text)
            click.echo(f"Note: {text}", err=True)


def progress(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """Yield the items with a progress bar on the terminal; silent when the output is not one."""
    if total < 2:
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(words, total=total)
        for item in items:
            yield item
            bar.advance(task)


def finish(failures: Sequence[tuple[str, str]], done: int) -> int:
    """List what failed and return the exit code: 0 all done, 1 done with failures."""
    if failures:
        click.echo(f"\n{len(failures)} of {len(failures) + done} images could not be used:", err=True)
        for source, error in failures:
            click.echo(f"  {source}: {error}", err=True)
        return 1
    return 0


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[str] = ()) -> None:
    """Print a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", header_style="bold")
    for name in columns:
        drawn.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(drawn)
