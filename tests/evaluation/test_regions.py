from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.nets import model, spots
from evaluation.samples import SIDE, sample
from shisen.errors import InputError
from shisen.evaluation.annotations import Box, read_regions, region_of
from shisen.evaluation.collages import cell, collages, halved
from shisen.evaluation.examples import small_image, small_map
from shisen.evaluation.localization import energy_pointing_game, pointing_game
from shisen.evaluation.runner import evaluate
from shisen.types import Frame

CORNER = np.zeros((SIDE, SIDE), dtype=bool)
CORNER[:2, :3] = True


def test_energy_by_hand() -> None:
    heat = np.zeros((SIDE, SIDE))
    heat[0, 0], heat[7, 7], heat[4, 4] = 3.0, 1.0, -5.0
    assert energy_pointing_game(sample(heat, region=CORNER)).value == pytest.approx(0.75)
    for flat in (np.ones((SIDE, SIDE)), np.zeros((SIDE, SIDE)), -np.ones((SIDE, SIDE))):
        assert energy_pointing_game(sample(flat, region=CORNER)).value == pytest.approx(6 / 64)


def test_pointing_by_hand() -> None:
    for place, tolerance, want in (((1, 1), 0, 1), ((5, 5), 0, 0), ((1, 4), 2 * 28, 1), ((1, 5), 2 * 28, 0)):
        heat = np.zeros((SIDE, SIDE))
        heat[place] = 1.0
        assert pointing_game(sample(heat, region=CORNER), tolerance=tolerance).value == want
    flat = sample(np.ones((SIDE, SIDE)), region=CORNER)
    assert pointing_game(flat, tolerance=0).value == pytest.approx(6 / 64)
    assert np.isnan(pointing_game(sample(np.ones((SIDE, SIDE)), region=np.zeros_like(CORNER))).value)


def test_perfect_beats_random_beats_inverted() -> None:
    noise = [np.random.default_rng(k).random((SIDE, SIDE)) for k in range(40)]
    for metric in (pointing_game, energy_pointing_game):
        good = metric(sample(CORNER.astype(float), region=CORNER)).value
        bad = metric(sample(1.0 - CORNER, region=CORNER)).value
        middle = np.mean([metric(sample(v, region=CORNER)).value for v in noise])
        assert good > middle > bad


def test_boxes_follow_the_image_into_the_input() -> None:
    # an image of 40 × 20 pixels, of which the right half is shown in 10 × 10
    frame = Frame((40, 20), (10, 10), (10.0, 0.0, 20.0, 40.0))
    found = region_of([Box(12, 8, 16, 20)], frame)
    want = np.zeros((10, 10), dtype=bool)
    want[2:5, 2:6] = True
    np.testing.assert_array_equal(found, want)
    mask = np.zeros((40, 20), dtype=bool)
    mask[8:20, 12:16] = True
    np.testing.assert_array_equal(region_of(mask, frame), want)
    square = Box(0, 0, 0, 0, outlines=((12.0, 8.0, 16.0, 8.0, 16.0, 20.0, 12.0, 20.0),))
    np.testing.assert_array_equal(region_of([square], frame), want)


def test_padding_is_never_part_of_the_object() -> None:
    frame = Frame((10, 20), (20, 20), (0.0, -5.0, 20.0, 15.0))
    found = region_of(np.ones((10, 20), dtype=bool), frame)
    assert not found[:5].any()
    assert found[5:15].all()
    assert not found[15:].any()


def test_boxes_of_the_class_go_first() -> None:
    frame = Frame((4, 4), (4, 4), (0.0, 0.0, 4.0, 4.0))
    boxes = [Box(0, 0, 1, 1, "cat"), Box(2, 2, 4, 4, "dog")]
    assert region_of(boxes, frame, ["Cat"]).sum() == 1
    assert region_of(boxes, frame, ["horse"]).sum() == 5


def test_readers(tmp_path: Path) -> None:
    want = (Box(9.0, 19.0, 30.0, 40.0, "dog"),)
    (tmp_path / "b.csv").write_text("file,label,left,top,right,bottom\nx/a.jpg,dog,9,19,30,40\n")
    assert read_regions(tmp_path / "b.csv") == {"a.jpg": want}
    (tmp_path / "b.json").write_text(
        json.dumps(
            {
                "images": [{"id": 7, "file_name": "train/a.jpg"}],
                "categories": [{"id": 3, "name": "dog"}],
                "annotations": [{"image_id": 7, "category_id": 3, "bbox": [9, 19, 21, 21]}],
            }
        )
    )
    assert read_regions(tmp_path / "b.json") == {"a.jpg": want}
    voc = "<annotation><filename>a.jpg</filename><object><name>dog</name><bndbox><xmin>10</xmin><ymin>20</ymin>"
    voc += "<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"
    folder = tmp_path / "voc"
    folder.mkdir()
    (folder / "a.xml").write_text(voc)
    assert read_regions(folder) == {"a.jpg": want}
    assert read_regions(folder / "a.xml") == {"a.jpg": want}


def test_entities_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("42")
    for kind in (f'<!ENTITY x SYSTEM "file://{secret}">', '<!ENTITY x "y">', ""):
        file = tmp_path / "a.xml"
        file.write_text(f'<?xml version="1.0"?><!DOCTYPE a [{kind}]><annotation><filename>a</filename></annotation>')
        with pytest.raises(InputError, match="document type"):
            read_regions(file)


def test_broken_annotations_say_so(tmp_path: Path) -> None:
    for name, text in (("a.xml", "<a><b></a>"), ("a.json", "{}"), ("a.csv", "name,box\na,1\n"), ("b.json", "[")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_regions(tmp_path / name)
    with pytest.raises(InputError, match="COCO"):
        read_regions(tmp_path / "nothing.txt")


def test_regions_reach_the_metrics(tmp_path: Path) -> None:
    from PIL import Image

    names = []
    regions = {}
    for k, image in enumerate(spots(4)):
        names.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(image).save(names[-1])
        y, x = np.argwhere(image.max(axis=2) > 200)[[0, -1]].T
        if k:
            regions[f"{k}.png"] = (Box(x[0], y[0], x[1] + 1, y[1] + 1),)
    kinds = ["pointing_game", "energy_pointing_game"]
    scores = evaluate(model(), names, ["grad_cam"], kinds, regions=regions, control_maps=["constant"])
    assert [r.value for r in scores.of("grad_cam", "pointing_game").values()] == [
        1.0
    ] * 3  # the one without is left out
    assert scores.score("grad_cam", "energy_pointing_game").value > 0.6
    assert scores.score("constant", "energy_pointing_game").value == pytest.approx(64 / 256)


def test_collages() -> None:
    images = [np.full((2, 2, 1), k, dtype=np.float32) for k in range(9)]
    made = collages(images, [0, 0, 1, 1, 2, 2, 3, 3, 4], [0.9] * 8 + [0.1])
    assert len(made) == 2
    used = [m for c in made for m in c.members]
    assert len(set(used)) == 8
    assert 8 not in used
    for c in made:
        assert len({[0, 0, 1, 1, 2, 2, 3, 3][m] for m in c.members}) == 4
        for place, member in enumerate(c.members):
            assert np.unique(c.image[cell(place, (4, 4))]) == [member]
    assert halved(made[0].image)[:, :, 0].ravel().tolist() == list(made[0].members)
    assert collages(images, [0] * 9, [1.0] * 9) == []


def test_outlines_count_pixels_whose_centers_they_enclose() -> None:
    """Corners on pixel centers: the upper and left edges belong to the outline, the others do not."""
    corners = (1.5, 2.5, 4.5, 2.5, 4.5, 6.5, 1.5, 6.5)
    box = Box(1.5, 2.5, 4.5, 6.5, "", (corners,))
    found = region_of((box,), Frame((8, 8), (8, 8), (0.0, 0.0, 8.0, 8.0)))
    want = np.zeros((8, 8), dtype=bool)
    want[2:6, 1:4] = True
    np.testing.assert_array_equal(found, want)


def test_small_copies_for_reports() -> None:
    image = np.zeros((300, 150, 3), dtype=np.float32)
    image[:150], image[150:, :, 1] = 1.0, 0.5
    small = small_image(image)
    assert small.shape == (128, 64, 3)
    assert small[10, 10].tolist() == [255, 255, 255]
    assert small[100, 10].tolist() == [0, 128, 0]
    assert small_map(image[:, :, 1])[100, 10] == 128
    assert small_map(np.ones((20, 30))).shape == (20, 30)
    assert small_image(np.full((4, 4, 1), 0.2)).tolist() == [[[51, 51, 51]] * 4] * 4
