"""shisen finetune"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import quiet_warnings, wrote
from .options import out_option, seed_option
from .progress import Bar
from .tables import table

WRITTEN = ("shisen.json", "weights.safetensors", "model.keras", "history.png", "confusion.png")


@click.command()
@click.argument("train")
@click.option("--val", default=None, help="Validation images: a folder of classes or a CSV file.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="Pretrained model to start from.")
@click.option(
    "--epochs",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="Number of epochs for the last blocks; 0 trains the classifier only.",
)
@out_option("finetune")
@click.option("--framework", default="torch", show_default=True, help="torch or keras.")
@click.option("--device", default="", help="Device to train on, such as cpu or cuda:0.")
@click.option("--cache", default=None, help="Folder that keeps the activations of the frozen layers for further runs.")
@seed_option
def finetune(train: str, val: str | None, backbone: str, epochs: int, out: Path, **choice: Any) -> int:
    """Fine-tune a pretrained model on TRAIN: a folder with one subfolder per class, or a CSV file (path, label).

    The same command resumes an interrupted run.
    """
    from ..training.data import look, read_dataset
    from ..training.run import finetune as run

    found = look(read_dataset(train), None if val is None else read_dataset(val))
    sizes = found.counts["train"]
    total = sum(sizes.values())
    table(
        "Images",
        ["class", *found.counts, "fraction", "example"],
        [
            [k, *(str(part.get(k, 0)) for part in found.counts.values()), f"{n / total:.1%}", found.samples[k][0]]
            for k, n in sizes.items()
        ],
        numeric=[*found.counts, "fraction"],
    )
    for warning in found.warnings:
        click.echo(f"Note: {warning}", err=True)
    with quiet_warnings(), Bar() as bar:
        result = run(train, val, backbone, epochs, out=out, progress=bar, **choice)
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
            click.echo(f"  {n} × {true} classified as {predicted}")
    written = [name for name in WRITTEN if (Path(result.folder) / name).is_file()]
    wrote(*(Path(result.folder) / name for name in written))
    return 0
