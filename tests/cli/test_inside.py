"""shisen activations and shisen filters, run as a person would, on a network of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shisen.cli import main

NETWORK = """
import torch, shisen

def build():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 3))
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess(size=32), labels=["ant", "bee", "cat"])
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network and two photos, in which one stands."""
    (tmp_path / "insidenet.py").write_text(NETWORK)
    (tmp_path / "photos").mkdir()
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"p{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([*words])
    return int(end.value.code or 0)


MODEL = ("--model", "insidenet:build")


def test_grids_of_chosen_layers(desk: Path) -> None:
    assert run("activations", "photos/p0.png", *MODEL, "--layer", "[01]", "--scaling", "article", "--out", "grids") == 0
    assert sorted(p.name for p in (desk / "grids").iterdir()) == ["0.png", "1.png", "contact_sheet.png"]
    words = ("activations", "photos/p0.png", *MODEL, "--layer", "1")
    assert run(*words, "--scale", "layer", "--out", "a") == run(*words, "--scaling", "layer", "--out", "b") == 0
    assert (desk / "a" / "1.png").read_bytes() == (desk / "b" / "1.png").read_bytes()
    assert run(*words, "--out", "c") == 0
    assert (desk / "a" / "1.png").read_bytes() != (desk / "c" / "1.png").read_bytes()


def test_one_channel_lies_over_the_image_and_ranked_and_html(desk: Path) -> None:
    assert run("activations", "photos/p0.png", *MODEL, "-l", "1", "--channel", "3", "--out", "one") == 0
    with Image.open(desk / "one" / "1_3.png") as image:
        assert image.size == (50, 40)
    assert run("activations", "photos/p0.png", *MODEL, "-l", "1", "--ranked", "-t", "bee", "--out", "one") == 0
    assert (desk / "one" / "1_ranked.png").is_file()
    assert run("activations", "photos", *MODEL, "--html", "--lang", "ja", "--out", "pages") == 0
    assert '<html lang="ja">' in (desk / "pages" / "p0" / "p0.html").read_text(encoding="utf-8")
    assert (desk / "pages" / "p0" / "p0.html").is_file()
    assert (desk / "pages" / "p1" / "p1.html").is_file()


def test_filters_with_examples_and_site(desk: Path) -> None:
    words = (
        "--grid",
        "2",
        "--image-size",
        "16",
        "--n-steps",
        "3",
        "--examples",
        "photos",
        "--site",
        "site",
        "--lang",
        "ja",
        "--out",
        "f.png",
    )
    assert run("filters", *MODEL, "--layer", "0", *words) == 0
    record = json.loads((desk / "f.json").read_text())
    assert [f["channel"] for f in record["filters"]] == ["0", "1", "2", "3"]
    assert all(f["ratio"] is not None for f in record["filters"])
    assert (desk / "f_examples.png").is_file()
    assert "の内部</h1>" in (desk / "site" / "index.html").read_text(encoding="utf-8")


def test_classes_and_chosen_channels(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run("filters", *MODEL, "-l", "logits", "-c", "0,2", "--image-size", "16", "--n-steps", "2", "--out", "c.png")
        == 0
    )
    assert [f["channel"] for f in json.loads((desk / "c.json").read_text())["filters"]] == ["ant", "cat"]
    assert "of 2 channels of logits fired" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--layer", "9"), "no layer '9'"),
        (("--layer", "0", "-c", "one"), "channels must look like"),
        (("--layer", "0", "-c", "99", "--n-steps", "1", "--image-size", "16"), "between 0 and 4"),
    ],
)
def test_wrong_words_are_answered(
    desk: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], answer: str
) -> None:
    assert run("filters", *MODEL, *words) == 2
    assert answer in capsys.readouterr().err


def test_stopping_leaves_no_half_file(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shisen.inspect import optimizer

    def interrupted(self: object, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(optimizer.Adam, "step", interrupted)
    assert run("filters", *MODEL, "--layer", "0", "--image-size", "16", "--out", "f.png") == 130
    assert not list(desk.glob("*.png"))
    assert "Interrupted" in capsys.readouterr().err
