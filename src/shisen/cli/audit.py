"""shisen audit"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import LONG, load_model, quiet_warnings
from .options import lang_option, model_options, out_option
from .progress import Bar


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
    from ..auditing.run import audit as run

    labels = choice["labels"]
    if truth is None and labels and str(labels).lower().endswith(".csv"):
        truth, choice["labels"] = labels, None  # a table of images, not of class names
    how = {name: choice.pop(name) for name in ("lang", "method")}
    model = load_model(dict(choice), LONG)
    other = None if versus is None else load_model({**choice, "model": versus}, LONG)
    with quiet_warnings(), Bar() as bar:
        result = run(model, folder, out, labels=truth, versus=other, progress=bar, **how)
    fraction = result.confusion.accuracy
    low, high = fraction.interval
    click.echo(f"Accuracy: {fraction.value:.1%} of {fraction.n} images (95 % interval {low:.1%} to {high:.1%})")
    if result.other is not None:
        used = sum(f.used for f in result.other.findings)
        click.echo(f"The other model: {result.other.confusion.accuracy.value:.1%}, {used} of the candidates used")
    for finding in result.findings[:10]:
        kind = finding.candidate.kind
        effect = "" if finding.effect is None else f", {100 * finding.effect.effect:+.0f} points"
        label = model.labels[finding.candidate.label] if len(model.labels) else finding.candidate.label
        why = f" ({finding.reason.replace('_', ' ')})" if finding.reason else ""
        click.echo(f"  {finding.severity}: {label}: {kind}, {finding.state.replace('_', ' ')}{why}{effect}")
    for name, error in result.unreadable.items():
        click.echo(f"  not read: {name}: {error}", err=True)
    click.echo(f"Wrote {result.report}")
    order = ["none", "low", "medium", "high"]
    failed = fail_on is not None and order.index(result.worst()) >= order.index(fail_on)
    return 1 if failed or result.unreadable else 0
