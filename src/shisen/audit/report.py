"""The report: one HTML file that needs nothing else, in plain words, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..targets import to_numpy
from .clusters import clusters, mean_map
from .findings import Finding
from .interventions import alteration
from .pictures import heat, opened, thumbnail
from .rows import write_bytes
from .words import LANGUAGES, place_of

if TYPE_CHECKING:
    from ..models.model import Model
    from .confusion import Confusion, Share
    from .run import Audit, Walked

CARDS, SHOWN, CLASSES = 12, 8, 40


def write_report(
    result: Audit,
    models: tuple[Model, Model | None],
    walked: Walked,
    facts: tuple[dict[str, Any], int],
    where: tuple[Path, str],
) -> tuple[dict[str, Any], ...]:
    """Write the report, and return its cards, one a finding.

    Args:
        result: what was found.
        models: the model, and the one compared with.
        walked: what is known of every picture.
        facts: the record, and how many candidates were tested.
        where: file and language.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    path, lang = where
    words = LANGUAGES[lang]
    model = models[0]
    room = Environment(loader=PackageLoader("shisen", "audit"), autoescape=True, undefined=StrictUndefined)
    used = [f for f in result.findings if f.used]
    worst = result.worst()
    count = len(used) if worst in ("high", "medium") else len(result.findings)
    cards = tuple(_card(model, walked, f, words) for f in result.findings[:CARDS])
    page = room.get_template("report.html.j2").render(
        w=words,
        lang=lang,
        worst=worst,
        verdict=words[f"verdict_{worst}"].format(n=count),
        accuracy=_share(result.confusion.accuracy),
        cards=cards,
        more=[_headline(model, f, words) for f in result.findings[CARDS:]],
        confusion=_matrix(result.confusion),
        other=None if result.other is None else {**_matrix(result.other), "name": models[1].name},  # type: ignore[union-attr]
        mistakes=_mistakes(model, walked, result.confusion),
        classes=_classes(model, walked, result.confusion),
        unreadable=result.unreadable,
        record=facts[0],
        considered=facts[1],
        how=words["how"].format(layer=_layer(model)),
    )
    write_bytes(path, page.encode())
    return cards


def _layer(model: Model) -> str:
    from .walk import _layer as layer

    return layer(model) or "–"


def percent(value: float) -> str:
    """Return a share in per cent, without decimals where it is not small."""
    return f"{100 * value:.1f} %" if 0 < value < 0.01 else f"{100 * value:.0f} %"


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"value": f"{100 * share.value:.1f} %", "hits": share.hits, "n": share.n,
            "low": percent(low), "high": percent(high)}  # fmt: skip


def what(finding: Finding, words: Any) -> str:
    """Return what was found, in words."""
    c = finding.candidate
    if c.patch is None:
        return str(words[f"{c.kind}{'+' if c.direction > 0 else '-'}"])
    ys, xs = np.nonzero(c.patch.mask)
    side = float(c.patch.mask.shape[0])
    box = (xs.min() / side, ys.min() / side, (xs.max() + 1) / side, (ys.max() + 1) / side)
    return str(words["patch"].format(where=words[place_of(box)]))


def _headline(model: Model, finding: Finding, words: Any) -> str:
    from .run import label_of

    return str(words["headline"].format(label=label_of(model, finding.candidate.label), what=what(finding, words)))


def _card(model: Model, walked: Walked, finding: Finding, words: Any) -> dict[str, Any]:
    from .run import label_of

    c, e = finding.candidate, finding.effect
    label = label_of(model, c.label)
    lines = [words["associated"].format(n=len(c.members), inside=c.inside, label=label)]
    if e is not None:
        points = {k: f"{100 * getattr(e, k):+.0f}" for k in ("effect", "low", "high")}
        shares = {k: percent(getattr(e, k)) for k in ("before", "after", "control")}
        lines.append(words["put_on"].format(n=e.tested, label=label, **points, **shares))
        if e.undone_tested:
            kept, undone = percent(e.kept), percent(e.undone)
            lines.append(words["taken_off"].format(n=e.undone_tested, label=label, kept=kept, undone=undone))
    own = [i for i in c.members if walked.true[i] == c.label] or list(c.members)
    return {
        "headline": _headline(model, finding, words),
        "severity": finding.severity,
        "tags": [
            words["in_data"] if finding.in_data else words["not_in_data"],
            words["not_tested"] if e is None else words["used"] if finding.used else words["not_used"],
        ],
        "lines": lines,
        "members": [thumbnail(_marked(model, walked, i, finding)) for i in own[:5]],
        "pairs": _pairs(model, walked, finding) if finding.used else [],
    }


def _marked(model: Model, walked: Walked, row: int, finding: Finding) -> Any:
    """Return a picture with a frame around the patch."""
    from PIL import Image, ImageDraw

    pixels = opened(model, walked.paths[row])
    patch = finding.candidate.patch
    if patch is None:
        return pixels
    ys, xs = np.nonzero(patch.mask)
    side = patch.mask.shape[0]
    image = Image.fromarray(pixels).resize((264, round(264 * pixels.shape[0] / pixels.shape[1])))
    box = (xs.min() / side, ys.min() / side, (xs.max() + 1) / side, (ys.max() + 1) / side)
    size = (image.width, image.height) * 2
    edges = [v * s + d for v, s, d in zip(box, size, (-4, -4, 4, 4), strict=True)]
    frame = [min(max(v, 0), s - 1) for v, s in zip(edges, size, strict=True)]
    ImageDraw.Draw(image).rectangle(frame, outline=(255, 60, 0), width=4)
    return np.asarray(image)


def _pairs(model: Model, walked: Walked, finding: Finding) -> list[dict[str, Any]]:
    """Return examples before and after, with what the model says to each."""
    alter, found = alteration(finding.candidate), []
    if alter is None or finding.effect is None:
        return []
    from ..types import Picture

    for row in finding.effect.examples:
        pixels = opened(model, walked.paths[row])
        altered = alter(pixels, row)
        images = np.stack([model.prepare(Picture(p, "array"))[0] for p in (pixels, altered)])
        said = model.predictions(to_numpy(model.activations(images)), 1)
        found.append(
            {
                "before": thumbnail(pixels), "after": thumbnail(altered),
                "said": [f"{one[0].label} {percent(one[0].probability)}" for one in said],
            }
        )  # fmt: skip
    return found


def _matrix(matrix: Confusion) -> dict[str, Any]:
    shares = [[v / max(sum(row), 1) for v in row] for row in matrix.counts]
    return {
        "labels": matrix.labels,
        "counts": matrix.counts,
        "shades": [[f"{0.85 * v:.3f}" for v in row] for row in shares],
        "recall": [_share(s) for s in matrix.recall],
        "largest": matrix.largest[:5],
        "accuracy": _share(matrix.accuracy),
        "calibration": [
            (percent(c), percent(a), n, f"{100 * c:.0f}", f"{100 * a:.0f}") for c, a, n in matrix.calibration
        ],
        "error": f"{100 * matrix.calibration_error:.1f}",
    }  # fmt: skip


def _mistakes(model: Model, walked: Walked, matrix: Confusion) -> list[dict[str, str]]:
    from .run import chances_of, label_of

    rows = list(matrix.mistakes[:SHOWN])
    chance = chances_of(model, walked.logits[rows]) if rows else np.zeros((0, 1))
    return [
        {
            "picture": thumbnail(opened(model, walked.paths[row])),
            "name": walked.names[row],
            "true": label_of(model, int(walked.true[row])),
            "said": label_of(model, int(chance[i].argmax())),
            "probability": percent(float(chance[i].max())),
        }
        for i, row in enumerate(rows)
    ]


def _classes(model: Model, walked: Walked, matrix: Confusion) -> list[dict[str, Any]]:
    """Return the page of every class: mean map, samples with maps, groups by what the model used."""
    from .run import label_of, sample

    pages = []
    rows_of = sample(walked.usable)
    for label in np.unique(walked.usable[walked.usable >= 0])[:CLASSES]:
        rows = [int(i) for i in rows_of if walked.usable[i] == label]
        read = walked.rows.read(["map", "map_true", "map_shape", "features"], rows)
        shape = read["map_shape"][0]
        same = [j for j, s in enumerate(read["map_shape"]) if s == shape and s]
        name = label_of(model, int(label))
        page: dict[str, Any] = {"label": name, "n": int((walked.usable == label).sum()), "mean": "", "groups": []}
        page["place"] = matrix.labels.index(name)
        if same:
            page["mean"] = heat(mean_map([read["map_true"][j] for j in same], shape))
            features = np.asarray([read["features"][j] for j in same], np.float32)
            maps = np.asarray([read["map"][j] for j in same], np.float32)
            groups = [[rows[same[j]] for j in g] for g in clusters(features, np.maximum(maps, 0))]
            page["groups"] = [
                {"n": len(g), "pictures": [thumbnail(opened(model, walked.paths[i]), 88) for i in g[:6]]}
                for g in groups[:4]
            ]
        page["samples"] = []
        for j in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int):
            pixels = opened(model, walked.paths[rows[j]])
            said = label_of(model, int(walked.logits[rows[j]].argmax()))
            shown = (
                heat(np.asarray(read["map"][j], np.float32).reshape(read["map_shape"][j]), pixels)
                if read["map_shape"][j] and model.preprocess is not None and model.preprocess.fit == "stretch"
                else ""
            )
            page["samples"].append(
                {"picture": thumbnail(pixels), "map": shown, "said": said, "right": said == name,
                 "name": walked.names[rows[j]]}
            )  # fmt: skip
        pages.append(page)
    return pages
