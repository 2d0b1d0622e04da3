"""shisen repair"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import LONG, load_model, quiet_warnings
from .model_options import model_options
from .options import lang_option, out_option, seed_option
from .progress import Bar

if TYPE_CHECKING:
    from ..repairing.record import Repair


def _summary(result: Repair) -> None:
    """Print what became of each finding, and where everything is."""
    from .._core.i18n import translator
    from ..repairing.record import VERDICTS
    from ..repairing.words import REASONS, form, percent, points

    _ = translator("en")
    if result.dry:
        learn, choose = (result.history["data"][part] for part in ("learn", "choose"))
        click.echo(f"Would treat, with {learn} images to learn from and {choose} to choose a treatment by:")
        for cure in result.cures:
            click.echo(f"  finding {cure.finding}: {cure.label}")
        click.echo(f"Would write {result.folder}")
        return
    click.echo(f"Treatment: {result.treatment}")
    for cure in result.cures:
        verdict = VERDICTS[cure.verdict] if cure.treated else "not treated"
        why = f" ({_(REASONS[cure.reason])})" if cure.reason else ""
        click.echo(f"Finding {cure.finding}, {cure.label}: {verdict}{why}")
        for one in cure.forms:
            before, after = points(one.effect.before), points(one.effect.after)
            click.echo(f"  effect {form(one.name, _)}: {before} -> {after} points, {one.n} images")
        if cure.conflict is not None:
            before, after = percent(cure.conflict.before), percent(cure.conflict.after)
            click.echo(f"  accuracy on other classes with the artefact: {before} -> {after}")
    if result.accuracy is not None:
        click.echo(f"Accuracy: {percent(result.accuracy.before)} -> {percent(result.accuracy.after)}")
    click.echo(f"Wrote {result.folder}\nWrote {result.report}")


@click.command()
@click.argument("audit")
@model_options
@click.option("--data", required=True, help="Images like those the model was trained on: a folder or a CSV file.")
@out_option("repair")
@click.option("--finding", multiple=True, type=click.IntRange(min=1), help="Number of a finding (all used by default).")
@click.option("--counterbalanced", default=None, help="Folder for a copy of the data with artefacts in all classes.")
@click.option("--no-tuning", is_flag=True, help="Change the last layer only.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@seed_option
@lang_option("report")
def repair(audit: str, data: str, out: Path, **choice: Any) -> int:
    """Repair the shortcuts that AUDIT, the folder of an audit, has shown, and prove what became of them.

    Exit status: 0 if every shortcut was removed, 1 if one was only reduced or not cured, 2 if there is nothing to
    repair. The same command resumes an interrupted repair.
    """
    from ..repairing.run import repair as run

    finding = choice.pop("finding")
    how = {name: choice.pop(name) for name in ("dry_run", "seed", "lang", "counterbalanced")}
    how["tune"] = not choice.pop("no_tuning")
    model = load_model(dict(choice), LONG)
    with quiet_warnings(), Bar() as bar:
        result = run(model, audit, data, out, finding=finding or None, progress=bar, **how)
    _summary(result)
    return 0 if result.dry or result.cured else 1
