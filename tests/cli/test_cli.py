"""The command line on real photos with the embedded network: what a person types and what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from skimage import data

from shisen.cli import main
from shisen.cli.options import DEFAULT_OUT


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.cat()).save(folder / "cat.png")
    Image.fromarray(data.coffee()).save(folder / "coffee.jpg")
    return folder


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*words: object) -> Ran:
        with pytest.raises(SystemExit) as stop:
            main([str(w) for w in words])
        said = capsys.readouterr()
        return Ran(int(stop.value.code or 0), said.out, said.err)

    return call


def test_predict_prints_a_table_with_class_id_and_probability(run, photos: Path) -> None:
    ran = run("predict", photos / "cat.png", "--top", 3)
    assert ran.code == 0
    first = next(line for line in ran.out.splitlines() if "%" in line)
    assert "tiger cat" in first
    assert "n02123159" in first


def test_predict_speaks_json_to_programs(run, photos: Path) -> None:
    ran = run("predict", photos, "--json", "--top", 2)
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [Path(r["image"]).name for r in rows] == ["cat.png", "coffee.jpg"]
    assert rows[1]["predictions"][0]["label"] == "espresso"
    assert all(len(r["predictions"]) == 2 for r in rows)
    assert sum(p["probability"] for p in rows[0]["predictions"]) <= 1


def test_predict_decodes_large_photos_at_a_part_of_their_size(run, photos: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    Image.open(photos / "coffee.jpg").convert("RGB").resize((2400, 1600)).save(large, quality=90)
    slow, quick = (json.loads(run("predict", large, "--json", *more).out) for more in ((), ("--quick",)))
    a, b = slow["predictions"][0], quick["predictions"][0]
    assert a["label"] == b["label"] == "espresso"
    assert 0 < abs(a["logit"] - b["logit"]) < 0.5, "another image, but nearly the same"


def test_explain_writes_a_image_of_the_images_size_and_says_where(run, photos: Path, tmp_path: Path) -> None:
    ran = run("explain", photos / "cat.png", "--out", tmp_path)
    assert ran.code == 0
    file = tmp_path / "cat_grad_cam.png"
    assert str(file) in ran.out
    assert "tiger cat" in ran.out
    with Image.open(file) as drawn:
        assert drawn.size == data.cat().shape[1::-1]
    record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["method"] == "grad_cam"
    assert record["target"]["name"] == "tiger cat"
    assert record["layer"] == "head"
    assert record["image"]["sha256"]
    assert record["versions"]["torch"]


def test_explain_takes_folders_targets_styles_and_methods(run, photos: Path, tmp_path: Path) -> None:
    ran = run(
        "explain", photos, "--method", "gradient", "--target", "African elephant", "--style", "mask", "--out", tmp_path
    )
    assert ran.code == 0
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [
        "cat_gradient_African-elephant.png",
        "coffee_gradient_African-elephant.png",
    ]
    record = json.loads((tmp_path / "coffee_gradient_African-elephant.json").read_text(encoding="utf-8"))
    assert record["target"]["indices"] == [386]
    assert record["drawing"]["style"] == "mask"


def test_a_bad_file_is_listed_and_loses_no_neighbor(run, photos: Path, tmp_path: Path) -> None:
    bad = tmp_path / "broken.jpg"
    bad.write_bytes((photos / "coffee.jpg").read_bytes()[:900])
    ran = run("explain", photos / "cat.png", bad, photos / "coffee.jpg", "--out", tmp_path / "maps")
    assert ran.code == 1
    assert sorted(p.name for p in (tmp_path / "maps").glob("*.png")) == ["cat_grad_cam.png", "coffee_grad_cam.png"]
    assert "1 of 3 images could not be used" in ran.err
    assert "broken.jpg" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--method", "grad_cm"], "grad_cam"),
        (["--target", "African elefant"], "African elephant"),
        (["--layer", "haed"], "head"),
        (["--colormap", "jett"], "jet"),
        (["--model", "efficientnet_lite9"], "efficientnet_lite0"),
        (["-O", "n=3"], "option"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(run, photos: Path, words: list[str], hint: str) -> None:
    ran = run("explain", photos / "cat.png", *words)
    assert ran.code == 2
    assert hint in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_layer_is_wrong_usage_and_said_once(run, photos: Path, tmp_path: Path) -> None:
    ran = run("explain", photos, "--layer", "haed", "--out", tmp_path)
    assert ran.code == 2
    assert ran.err.count("haed") == 1
    assert "'head'" in ran.err


def test_what_cannot_be_used_is_one_sentence_and_wrong_usage(run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words, sentence in (
        (("--out", tmp_path / "file" / "maps"), "is a file, not a folder."),
        (("--device", "cuda:99"), "The device must exist on this machine."),
    ):
        ran = run("explain", photos / "cat.png", *words)
        assert ran.code == 2
        (line,) = [line for line in ran.err.splitlines() if "Error" in line]
        assert sentence in line
        assert "Traceback" not in ran.err


def test_two_targets_never_overwrite_each_other(run, photos: Path, tmp_path: Path) -> None:
    words = ("explain", photos / "cat.png", "--method", "gradient", "--format", "npy", "--out", tmp_path)
    typed = [
        "tabby",
        "tabby / lynx",
        "tabby lynx",
        "tabby, tabby cat",
        "not tabby",
        "281",
        "-281",
        "tiger cat",
        "tiger-cat",
    ]
    from shisen.naming import file_words

    assert len({file_words(target) for target in typed}) == len(typed)
    for target in ("tabby", "not tabby", "tabby / Egyptian cat"):
        assert run(*words, "--target", target).code == 0
    assert run(*words).code == 0
    assert len(list(tmp_path.glob("cat_gradient*.npy"))) == 4
    assert (tmp_path / "cat_gradient.npy").is_file()
    assert (tmp_path / "cat_gradient_not-tabby.npy").is_file()


def test_an_unknown_command_is_answered_with_the_nearest(run) -> None:
    ran = run("explane")
    assert ran.code == 2
    assert "'explain'" in ran.err


def test_a_missing_image_is_said_in_words(run) -> None:
    ran = run("predict", "nowhere.jpg")
    assert ran.code in (1, 2)
    assert "nowhere.jpg" in ran.err
    assert "Traceback" not in ran.err


def test_layers_marks_the_default_and_says_why(run) -> None:
    ran = run("layers")
    assert ran.code == 0
    marked = [line for line in ran.out.splitlines() if "→" in line]
    assert len(marked) == 1
    assert "7 × 7 × 1280" in marked[0]
    assert "last feature map before pooling" in ran.out


def test_methods_and_models_are_listed(run) -> None:
    ran = run("methods", "--json")
    listed = {m["name"]: m for m in json.loads(ran.out)}
    assert {"gradient", "input_x_gradient", "grad_cam"} <= set(listed)
    assert "Selvaraju" in listed["grad_cam"]["paper"]
    ran = run("models")
    assert "efficientnet_lite2" in ran.out
    assert "package.module:build" in ran.out


def test_raw_values_can_be_written(run, photos: Path, tmp_path: Path) -> None:
    run("explain", photos / "cat.png", "--format", "npy", "--out", tmp_path)
    values = np.load(tmp_path / "cat_grad_cam.npy", allow_pickle=False)
    assert values.shape == (7, 7)
    assert values.max() > 0


def test_a_method_that_needs_caution_says_so_when_it_is_used(run, photos: Path, tmp_path: Path) -> None:
    said = run("explain", photos / "cat.png", "--method", "eigen_cam", "--out", tmp_path)
    assert "Caution: eigen_cam stays more than half alike" in said.err


def test_contrast_and_rank_can_be_typed(run, photos: Path, tmp_path: Path) -> None:
    run("explain", photos / "cat.png", "--target", "tabby / Egyptian cat", "--out", tmp_path / "a.png")
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert record["target"]["name"] == "tabby rather than Egyptian cat"
    run("explain", photos / "cat.png", "--target", "top2", "--out", tmp_path / "b.png")
    record = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert record["target"]["indices"] == [record["scores"][1]["index"]]


def test_compare_writes_a_figure_and_a_record_of_every_panel(run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    ran = run("compare", photos / "cat.png", "--methods", "gradient,grad_cam,legrad", "--top", 2, "--out", out)
    assert ran.code == 1, "legrad needs attention"
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [(p["method"], p["target"]["name"]) for p in record["panels"]] == [
        (method, target) for target in ("tiger cat", "Egyptian cat") for method in ("gradient", "grad_cam")
    ]
    assert record["timings"]["gradient"]["passes"] == 1
    assert record["timings"]["grad_cam"]["passes"] == 1
    assert list(record["failures"]) == ["legrad"]
    with Image.open(out) as drawn:
        assert drawn.width > drawn.height > 300
    assert f"Wrote {out}, {out.with_suffix('.json')}" in ran.out
    words = ("--target", "tabby", "--target", "tabby / Egyptian cat", "--methods", "gradient", "--out", out)
    assert run("compare", photos / "cat.png", *words).code == 0
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [p["target"]["name"] for p in record["panels"]] == ["tabby", "tabby rather than Egyptian cat"]
    assert run("compare", photos / "cat.png", "--target", "tabby", "--top", 2).code == 2
    words = (
        "--size",
        96,
        "--methods",
        "smooth_grad,occlusion",
        "--n-samples",
        3,
        "--seed",
        5,
        "--baseline",
        "0.25",
        "--out",
        out,
    )
    assert run("compare", photos / "cat.png", *words).code == 0
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [p["options"].get("baseline") for p in record["panels"]] == [None, 0.25]
    assert record["panels"][0]["options"] | {"n_samples": 3, "seed": 5} == record["panels"][0]["options"]
    ran = run("compare", photos / "cat.png", "--methods", "grad_cam", "--n-samples", 3)
    assert ran.code == 2
    assert "--n-samples" in ran.err


@pytest.mark.slow
def test_two_hundred_damaged_files_lose_no_neighbor(run, photos: Path, tmp_path: Path) -> None:
    from models.test_damaged import CASES
    from shisen.errors import ImageError
    from shisen.models.image_io import open_image

    folder = tmp_path / "mixed"
    folder.mkdir()
    must_fail, may_load = 0, 0
    for i, (name, source, _) in enumerate(CASES):
        if not isinstance(source, bytes):
            continue
        suffix = Path(name).suffix if Path(name).suffix in (".jpg", ".png", ".gif", ".webp", ".tif") else ".jpg"
        file = folder / f"{i:03d}{suffix}"
        file.write_bytes(source)
        try:
            open_image(file)
            may_load += 1
        except ImageError:
            must_fail += 1
    for place in ("000a", "100a", "999a"):
        (folder / f"{place}.png").write_bytes((photos / "cat.png").read_bytes())
    ran = run("explain", folder, "--method", "gradient", "--format", "npy", "--out", tmp_path / "maps")
    assert ran.code == 1
    assert must_fail > 50
    assert f"{must_fail} of {must_fail + may_load + 3} images could not be used" in ran.err
    assert "Traceback" not in ran.err + ran.out
    maps = [np.load(tmp_path / "maps" / f"{place}_gradient.npy") for place in ("000a", "100a", "999a")]
    assert len(list((tmp_path / "maps").glob("*.npy"))) == may_load + 3
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-4 * np.abs(maps[0]).max())


def test_fast_is_half_precision_and_says_so(run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shisen.adapters.torch import adapter as adapter

    monkeypatch.setattr(adapter, "half_of", lambda device: ("bfloat16", ""))
    ran = run("explain", photos / "cat.png", "--fast", "--device", "cpu", "--out", tmp_path / "fast.png")
    assert ran.code == 0
    assert "bfloat16" in ran.err
    assert json.loads((tmp_path / "fast.json").read_text())["model"]["precision"] == "bfloat16"
    monkeypatch.setattr(adapter, "half_of", lambda device: ("", "this processor would be slower"))
    ran = run("explain", photos / "cat.png", "--fast", "--device", "cpu", "--out", tmp_path / "plain.png")
    assert ran.code == 0
    assert "slower" in ran.err
    assert json.loads((tmp_path / "plain.json").read_text())["model"]["precision"] == "float32"


def test_the_batch_size_can_be_set_by_hand_or_is_measured_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from shisen.cli import common
    from shisen.models import batch_size

    monkeypatch.setattr(batch_size, "tuned", lambda model: model.batched(7))
    given = dict.fromkeys(("weights", "labels", "batch_size", "head"))
    given |= {"model": "efficientnet_lite0", "framework": "", "device": "cpu", "fast": False, "trust": False}
    given |= {"no_top": False}
    own = common.load_model(dict(given)).batch_size
    assert own != 7
    assert common.load_model(dict(given), common.LONG).batch_size == 7
    assert common.load_model({**given, "batch_size": 3}, common.LONG).batch_size == 3


def test_a_batch_size_from_the_environment_is_checked(run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHISEN_BATCH_SIZE", "none")
    ran = run("predict", photos / "cat.png")
    assert ran.code == 2
    assert "--batch-size" in ran.err


ALIASES = {
    "--language",
    "--output",
    "--random-state",
    "--batch",
    "--class",
    "--classes",
    "--draws",
    "--fill",
    "--count",
}


def test_one_option_name_for_one_idea_over_all_commands() -> None:
    """An option means the same everywhere: one type, one default if it has one, and one folder for what is written."""
    from shisen.cli.main import COMMANDS, shisen

    context = click.Context(shisen)
    kinds: dict[str, set[str]] = {}
    for name in COMMANDS:
        command = shisen.get_command(context, name)
        assert command is not None
        for option in command.params:
            if not isinstance(option, click.Option):
                continue
            assert not ALIASES & set(option.opts), f"{name} {option.opts}"
            assert all(opt == opt.lower() or opt == "-O" for opt in option.opts)
            kinds.setdefault(option.opts[0], set()).add(type(option.type).__name__)
            if option.name == "out":
                assert Path(str(option.default)).parts[0] == DEFAULT_OUT, f"{name} writes elsewhere"
                assert option.opts == ["--out", "-o"]
            assert (option.help or "").rstrip().endswith("."), f"{name} {option.opts[0]} is not a sentence"
    for name in ("--layer", "--target", "--out", "--seed", "--batch-size", "--lang", "--baseline", "--n-samples"):
        assert len(kinds[name]) == 1, f"{name} takes {kinds[name]}"
