"""Planted folders from a folder of classes: which images carry what is fixed by the case."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from cases import Planted, Sample, draw_for
from PIL import Image


def carriers(names: list[str], planted: Planted, part: str) -> set[str]:
    """Return which images of a class carry the artefact."""
    count = round(planted.prevalence * len(names))
    order = draw_for(f"{planted.seed}/{part}").permutation(len(names))
    return {sorted(names)[i] for i in order[:count]}


def plain(source: Path, store: Path) -> None:
    """Write every image once as PNG: planted or not, all files of a case have one format."""
    done = store / "done"
    if done.is_file():
        return
    for file in sorted(source.glob("*/*")):
        target = store / file.parent.name / f"{file.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("RGB").save(target, compress_level=1)
    done.touch()


def build(source: Path, target: Path, case: Sample, part: str) -> Mapping[str, list[str]]:
    """Write a planted copy of a folder of classes; return artefact → names of its images.

    What carries nothing is a link to the one plain image. Masks lie beside, in `<part>-masks/<artefact>`.
    """
    record = target.parent / f"{part}.json"
    if record.is_file():
        known: dict[str, list[str]] = json.loads(record.read_text())
        return known
    carried: dict[str, list[str]] = {case.key(p): [] for p in case.plants}
    plants = {case.key(p): p.make() for p in case.plants}
    for folder in sorted(p for p in source.iterdir() if p.is_dir()):
        names = sorted(p.name for p in folder.iterdir())
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        own = {
            case.key(p): carriers(names, p, f"{part}/{folder.name}")
            for p in case.plants
            if p.label in (folder.name, "*")
        }
        for name in names:
            new = target / folder.name / name
            new.unlink(missing_ok=True)
            mine = [plant for plant, members in own.items() if name in members]
            if not mine:
                os.link(folder / name, new)
                continue
            image = Image.open(folder / name)
            for plant in mine:
                image, mask = plants[plant](image, draw_for(f"{folder.name}/{name}"))
                carried[plant].append(f"{folder.name}/{name}")
                if mask is not None:
                    to = target.parent / f"{part}-masks" / plant / folder.name
                    to.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(np.asarray(mask)).save(to / name)
            image.save(new, compress_level=1)
    record.write_text(json.dumps(carried, indent=1))
    return carried
