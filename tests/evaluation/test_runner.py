from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import shisen
from evaluation.nets import SIDE, Bright, model, spots
from shisen.adapters.wrappers import Passes, Watched
from shisen.errors import InputError, UnknownName
from shisen.evaluation.metrics import METRICS
from shisen.evaluation.requests import run_metric
from shisen.evaluation.runner import evaluate
from shisen.evaluation.sample import Sample
from shisen.evaluation.settings import Setting, setting_of
from shisen.targets import to_numpy

FEW = ("insertion_deletion", "adcc", "sparseness")


def test_figures_equal_those_of_one_metric_on_one_map() -> None:
    net, images = model(), spots(3)
    scores = evaluate(net, images, ["grad_cam", "gradient"], FEW, control_maps=["center"])
    assert scores.methods == ("grad_cam", "gradient", "center")
    for image in images:
        image, _ = net.prepare(net.read(image))
        logits = to_numpy(net.activations(image[None]))[0]
        values = shisen.explain(net, image, "grad_cam").values
        rows = {r.metric: r for r in scores.rows if r.method == "grad_cam"}
        name = next(k for k, e in scores.examples.items() if np.allclose(e.pixels / 255.0, image, atol=0.01))
        from shisen.evaluation.attribution_cache import seed_of

        one = Sample(image, values, int(logits.argmax()), logits, zero=(0.0,) * 3, seed=seed_of(name, 0))

        def explain(images: Any, fraction: float, one: Sample = one) -> Any:
            found = [shisen.explain(net, np.rint(x * 255).astype(np.uint8), target=one.index).values for x in images]
            return np.stack(found)

        for metric in FEW:
            want = run_metric(METRICS[metric].function(one), lambda x: to_numpy(net.activations(x)), explain)
            got = scores.of("grad_cam", metric)[name]
            assert got.value == pytest.approx(want.value, rel=1e-3, abs=1e-3)
        assert rows


def test_an_image_given_twice_is_one_image() -> None:
    images = spots(2)
    twice = evaluate(model(), [*images, images[0]], ["grad_cam"], FEW, control_maps=["center"])
    once = evaluate(model(), images, ["grad_cam"], FEW, control_maps=["center"])
    assert [(r.image, r.method, r.metric, r.value) for r in twice.rows] == [
        (r.image, r.method, r.metric, r.value) for r in once.rows
    ]


def test_labels_of_another_number_are_refused() -> None:
    net = shisen.wrap(Bright(), preprocess=shisen.Preprocess(SIDE), labels=["red", "green"])
    with pytest.raises(InputError, match="each of the network's 4 classes. Received: 2 labels"):
        evaluate(net, spots(1), ["grad_cam"], FEW)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_split_into_batches_changes_nothing(batch_size: int) -> None:
    images = spots(4)
    one = evaluate(model(), images, ["grad_cam", "gradient"], [*FEW, "infidelity"], control_maps=["random"])
    other = evaluate(
        model().batched(batch_size), images, ["grad_cam", "gradient"], [*FEW, "infidelity"], control_maps=["random"]
    )
    for a in one.rows:
        b = other.of(a.method, a.metric)[a.image]
        assert b.value == pytest.approx(a.value, rel=1e-4, abs=1e-5)


def test_forwards_are_shared_between_metrics() -> None:
    net, images = model(), spots(2)

    def passes(metrics: list[str], methods: list[Any]) -> int:
        count = Passes()
        evaluate(net.around(Watched(net.model, count)), images, methods, metrics, control_maps=())
        return count.total

    once = passes(["insertion_deletion"], ["grad_cam"])
    assert passes(["insertion_deletion", "insertion", "deletion"], ["grad_cam"]) == once
    # identity, answers, maps; per image 2 × 15 in between and the two baselines once for both methods
    assert once == 1 + 2 + 2 + 2 * (30 + 2)
    # here layer_cam is the same map, and removes the same pixels; the gradient's order is another one
    assert passes(["insertion_deletion"], ["grad_cam", "layer_cam"]) == once
    assert once < passes(["insertion_deletion"], ["grad_cam", "gradient"]) <= once + 2 + 2 * 30
    assert passes(["average_drop", "increase", "adcc"], ["grad_cam"]) == 1 + 2 + 2 + 2 * (1 + 1)


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Any) -> None:
    net, images = model().batched(2), spots(6)
    whole = evaluate(net, images, ["grad_cam"], FEW, control_maps=["random"])

    def stop(done: int, total: int, words: str) -> None:
        if done >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(net, images, ["grad_cam"], FEW, control_maps=["random"], out=tmp_path, progress=stop)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert len(lines) == 4 * 2 * 3
    with (tmp_path / "rows.jsonl").open("a") as stream:
        stream.write('{"key": "half a li')  # as if the machine had been switched off
    count = Passes()
    again = evaluate(
        net.around(Watched(net.model, count)), images, ["grad_cam"], FEW, control_maps=["random"], out=tmp_path
    )
    assert {(r.image, r.method, r.metric): r.value for r in again.rows} == pytest.approx(
        {(r.image, r.method, r.metric): r.value for r in whole.rows}, rel=1e-5
    )
    assert count.rows["gradients"] == 2 + 2  # maps of the two new images, and of what is seen through them
    idle = Passes()
    evaluate(net.around(Watched(net.model, idle)), images, ["grad_cam"], FEW, control_maps=["random"], out=tmp_path)
    assert "gradients" not in idle.rows
    assert idle.rows["activations"] == 1 + 6  # who the network is, and the answers


def test_a_broken_map_file_is_made_again(tmp_path: Any) -> None:
    net, images = model(), spots(2)
    one = evaluate(net, images, ["grad_cam"], ["sparseness"], control_maps=(), out=tmp_path)
    for file in (tmp_path / "maps").iterdir():
        file.write_bytes(b"not a map")
    (tmp_path / "rows.jsonl").unlink()
    other = evaluate(net, images, ["grad_cam"], ["sparseness"], control_maps=(), out=tmp_path)
    assert [r.value for r in one.rows] == [r.value for r in other.rows]


def test_other_options_are_other_figures(tmp_path: Any) -> None:
    net, images = model(), spots(2)
    kinds = [{"deletion": {"n_steps": 4}}, {"deletion": {"n_steps": 4, "baseline": "mean"}}, {}]
    found = [evaluate(net, images, ["grad_cam"], ["deletion"], options=o, out=tmp_path, control_maps=()) for o in kinds]
    assert [len(s.rows[0].curve) for s in found] == [5, 5, 17]
    assert found[0].rows[0].value != found[1].rows[0].value


def test_a_bad_image_loses_nothing_else(tmp_path: Any) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    scores = evaluate(model(), [spots(1)[0], str(broken), spots(2)[1]], ["grad_cam"], ["sparseness"], control_maps=())
    assert scores.facts["n_images"] == 2
    assert [f[0] for f in scores.failures] == [str(broken)]
    with pytest.raises(InputError, match="usable"):
        evaluate(model(), [str(broken)], ["grad_cam"], ["sparseness"])


def test_grad_cam_beats_its_floors_and_the_constant_map_is_the_random_one() -> None:
    scores = evaluate(model(), spots(12), ["grad_cam"], ["insertion_deletion", "average_drop", "mufidelity"])
    for floor in ("random", "random_patches", "center", "constant"):
        assert scores.difference("grad_cam", floor, "insertion_deletion").verdict == "better"
    one, other = (scores.of(m, "insertion_deletion") for m in ("random", "constant"))
    assert {k: r.value for k, r in one.items()} == {k: r.value for k, r in other.items()}
    assert scores.control_maps == ("random", "random_patches", "center", "constant", "edges")


def test_the_grid_game_on_spots() -> None:
    images = spots(9)
    black = np.full((SIDE, SIDE, 3), 3, dtype=np.uint8)
    scores = evaluate(model(), images, ["grad_cam"], ["grid_game"], control_maps=["constant", "random"])
    assert not scores.rows  # three classes only: no collage of four
    net = model()
    with torch.no_grad():
        net.network.net.classifier.weight.mul_(3.0)
        net.network.net.classifier.bias[3] = 5.0  # black images become a class of their own
    scores = evaluate(
        net, [*images[:6], black, black + 1], ["grad_cam"], ["grid_game"], control_maps=["constant", "random"]
    )
    rows = list(scores.of("constant", "grid_game").values())
    assert len(rows) == 8
    assert all(r.value == pytest.approx(0.25) for r in rows)
    assert np.mean([r.value for r in scores.of("random", "grid_game").values()]) == pytest.approx(0.25, abs=0.02)
    colored = [r.value for r in scores.of("grad_cam", "grid_game").values()]
    assert sorted(colored)[-6] > 0.75  # a spot at the edge of its cell bleeds into the next


@pytest.mark.parametrize("kind", [ValueError, AssertionError])  # transformers' and timm's way of refusing
def test_the_grid_game_of_a_network_of_one_size(kind: type[Exception]) -> None:
    net = model()
    black = np.full((SIDE, SIDE, 3), 3, dtype=np.uint8)
    with torch.no_grad():
        net.network.net.classifier.weight.mul_(3.0)
        net.network.net.classifier.bias[3] = 5.0

    def one_size(_: Any, given: Any) -> None:
        if given[0].shape[-1] != SIDE:
            raise kind("Input width doesn't match")

    net.network.net.register_forward_pre_hook(one_size)
    scores = evaluate(net, [*spots(6), black, black + 1], ["grad_cam"], ["grid_game"], control_maps=["constant"])
    assert [r.value for r in scores.of("constant", "grid_game").values()] == [pytest.approx(0.25)] * 8


def test_names_of_settings() -> None:
    assert setting_of("grad_cam@conv").name == "grad_cam@conv"
    assert setting_of("layer_cam@conv+relu").layer == ("conv", "relu")
    assert setting_of("Grad-CAM", layer="conv").layer == "conv"
    assert setting_of("gradient", layer="conv").layer is None
    assert Setting("grad_cam", augment={"flip": True, "scales": (1.0, 1.5)}).name == "grad_cam (flipped, ×1, 1.5)"
    with pytest.raises(UnknownName, match="grad_cam"):
        setting_of("grad_cm")
    with pytest.raises(InputError, match="does not work at a layer"):
        setting_of("gradient@conv")


def test_wrong_calls_say_what_to_try() -> None:
    with pytest.raises(UnknownName, match="deletion"):
        evaluate(model(), spots(1), ["grad_cam"], ["deletoin"])
    with pytest.raises(UnknownName, match="steps"):
        evaluate(model(), spots(1), ["grad_cam"], ["deletion"], options={"deletion": {"step": 3}})
    with pytest.raises(InputError, match="regions"):
        evaluate(model(), spots(1), ["grad_cam"], ["pointing_game"])
    with pytest.raises(InputError, match="one class"):
        evaluate(model(), spots(1), ["grad_cam"], ["deletion"], target=shisen.contrast("red", "blue"))
    with pytest.raises(InputError, match="reference"):
        evaluate(model(), spots(1), ["grad_cam"], ["sparseness"], reference="rise")


def test_results_can_be_kept(tmp_path: Any) -> None:
    scores = evaluate(model(), spots(5), ["grad_cam", "gradient"], ["deletion", "adcc"], control_maps=["random"])
    page = scores.save(tmp_path).read_text(encoding="utf-8")
    assert "<svg" in page
    assert "data:image/jpeg;base64," in page
    assert "http" not in page.replace("http-equiv", "")  # it refers to nothing outside of itself
    content = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert len(content["rows"]) == 5 * 3 * 2
    means = {(s["method"], s["metric"]): s["value"] for s in content["scores"]}
    own = [r["value"] for r in content["rows"] if (r["method"], r["metric"]) == ("gradient", "adcc")]
    assert means["gradient", "adcc"] == pytest.approx(np.mean(own))
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8").count("\n") == 1 + 3 * 2
    japanese = scores.save(tmp_path / "ja", lang="ja").read_text(encoding="utf-8")
    assert "この説明は信頼できるか" in japanese
    assert "Scores" not in japanese
    assert "random (control map)" in scores.table()


def test_a_method_that_needs_caution_says_so_in_the_report(tmp_path: Any) -> None:
    scores = evaluate(model(), spots(3), ["grad_cam", "eigen_cam"], ["deletion"], control_maps=())
    page = scores.save(tmp_path).read_text(encoding="utf-8")
    assert "Caution – eigen_cam: stays more than half alike" in page
    assert "Caution – grad_cam" not in page
    assert "With fewer than 6 images" in page
    assert "注意 – eigen_cam" in scores.save(tmp_path / "ja", lang="ja").read_text(encoding="utf-8")


def test_names_in_images_are_escaped(tmp_path: Any) -> None:
    net = model()
    net.labels = type(net.labels)(("<script>alert(1)</script>", "green", "blue", "none"))
    scores = evaluate(net, spots(3), ["grad_cam"], ["deletion"], control_maps=())
    assert "<script>" not in scores.save(tmp_path).read_text(encoding="utf-8")
