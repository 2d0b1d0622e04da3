"""Findings come back from their file as they were, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from shisen.auditing.artefacts.base import Candidate
from shisen.auditing.artefacts.compound import Compound
from shisen.auditing.artefacts.feature_group import FeatureGroup
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.moving_patch import MovingPatch
from shisen.auditing.artefacts.property import GlobalProperty
from shisen.auditing.artefacts.text_overlay import TextOverlay
from shisen.auditing.artefacts.transform import Treatment
from shisen.auditing.artefacts.transplanted_part import TransplantedPart
from shisen.auditing.finding_files import read_findings, write_findings
from shisen.auditing.findings import Finding
from shisen.auditing.interventions import Effect
from shisen.auditing.shifts import Shift
from shisen.errors import InputError

DRAW = np.random.default_rng(0)
TEMPLATE, ALPHA = (DRAW.random(shape, np.float32) for shape in ((12, 12, 3), (12, 12)))
PATCH = FixedPatch(TEMPLATE, ALPHA)
ARTEFACTS: list[Any] = [
    PATCH,
    MovingPatch(TEMPLATE, ALPHA, {3: (1, -2), 7: (0, 4)}),
    TextOverlay(PATCH, ((TEMPLATE, ALPHA), (TEMPLATE + 1, ALPHA / 2))),
    GlobalProperty("brightness", -1, -12.5, 80.0),
    Treatment("sepia", 0.75),
    TransplantedPart({4: ((0.1, 0.2), (0.5, 0.5))}, {}, 0.1, foreign=True),
    FeatureGroup((1, 5, 9), 3.25, 0.1),
]


def finding(artefact: Any) -> Finding:
    """Return a finding with an effect that has values of every type."""
    candidate = Candidate(artefact, 2, (4, 7, 1), 3, 1e-12, 40)
    shift = Shift(1, 20, 18, 3, 17, 2, 1e-4)
    effect = Effect(
        tested=100, before=0.02, after=0.6, control=0.03, controlled=True, effect=0.58, low=0.5, high=0.66, p=1e-4,
        kept=0.9, undone=0.2, undone_tested=40, examples=(5, 6), shifts=(shift,), fidelity=None, way=1,
    )  # fmt: skip
    return Finding(candidate, effect, True, "used", "", 1e-9, 1e-3, "high")


def same(a: Any, b: Any) -> bool:
    """Return whether two records have equal fields; arrays are compared value by value, types included."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(v, b[k]) for k, v in a.items())
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda a: type(a).__name__)
def test_every_kind_comes_back(artefact: Any, tmp_path: Path) -> None:
    write_findings(tmp_path / "f.npz", [finding(artefact)])
    (back,) = read_findings(tmp_path / "f.npz")
    assert same(finding(artefact), back)


def test_a_compound_comes_back_in_its_order(tmp_path: Path) -> None:
    parts = tuple(finding(a).candidate for a in ARTEFACTS)
    one = finding(Compound(parts[:5], parts[5:]))
    write_findings(tmp_path / "f.npz", [one, replace(one, state="not_used")])
    back = read_findings(tmp_path / "f.npz")
    assert same(back[0], one)
    assert back[1] is not None
    assert back[1].state == "not_used"


def test_equal_findings_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_findings(tmp_path / name, [finding(a) for a in ARTEFACTS])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_kind_that_is_no_record_leaves_a_gap(tmp_path: Path) -> None:
    class Odd:
        kind = "odd"

    write_findings(tmp_path / "f.npz", [finding(PATCH), finding(Odd()), finding(ARTEFACTS[3])])
    first, gap, last = read_findings(tmp_path / "f.npz")
    assert gap is None
    assert same(first, finding(PATCH))
    assert same(last, finding(ARTEFACTS[3]))


def test_a_file_names_no_class_but_those_of_findings(tmp_path: Path) -> None:
    record = json.dumps([{"record": "pathlib.Path", "fields": {}}])
    np.savez(tmp_path / "f.npz", record=np.asarray(record))
    for name in ("f.npz", "missing.npz"):
        with pytest.raises(InputError, match="Run `shisen audit` again"):
            read_findings(tmp_path / name)
