"""Groups that the network itself sees apart, and treatments that a detector learned: found, and put on as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from shisen.auditing.artefacts.base import Candidate, Evidence
from shisen.auditing.artefacts.feature_group import FeatureGroup, Transfer, _natural, groups, neighbors
from shisen.auditing.artefacts.transform import Treatment, detected
from shisen.auditing.properties import PROPERTIES
from shisen.auditing.transforms import TRANSFORMS
from shisen.auditing.words import NAMES


def test_a_group_that_stands_apart_is_found_with_those_of_other_classes_that_have_it() -> None:
    draw = np.random.default_rng(0)
    pooled = draw.normal(0, 1, (200, 40))
    own = np.arange(200) < 60
    pooled[own, :3] += 0.5
    carriers = [*range(20), 150, 151]
    pooled[carriers, 5:20] += 2.5
    first = groups(pooled, own)[0]
    assert set(first[0].tolist()) == set(range(20))
    assert set(first[2]) == set(carriers)
    assert first[1] > 2.5


def test_a_group_that_differs_as_other_classes_do_is_natural() -> None:
    draw = np.random.default_rng(0)
    pooled = draw.normal(0, 1, (240, 60))
    pooled[:, 0] += 4 * draw.normal(0, 1, 240)  # what scenes differ by
    labels = np.repeat([0, 1, 2], 80)
    near, foreign = np.arange(20), np.arange(30, 50)
    pooled[:, 30:40] *= 0.5  # where others hardly differ
    pooled[near, 0] += 8
    pooled[foreign, 30:40] += 3
    assert _natural(pooled, labels, 0, near) > 0.6 > 0.4 > _natural(pooled, labels, 0, foreign)
    limits = [FeatureGroup((), 3.0, _natural(pooled, labels, 0, g)).least_effect for g in (near, foreign)]
    assert limits == [0.7, 0.35]


def test_what_covers_maps_in_a_group_covers_others_too() -> None:
    draw = np.random.default_rng(0)
    maps = draw.normal(2, 1, (40, 4, 4, 3)).astype(np.float32)
    inside = np.arange(40) < 20
    maps[inside, 0] = 7.0  # opaque: the same whatever is under it
    maps[inside, 1] += 3.0  # added to what is there
    transfer = Transfer.of(maps, inside)
    other = draw.normal(2, 1, (500, 4, 4, 3)).astype(np.float32)
    turned = other * transfer.scale + transfer.shift
    assert np.abs(turned[:, 0] - 7.0).max() < 1e-3
    assert (turned[:, 1] - other[:, 1]).mean() == pytest.approx(3.0, abs=0.3)
    assert np.abs((turned[:, 2:] - other[:, 2:]).mean()) < 0.3


def test_images_of_other_classes_between_a_group_and_the_rest_of_its_class_are_left_out() -> None:
    draw = np.random.default_rng(0)
    pooled = draw.normal(0, 1, (300, 40))
    own = np.arange(300) < 80
    pooled[:20, 5:12] += 4
    pooled[100:160, 5:12] += 2.2  # images of other classes lie on the side of the group, nearer than the rest
    group, _, members = groups(pooled, own)[0]
    assert set(group.tolist()) == set(range(20))
    assert len(set(members) & set(range(20))) >= 18
    assert len(members) < 30


def test_controls_of_a_group_are_groups_of_similar_images() -> None:
    draw = np.random.default_rng(0)
    maps = draw.normal(0, 0.1, (30, 4, 4, 6)).astype(np.float32)
    maps[10:20, ..., 0] += 3
    maps[20:, ..., 1] += 3
    for size, taken in ((8, 8), (40, 15)):  # half of the images at most
        assert [int(one.sum()) for one in neighbors(maps, size)] == [taken] * 3
    kinds = np.repeat([0, 1, 2], 10)
    assert all(len(set(kinds[one])) == 1 for one in neighbors(maps, 8)), "no group is mixed"


def made(count: int = 90) -> list[np.ndarray]:
    """Return scenes: bright sky over darker ground."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        small = draw.normal(110, 30, (9, 9, 1)) + draw.normal(0, 14, (9, 9, 3)) + np.linspace(60, -60, 9)[:, None, None]
        image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
        found.append(np.asarray(image))
    return found


def coarse(images: Any) -> np.ndarray:
    """Return simple features, in place of the embedded network's: means by rows and columns, saturation."""
    found = []
    for p in images:
        x = np.asarray(Image.fromarray(p).resize((48, 48)), np.float32)
        found.append([*x.mean((1, 2)), *x.mean((0, 2)), *(x.max(-1) - x.min(-1)).mean(0), *x.std((0, 1))])
    return np.asarray(found, np.float32)


@pytest.mark.parametrize("name", ["grayscale", "quarter_left"])
def test_treated_images_of_a_class_are_found_by_the_treatment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {k: TRANSFORMS[k] for k in ("grayscale", "quarter_left", "negative", "jpeg")}
    monkeypatch.setattr("shisen.auditing.artefacts.transform.TRANSFORMS", chosen)
    images, labels = made(), np.repeat([0, 1, 2], 30)
    for row in range(12):
        images[row] = TRANSFORMS[name].apply(images[row], np.random.default_rng(row))
    evidence = Evidence(
        labels, np.zeros((90, 8, 8, 3), np.uint8), np.arange(90), np.zeros((90, len(PROPERTIES))),
        read=lambda row: images[row], embed=coarse,
    )  # fmt: skip
    found = Treatment.propose(evidence, 0, [])
    assert found, "a treatment is found"
    assert found[0].artefact.describe() == {"transform": name, "amount": 1.0}
    assert set(found[0].members) <= set(range(12))
    assert len(found[0].members) >= 10
    assert all(not [c for c in Treatment.propose(evidence, k, []) if c.kind == f"transform_{name}"] for k in (1, 2))
    rows, scores = detected(evidence)
    assert rows.tolist() == list(range(90))
    assert scores[name].copies.min() > np.median(scores[name].images[30:])


@pytest.mark.parametrize("amount", [0.63, 1.0, 1.6])
def test_a_treatment_is_as_strong_as_explains_its_images(amount: float, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {k: TRANSFORMS[k] for k in ("haze", "noise", "negative")}
    monkeypatch.setattr("shisen.auditing.artefacts.transform.TRANSFORMS", chosen)
    images, labels = made(), np.repeat([0, 1, 2], 30)
    for row in range(15):
        images[row] = TRANSFORMS["noise"].at(amount)(images[row], np.random.default_rng(row))
    evidence = Evidence(
        labels, np.zeros((90, 8, 8, 3), np.uint8), np.arange(90), np.zeros((90, len(PROPERTIES))),
        read=lambda row: images[row], embed=deviating,
    )  # fmt: skip
    found = [c.artefact for c in Treatment.propose(evidence, 0, [])]
    noisy = next(a for a in found if isinstance(a, Treatment) and a.name == "noise")
    assert noisy.amount == amount
    assert noisy.misfit < 0.2
    assert all(a.misfit > 0.5 for a in found if isinstance(a, Treatment) and a.name != "noise")


def deviating(images: Any) -> np.ndarray:
    """Return means of the image and of the differences between neighbors, color by color."""
    values = [np.asarray(p, np.float32) for p in images]
    return np.asarray([[*v.mean((0, 1)), *np.abs(np.diff(v, axis=1)).mean((0, 1))] for v in values], np.float32)


def test_a_treatment_that_all_images_of_a_class_have_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that has learned from the class takes what all of it has for usual."""
    chosen = {k: TRANSFORMS[k] for k in ("grayscale", "negative")}
    monkeypatch.setattr("shisen.auditing.artefacts.transform.TRANSFORMS", chosen)
    images, labels = made(), np.repeat([0, 1, 2], 30)
    for row in range(30):
        images[row] = TRANSFORMS["grayscale"].apply(images[row], np.random.default_rng(row))
    evidence = Evidence(
        labels, np.zeros((90, 8, 8, 3), np.uint8), np.arange(90), np.zeros((90, len(PROPERTIES))),
        read=lambda row: images[row], embed=coarse,
    )  # fmt: skip
    found = Treatment.propose(evidence, 0, [])[0]
    assert found.artefact.describe() == {"transform": "grayscale", "amount": 1.0}
    assert set(found.members) == set(range(30))
    assert isinstance(found.artefact, Treatment)
    assert found.artefact.alike > 0.25


def test_grayscale_has_no_saturation_left_and_noise_is_put_on_as_noise() -> None:
    pixels = made(1)[0]
    saturation = PROPERTIES["saturation"]
    assert saturation.alter is not None
    gray = saturation.alter(pixels, saturation.weakest)
    assert (gray.max(-1) - gray.min(-1)).max() == 0
    noise = PROPERTIES["noise"]
    assert noise.alter is not None
    target = noise.measure(noise.alter(pixels, 15.0))
    assert noise.strength([pixels], target) == pytest.approx(15.0, abs=1.5)


def test_every_property_can_be_put_on() -> None:
    pixels = made(1)[0]
    for name, one in PROPERTIES.items():
        assert one.alter is not None, name
        changed = one.alter(pixels, one.strongest)
        assert changed.dtype == np.uint8, name
        assert one.measure(changed) > one.measure(pixels) + 0.05, name


def test_every_treatment_changes_images_alike_twice_and_can_be_named(tmp_path: Path) -> None:
    pixels = made(1)[0]
    kept = pixels.copy()
    for name, one in TRANSFORMS.items():
        first, again = (one.apply(pixels, np.random.default_rng(3)) for _ in range(2))
        assert first.dtype == np.uint8, name
        assert np.array_equal(first, again), name
        assert first.shape != pixels.shape or not np.array_equal(first, pixels), name
        assert np.array_equal(pixels, kept), name
        if one.remove is not None:
            assert np.array_equal(one.remove(first, np.random.default_rng(3)), pixels), name
        candidate = Candidate(Treatment(name), 0, (0,), 1, 0.01)
        assert candidate.artefact.words()[0] in NAMES, name
