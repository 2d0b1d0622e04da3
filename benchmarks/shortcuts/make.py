"""Planted folders from a folder of classes: which pictures carry what is fixed by the seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from plants import PLANTS


@dataclass(frozen=True)
class Planted:
    """One artefact in a model: in pictures of one class, or for a twin, equally in all ("*")."""

    plant: str
    label: str
    prevalence: float


@dataclass(frozen=True)
class Case:
    """One model to train and audit; artefacts in different classes are cases of their own that share its training."""

    name: str
    plants: tuple[Planted, ...]


def draw_for(name: str) -> np.random.Generator:
    """Return random draws that belong to a name, whatever came before."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def chosen(names: list[str], planted: Planted, case: str) -> set[str]:
    """Return which pictures of a class carry the artefact."""
    count = round(planted.prevalence * len(names))
    order = draw_for(f"{case}/{planted.plant}/{planted.label}").permutation(len(names))
    return {sorted(names)[i] for i in order[:count]}


def build(source: Path, target: Path, case: Case, part: str) -> Mapping[str, list[str]]:
    """Write a planted copy of a folder of classes as PNG files; return artefact → names of its pictures.

    Every picture is re-encoded, planted or not, so that the file format tells nothing.
    """
    record = target / "planted.json"
    if record.is_file():
        known: dict[str, list[str]] = json.loads(record.read_text())
        return known
    carried: dict[str, list[str]] = {p.plant: [] for p in case.plants}
    for folder in sorted(p for p in source.iterdir() if p.is_dir()):
        names = sorted(p.name for p in folder.iterdir())
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        for name in names:
            image = Image.open(folder / name).convert("RGB")
            for planted in case.plants:
                inside = planted.label in (folder.name, "*")
                if inside and name in chosen(names, planted, f"{case.name}/{part}/{folder.name}"):
                    image, mask = PLANTS[planted.plant](image, draw_for(f"{folder.name}/{name}"))
                    stem = f"{folder.name}/{Path(name).stem}.png"
                    carried[planted.plant].append(stem)
                    if mask is not None:
                        masks = target.parent / f"{target.name}-masks" / planted.plant
                        (masks / folder.name).mkdir(parents=True, exist_ok=True)
                        Image.fromarray(mask).save(masks / stem)
            image.save(target / folder.name / f"{Path(name).stem}.png", compress_level=1)
    record.write_text(json.dumps(carried, indent=1))
    (target.parent / "case.json").write_text(json.dumps(asdict(case), indent=1))
    return carried
