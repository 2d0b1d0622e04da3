"""Small formulas of the evaluation against values worked out by hand or a slow way to the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from evaluation.samples import SIDE, sample
from shisen._core.stats import Interval
from shisen.errors import InputError
from shisen.evaluation.agreement import agreement
from shisen.evaluation.annotations import Box, read_regions, region_of
from shisen.evaluation.checks import verdict
from shisen.evaluation.collages import collages, halved
from shisen.evaluation.control_maps import control_map
from shisen.evaluation.examples import small_image, small_map
from shisen.evaluation.infidelity import _noisy, _squares, infidelity, mufidelity, ranked
from shisen.evaluation.masking_metrics import correlation
from shisen.evaluation.recommend import combined_gain, explanation, joined, quality
from shisen.evaluation.requests import Outcome
from shisen.evaluation.road import imputed
from shisen.evaluation.scores import Example, Row, Scores
from shisen.evaluation.settings import Setting, setting_of
from shisen.evaluation.statistics import Difference, difference
from shisen.types import Frame

DRAW = np.random.default_rng(5)


# ---- annotations


def test_regions_of_boxes_include_their_left_and_upper_edges_only() -> None:
    frame = Frame((4, 4), (4, 4), (0.0, 0.0, 4.0, 4.0))
    found = region_of([Box(0.5, 1.5, 2.5, 3.5)], frame)  # pixel centers lie at the half
    want = np.zeros((4, 4), bool)
    want[1:3, 0:2] = True
    np.testing.assert_array_equal(found, want)
    stretched = Frame((8, 6), (4, 2), (1.0, 2.0, 5.0, 8.0))  # two columns of two pixels, four rows of one and a half
    mask = np.zeros((8, 6), bool)
    mask[[2, 4, 5, 7], [2, 2, 4, 4]] = True
    # rows at 2.75, 4.25, 5.75 and 7.25, columns at 2 and 4
    np.testing.assert_array_equal(region_of(mask, stretched), [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_a_region_of_a_mask_ends_with_the_image() -> None:
    frame = Frame((4, 4), (6, 6), (-1.0, -1.0, 5.0, 5.0))
    np.testing.assert_array_equal(region_of(np.ones((4, 4), bool), frame), np.pad(np.ones((4, 4), bool), 1))


def test_outlines_with_holes_and_slanted_edges() -> None:
    square = (0.0, 0.0, 8.0, 0.0, 8.0, 8.0, 0.0, 8.0)
    hole = (2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0)
    frame = Frame((8, 8), (8, 8), (0.0, 0.0, 8.0, 8.0))
    want = np.ones((8, 8), bool)
    want[2:6, 2:6] = False
    np.testing.assert_array_equal(region_of([Box(0, 0, 8, 8, "", (square, hole))], frame), want)
    triangle = (0.0, 0.0, 8.2, 8.2, 0.0, 8.2)
    np.testing.assert_array_equal(region_of([Box(0, 0, 8, 8, "", (triangle,))], frame), np.tri(8, k=-1, dtype=bool))


def test_every_file_of_boxes_names_its_columns_its_own_way(tmp_path: Path) -> None:
    want = {"a.jpg": (Box(1.0, 2.0, 3.0, 4.0, "dog"), Box(5.0, 6.0, 7.0, 8.0, ""))}
    for head in ("file,class,xmin,ymin,xmax,ymax", "FileName, Label ,x1,y1,x2,y2", "image,label,left,top,right,bottom"):
        (tmp_path / "a.csv").write_text(f"{head}\nx/a.jpg,dog,1,2,3,4\ny/a.jpg,,5,6,7,8\n", encoding="utf-8-sig")
        assert read_regions(tmp_path / "a.csv") == want
    outline = [[0.0, 0.0, 3.0, 0.0, 3.0, 3.0]]
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
                "annotations": [
                    {"image_id": 2, "bbox": [1, 2, 3, 4], "segmentation": outline},
                    {"image_id": 2, "bbox": [1, 2, 3, 4], "segmentation": {"counts": "x"}},
                ],
            }
        )
    )
    found = read_regions(tmp_path / "a.json")
    assert found == {"b.jpg": (Box(1, 2, 4, 6, "", (tuple(outline[0]),)), Box(1, 2, 4, 6, "", ()))}
    with pytest.raises(InputError, match="VOC"):
        read_regions(tmp_path)
    (tmp_path / "b.csv").write_text("left,top,right,bottom\n1,2,3,4\n")
    with pytest.raises(InputError, match="columns"):
        read_regions(tmp_path / "b.csv")
    (tmp_path / "c.xml").write_text(
        "<annotation><object><name> cat </name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
        "</bndbox></object><object><name>no box</name></object></annotation>"
    )
    assert read_regions(tmp_path / "c.xml") == {"c.jpg": (Box(0, 0, 2, 2, "cat"),)}, "named after its file"


# ---- images


def test_pixels_are_imputed_from_up_to_eight_neighbors() -> None:
    image = DRAW.random((3, 4, 2)).astype(np.float32)
    keep = np.ones((3, 4), bool)
    keep[1, 1] = False
    direct = image[0, 1] + image[2, 1] + image[1, 0] + image[1, 2]
    diagonal = image[0, 0] + image[0, 2] + image[2, 0] + image[2, 2]
    np.testing.assert_allclose(imputed(image, keep)[1, 1], direct / 6 + diagonal / 12, rtol=1e-5)
    np.testing.assert_allclose(imputed(image, keep, 0.5)[1, 1], direct / 6 + diagonal / 12 + 0.5, rtol=1e-5)
    np.testing.assert_array_equal(imputed(image, keep, 0.5)[keep], image[keep])
    corner = np.ones((3, 4), bool)
    corner[0, 0] = False
    np.testing.assert_allclose(
        imputed(image, corner)[0, 0], (2 * image[0, 1] + 2 * image[1, 0] + image[1, 1]) / 5, rtol=1e-5
    )
    np.testing.assert_allclose(
        imputed(image, np.zeros((3, 4), bool), 0.25), np.broadcast_to(image.mean((0, 1)) + 0.25, image.shape), rtol=1e-5
    )
    np.testing.assert_array_equal(imputed(image, np.ones((3, 4), bool), 9.0), image)


def test_halves_are_means_of_two_by_two_pixels() -> None:
    image = DRAW.random((5, 7, 3)).astype(np.float32)
    found = halved(image)
    assert found.shape == (2, 3, 3)
    for y in range(2):
        for x in range(3):
            np.testing.assert_allclose(found[y, x], image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((0, 1)), rtol=1e-6)


def test_collages_take_images_of_at_least_the_probability() -> None:
    images = [np.full((2, 2, 1), k, np.float32) for k in range(4)]
    assert len(collages(images, [0, 1, 2, 3], [0.8] * 4, confident=0.8)) == 1
    assert collages(images, [0, 1, 2, 3], [0.8, 0.8, 0.8, 0.79], confident=0.8) == []
    assert collages(images, [0, 1, 2, 2], [0.9] * 4) == []


def test_small_copies_keep_their_proportions() -> None:
    assert small_map(np.ones((512, 3))).shape == (128, 1)
    assert small_map(np.ones((128, 64))).shape == (128, 64)
    assert small_map(np.ones((129, 64))).shape == (128, 64)
    two = np.zeros((4, 4, 2), np.float32)
    two[..., 0], two[..., 1] = 0.2, 0.6
    assert small_image(two)[0, 0].tolist() == [51, 153, 153], "a missing channel repeats the last one"


# ---- control maps


def test_control_maps_by_their_formulas() -> None:
    image = DRAW.random((8, 12, 3)).astype(np.float32)
    center = control_map("center", image, 0)
    assert center.shape == (8, 12)
    assert center[3, 5] == pytest.approx(np.exp(-0.5 * ((0.5 / 8 / 0.25) ** 2 + (0.5 / 12 / 0.25) ** 2)))
    assert center[0, 0] == pytest.approx(np.exp(-0.5 * ((3.5 / 8 / 0.25) ** 2 + (5.5 / 12 / 0.25) ** 2)))
    assert (control_map("constant", image, 0) == 1).all()
    for name, shape in (("random", (8, 12)), ("random_patches", (7, 7))):
        one, same, other = (control_map(name, image, seed) for seed in (1, 1, 2))
        assert one.shape == shape
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()
        assert len(np.unique(one)) == one.size
    step = np.zeros((40, 40, 3), np.float32)
    step[:, 20:] = 1.0
    found = control_map("edges", step, 0)
    assert found[20].argmax() in (19, 20)
    assert found[20, 5] < 0.01 * found[20].max()
    at = np.arange(40) - 19.5
    spread = np.sqrt((found[20] * at**2).sum() / found[20].sum())
    assert spread == pytest.approx(2.0, abs=0.25), "a blur of two pixels"
    assert found[20].sum() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(control_map("edges", step.swapaxes(0, 1), 0), found.T, atol=1e-6)


# ---- infidelity


def test_ranks_are_means_for_ties() -> None:
    assert ranked(np.array([[3.0, 1.0], [3.0, 7.0]])).tolist() == [1.5, 0.0, 1.5, 3.0]


def test_squares_are_whole_and_anywhere() -> None:
    found = _squares(sample(np.ones((SIDE, SIDE))), 400, 3)
    assert (found.sum((1, 2)) == 9).all()
    corners = {(int(m.argmax()) // SIDE, int(m.argmax()) % SIDE) for m in found}
    assert corners == {(y, x) for y in range(SIDE - 2) for x in range(SIDE - 2)}
    whole = _squares(sample(np.ones((SIDE, SIDE))), 3, SIDE + 4)
    assert whole.all()


def asked(metric: Any, values: Any, **options: Any) -> Any:
    """The images that a metric requests."""
    return next(metric(sample(values), **options)).images


def test_a_fraction_of_the_side_is_removed() -> None:
    image = sample(np.ones((SIDE, SIDE))).image
    removed = (asked(infidelity, np.ones((SIDE, SIDE))) != image).any(-1)
    assert removed.shape == (32, SIDE, SIDE)
    assert (removed.sum((1, 2)) == 4).all(), "a quarter of eight"
    tiny = (asked(infidelity, np.ones((SIDE, SIDE)), fraction=0.01, n_samples=5) != image).any(-1)
    assert (tiny.sum((1, 2)) == 1).all(), "one pixel at least"
    cells = (asked(mufidelity, np.ones((SIDE, SIDE)), grid=4, n_samples=7, fraction=0.25) != image).any(-1)
    assert (cells.reshape(7, 4, 2, 4, 2).all((2, 4)) == cells.reshape(7, 4, 2, 4, 2).any((2, 4))).all()
    assert (cells.sum((1, 2)) == 4 * 4).all()
    few = (asked(mufidelity, np.ones((SIDE, SIDE)), grid=4, n_samples=3, fraction=0.0) != image).any(-1)
    assert (few.sum((1, 2)) == 4).all(), "one cell at least"


def finished(steps: Any, answer: Any) -> Outcome:
    next(steps)
    with pytest.raises(StopIteration) as stopped:
        steps.send(answer)
    found: Outcome = stopped.value.value
    return found


def test_infidelity_and_mufidelity_of_given_falls() -> None:
    values = DRAW.random((SIDE, SIDE))
    one = sample(values)
    masks = (asked(infidelity, values, n_samples=6) != one.image).any(-1)
    sums = np.array([one.heat[m].astype(float).sum() for m in masks])
    scores = DRAW.normal(0, 1, 6)
    after = np.stack([np.zeros(6), scores], 1)
    falls = float(one.scores(one.logits[None])[0]) - one.scores(after)
    beta = (sums @ falls) / (sums @ sums)
    for scaled, factor in ((True, beta), (False, 1.0)):
        found = finished(infidelity(one, n_samples=6, scaled=scaled), after)
        assert found.value == pytest.approx(np.mean((factor * sums - falls) ** 2), rel=1e-5)
    nothing = finished(infidelity(sample(np.zeros((SIDE, SIDE))), n_samples=6), after)
    assert nothing.value == pytest.approx(np.mean(falls**2), rel=1e-5)
    flat = finished(mufidelity(sample(np.ones((SIDE, SIDE))), n_samples=6), after)
    assert flat.value == 0.0
    subsets = (asked(mufidelity, values, n_samples=6) != one.image).any(-1)
    predicted = [one.heat[m].astype(float).sum() for m in subsets]
    order = [np.argsort(np.argsort(v)) for v in (predicted, falls)]
    assert finished(mufidelity(one, n_samples=6), after).value == pytest.approx(np.corrcoef(*order)[0, 1])


def test_noise_is_uniform_within_the_radius() -> None:
    one = sample(np.ones((SIDE, SIDE)))
    noise = _noisy(one, 40, 0.05) - one.image
    assert noise.shape == (40, *one.image.shape)
    assert np.abs(noise).max() <= 0.05 + 1e-6
    assert noise.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.03)
    assert abs(noise.mean()) < 0.002


# ---- statistics and verdicts


def test_correlation_of_nearly_constant_maps() -> None:
    rows = DRAW.random((5, 6))
    assert correlation(rows, 3 * rows + 2) == pytest.approx(1.0)
    assert correlation(rows, -rows) == pytest.approx(-1.0)
    tiny = 1e-5 * (rows - rows.mean())
    assert correlation(tiny, tiny) == pytest.approx(1.0), "small, but not constant"
    dust = 1e-9 * rows
    assert correlation(dust, dust[::-1]) == 1.0, "both are constant but for rounding"
    assert correlation(dust, rows * 1e-4) == 0.0


def test_agreement_is_over_pairs_of_methods_on_the_same_images() -> None:
    one, two = DRAW.random((2, 16, 16))
    found = agreement({"a": [one, two], "b": [one, 1 - two], "c": [two, two]})
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found["a", "b"][0] == pytest.approx(0.0, abs=1e-9), "once the same, once the opposite"
    assert agreement({"a": [], "b": []}) == {}
    with pytest.raises(ValueError, match="zip"):
        agreement({"a": [one], "b": [one, two]})


def test_verdicts_at_their_edges() -> None:
    def words(value: float, low: float, high: float, p: float, higher: bool | None = True) -> str:
        return Difference("a", "b", "m", Interval(value, low, high, 9), p, higher).verdict

    assert words(0.2, 0.1, 0.3, 0.049) == "better"
    assert words(0.2, 0.1, 0.3, 0.05) == "no clear difference"
    assert words(0.2, 0.0, 0.3, 0.01) == "no clear difference"
    assert words(-0.2, -0.3, -0.1, 0.01) == "worse"
    assert words(-0.2, -0.3, -0.1, 0.01, False) == "better"
    assert words(-0.2, -0.3, -0.1, 0.01, None) == "different"
    nan = float("nan")
    assert verdict(Interval(0.49, nan, nan, 1)) is True
    assert verdict(Interval(0.5, nan, nan, 1)) is False
    assert verdict(Interval(0.5, 0.4, 0.5, 9)) is None
    assert verdict(Interval(0.4, 0.3, 0.49, 9)) is True


def test_differences_are_paired() -> None:
    found = difference("a", "b", "m", np.array([[3.0, 1.0], [5.0, 4.0], [float("nan"), 1.0]]), True)
    assert found.interval.value == 1.5
    assert found.interval.n == 2
    assert found.p == pytest.approx(0.5), "two of four patterns of signs"
    many = difference("a", "b", "m", np.stack([np.ones(20), np.zeros(20)], 1), True)
    assert many.p == pytest.approx(1 / 4001, rel=0.01)
    assert "n = 20" in many.sentence


# ---- recommendation


def compared(insertion: float, adcc: float) -> dict[str, Difference]:
    return {
        k: Difference("new", "old", k, Interval(v, v - 0.01, v + 0.01, 8), 0.01, True)
        for k, v in (("insertion_deletion", insertion), ("adcc", adcc))
    }


def scores(names: tuple[str, ...], value: float, images: tuple[str, ...]) -> Scores:
    rows = tuple(
        Row(image, image, name, metric, value * (i + 1), (), {})
        for image in images for i, name in enumerate(names) for metric in ("insertion_deletion", "adcc")
    )  # fmt: skip
    empty = np.zeros((2, 2, 3), np.uint8)
    examples = {
        image: Example(image, "a", 0.5, empty, {n: np.zeros((2, 2), np.uint8) for n in names}) for image in images
    }
    return Scores(rows, names, (), ("insertion_deletion", "adcc"), names[0], {"seed": 3}, (), examples)


def test_a_point_of_adcc_is_a_hundredth_of_insertion() -> None:
    assert quality(0.25, 50.0) == 0.75
    assert combined_gain(compared(0.02, -1.5)) == pytest.approx(0.005)
    assert combined_gain({}) == 0.0


def test_parts_are_joined() -> None:
    whole = joined([scores(("old", "new"), 1.0, ("x", "y")), scores(("old", "new"), 3.0, ("z",))], "new")
    assert whole.facts == {"seed": 3, "n_images": 3}
    assert whole.reference == "new"
    assert whole.score("old", "adcc").value == pytest.approx((1 + 1 + 3) / 3)
    assert whole.score("new", "adcc").value == pytest.approx(2 * 5 / 3)


def test_the_three_sentences() -> None:
    facts = {"model": "net", "tried": 7, "choosing": 4, "confirming": 6}
    both = scores(("old", "new"), 1.0, ("x", "y"))
    use = explanation("new", "new", compared(0.1, 2.0), both, facts)
    assert use[0] == "Use new for net: it was the best of 7 settings tried on 4 images."
    assert "insertion − deletion is 2.000 and its ADCC 2.0 %" in use[1]
    assert use[2].startswith("Against the default, insertion_deletion +0.1 (95 % interval +0.09 to +0.11: better)")
    stay = explanation("old", "new", compared(-0.1, 2.0), both, facts)
    assert stay[0] == "Stay with old for net: new was better on 4 images, not on 6 others."
    assert "is 1.000" in stay[1]
    assert explanation("old", "old", {}, both, facts)[2].startswith("No other method")


def test_rows_of_the_table_are_compared_with_the_reference() -> None:
    records = scores(("old", "new"), 1.0, ("x", "y")).records()
    assert [("against" in r, r["method"]) for r in records] == [(False, "old")] * 2 + [(True, "new")] * 2
    assert {r["against"] for r in records if "against" in r} == {"old"}
    assert records[-1]["difference"] == 1.0
    assert scores(("a",), 1.0, ("x",)).agreement == {}


def test_maps_of_reports_are_compared_in_the_unit_they_had() -> None:
    made = scores(("a", "b"), 1.0, ("x",))
    levels = np.random.default_rng(0).integers(0, 256, (2, 20, 20)).astype(np.uint8)
    made.examples["x"].heats.update({"a": levels[0], "b": levels[1]})
    wanted = agreement({"a": [levels[0] / 255.0], "b": [levels[1] / 255.0]})
    assert made.agreement["a", "b"] == pytest.approx(wanted["a", "b"], rel=1e-9)


def test_names_of_settings_tell_them_apart() -> None:
    assert Setting("grad_cam", ("a", "b"), {"x": 1}).name == "grad_cam@a+b (x=1)"
    assert Setting("grad_cam", None, {}, {"flip": True, "scales": (1.0,)}).name == "grad_cam (flipped, ×1)"
    assert Setting("grad_cam", augment={"flip": False, "scales": (1.0, 1.5)}).name == "grad_cam (×1, 1.5)"
    assert Setting("grad_cam", augment={"flip": False, "score": "log_probability"}).name == "grad_cam (log probability)"
    assert Setting("grad_cam", augment={"flip": False, "power": 0.85, "keep": 0.9}).name == (
        "grad_cam (power 0.85, keeping 0.9)"
    )
    assert Setting("grad_cam", augment={"flip": False, "power": 1.0}).name == "grad_cam"
    assert Setting("grad_cam", label="mine").name == "mine"
    assert Setting("center").is_control
    assert Setting("center").shows == "evidence"
    assert Setting("grad_cam").key("last") == Setting("grad_cam", "last").key()
    assert Setting("gradient").key("last") == Setting("gradient").key()
    assert Setting("center").key("last") == Setting("center").key()
    assert setting_of("grad_cam@a+b").layer == ("a", "b")
    assert setting_of("grad_cam", layer=["a", "b"]).layer == ("a", "b")
    assert setting_of("gradient", layer="a").layer is None
    for wrong in ("center@a", "gradient@a"):
        with pytest.raises(InputError, match="layer"):
            setting_of(wrong)
