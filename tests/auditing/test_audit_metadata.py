"""Metadata of real files: read within bounds, broken ones harmless; associations with labels and errors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

pytest.importorskip("scipy")

from shisen.auditing.associations import Association, associations
from shisen.auditing.metadata import Attribute, attributes
from shisen.errors import InputError
from shisen.training.data import Item, read_dataset


def photo(path: Path, *, tags: dict[int, Any] | None = None, sub: dict[int, Any] | None = None, **options: Any) -> Path:
    exif = Image.Exif()
    for tag, value in (tags or {}).items():
        exif[tag] = value
    for tag, value in (sub or {}).items():
        exif.get_ifd(0x8769)[tag] = value
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(path, exif=exif, **options)
    return path


def values(path: Path, label: str = "x", columns: tuple[tuple[str, str], ...] = ()) -> dict[tuple[str, str], Any]:
    return {(a.source, a.name): a.values[0] for a in attributes([Item(str(path), path.name, label, columns)])}


def test_what_pillow_wrote_is_read(tmp_path: Path) -> None:
    file = photo(
        tmp_path / "IMG_0123.jpg",
        tags={0x010F: "Acme\0", 0x0110: "Model  7", 0x0131: "Developer 2", 0x0112: 6},
        sub={0x9003: "2019:03:04 13:30:00", 0x8827: 400, 0x829A: IFDRational(1, 250), 0xA434: "50 mm"},
        quality=60,
    )
    found = values(file)
    assert found["exif", "present"] == "yes"
    assert (found["exif", "make"], found["exif", "model"]) == ("Acme", "Model 7")
    assert found["exif", "software"] == "Developer 2"
    assert found["exif", "orientation"] == "6"
    assert found["exif", "iso"] == 400.0
    assert found["exif", "exposure_time"] == pytest.approx(1 / 250)
    assert found["exif", "lens"] == "50 mm"
    assert found["exif", "hour"] == 13.5
    from datetime import date

    assert found["exif", "date"] == date(2019, 3, 4).toordinal()
    assert found["file", "jpeg_quality"] == 60.0
    assert (found["file", "width"], found["file", "height"]) == (32.0, 24.0)
    assert found["file", "size"] == file.stat().st_size
    assert found["file", "format"] == "JPEG"
    assert (found["file", "name"], found["file", "number"]) == ("img_#", 123.0)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_exif_of_other_formats_is_read_without_decoding(tmp_path: Path, suffix: str) -> None:
    file = photo(tmp_path / f"a{suffix}", tags={0x010F: "Acme"})
    assert values(file)["exif", "make"] == "Acme"


def broken(kind: str) -> bytes:
    buffer = io.BytesIO()
    exif = {
        "garbage": b"Exif\0\0" + bytes(range(256)) * 8,
        "loop": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
        "beyond": b"Exif\0\0II*\0\xff\xff\xff\x7f",
        "lengths": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\xff\x7f\x1a\0\0\0",
        "zero": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x9a\x82\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
        "empty": b"Exif\0\0",
    }[kind]
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["garbage", "loop", "beyond", "lengths", "zero", "empty"])
def test_broken_exif_tells_nothing_and_the_header_is_still_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(broken(kind))
    found = values(tmp_path / "a.jpg")
    assert found["file", "width"] == 8.0
    assert all(len(v) <= 60 for v in found.values() if isinstance(v, str))


def test_files_that_are_no_images_or_are_gone_have_a_name_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert values(tmp_path / "a.jpg")["file", "size"] == 8.0
    assert ("file", "width") not in values(tmp_path / "a.jpg")
    assert ("file", "size") not in values(tmp_path / "gone.jpg")


def test_texts_are_short_and_printable(tmp_path: Path) -> None:
    file = photo(tmp_path / "a.jpg", tags={0x0131: "<b>\x01\x02 x\n" + "y" * 5000})
    text = values(file)["exif", "software"]
    assert text.startswith("<b> x y")
    assert len(text) == 60
    assert text.isprintable()


def test_the_class_in_a_file_s_name_and_folder_is_left_out(tmp_path: Path) -> None:
    items = [Item("gone", "cat/site a/old_cat_07.png", "cat"), Item("gone", "dog/site b/old_dog_08.png", "dog")]
    found = {a.name: a.values for a in attributes(items)}
    assert found["folder"] == ("site a", "site b")
    assert found["name"] == ("old_#", "old_#")


def test_columns_are_names_numbers_or_days_and_may_be_empty(tmp_path: Path) -> None:
    rows = [
        f"{i}.png,{'ab'[i % 2]},{i % 3},{i + 0.5 if i % 5 else ''},2020-01-{i + 1:02d},{'' if i else 'x'}"
        for i in range(20)
    ]
    (tmp_path / "labels.csv").write_text("path,label,scanner,dose,day,note\n" + "\n".join(rows) + "\nlast.png,a\n")
    data = read_dataset(tmp_path / "labels.csv")
    found = {a.name: a for a in attributes(data.items) if a.source == "column"}
    order = [item.name for item in data.items]
    assert set(found) == {"scanner", "dose", "day", "note"}
    assert not found["scanner"].numeric
    assert found["dose"].numeric
    assert found["day"].numeric
    assert found["dose"].values[order.index("7.png")] == 7.5
    assert found["dose"].values[order.index("5.png")] is None
    assert found["scanner"].values[order.index("last.png")] is None
    day = found["day"].values
    assert day[order.index("3.png")] == day[order.index("2.png")] + 1


@pytest.mark.parametrize(
    "content", [b"path,label\n,a\n", b"path,label\nx.png,\n", b"path,label\n\xff\xfe.png,a\n", b""]
)
def test_a_csv_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError):
        read_dataset(tmp_path / "labels.csv")


LABELS = np.repeat([0, 1, 2], 40)


def only(found: tuple[Association, ...], against: str) -> Association:
    own = [a for a in found if a.against == against]
    assert len(own) == 1
    return own[0]


def test_a_site_that_goes_with_a_class_is_found_with_its_counts() -> None:
    sites = tuple("A" if i < 30 else "B" for i in range(40)) + tuple("A" if i % 4 == 0 else "B" for i in range(80))
    found, skipped = associations([Attribute("column", "site", sites)], LABELS, np.zeros(120, bool))
    a = only(found, "label")
    assert (a.label, a.test, a.n) == (0, "chi_squared", 120)
    assert {(a.value, a.inside, a.outside)} <= {("A", 30.0, 20.0), ("B", 10.0, 60.0)}
    from scipy.stats import chi2_contingency

    table = [[30, 10], [10, 30], [10, 30]]
    assert a.p == pytest.approx(float(chi2_contingency(table)[1]))
    assert not a.separate
    assert not skipped


def test_numbers_are_compared_by_ranks_and_missing_ones_left_out() -> None:
    draw = np.random.default_rng(0)
    numbers = draw.normal(0, 1, 120) + 2.0 * (LABELS == 1)
    given = tuple(None if i % 6 == 0 else float(v) for i, v in enumerate(numbers))
    a = only(associations([Attribute("file", "size", given)], LABELS, np.zeros(120, bool))[0], "label")
    from scipy.stats import kruskal

    known = np.asarray([v is not None for v in given])
    reference = kruskal(*(numbers[known & (k == LABELS)] for k in range(3)))
    assert a.p == pytest.approx(float(reference.pvalue))
    assert (a.label, a.value) == (1, "")
    assert a.inside == pytest.approx(float(np.median(numbers[known & (LABELS == 1)])))


def test_errors_are_compared_within_the_classes() -> None:
    wrong = np.zeros(120, bool)
    wrong[:30] = True  # class 0 is difficult, and comes from site A: its difficulty explains the errors of the site
    sites = tuple("A" if k == 0 else "AB"[i % 2] for i, k in enumerate(LABELS))
    found, _ = associations([Attribute("column", "site", sites)], LABELS, wrong)
    assert [a.against for a in found] == ["label"]
    wrong = np.asarray([i % 2 == 1 and i % 3 > 0 for i in range(120)])  # site B errs in every class
    found, _ = associations([Attribute("column", "site", tuple("AB"[i % 2] for i in range(120)))], LABELS, wrong)
    a = only(found, "error")
    assert (a.value, a.inside, a.inside_n, a.outside) == ("B", 40.0, 60, 0.0)


def test_numbers_of_errors_are_compared_within_the_classes() -> None:
    draw = np.random.default_rng(1)
    size = draw.normal(0, 1, 120) + 10.0 * LABELS
    wrong = np.concatenate([np.argsort(np.argsort(size[k == LABELS])) < 12 for k in range(3)])
    found, _ = associations([Attribute("file", "size", tuple(float(v) for v in size))], LABELS, wrong)
    a = only(found, "error")
    assert a.strength == pytest.approx(-0.5)  # every error has a smaller number than every correct image of its class
    assert a.p < 1e-6


def test_chance_is_rarely_called_an_association() -> None:
    draw = np.random.default_rng(2)
    wrong = draw.random(120) < 0.3
    alarms = 0
    for _ in range(20):
        names = [Attribute("column", f"c{j}", tuple(draw.choice(list("ABC"), 120))) for j in range(3)]
        numbers = [Attribute("column", f"n{j}", tuple(draw.normal(0, 1, 120).tolist())) for j in range(3)]
        alarms += bool(associations([*names, *numbers], LABELS, wrong)[0])
    assert alarms <= 3


def test_few_images_and_values_of_their_own_are_not_tested() -> None:
    few = np.repeat(np.arange(40), 3)
    found, skipped = associations([Attribute("column", "site", tuple("AB" * 60))], few, np.zeros(120, bool))
    assert not found
    assert [s.reason for s in skipped] == ["few_images"]
    names = tuple(f"patient {i}" for i in range(120))
    found, skipped = associations([Attribute("column", "patient", names)], LABELS, np.zeros(120, bool))
    assert not found
    assert [s.reason for s in skipped] == ["all_different"]


def test_another_name_of_the_class_is_said_to_be_inseparable() -> None:
    names = tuple(f"n{k}" for k in LABELS)
    a = only(associations([Attribute("column", "wordnet_id", names)], LABELS, np.zeros(120, bool))[0], "label")
    assert a.separate
    assert a.strength == pytest.approx(1.0, abs=0.02)
