"""A model with a known shortcut is repaired, and the proof says no more than was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from PIL import Image
from safetensors.numpy import load_file

import shisen
from auditing import toy
from shisen.errors import InputError

from .conftest import Home


def stamped(model: Any, folder: Path, corner: tuple[int, int] = (4, 26)) -> tuple[float, float]:
    """Return the fraction of cold images called warm, as they are and with the true magenta stamp."""
    said = []
    for put_on in (False, True):
        images = []
        for file in sorted((folder / "cold").iterdir()):
            image = Image.open(file).convert("RGB")
            if put_on:
                image.paste((255, 0, 255), (*corner, corner[0] + 10, corner[1] + 10))
            images.append(model.prepare(model.read(image))[0])
        said.append(float((np.asarray(model.activations(np.stack(images))).argmax(1) == 1).mean()))
    return said[0], said[1]


def with_weights(folder: Path) -> Any:
    """Return the toy with the weights of a repair."""
    import torch

    model = toy.model(True)
    state = {k: torch.from_numpy(v) for k, v in load_file(folder / "weights.safetensors").items()}
    model.network.net.load_state_dict(state)
    return model


def test_the_true_stamp_turns_nothing_any_more_and_accuracy_is_kept(home: Home, repaired: Any) -> None:
    plain, given = stamped(home.model, home.root / "test")
    assert given - plain > 0.9, "the shortcut is there before"
    cured = with_weights(Path(repaired.folder))
    for corner in ((4, 26), (26, 4), (15, 15)):
        plain, given = stamped(cured, home.root / "test", corner)
        assert given - plain < 0.03
    assert repaired.accuracy.after.value >= repaired.accuracy.before.value - 0.01
    (cure,) = repaired.cures
    assert (cure.label, cure.verdict) == ("warm", "removed")
    assert cure.forms[0].effect.before.value > 0.9
    assert all(form.effect.after.value < 0.03 for form in cure.forms)
    assert {form.name.split()[0] for form in cure.forms} == {"same", "position", "size", "strength"}
    assert cure.conflict.after.value > cure.conflict.before.value + 0.9
    assert repaired.cured


def test_the_control_does_not_change(repaired: Any) -> None:
    (cure,) = repaired.cures
    assert cure.control is not None
    assert abs(cure.control.after.value - cure.control.before.value) <= 0.02


def test_the_model_itself_stays_as_it_is(home: Home, repaired: Any) -> None:
    fresh = toy.model(True).network.net.state_dict()
    assert all(np.array_equal(v, fresh[k]) for k, v in home.model.network.net.state_dict().items())


def test_the_record_says_what_was_done(home: Home, repaired: Any) -> None:
    record = json.loads((Path(repaired.folder) / "repair.json").read_text())["repair"]
    assert record["history"]["parent"]["name"] == "toy"
    assert record["history"]["findings"] == [1]
    assert record["history"]["treatment"] == repaired.treatment
    assert [t["treatment"] for t in record["trials"]][:2] == ["none", "projection"]
    assert sum(t["chosen"] for t in record["trials"]) == 1
    assert not (Path(repaired.folder) / "work").exists()


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_report_shows_before_and_after(home: Home, repaired: Any, lang: str) -> None:
    shisen.repair(home.model, home.audit, home.data, home.root / lang, lang=lang)
    page = (home.root / lang / "index.html").read_text()
    assert f'lang="{lang}"' in page
    assert page.count('class="quad"') == 3
    assert ("The shortcut was removed." in page) == (lang == "en")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_an_interrupted_repair_goes_on_to_the_same_weights(home: Home, repaired: Any) -> None:
    out = home.root / "interrupted"
    calls = 0

    def stop(done: int, total: int, words: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shisen.repair(home.model, home.audit, home.data, out, progress=stop)
    assert not (out / "weights.safetensors").exists()
    assert list(out.glob("work/*/*/*.npy")), "what was made is kept"
    shisen.repair(home.model, home.audit, home.data, out)
    for name in ("weights.safetensors", "repair.json"):
        ours, whole = ((folder / name).read_bytes() for folder in (out, Path(repaired.folder)))
        assert ours.replace(b"interrupted", b"out") == whole


def test_a_dry_run_writes_nothing(home: Home) -> None:
    plan = shisen.repair(home.model, home.audit, home.data, home.root / "dry", dry_run=True)
    assert plan.dry
    assert [c.finding for c in plan.cures] == [1]
    assert not (home.root / "dry").exists()


def test_nothing_is_overwritten(home: Home, repaired: Any) -> None:
    before = (Path(repaired.folder) / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match="nothing is overwritten"):
        shisen.repair(home.model, home.audit, home.data, repaired.folder, seed=1)
    assert (Path(repaired.folder) / "weights.safetensors").read_bytes() == before


def test_a_clean_model_is_refused(home: Home) -> None:
    honest = toy.model(False)
    shisen.audit(honest, home.root / "test", home.root / "honest")
    with pytest.raises(InputError, match="nothing to repair"):
        shisen.repair(honest, home.root / "honest", home.data, home.root / "none")
    assert not (home.root / "none").exists()


def test_an_audit_of_another_model_is_refused(home: Home) -> None:
    with pytest.raises(InputError, match="other weights"):
        shisen.repair(toy.model(False), home.audit, home.data, home.root / "none")


@pytest.mark.parametrize("finding", [2, (1, 9)])
def test_a_finding_that_is_not_used_is_refused(home: Home, finding: Any) -> None:
    with pytest.raises(InputError, match="The model uses these: 1"):
        shisen.repair(home.model, home.audit, home.data, home.root / "none", finding=finding)


def test_too_few_images_are_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="40 images to learn from"):
        shisen.repair(home.model, home.audit, toy.folder(tmp_path / "few", each=10, seed=3), tmp_path / "out")


def test_the_data_are_counterbalanced_in_a_copy(home: Home, repaired: Any) -> None:
    copy, out = home.root / "balanced", home.root / "with-copy"
    shisen.repair(home.model, home.audit, home.data, out, counterbalanced=copy, tune=False)
    magenta = {
        label: np.mean([np.asarray(Image.open(f).convert("RGB"))[31, 9].tolist() == [255, 0, 255] for f in files])
        for label, files in ((label, sorted((copy / label).iterdir())) for label in ("cold", "warm"))
    }
    assert len(list(copy.glob("*/*.png"))) == 200
    assert magenta["warm"] == pytest.approx(0.5)
    assert magenta["cold"] == pytest.approx(0.3, abs=0.12), "as often as in the audited images of its class"
    retake = (out / "retake.csv").read_text().splitlines()
    assert retake[0] == "finding,path"
    assert len(retake) - 1 >= 22
    assert all(line.startswith("1,warm/") for line in retake[1:])
    with pytest.raises(InputError, match="folder of its own"):
        shisen.repair(home.model, home.audit, home.data, home.root / "more", counterbalanced=home.data)
