from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from evaluation.nets import model, spots
from shisen._core.stats import Interval
from shisen.adapters.weight_randomization import randomized
from shisen.errors import InputError
from shisen.evaluation.agreement import agreement, ssim
from shisen.evaluation.checks import check_sanity, patterns, verdict
from shisen.evaluation.runner import evaluate
from shisen.targets import to_numpy


def test_the_users_network_never_changes() -> None:
    net = model()
    before = {k: v.clone() for k, v in net.network.net.state_dict().items()}
    copy = randomized(net, 1.0)
    check_sanity(net, spots(2), ["grad_cam"], n_images=2)
    for name, value in net.network.net.state_dict().items():
        assert torch.equal(value, before[name])
    assert copy.network.net is not net.network.net
    assert copy.labels == net.labels


def test_layers_forget_from_the_answer_downwards() -> None:
    net = model()
    before = net.network.net.state_dict()
    half = randomized(net, 0.5).network.net.state_dict()
    whole = randomized(net, 1.0).network.net.state_dict()
    assert torch.equal(half["conv.weight"], before["conv.weight"])
    assert not torch.equal(half["classifier.weight"], before["classifier.weight"])
    assert not torch.equal(whole["conv.weight"], before["conv.weight"])
    # nothing but the order of the weights is lost
    assert torch.equal(whole["conv.weight"].flatten().sort()[0], before["conv.weight"].flatten().sort()[0])
    none = randomized(net, 0.0).network.net.state_dict()
    assert all(torch.equal(none[k], before[k]) for k in before)
    with pytest.raises(InputError, match="fraction"):
        randomized(net, 2.0)


def test_the_same_draw_gives_the_same_copy() -> None:
    x = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    one, two, other = (to_numpy(randomized(model(), 1.0, k).activations(x)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_map_that_asks_no_network_fails_and_the_edge_detector_is_one() -> None:
    found = {v.method: v for v in check_sanity(model(), spots(4), ["gradient"], n_images=4)}
    assert found["edges"].similarity.value == pytest.approx(1.0)
    assert found["edges"].passed is False
    assert found["edges"].ssim == pytest.approx(1.0)
    # the gradient of this network is the same everywhere, before and after: a constant map
    assert found["gradient"].method == "gradient"


def test_verdicts_follow_the_interval() -> None:
    assert verdict(Interval(0.1, 0.0, 0.2, 8)) is True
    assert verdict(Interval(0.9, 0.8, 1.0, 8)) is False
    assert verdict(Interval(0.5, 0.3, 0.7, 8)) is None


def test_patterns_fit_the_model() -> None:
    made = patterns(model(), 3, 0)
    assert [p.shape for p in made] == [(16, 16, 3)] * 3
    assert made[0].dtype == np.uint8
    assert made[0].min() == 0
    assert made[0].max() == 255


def test_input_independence_of_floors() -> None:
    scores = evaluate(model(), spots(6), ["grad_cam"], ["input_independence"], control_maps=["center", "edges"])
    assert scores.score("center", "input_independence").value == pytest.approx(1.0)
    assert scores.score("grad_cam", "input_independence").value < 0.5


def test_similarity_agrees_with_scikit_image_away_from_the_edge() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((40, 40))
    b = np.clip(a + 0.2 * rng.normal(size=a.shape), 0, 1)
    # scikit-image leaves the edge out of its mean, so an interior of a larger image is compared
    _, whole = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    assert ssim(a, a) == pytest.approx(1.0)
    assert ssim(a, b) == pytest.approx(float(whole.mean()), abs=0.01)
    assert ssim(a, 1 - a) < 0


@pytest.mark.parametrize("contrast", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("span", [1.0, 2.0])
def test_similarity_by_windows_one_after_the_other(contrast: float, span: float) -> None:
    rng = np.random.default_rng(1)
    a, b = 0.5 + contrast * (rng.random((2, 13, 9)) - 0.5)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    found = []
    for y, x in np.ndindex(13, 9):
        at = [(i, j) for i, j in np.ndindex(13, 9) if abs(i - y) <= 5 and abs(j - x) <= 5]
        w = np.array([np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * 1.5**2)) for i, j in at])
        w /= w.sum()
        p, q = (np.array([image[place] for place in at]) for image in (a, b))
        mp, mq = w @ p, w @ q
        vp, vq, both = w @ (p - mp) ** 2, w @ (q - mq) ** 2, w @ ((p - mp) * (q - mq))
        found.append((2 * mp * mq + c1) * (2 * both + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    assert ssim(a, b, span) == pytest.approx(float(np.mean(found)), abs=1e-6)


def test_agreement_of_maps() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.random((20, 20)) for _ in range(3)]
    found = agreement({"a": maps, "b": [m**3 for m in maps], "c": [1 - m for m in maps]})
    assert found["a", "b"][0] == pytest.approx(1.0)
    assert found["a", "c"][0] == pytest.approx(-1.0)
    assert found["a", "b"][1] < 1.0


def test_verdicts_turn_at_one_half() -> None:
    assert verdict(Interval(0.45, 0.41, 0.49, 8)) is True
    assert verdict(Interval(0.55, 0.51, 0.59, 8)) is False
    assert verdict(Interval(0.5, 0.5, 0.6, 8)) is False
    for open_ in (Interval(0.5, 0.49, 0.5, 8), Interval(0.5, 0.49, 0.51, 8)):
        assert verdict(open_) is None
    nan = float("nan")  # a single image has no interval: its value decides
    assert verdict(Interval(0.49, nan, nan, 1)) is True
    assert verdict(Interval(0.51, nan, nan, 1)) is False


def slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity window by window: a Gaussian of 1.5 pixels, 11 × 11, renormalized at the edges."""
    h, w = a.shape
    found = []
    for i in range(h):
        for j in range(w):
            y, x = np.arange(max(0, i - 5), min(h, i + 6)), np.arange(max(0, j - 5), min(w, j + 6))
            weight = np.exp(-((y[:, None] - i) ** 2 + (x[None, :] - j) ** 2) / (2 * 1.5**2))
            weight /= weight.sum()
            u, v = (m[y[0] : y[-1] + 1, x[0] : x[-1] + 1] for m in (a, b))
            mu, mv = (weight * u).sum(), (weight * v).sum()
            vu, vv = (weight * (u - mu) ** 2).sum(), (weight * (v - mv) ** 2).sum()
            both = (weight * (u - mu) * (v - mv)).sum()
            top = (2 * mu * mv + 0.01**2) * (2 * both + 0.03**2)
            found.append(top / ((mu**2 + mv**2 + 0.01**2) * (vu + vv + 0.03**2)))
    return float(np.mean(found))


@pytest.mark.parametrize(("level", "contrast"), [(0.5, 0.5), (0.5, 0.02), (0.02, 0.01)])
def test_similarity_by_its_definition(level: float, contrast: float) -> None:
    """With little contrast and a low level the two constants decide."""
    rng = np.random.default_rng(1)
    a, b = (level + contrast * (rng.random((14, 11)) - 0.5) for _ in range(2))
    assert ssim(a, b) == pytest.approx(slow_ssim(a, b), abs=1e-6)
    assert ssim(a * 7, b * 7, 7.0) == pytest.approx(slow_ssim(a, b), abs=1e-6)
