"""The report of a repair: one HTML file that needs nothing else, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.html import render
from .._core.i18n import Translator, translator
from .._core.io import write_file
from ..auditing.finding_words import headline
from ..auditing.scan import look
from ..auditing.scanned import map_layer
from ..auditing.thumbnails import heat, thumbnail
from ..types import InputImage
from . import words
from .opening import Opened, Target
from .record import VERDICTS, Cure, Repair

if TYPE_CHECKING:
    from ..models.model import Model

SHOWN = 4


def write_report(result: Repair, source: Opened, models: tuple[Model, Model], lang: str) -> None:
    """Write the report.

    Args:
        result: the repair.
        source: the audit that it began with.
        models: the model before and after.
        lang: language of the report.
    """
    _ = translator(lang)
    targets = {t.number: t for t in source.targets}
    page = render(
        "shisen.repairing",
        "report.html",
        lang,
        extra="audit",
        severity=words.severity(result.cures),
        verdict=words.verdict(result.cures, _),
        changed=_("What was done: {what}.", what=_(words.TREATMENTS[result.treatment])),
        overall=words.overall(result, _),
        n=0 if result.accuracy is None else result.accuracy.before.n,
        cards=[_card(c, targets[c.finding], source, models, _) for c in result.cures],
        trials=[words.trial(t, _) for t in result.trials],
        history=result.history,
    )
    write_file(Path(result.report), page)


def _card(cure: Cure, target: Target, source: Opened, models: tuple[Model, Model], _: Translator) -> dict[str, Any]:
    labels = tuple(models[0].labels)
    return {
        "number": cure.finding,
        "headline": headline(labels, target.finding, _),
        "severity": words.SEVERITIES[cure.verdict] if cure.treated else "low",
        "verdict": _(VERDICTS[cure.verdict]) if cure.treated else "",
        "treated": cure.treated,
        "lines": words.lines(cure, _),
        "rows": words.table(cure, _),
        "label": cure.label,
        "pairs": _pairs(target, source, models) if cure.treated else [],
    }


def _pairs(target: Target, source: Opened, models: tuple[Model, Model]) -> list[dict[str, Any]]:
    """Return images as they are and with the artefact, and the evidence for its class before and after."""
    effect, how = target.finding.effect, target.how
    if effect is None or how is None or how.apply is None:
        return []
    found = []
    for row in effect.examples[:SHOWN]:
        plain = source.images.read(row)
        given = how.apply(plain, row)
        maps, predicted = [], []
        for model in models:
            x = model.prepare(InputImage(given, "array"))[0][None]
            (answer,) = look(model, map_layer(model), x, [target.label])
            shape = answer["map_shape"]
            values = (
                np.asarray(answer["map_true"], np.float32).reshape(shape) if shape else np.zeros((1, 1), np.float32)
            )
            maps.append(values)
            predicted.append(model.labels[int(np.argmax(answer["logits"]))])
        peak = max(float(values.max()) for values in maps)  # one scale, so that what has gone looks gone
        shown = [heat(values, given, peak) for values in maps]
        found.append({"plain": thumbnail(plain), "given": thumbnail(given), "maps": shown, "predicted": predicted})
    return found
