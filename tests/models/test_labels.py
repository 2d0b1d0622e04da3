"""Labels: every way a person names a class, and every file that may hold names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from shisen.errors import InputError, UnknownName
from shisen.models.label_files import labels_of, read_labels
from shisen.models.labels import Labels, imagenet, numbered


def test_imagenet_agrees_with_the_labeled_photographs(shared: Path) -> None:
    with open(shared / "photos" / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    labels = imagenet()
    for row in rows:
        index = int(row["class_index"])
        assert (labels[index], labels.wordnet_id(index)) == (row["label"], row["wordnet_id"])
        assert labels.find(row["wordnet_id"]) == index


def test_imagenet_is_whole_and_in_the_order_of_the_ids() -> None:
    labels = imagenet()
    assert len(labels) == 1000
    assert labels.wordnet_ids is not None
    assert list(labels.wordnet_ids) == sorted(set(labels.wordnet_ids))
    assert labels[:2] == ("tench", "goldfish")


@pytest.mark.parametrize(
    "query",
    [386, "386", np.int64(386), "African elephant", "african_elephant", " AFRICAN-Elephant ", "n02504458", "N02504458",
     "Loxodonta africana"],
)  # fmt: skip
def test_every_way_to_say_african_elephant(query: int | str) -> None:
    assert imagenet().find(query) == 386


def test_the_letter_decides_between_the_dog_and_the_garment() -> None:
    assert (imagenet().find("Cardigan"), imagenet().find("cardigan")) == (264, 474)


def test_a_label_wins_over_another_class_synonym() -> None:
    assert imagenet().find("tub") == 876


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("crane", ("134 = n02012849", "517 = n03126707")),
        ("Maillot", ("638 = n03710637", "639 = n03710721")),
        ("panda", ("387 = n02509815", "388 = n02510455")),
    ],
)
def test_ambiguous_names_list_their_candidates(query: str, ids: tuple[str, ...]) -> None:
    with pytest.raises(UnknownName) as caught:
        imagenet().find(query)
    assert all(i in str(caught.value) for i in ids)
    assert "index or by WordNet id" in str(caught.value)


def test_every_unambiguous_label_finds_itself() -> None:
    labels = imagenet()
    lost = [n for i, n in enumerate(labels) if labels.names.count(n) == 1 and labels.find(n) != i]
    assert lost == []
    assert all(labels.find(w) == i for i, w in enumerate(labels.wordnet_ids or ()))


@pytest.mark.parametrize(("query", "near"), [("african elefant", "African elephant"), ("goldfsh", "goldfish")])
def test_unknown_names_bring_the_nearest(query: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'"):
        imagenet().find(query)


@pytest.mark.parametrize("query", [1000, -1, "1000", "-1"])
def test_an_index_out_of_range(query: int | str) -> None:
    with pytest.raises(UnknownName, match="between 0 and 999"):
        imagenet().find(query)


@pytest.mark.parametrize("query", [True, 1.5, None])
def test_other_types_are_refused(query: object) -> None:
    with pytest.raises(InputError, match="by index, label or WordNet id"):
        imagenet().find(query)  # type: ignore[arg-type]


def test_a_label_made_of_digits_is_a_label() -> None:
    assert Labels(("7", "8", "9")).find("8") == 1


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="one WordNet id a class"):
        Labels(("a", "b"), ("n1",))


FILES = {
    "plain.txt": "cat\n\ndog \n",
    "byte_order_mark.txt": "\ufeffcat\r\ndog\r\n",
    "column.csv": "cat\ndog\n",
    "titles.csv": "file,class_index,label\na.jpg,1,dog\nb.jpg,0,cat\nc.jpg,1,dog\n",
    "two.csv": "1,dog\n0,cat\n",
    "list.json": '["cat", "dog"]',
    "object.json": '{"1": "dog", "0": "cat"}',
    "turned.json": '{"dog": 1, "cat": 0}',
}
FILES_WITH_IDS = {
    "ids.csv": "index,wnid,name\n0,n02121808,cat\n1,n02084071,dog\n",
    "ids.tsv": "n02121808\tcat\nn02084071\tdog\n",
    "keras.json": '{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"]}',
    "pairs.json": '[["n02121808", "cat"], ["n02084071", "dog"]]',
}


@pytest.mark.parametrize("name", [*FILES, *FILES_WITH_IDS])
def test_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text((FILES | FILES_WITH_IDS)[name], "utf-8")
    labels = read_labels(path)
    assert labels.names == ("cat", "dog")
    assert labels.wordnet_ids == (("n02121808", "n02084071") if name in FILES_WITH_IDS else None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gap.json", '{"0": "cat", "2": "dog"}', "without a gap"),
        ("broken.json", '["cat", ', "Save it again"),
        ("number.json", "3", "a list or an object"),
        ("entry.json", "[3]", "an index with a label"),
        ("empty.txt", "\n", "at least one label"),
        ("empty.csv", "", "at least one label"),
        ("ragged.csv", "0,cat\n1,dog,big\n", "2 columns"),
    ],
)
def test_bad_files_say_why(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        read_labels(path)


def test_latin_1_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes("Bär\nKatze".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_labels(path)


def test_written_out_and_other_givens(tmp_path: Path) -> None:
    assert labels_of("cat, dog").names == ("cat", "dog")
    assert labels_of(["cat", "dog"]).names == ("cat", "dog")
    assert labels_of("ImageNet") is imagenet()
    assert labels_of(imagenet()) is imagenet()
    assert list(numbered(2)) == ["class 0", "class 1"]
    path = tmp_path / "a,b.json"
    path.write_text(json.dumps(["x", "y"]))
    assert labels_of(str(path)).names == ("x", "y")
    with pytest.raises(InputError, match="which is neither"):
        read_labels("nowhere.txt")
