"""The report's sections on metadata, groups and duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from .._core.i18n import N_, Translator, translator
from .associations import Association
from .context import related
from .groups import REST, Grouping
from .report_sections import percent
from .tables import MISSING, OTHER
from .thumbnails import opened, thumbnail

if TYPE_CHECKING:
    from ..models.model import Model
    from .record import Audit
    from .scanned import Scan

LISTED, PAIRS = 12, 12
NAMES: Mapping[tuple[str, str], str] = {
    ("file", "name"): N_("file name, numbers as #"),
    ("file", "number"): N_("number in the file name"),
    ("file", "suffix"): N_("file name extension"),
    ("file", "folder"): N_("folder"),
    ("file", "size"): N_("file size"),
    ("file", "format"): N_("file format"),
    ("file", "color_mode"): N_("color mode of the file"),
    ("file", "width"): N_("width in pixels"),
    ("file", "height"): N_("height in pixels"),
    ("file", "aspect"): N_("width divided by height"),
    ("file", "bytes_per_pixel"): N_("bytes per pixel"),
    ("file", "icc_profile"): N_("color profile in the file"),
    ("file", "jpeg_quality"): N_("JPEG quality"),
    ("file", "progressive"): N_("progressive JPEG"),
    ("exif", "present"): N_("EXIF data in the file"),
    ("exif", "make"): N_("camera maker"),
    ("exif", "model"): N_("camera model"),
    ("exif", "software"): N_("software that wrote the file"),
    ("exif", "orientation"): N_("orientation flag (1 is upright)"),
    ("exif", "lens"): N_("lens"),
    ("exif", "flash"): N_("flash"),
    ("exif", "exposure_time"): N_("exposure time in seconds"),
    ("exif", "f_number"): N_("aperture (f-number)"),
    ("exif", "iso"): N_("sensitivity (ISO)"),
    ("exif", "focal_length"): N_("focal length in mm"),
    ("exif", "date"): N_("date of the photo"),
    ("exif", "hour"): N_("hour of the photo"),
    ("exif", "position"): N_("GPS position in the file"),
}
VALUES = {OTHER: N_("other values"), MISSING: N_("no value"), "yes": N_("yes"), "no": N_("no")}
STATES = {
    "used": N_("The same, changed in the pixels, was tested: used by the model."),
    "not_used": N_("The same, changed in the pixels, was tested: not used by the model."),
    "not_decided": N_("The same, changed in the pixels, was tested: not decided."),
}
HOW = {"same_file": N_("the same file"), "same_pixels": N_("the same pixels"), "near": N_("nearly the same image")}


def sections_of(result: Audit, model: Model, scan: Scan, lang: str) -> dict[str, Any]:
    """Return what the report says of metadata, groups and duplicates.

    Args:
        result: the audit.
        model: the network, which says how images are read.
        scan: what is kept of every image.
        lang: language of the report.
    """
    _, context = translator(lang), result.context
    few = sum(s.reason == "few_images" for s in context.skipped)
    return {
        "metadata": [_association(a, result, _) for a in context.associations[:LISTED]],
        "metadata_more": [_association(a, result, _)["text"] for a in context.associations[LISTED:]],
        "untested": _.plural(
            "{n} attribute could not be tested: too few images of a class or of a value.",
            "{n} attributes could not be tested: too few images of a class or of a value.",
            few,
        )
        if few
        else "",
        "groups": [_grouping(g, _) for g in context.groups],
        "duplicates": _duplicates(result, model, scan, _),
    }


def _named(a: Association, _: Translator) -> str:
    return _("column “{name}”", name=a.name) if a.source == "column" else _(NAMES[a.source, a.name])


def _number(a: Association, value: float) -> str:
    if a.name == "date" and value >= 1:
        return date.fromordinal(round(value)).isoformat()
    if a.name == "hour":
        return f"{int(value)}:{round(60 * (value % 1)) % 60:02d}"
    if (a.source, a.name) == ("file", "size"):
        return f"{value / 1000:.3g} kB"
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.3g}"


def _association(a: Association, result: Audit, _: Translator) -> dict[str, str]:
    """Return one attribute in sentences: where it differs, how strongly, and whether it was tested in the pixels."""
    label = result.labels[a.label] if a.label >= 0 else ""
    counts: dict[str, Any] = {"inside_n": a.inside_n, "outside_n": a.outside_n}
    if a.value:
        value = _(VALUES[a.value]) if a.value in VALUES else a.value
        counts |= {"inside": int(a.inside), "outside": int(a.outside)}
        if a.against == "label":
            text = _(
                "{inside} of {inside_n} images of “{label}” have the value “{value}”, and {outside} of {outside_n} "
                "others.", value=value, label=label, **counts,
            )  # fmt: skip
        else:
            text = _(
                "{inside} of {inside_n} images with the value “{value}” are predicted wrongly, and {outside} of "
                "{outside_n} others; their classes do not explain the difference.", value=value, **counts,
            )  # fmt: skip
    else:
        counts |= {"inside": _number(a, a.inside), "outside": _number(a, a.outside)}
        if a.against == "label":
            text = _("Median of “{label}”: {inside}; of all others: {outside}.", label=label, **counts)
        else:
            text = _(
                "Median of the {inside_n} wrong predictions: {inside}; of the {outside_n} correct ones: {outside}.",
                **counts,
            )
    strength = "" if a.against == "error" else _strength(a, _)
    number = related(a, result.findings)
    tested = "" if number is None else _(STATES[result.findings[number].state])
    separate = (
        _("Each class has values of its own: this is another name of the class, or cannot be separated from it.")
        if a.separate
        else ""
    )
    return {"name": _named(a, _), "text": " ".join(s for s in (text, strength, separate, tested) if s)}


def _strength(a: Association, _: Translator) -> str:
    value = f"{a.strength:.2f}"
    if a.value:
        return _("Strength (Cramér's V, 0 to 1): {value}.", value=value)
    return _("Strength (ε² of ranks, 0 to 1): {value}.", value=value)


def _grouping(g: Grouping, _: Translator) -> dict[str, Any]:
    rows = []
    for one in g.groups:
        low, high = one.accuracy.interval
        rows.append(
            {
                "name": _(VALUES[one.name]) if one.name in (MISSING, REST) else one.name,
                "accuracy": percent(one.accuracy.value),
                "interval": f"{percent(low)} – {percent(high)}",
                "n": one.accuracy.n,
                "expected": percent(one.expected),
                "worst": one.name == g.worst,
            }
        )
    if g.probe is None:
        probe = _(
            "Whether the model can tell the groups apart is not decided: no class has enough images in two groups."
        )
    else:
        numbers = {k: percent(getattr(g.probe, k)) for k in ("auc", "low", "high")}
        text = (
            N_(
                "The model's features tell the groups apart: of two images of one class, a linear probe picks the one "
                "of the group in {auc} of the cases (95 % interval {low} to {high}; chance: 50 %, {n} images). That "
                "the model could use the group does not show that it does."
            )
            if g.probe.tells
            else N_(
                "The model's features were not shown to tell the groups apart: of two images of one class, a linear "
                "probe picks the one of the group in {auc} of the cases (95 % interval {low} to {high}; chance: 50 %, "
                "{n} images)."
            )
        )
        probe = _(text, n=g.probe.n, **numbers)
    return {"column": g.column, "rows": rows, "probe": probe}


def _duplicates(result: Audit, model: Model, scan: Scan, _: Translator) -> dict[str, Any] | None:
    """Return the pairs with both images, and what they mean."""
    found = result.context.duplicates
    if not found.pairs and not found.trained_on:
        return None
    leaked = {p.first for p in found.pairs if p.leaked}
    two = [p for p in found.pairs if not p.leaked and scan.true[p.first] != scan.true[p.other]]
    same = sum(not p.leaked for p in found.pairs) - len(two)
    lines = []
    if found.trained_on and found.clean is not None:
        low, high = found.clean.interval
        values = {"value": percent(found.clean.value), "low": percent(low), "high": percent(high), "n": found.clean.n}
        lines.append(
            _(
                "{n} of {all} audited images are also among the {train} training images.",
                n=len(leaked), all=len(scan.names), train=found.trained_on,
            )
        )  # fmt: skip
        if leaked:
            lines.append(_("Accuracy on the {n} others: {value} (95 % interval {low} to {high}).", **values))
    if two:
        lines.append(_("{n} pairs show the same image under two labels; at least one of the two is wrong.", n=len(two)))
    if same:
        lines.append(_("{n} pairs show the same image twice under one label; they count twice.", n=same))
    pairs = []
    for p in found.pairs[:PAIRS]:
        other = found.train[p.other] if p.leaked else (scan.names[p.other], _label(result, scan, p.other))
        paths = scan.paths[p.first], found.train_paths[p.other] if p.leaked else scan.paths[p.other]
        pairs.append(
            {
                "images": [thumbnail(opened(model, path), 116) for path in paths],
                "names": [scan.names[p.first], other[0]],
                "labels": [_label(result, scan, p.first), other[1]],
                "how": _(HOW[p.how]) + (_(", in the training folder") if p.leaked else ""),
            }
        )
    return {"lines": lines, "pairs": pairs, "more": len(found.pairs) - len(pairs)}


def _label(result: Audit, scan: Scan, row: int) -> str:
    return result.labels[scan.true[row]] if scan.true[row] >= 0 else "–"
