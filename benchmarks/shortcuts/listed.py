"""What is in the data, whatever a model makes of it: planted artefacts that the audit lists, in many folders.

    python benchmarks/shortcuts/listed.py FOLDER [--set lists] [--folders 40] [--table PAGE]

FOLDER holds CLASS folders of clean images. In each planted copy every class carries another artefact, at 10, 25, 50
or 100 %; nothing is trained, so hundreds of artefacts take minutes. Listed: a finding about the class is of the
artefact's kind, in the data at a false-discovery rate of 5 %, names its images (F1 at least 0.2) and, for a patch,
its place. Folders without any artefact tell what is listed by nature.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from cases import PREVALENCES, Planted, draw_for
from make import carriers
from PIL import Image
from plants import KINDS, PATCHES, PLANTS, title
from scores import f1, precision, put

from shisen.auditing.artefacts.base import Evidence
from shisen.auditing.candidates import candidates
from shisen.auditing.findings import Finding, Trial, findings
from shisen.auditing.properties import measured
from shisen.auditing.scanned import CANVAS


def facts(image: Image.Image) -> tuple[Any, list[float]]:
    """Return the small copy and the properties of an image, as the audit has them."""
    small = image.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
    return np.asarray(small), measured(np.asarray(image))


class Images:
    """Clean images of a folder of classes."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(f for f in folder.glob("*/*") if f.is_file())
        self.classes = sorted({f.parent.name for f in self.files})
        self.labels = np.array([self.classes.index(f.parent.name) for f in self.files])
        self.images = [Image.open(f).convert("RGB") for f in self.files]
        self.plain = [facts(image) for image in self.images]

    def planted(self, name: str) -> tuple[Any, Any, list[tuple[Planted, set[int], dict[int, Any]]]]:
        """Return small copies, properties and what was planted: artefact, rows that carry it, masks by row."""
        draw = draw_for(name)
        canvases, properties = [c for c, _ in self.plain], [p for _, p in self.plain]
        kinds = [list(PLANTS)[i] for i in draw.permutation(len(PLANTS))]
        order = [self.classes[i] for i in draw.permutation(len(self.classes))]
        truth = []
        for label, kind in zip(order, kinds, strict=False):
            prevalence = PREVALENCES[int(draw.integers(len(PREVALENCES)))]
            one = Planted(kind, label, prevalence, f"{name}/{kind}/{prevalence}")
            plant, masks = one.make(), {}
            own = [i for i, f in enumerate(self.files) if f.parent.name == label]
            names = carriers([self.files[i].name for i in own], one, f"test/{label}")
            rows = {i for i in own if self.files[i].name in names}
            for i in rows:
                image, mask = plant(self.images[i], draw_for(f"{label}/{self.files[i].name}"))
                canvases[i], properties[i] = facts(image)
                if mask is not None:
                    small = Image.fromarray(mask).convert("L").resize((CANVAS, CANVAS), Image.Resampling.BOX)
                    masks[i] = np.asarray(small) >= 128
            truth.append((one, rows, masks))
        return np.stack(canvases), np.array(properties), truth

    def listed(self, canvases: Any, properties: Any) -> list[Finding]:
        """Return what goes with a class."""
        found = candidates(Evidence(self.labels, canvases, np.arange(len(canvases)), properties))
        return [f for f in findings([Trial(c, None) for c in found]) if f.in_data]


def row(one: Planted, own: list[Finding], rows: set[int], masks: dict[int, Any]) -> dict[str, Any]:
    """Return whether one of the findings about a class names what was planted there, and how well."""
    best, kinds = (0.0, 0.0), KINDS.get(one.plant, PATCHES)
    for finding in own:
        c = finding.candidate
        if c.kind not in kinds:
            continue
        fraction = f1({str(i) for i in c.members}, {str(i) for i in rows})
        if c.kind in PATCHES and one.plant not in KINDS:
            meets = [(c.artefact.mask_in(i), masks[i]) for i in c.members if i in masks]
            place = float(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in meets])) if meets else 0.0
            fraction = fraction if place > 0.05 else 0.0
        if fraction >= 0.2:
            best = max(best, (fraction, precision([str(i) for i in c.members], {str(i) for i in rows})))
    return {"plant": one.plant, "prevalence": one.prevalence, "listed": best[0] > 0, "ap": best[1]}


def table(rows: list[dict[str, Any]], nature: float) -> list[str]:
    """Return the lines of a page."""
    lines = ["| | " + " | ".join(f"{p:.0%}" for p in PREVALENCES) + " |", "|---" * (len(PREVALENCES) + 1) + "|"]
    for kind in (*PLANTS, ""):
        cells = []
        for prevalence in PREVALENCES:
            some = [r for r in rows if r["plant"] in (kind or r["plant"],) and r["prevalence"] == prevalence]
            hits = sum(r["listed"] for r in some)
            cells.append(f"{hits} of {len(some)}" + (f" ({hits / len(some):.0%})" if some and not kind else ""))
        lines.append(f"| {title(kind) or '**all**'} | " + " | ".join(cells) + " |")
    named = [r["ap"] for r in rows if r["listed"]]
    lines += ["", f"Average precision of the images, where listed: mean {np.mean(named):.2f}, "
              f"median {np.median(named):.2f}. In the clean folder, {nature:.1f} candidates are listed per "
              "class."]  # fmt: skip
    return lines


def main() -> None:
    """Plant, list and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", default="lists", help="another name for other draws")
    parser.add_argument("--folders", type=int, default=40)
    parser.add_argument("--table", type=Path, default=None, help="page whose figures are replaced")
    given = parser.parse_args()
    images = Images(given.folder)
    clean = images.listed(np.stack([c for c, _ in images.plain]), np.array([p for _, p in images.plain]))
    rows = []
    for number in range(given.folders):
        canvases, properties, truth = images.planted(f"{given.set}/{number}")
        found = images.listed(canvases, properties)
        for one, carried, masks in truth:
            own = [f for f in found if images.classes[f.candidate.label] == one.label]
            rows.append(row(one, own, carried, masks))
            print(rows[-1], flush=True)
    lines = [f"{given.folders} folders, {len(rows)} artifacts.", "", *table(rows, len(clean) / len(images.classes))]
    print("\n".join(lines))
    if given.table is not None:
        put(lines, given.table, "lists")


if __name__ == "__main__":
    main()
