"""shisen audit"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import LONG, load_model, quiet_warnings
from .model_options import model_options
from .options import lang_option, out_option
from .progress import Bar

if TYPE_CHECKING:
    from ..auditing.record import Audit


def _report(bar: Bar, done: int, total: int, words: str) -> None:
    """Print estimates, and show everything else as a progress bar."""
    from ..auditing.budget import ESTIMATES
    from ..errors import Message

    if isinstance(words, Message) and words.template in ESTIMATES:
        click.echo(words, err=True)
    else:
        bar(done, total, words)


def _summary(result: Audit) -> None:
    """Print what was found, what was not reached, and where the report is."""
    from .._core.i18n import translator
    from ..auditing.finding_words import what

    fraction = result.confusion.accuracy
    low, high = fraction.interval
    click.echo(f"Accuracy: {fraction.value:.1%} of {fraction.n} images (95 % interval {low:.1%} to {high:.1%})")
    if result.other is not None:
        used = sum(f.used for f in result.other.findings)
        click.echo(f"The other model: {result.other.confusion.accuracy.value:.1%}, {used} of the candidates used")
    for finding in result.findings[:10]:
        effect = "" if finding.effect is None else f", {100 * finding.effect.effect:+.0f} points"
        why = f" ({finding.reason.replace('_', ' ')})" if finding.reason else ""
        name = f"{result.labels[finding.candidate.label]}: {what(finding, translator('en'))}"
        click.echo(f"  {finding.severity}: {name}, {finding.state.replace('_', ' ')}{why}{effect}")
    if result.not_reached:
        click.echo(f"Not tested within the budget: {result.not_reached} findings. Run again for the rest.")
    for grouping in result.context.groups:
        for group in grouping.groups:
            worst = ", the lowest" if group.name == grouping.worst else ""
            click.echo(f"  {grouping.column} {group.name}: {group.accuracy.value:.1%} of {group.accuracy.n}{worst}")
    pairs = result.context.duplicates.pairs
    if leaked := len({p.first for p in pairs if p.leaked}):
        click.echo(f"{leaked} of {len(result.names)} images are also in the training folder")
    for name, error in result.unreadable.items():
        click.echo(f"  not read: {name}: {error}", err=True)
    click.echo(f"Wrote {result.report}")


@click.command()
@click.argument("folder")
@model_options
@out_option("audit")
@click.option(
    "--truth", default=None, help="CSV file with the columns path and label, for a folder without class subfolders."
)
@click.option("--versus", default=None, help="Second model to compare with.")
@click.option(
    "--method", default="", help="Attribution method of the maps, or auto (gradient × activation by default)."
)
@click.option("--groups", multiple=True, metavar="NAME", help="Column of the CSV file whose values are groups.")
@click.option("--train", default=None, help="Training images; audited images that occur there are listed.")
@click.option("--budget", default=None, metavar="TIME", help="Time limit for tests, such as 90s, 10m or 1h.")
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low"]),
    default=None,
    help="Exit with status 1 if a finding is at least this severe.",
)
@lang_option("report")
def audit(folder: str, out: Path, truth: str | None, versus: str | None, fail_on: str | None, **choice: Any) -> int:
    """Audit a model on FOLDER (one subfolder per class, or a CSV file): errors, and shortcuts shown by intervention.

    The same command resumes an interrupted audit.
    """
    from ..auditing.budget import seconds_of
    from ..auditing.run import audit as run

    labels = choice["labels"]
    if truth is None and labels and str(labels).lower().endswith(".csv"):
        truth, choice["labels"] = labels, None  # a table of images, not of class names
    how = {name: choice.pop(name) for name in ("lang", "method", "train")}
    how["groups"] = [name.strip() for one in choice.pop("groups") for name in one.split(",") if name.strip()]
    limit = choice.pop("budget")
    how["budget"] = None if limit is None else seconds_of(limit)
    model = load_model(dict(choice), LONG)
    other = None if versus is None else load_model({**choice, "model": versus}, LONG)
    with quiet_warnings(), Bar() as bar:
        result = run(model, folder, out, labels=truth, versus=other, progress=partial(_report, bar), **how)
    _summary(result)
    order = ["none", "low", "medium", "high"]
    failed = fail_on is not None and order.index(result.worst()) >= order.index(fail_on)
    return 1 if failed or result.unreadable else 0
