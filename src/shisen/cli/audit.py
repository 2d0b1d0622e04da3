"""shisen audit"""

from __future__ import annotations

from typing import Any

import click

from .common import LONG, load_model, model_options, quiet_warnings


@click.command()
@click.argument("folder")
@model_options
@click.option("--out", "-o", default="audit", show_default=True, help="Folder for the report.")
@click.option("--truth", default=None, help="A CSV file with the columns path and label, for a folder without classes.")
@click.option("--versus", default=None, help="Another model, put beside.")
@click.option("--method", default="", help="Method of the maps, or auto. [default: gradient times activation]")
@click.option("--fail-on", type=click.Choice(["high", "medium", "low"]), default=None, help="Exit with 1 from here on.")
@click.option(
    "--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Language of the report."
)
def audit(folder: str, out: str, truth: str | None, versus: str | None, fail_on: str | None, **choice: Any) -> int:
    """Audit a model on FOLDER (one folder a class, or a CSV file): mistakes, and shortcuts proven by intervention.

    An audit that was stopped continues where it was.
    """
    from ..auditing.run import audit as run
    from .finetune import Bar

    labels = choice["labels"]
    if truth is None and labels and str(labels).lower().endswith(".csv"):
        truth, choice["labels"] = labels, None  # a table of images, not of class names
    how = {name: choice.pop(name) for name in ("lang", "method")}
    model = load_model(dict(choice), LONG)
    other = None if versus is None else load_model({**choice, "model": versus}, LONG)
    with quiet_warnings(), Bar() as told:
        result = run(model, folder, out, labels=truth, versus=other, progress=told, **how)
    fraction = result.confusion.accuracy
    low, high = fraction.interval
    click.echo(f"Accuracy: {fraction.value:.1%} of {fraction.n} images (95 % interval {low:.1%} to {high:.1%})")
    if result.other is not None:
        used = sum(f.used for f in result.other.findings)
        click.echo(f"The other model: {result.other.confusion.accuracy.value:.1%}, {used} of the suspects used")
    for finding in result.findings[:10]:
        kind = finding.candidate.kind
        effect = "" if finding.effect is None else f", {100 * finding.effect.effect:+.0f} points"
        place = model.labels[finding.candidate.label] if len(model.labels) else finding.candidate.label
        click.echo(
            f"  {finding.severity}: {place}: {kind}, {'used by the model' if finding.used else 'not used'}{effect}"
        )
    for name, error in result.unreadable.items():
        click.echo(f"  not read: {name}: {error}", err=True)
    click.echo(f"Wrote {result.report}")
    order = ["none", "low", "medium", "high"]
    failed = fail_on is not None and order.index(result.worst()) >= order.index(fail_on)
    return 1 if failed or result.unreadable else 0
