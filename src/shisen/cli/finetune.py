"""shisen finetune"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import quiet_warnings, table

WRITTEN = ("shisen.json", "weights.safetensors", "model.keras", "history.png", "confusion.png")


@click.command()
@click.argument("train")
@click.option("--val", default=None, help="Images to measure on: a folder of classes or a CSV file.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="Name of the network to start from.")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(min=0), help="0 trains the head only.")
@click.option("--out", "-o", default="runs/latest", show_default=True, help="Folder for the result.")
@click.option("--framework", default="torch", show_default=True, help="torch or keras.")
@click.option("--device", default="", help="Where to train, such as cpu or cuda:0.")
@click.option(
    "--keep", default=None, help="Folder where the body's activations stay, for further runs on these images."
)
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
def finetune(train: str, val: str | None, backbone: str, epochs: int, out: str, **choice: Any) -> int:
    """Fine-tune a backbone on TRAIN: a folder with one folder a class, or a CSV file (path, label).

    A run that was stopped continues where it was.
    """
    from ..training.data import look, read_dataset
    from ..training.run import finetune as run

    found = look(read_dataset(train), None if val is None else read_dataset(val))
    sizes = found.counts["train"]
    total = sum(sizes.values())
    table(
        "Images",
        ["class", *found.counts, "share", "such as"],
        [
            [k, *(str(part.get(k, 0)) for part in found.counts.values()), f"{n / total:.1%}", found.samples[k][0]]
            for k, n in sizes.items()
        ],
        numeric=[*found.counts, "share"],
    )
    for warning in found.warnings:
        click.echo(f"Note: {warning}", err=True)
    with quiet_warnings(), Bar() as told:
        result = run(train, val, backbone, epochs, out=out, progress=told, **choice)
    table(
        "History",
        ["epoch", "loss", "accuracy", "val loss", "val accuracy"],
        [
            [str(e.epoch), f"{e.loss:.3f}", f"{e.accuracy:.1%}", f"{e.val_loss:.3f}", f"{e.val_accuracy:.1%}"]
            for e in result.history
        ],
        numeric=["epoch", "loss", "accuracy", "val loss", "val accuracy"],
    )
    if result.confusion:
        click.echo(f"Accuracy on {val}: {result.accuracy:.1%}")
        pairs = [
            (n, result.labels[i], result.labels[j])
            for i, row in enumerate(result.confusion)
            for j, n in enumerate(row)
            if i != j and n
        ]
        for n, true, predicted in sorted(pairs, key=lambda p: -p[0])[:3]:
            click.echo(f"  {n} × {true} taken for {predicted}")
    written = [name for name in WRITTEN if (Path(result.folder) / name).is_file()]
    click.echo(f"Wrote {result.folder}: {', '.join(written)}")
    return 0


class Bar:
    """A progress bar that is told what is being done; silent when the output is not a terminal."""

    def __enter__(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.tasks: dict[str, int] = {}
        self.bar.start()
        return self

    def __call__(self, words: str, done: int, total: int) -> None:
        if words not in self.tasks:
            self.tasks[words] = int(self.bar.add_task(words, total=total))
        self.bar.update(self.bar.task_ids[self.tasks[words]], completed=done, total=total)

    def __exit__(self, *problem: object) -> None:
        self.bar.stop()
