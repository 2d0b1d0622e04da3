"""Fine-tuning in Keras: learns, repeats itself, continues after a stop, and can be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shisen
from shisen.errors import ModelError

keras = pytest.importorskip("keras")


def build() -> Any:
    """Return a backbone of a stem, a residual block, two further blocks and a classifier."""
    keras.utils.set_random_seed(1)
    layers = keras.layers

    def block(x: Any, channels: int, stride: int = 1) -> Any:
        x = layers.Conv2D(channels, 3, stride, "same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    images = keras.Input((24, 24, 3))
    x = block(images, 8, 2)
    x = layers.Add()([x, block(x, 8)])
    x = block(x, 16, 2)
    x = layers.GlobalAveragePooling2D()(block(x, 16))
    net = keras.Model(images, layers.Dense(10)(layers.Dropout(0.1)(x)))
    return shisen.wrap(net, preprocess=shisen.Preprocess(24), labels=[str(i) for i in range(10)])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stripes")
    draw = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 12)):
        for label in ("across", "down"):
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                wave = np.sin(np.arange(24) * 1.3 + draw.uniform(0, 6)) * 60 + 128
                grid = np.tile(wave, (24, 1)) if label == "down" else np.tile(wave[:, None], (1, 24))
                noisy = np.clip(grid[..., None] + draw.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(root / part / label / f"{i}.png")
    return root


def tune(images: Path, out: Path, **options: Any) -> Any:
    settings: dict[str, Any] = {"learning_rate": 1e-3, "batch_size": 16, "patience": 9, **options}
    return shisen.finetune(images / "train", images / "test", epochs=3, out=out, framework="keras", **settings)


def weights(folder: Path) -> list[Any]:
    return [np.array(w) for w in shisen.load(str(folder)).network.net.get_weights()]


def test_it_learns_continues_after_a_stop_and_can_be_loaded(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shisen.training.run_loading.load_backbone", lambda name, framework, device: build())

    class Stop(Exception):
        pass

    def stop_after(done: int, total: int, words: str) -> None:
        if words == "Training" and done == 2:
            raise Stop

    whole = tune(images, tmp_path / "whole")
    assert whole.accuracy >= 0.9
    assert [e.epoch for e in whole.history] == [0, 1, 2, 3]
    assert all(e.val_loss < 1 for e in whole.history)  # that of training is with dropout, of few channels here
    with pytest.raises(Stop):
        tune(images, tmp_path / "stopped", progress=stop_after)
    assert not (tmp_path / "stopped" / "shisen.json").exists()
    again: list[int] = []
    run = tune(images, tmp_path / "stopped", progress=lambda d, t, w: again.append(d) if w == "Training" else None)
    assert again == [3]
    assert run.history == whole.history
    for one, other in zip(weights(tmp_path / "whole"), weights(tmp_path / "stopped"), strict=True):
        assert np.array_equal(one, other)
    model = shisen.load(str(tmp_path / "whole"))
    files = [f for label in run.labels for f in sorted((images / "test" / label).iterdir())]
    right = sum(model.predict(file, top=1)[0].label == file.parent.name for file in files)
    assert right / len(files) == pytest.approx(whole.accuracy)
    record = json.loads((tmp_path / "whole" / "shisen.json").read_text("utf-8"))
    assert record["framework"] == "keras"
    assert [*record["sha256"]] == ["model.keras"]
    # the stem is frozen; of the others 7/16 are trained, statistics apart
    before, after = [np.asarray(w) for w in build().network.net.get_weights()], weights(tmp_path / "whole")
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a.shape != b.shape or (a != b).any()]
    assert changed == [10, 11, 12, 15, 16, 17, 20, 21]  # kernel, scale, shift of two blocks; the classifier
    file = tmp_path / "stopped" / "model.keras"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="those the run wrote"):
        shisen.load(str(tmp_path / "stopped"))


def test_the_head_solves_its_own_problem() -> None:
    from shisen.training.keras import fit_head

    draw = np.random.default_rng(0)
    features = (draw.normal(size=(200, 16)) * 3 + 1).astype(np.float32)
    targets = draw.integers(0, 3, 200)
    classifier = keras.layers.Dense(3)
    classifier.build((None, 16))
    loss, accuracy = fit_head(classifier, features, targets, penalty=1e-2)
    weight, bias = (np.asarray(w, np.float64) for w in classifier.get_weights())

    def own(weight: Any, bias: Any) -> float:
        y = features.astype(np.float64) @ weight + bias
        plain = np.log(np.exp(y).sum(1)) - y[np.arange(200), targets]
        return float(plain.mean() + 1e-2 * np.square(weight * features.std(0, dtype=np.float64)[:, None]).sum())

    least = own(weight, bias)
    assert loss < least
    assert 1 / 3 < accuracy < 1
    for _ in range(20):
        assert own(weight + draw.normal(size=weight.shape) * 0.01, bias + draw.normal(size=3) * 0.01) > least


def test_the_body_of_lite0_ends_before_its_last_seven_blocks() -> None:
    from shisen.training.keras import _cut

    net = shisen.load("efficientnet_lite0", framework="keras").network.net
    features = net.get_layer("dropout").output
    sample = np.zeros((2, 64, 64, 3), np.float32)
    cut = _cut(net, features, sample, None)
    assert cut is net.get_layer("blocks_4_0_project_norm").output
    assert _cut(net, features, sample, 0) is features


def test_a_network_without_a_linear_classifier_is_refused(images: Path, tmp_path: Path, monkeypatch: Any) -> None:
    x = keras.Input((24, 24, 3))
    net = keras.Model(x, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x)))
    made = shisen.wrap(net, preprocess=shisen.Preprocess(24))
    monkeypatch.setattr("shisen.training.run_loading.load_backbone", lambda name, framework, device: made)
    with pytest.raises(ModelError, match="dense layer"):
        tune(images, tmp_path / "run")


@pytest.mark.slow
def test_scenes(shared: Path, tmp_path: Path) -> None:
    for part, count in (("train", 24), ("test", 8)):
        for label in ("forest", "sea", "street"):
            (tmp_path / part / label).mkdir(parents=True)
            for file in sorted((shared / "scenes" / part / label).iterdir())[:count]:
                (tmp_path / part / label / file.name).symlink_to(file)
    folder = tmp_path / "run"
    run = shisen.finetune(tmp_path / "train", tmp_path / "test", epochs=2, out=folder, framework="keras", size=112)
    assert run.accuracy >= 0.85
    model = shisen.load(str(folder))
    assert model.framework.startswith("keras")
    file = next((tmp_path / "test" / "sea").iterdir())
    assert {p.label for p in model.predict(file, top=3)} == {"forest", "sea", "street"}
    assert shisen.explain(model, file, method="grad_cam").values.max() > 0
