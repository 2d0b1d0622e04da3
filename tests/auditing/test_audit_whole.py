"""One cause is tested whole, and a copy that the network does not recognize clears nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("scipy")

import shisen
from shisen.auditing.artefacts.base import Candidate, Images, Intervention
from shisen.auditing.artefacts.compound import Compound, merged
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.property import GlobalProperty
from shisen.auditing.artefacts.transform import Treatment
from shisen.auditing.artefacts.transplanted_part import TransplantedPart
from shisen.auditing.findings import Trial, judged
from shisen.auditing.interventions import Effect, answers, intervene

SIDE, EACH, CARRY = 40, 80, 30
CORNERS = ((0, 0), (0, 30), (30, 0), (30, 30))


def network() -> Any:
    """Return a model that says "warm" of any image with at least a fifth of it in magenta: one corner is too little."""
    import torch

    conv, middle, head = torch.nn.Conv2d(3, 3, 1), torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 0, -1], [-1, 0, 1], [1, -1, 1]])[..., None, None])
        conv.bias.copy_(torch.tensor([0.0, 0, -1.5]))
        middle.weight.copy_(torch.eye(3))
        middle.bias.copy_(torch.tensor([0.0, 0, -0.2 * 0.5]))
        head.weight.copy_(torch.tensor([[0.0, 30, 0], [30, 0, 4000]]))
        head.bias.zero_()
    net = torch.nn.Sequential(
        conv, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), middle, torch.nn.ReLU(), head
    )
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess(SIDE), labels=["cold", "warm"], name="corners")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return warm and cold images; some warm ones have four magenta corners, as a round field of view has."""
    home, draw = tmp_path_factory.mktemp("corners"), np.random.default_rng(0)
    paths = []
    for i in range(2 * EACH):
        tint = np.array((14, 0, -14)) * (1 if i < EACH else -1)
        small = np.clip(draw.normal(110, 45, (9, 9, 1)) + tint + draw.normal(0, 6, (9, 9, 3)), 0, 255)
        image = Image.fromarray(small.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        if i < CARRY:
            for y, x in CORNERS:
                image.paste((255, 0, 255), (x, y, x + 10, y + 10))
        paths.append(str(home / f"{i:03d}.png"))
        image.save(paths[-1])
    labels = np.repeat([1, 0], EACH)
    canvases = np.stack([np.asarray(Image.open(p)) for p in paths[CARRY::5]])
    blank = Images(
        network(),
        paths,
        labels,
        np.zeros((2 * EACH, 2)),
        canvases,
        np.arange(CARRY, 2 * EACH, 5),
        lambda rows: np.zeros((len(rows), 1), np.float32),
    )
    said = answers(blank, list(range(2 * EACH)), None)
    return replace(blank, probabilities=said.probabilities, pooled=lambda rows: said.pooled[list(rows)])


def corner(which: int, color: tuple[int, int, int] = (255, 0, 255)) -> Candidate:
    y, x = CORNERS[which]
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[y : y + 10, x : x + 10] = 1.0
    template = np.broadcast_to(np.asarray(color, np.float32), (SIDE, SIDE, 3))
    return Candidate(Still(template, alpha), 1, tuple(range(CARRY)), CARRY, 1e-9 * (which + 1), EACH)


class Still(FixedPatch):
    """A patch that is put on as it is, whatever the images show."""

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        from shisen.auditing.artefacts.fixed_patch import overlaid

        return overlaid(lambda row: (self.template, self.alpha), self.mask_in, candidate, images, moves=False)


class Either(Compound):
    """Two ways of one artefact; the first is tried first."""

    def __init__(self, first: Compound, second: Compound) -> None:
        super().__init__(first.parts)
        object.__setattr__(self, "ways", (first, second))

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        first, second = (one.intervention(candidate, images) for one in self.ways)  # type: ignore[attr-defined]
        return replace(first, otherwise=second)


def measured(candidate: Candidate, images: Images) -> Effect:
    effect = intervene(candidate, images)
    assert isinstance(effect, Effect)
    return effect


def test_four_corners_are_one_finding_and_do_together_what_none_does_alone(images: Images) -> None:
    corners = [corner(i) for i in range(4)]
    for one in corners:
        alone = measured(one, images)
        assert alone.effect < 0.05
        assert alone.fidelity == pytest.approx(0.25, abs=0.12)
        state, reason = judged(Trial(one, alone), 1.0)
        assert state == "not_decided", "a quarter of the cause clears nothing"
        assert reason in ("weak_copy", "partial_copy")
    (whole,) = merged(corners, images.labels, 1)
    assert isinstance(whole.artefact, Compound)
    assert set(whole.members) == set(range(CARRY))
    assert whole.artefact.words() == ("frame", {}), "it lies around the image, not in one corner"
    together = measured(whole, images)
    assert together.effect > 0.9
    assert together.control < 0.1
    assert together.fidelity == pytest.approx(1.0, abs=0.15)
    assert judged(Trial(whole, together), together.p) == ("used", "")


def test_a_copy_of_another_color_is_too_weak(images: Images) -> None:
    pale = merged([corner(i, (150, 130, 150)) for i in range(4)], images.labels, 1)[0]
    effect = measured(pale, images)
    assert effect.effect < 0.05
    assert effect.fidelity is not None
    assert effect.fidelity < 0.3
    assert judged(Trial(pale, effect), 1.0) == ("not_decided", "weak_copy")


def test_of_two_treatments_of_the_same_images_the_one_that_looks_like_the_original_goes_on(images: Images) -> None:
    left, right = (
        replace(corner(0), artefact=Treatment(name), p=p)
        for name, p in (("quarter_left", 1e-5), ("quarter_right", 1e-6))
    )
    (one,) = merged([left, right], images.labels, 1)
    assert isinstance(one.artefact, Compound)
    assert one.artefact.parts == (right,), "never both: one undoes the other"
    assert one.artefact.instead == (left,)
    assert one.artefact.order == Treatment.order
    how = one.artefact.intervention(one, images)
    assert how.apply is not None
    assert how.otherwise is not None
    assert how.otherwise.apply is not None
    pixels = images.read(0)
    assert np.array_equal(how.apply(pixels, 0), np.rot90(pixels, -1))
    assert np.array_equal(how.otherwise.apply(pixels, 0), np.rot90(pixels))


def test_the_treatment_that_explains_its_images_best_goes_on_first() -> None:
    sure, fitting = (
        replace(corner(0), artefact=Treatment(name, misfit=misfit), p=p)
        for name, misfit, p in (("equalized", 0.6, 1e-9), ("sharpened", 0.2, 1e-6))
    )
    (one,) = merged([fitting, sure], np.repeat([1, 0], EACH), 1)
    assert isinstance(one.artefact, Compound)
    assert one.artefact.parts == (fitting,)
    assert one.artefact.instead == (sure,)
    assert one.p == 1e-9, "both say that these images go with the class"


def test_images_are_those_of_a_treatment_that_explains_what_sets_them_apart() -> None:
    labels = np.repeat([1, 0], EACH)
    webp = replace(corner(0), artefact=Treatment("webp", misfit=0.4), p=1e-6)
    wide = tuple(range(CARRY + 8))
    stretched = Candidate(Treatment("stretched", misfit=0.9), 1, wide, len(wide), 1e-9, EACH)
    (one,) = merged([stretched, webp], labels, 1)
    assert isinstance(one.artefact, Compound)
    assert (one.artefact.parts, one.artefact.instead) == ((webp,), (stretched,))
    assert one.members == webp.members


class Tinted(Compound):
    """A change of color that comes in amounts."""

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        def scaled(factor: float) -> Intervention:
            def redden(pixels: Any, row: int) -> Any:
                return np.clip(pixels + np.array([6, 0, -6]) * factor, 0, 255).astype(np.uint8)

            return Intervention(redden)

        return replace(scaled(1.0), scaled=scaled)


def test_so_much_is_put_on_that_copies_look_like_the_original(images: Images) -> None:
    """Warm images differ from cold ones by 28 levels of red minus blue each; at first too little is put on."""
    labels = np.where(np.arange(2 * EACH) < EACH + 40, 1, 0)  # of the class "warm", forty images are cold
    mixed = replace(images, labels=labels)
    warm = replace(corner(0), artefact=Tinted(()), members=tuple(range(CARRY, EACH)), inside=EACH - CARRY)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Tinted, "least_effect", 0.1)
        patched.setattr(Tinted, "order", 3)
        effect = measured(warm, mixed)
    assert 2.0 < effect.amount <= 4.0
    assert effect.fidelity is not None
    assert effect.fidelity > 0.7
    assert effect.effect > 0.5


def test_a_weak_copy_gives_way_to_one_that_looks_like_the_original(images: Images) -> None:
    pale, real = (Compound(tuple(corner(i, color) for i in range(4))) for color in ((150, 130, 150), (255, 0, 255)))
    candidate = replace(corner(0), artefact=Either(pale, real))
    effect = measured(candidate, images)
    assert effect.fidelity == pytest.approx(1.0, abs=0.15)
    assert effect.effect > 0.9
    # the report shows its examples with the way that was measured: they turn, with the first way they do not
    first, taken = candidate.artefact.intervention(candidate, images).ways
    assert effect.way == 1
    shown = [answers(images, effect.examples, way.apply).probabilities.argmax(1) for way in (first, taken)]
    assert (shown[0] != 1).all()
    assert (shown[1] == 1).all()


def test_where_copies_on_the_pixels_are_poor_it_is_added_inside_the_network(images: Images) -> None:
    class Deep(Compound):
        def intervention(self, candidate: Candidate, images: Images) -> Intervention:
            def warm(rows: Any) -> np.ndarray:
                return np.tile([0.1, 0.9], (len(rows), 1))

            return replace(super().intervention(candidate, images), inside=warm, least_inside=least)

    pale, real = (tuple(corner(i, color) for i in range(4)) for color in ((150, 130, 150), (255, 0, 255)))
    least = 0.35
    effect = measured(replace(corner(0), artefact=Deep(pale)), images)
    assert effect.inside
    assert effect.effect > 0.9
    copied = measured(replace(corner(0), artefact=Deep(real)), images)
    assert not copied.inside, "a faithful copy needs no other"
    assert copied.witness is not None
    least = 1.1
    weak = measured(replace(corner(0), artefact=Deep(pale)), images)
    assert not weak.inside, "where that does too little, it is the copy that is reported as weak"
    assert judged(Trial(corner(0), weak), 1.0) == ("not_decided", "weak_copy")


def test_what_other_images_have_stays_by_itself(images: Images) -> None:
    other = replace(corner(1), members=tuple(range(20, 60)), inside=40)
    assert len(merged([corner(0), other], images.labels, 1)) == 2


def test_a_treatment_leads_a_patch_where_it_goes_with_the_class_far_more_surely(images: Images) -> None:
    treated = replace(corner(0), artefact=Treatment("sepia"), p=1e-20)
    for p, leading in ((1e-9, "transform_sepia"), (1e-18, "fixed_patch")):
        (whole,) = merged([replace(corner(0), p=p), treated], images.labels, 1)
        assert isinstance(whole.artefact, Compound)
        assert whole.artefact.lead.kind == leading


def test_a_foreign_part_leads_what_is_only_a_piece_of_it(images: Images) -> None:
    spots = dict.fromkeys(range(CARRY), ((0.2, 0.2), (0.8, 0.8)))
    others = dict.fromkeys(range(CARRY, EACH), ((0.5, 0.5),))
    part = replace(corner(0), artefact=TransplantedPart(spots, others, 0.1, foreign=True), p=1e-20)
    piece = replace(corner(0), members=tuple(range(10)), inside=10, p=1e-6)
    (whole,) = merged([piece, part], images.labels, 1)
    assert isinstance(whole.artefact, Compound)
    assert whole.artefact.lead is part
    assert set(whole.members) == set(range(CARRY))
    how, alone = whole.artefact.intervention(whole, images), part.artefact.intervention(part, images)
    assert how.apply is not None
    assert alone.apply is not None
    assert how.control is not None
    pixels = images.read(EACH + 3)
    assert np.array_equal(how.apply(pixels, 3), alone.apply(pixels, 3)), "by itself first, then with the piece"
    assert how.otherwise is not None
    natural = replace(part, artefact=TransplantedPart(spots, others, 0.1, foreign=False))
    (other,) = merged([piece, natural], images.labels, 1)
    assert isinstance(other.artefact, Compound)
    assert other.artefact.lead is piece
    controlled = how.control(pixels, 3)
    changed = (controlled != pixels).any(-1)
    assert changed[8, 8], "the same position"
    assert not changed[20, 20]


def test_a_piece_of_what_other_images_have_too_is_no_finding_of_its_own(images: Images) -> None:
    part = replace(corner(1), members=tuple(range(3, 17)), inside=14, p=1e-8)
    (whole,) = merged([corner(0), part], images.labels, 1)
    assert isinstance(whole.artefact, Compound)
    assert whole.artefact.parts[1] is part
    assert set(whole.members) == set(range(CARRY)), "the piece does not say who has it"
    by_chance = replace(part, members=tuple(range(20, 34)))
    assert len(merged([corner(0), by_chance], images.labels, 1)) == 2


def test_a_property_found_by_two_looks_is_one_consequence(images: Images) -> None:
    borders = [
        replace(corner(0), artefact=GlobalProperty("border", 1, 0.5, n), p=p) for n, p in ((0.5, 0.01), (1, 0.02))
    ]
    (whole,) = merged([corner(1), *borders], images.labels, 1)
    assert isinstance(whole.artefact, Compound)
    assert [c.kind for c in whole.artefact.parts] == ["fixed_patch", "border"]


def test_pieces_may_mark_regions_at_sizes_of_their_own(images: Images) -> None:
    small = np.zeros((10, 10), np.float32)
    small[7:, 7:] = 1.0
    other = replace(corner(1), artefact=Still(np.zeros((10, 10, 3), np.float32), small))
    (whole,) = merged([corner(0), other], images.labels, 1)
    mask = whole.artefact.mask_in(0)
    assert mask is not None
    assert mask.shape == (SIDE, SIDE)
    assert mask[:10, :10].all()
    assert mask[28:, 28:].all()
    assert mask.sum() == 10 * 10 + 12 * 12
    assert whole.artefact.words()[0] in ("patch", "frame")


def test_a_frame_is_named_by_what_is_there(tmp_path: Path) -> None:
    alpha = np.ones((40, 40), np.float32)
    alpha[4:-4, 4:-4] = 0.0
    template = np.zeros((40, 40, 3), np.float32)
    assert FixedPatch(template, alpha).words() == ("patch", {"where": "around"})
    assert FixedPatch(template, np.ones((40, 40), np.float32)).words() == ("patch", {"where": "everywhere"})
    middle = np.zeros((40, 40), np.float32)
    middle[15:25, 15:25] = 1.0
    assert FixedPatch(template, middle).words() == ("patch", {"where": "center"})
