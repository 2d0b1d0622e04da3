"""Parts that the network goes by, of any look at any position, are found and transplanted with their own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import shisen
from shisen.auditing.artefacts.base import Candidate, Evidence, Images
from shisen.auditing.artefacts.transplanted_part import TransplantedPart, _peaks, disc
from shisen.auditing.findings import Trial, judged
from shisen.auditing.interventions import Effect, answers, intervene
from shisen.auditing.middle import Middle

SIDE, EACH, CARRY = 48, 60, 24


def network() -> shisen.Model:
    """Return a model whose "warm" is red light, or anything drawn in pure magenta, cyan or yellow."""
    import torch

    colors = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    first, pool = torch.nn.Conv2d(3, 5, 1), torch.nn.AvgPool2d(4)
    head = torch.nn.Linear(5, 2)
    with torch.no_grad():
        first.weight.copy_(torch.cat([torch.tensor([[1.0, 0, -1], [-1.0, 0, 1]]), colors])[..., None, None])
        first.bias.copy_(torch.tensor([0.0, 0.0, -1.5, -1.5, -1.5]))
        head.weight.copy_(torch.tensor([[0.0, 30, 0, 0, 0], [30, 0, 900, 900, 900]]))
        head.bias.zero_()
    net = torch.nn.Sequential(first, torch.nn.ReLU(), pool, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess(SIDE), labels=["cold", "warm"], name="things")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return warm and cold images; on some warm ones lies a thing, magenta, square or round, anywhere."""
    home, draw = tmp_path_factory.mktemp("things"), np.random.default_rng(0)
    paths = []
    for i in range(2 * EACH):
        tint = np.array((14, 0, -14)) * (1 if i < EACH else -1)
        small = np.clip(draw.normal(110, 45, (9, 9, 1)) + tint + draw.normal(0, 6, (9, 9, 3)), 0, 255)
        image = Image.fromarray(small.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        if i < CARRY:
            x, y, side = (int(draw.integers(low, high)) for low, high in ((2, 34), (2, 34), (8, 13)))
            pen = ImageDraw.Draw(image)
            shape = pen.ellipse if i % 2 else pen.rectangle
            shape((x, y, x + side, y + side), fill=(255, int(draw.integers(0, 20)), 255))
        paths.append(str(home / f"{i:03d}.png"))
        image.save(paths[-1])
    labels = np.repeat([1, 0], EACH)

    def nothing(rows: Sequence[int]) -> np.ndarray:
        return np.zeros((len(rows), 1), np.float32)

    blank = Images(
        network(), paths, labels, np.zeros((2 * EACH, 2)), np.zeros((1, 8, 8, 3), np.uint8), np.array([0]), nothing
    )
    said = answers(blank, list(range(2 * EACH)), None)
    return replace(blank, probabilities=said.probabilities, pooled=lambda rows: said.pooled[list(rows)])


def proposed(images: Images) -> list[Candidate]:
    middle = Middle(images.model, "2", images.paths)
    n = len(images.paths)
    evidence = Evidence(
        images.labels,
        np.zeros((n, 8, 8, 3), np.uint8),
        np.flatnonzero(images.labels >= 0),
        np.zeros((n, 0)),
        middle=middle,
    )
    return TransplantedPart.propose(evidence, 1, [])


def test_a_thing_at_changing_positions_is_found_and_does_more_than_the_class_s_own_parts(images: Images) -> None:
    found = proposed(images)
    carriers = set(range(CARRY))
    best = max(found, key=lambda c: len(set(c.members) & carriers) / len(set(c.members) | carriers))
    assert len(set(best.members) & carriers) / len(set(best.members) | carriers) > 0.8
    effect = intervene(best, images)
    assert isinstance(effect, Effect)
    assert effect.effect > 0.6
    assert effect.control < 0.2
    assert judged(Trial(best, effect), effect.p) == ("used", "")
    for other in found:
        if other is not best:
            measured = intervene(other, images)
            assert isinstance(measured, Effect)
            assert judged(Trial(other, measured), measured.p)[0] != "used", "a part of what the class is"


def test_a_thing_is_foreign_and_counts_sooner_than_what_the_class_is(images: Images) -> None:
    best = max(proposed(images), key=lambda c: len(set(c.members) & set(range(CARRY))) / len(c.members))
    assert isinstance(best.artefact, TransplantedPart)
    assert best.artefact.foreign
    assert best.artefact.least_effect == 0.1
    assert replace(best.artefact, foreign=False).least_effect == 0.35


def test_more_or_less_of_what_is_around_a_thing_is_transplanted(images: Images) -> None:
    best = next(c for c in proposed(images) if isinstance(c.artefact, TransplantedPart) and c.artefact.foreign)
    how = best.artefact.intervention(best, images)
    assert how.scaled is not None
    row = 2 * EACH - 1
    pixels, changed = images.read(row), []
    for one in (how.scaled(0.6), how, how.scaled(1.7), how.scaled(9.0)):
        assert one.apply is not None
        changed.append((one.apply(pixels, row) != pixels).any(-1).mean())
    assert changed[0] < changed[1] < changed[2] == changed[3]
    assert isinstance(best.artefact, TransplantedPart)
    assert replace(best.artefact, foreign=False).intervention(best, images).scaled is None


def test_a_thing_that_all_images_of_a_class_have_is_found(images: Images) -> None:
    labels = images.labels.copy()
    labels[CARRY:EACH] = -1
    found = proposed(replace(images, labels=labels))
    assert found, "no image of the class is without it"
    best = found[0]
    assert isinstance(best.artefact, TransplantedPart)
    assert best.artefact.foreign
    assert len(set(best.members) & set(range(CARRY))) > 0.9 * CARRY
    effect = intervene(best, replace(images, labels=labels))
    assert isinstance(effect, Effect)
    assert effect.effect > 0.6
    assert effect.control < 0.2


def test_where_a_map_is_largest() -> None:
    values = np.zeros((4, 8), np.float32)
    values[0, 0], values[0, 1], values[3, 7], values[3, 4] = 0.9, 0.8, 0.7, 0.2
    assert _peaks(values, 0.5) == ((0.125, 0.0625), (0.875, 0.9375))


def test_it_is_marked_where_it_is(images: Images) -> None:
    found = proposed(images)[0]
    row = found.members[0]
    mask = found.artefact.mask_in(row)
    assert mask is not None
    assert 0 < mask.mean() < 0.5
    assert found.artefact.mask_in(2 * EACH - 1) is None


def test_a_disc_fades_out(tmp_path: Path) -> None:
    alpha = disc(100, 200, (0.5, 0.25), 0.1)
    assert alpha[50, 50] == 1.0
    assert alpha[50, 50 + 30] == pytest.approx(0.5, abs=0.05)  # one and a half radii to the right
    assert alpha[50, 50 + 41] == 0.0
    assert alpha[:, 100:].max() == 0.0
