"""Objectives: every score against its gradient by finite differences, and names turned into classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shisen.errors import InputError, UnknownName
from shisen.naming import (
    contrast,
    contrast_similar,
    cotangent,
    log_probability,
    negative,
    output,
    per_image,
    resolve,
    top,
)
from shisen.score_functions import CotangentObjective
from shisen.targets import (
    SCORES,
    ClassObjective,
    LayerObjective,
    MixedObjective,
    TopKObjective,
    channel,
    class_logits,
    direction,
    neuron,
    probabilities,
)

LABELS = ["cat", "dog", "bird"]


def find(which: Any) -> int:
    if isinstance(which, int) or str(which).isdigit():
        return int(which)
    if which not in LABELS:
        raise UnknownName(f"no {which}")
    return LABELS.index(which)


def asked(target: Any, head: str = "softmax", score: str = "logit") -> Any:
    return resolve(target, find=find, names=LABELS, head=head, score=score)


def gradient(objective: Any, y: np.ndarray) -> np.ndarray:
    found = np.zeros_like(y)
    for index in np.ndindex(y.shape):
        up, down = y.copy(), y.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        found[index] = (objective.value(up).sum() - objective.value(down).sum()) / 2e-5
    return found


CASES = [(h, w, s) for h, w in (("softmax", 3), ("sigmoid", 3), ("sigmoid", 1)) for s in SCORES] + [
    ("none", 3, "logit")
]


@pytest.mark.parametrize(("head", "width", "score"), CASES)
@pytest.mark.parametrize("target", [1, contrast(1, 0), negative(0), top(1), contrast_similar(1, 0.5)])
def test_the_cotangent_is_the_slope_of_the_score(head: str, width: int, score: str, target: Any) -> None:
    y = np.random.default_rng(0).normal(size=(4, width)) * 2
    objective = asked(target, head, score)
    np.testing.assert_allclose(objective(y), gradient(objective, y), atol=1e-6)


def test_scores_by_hand() -> None:
    y = np.log(np.array([[1.0, 2.0, 5.0]]))
    assert asked(1).value(y) == pytest.approx(np.log(2))
    assert asked(1, score="probability").value(y) == pytest.approx(0.25)
    assert asked(log_probability("dog")).value(y) == pytest.approx(np.log(0.25))
    assert asked(contrast("bird", "dog")).value(y) == pytest.approx(np.log(2.5))
    assert asked(negative("bird")).value(y) == pytest.approx(-np.log(5))
    np.testing.assert_array_equal(asked(contrast("bird", "dog"))(y), [[0, -1, 1]])


def test_a_single_unit_speaks_for_its_positive_class_or_with_minus_one_for_the_other() -> None:
    y = np.array([[2.0], [-1.0]])
    np.testing.assert_array_equal(class_logits(y, "sigmoid"), [[-2, 2], [1, -1]])
    np.testing.assert_allclose(probabilities(y, "sigmoid").sum(-1), 1)
    np.testing.assert_allclose(probabilities(y, "sigmoid")[:, 1], 1 / (1 + np.exp([-2, 1])))
    np.testing.assert_array_equal(asked(0, "sigmoid")(y), [[-1], [-1]])
    np.testing.assert_array_equal(asked(1, "sigmoid")(y), [[1], [1]])


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_extreme_logits_do_not_overflow(head: str) -> None:
    y = np.array([[1e4, -1e4, 0.0]])
    for score in SCORES:
        for k in range(3):
            objective = asked(k, head, score)
            assert np.isfinite(objective.value(y)).all()
            assert np.isfinite(objective(y)).all()
    assert asked(1, "sigmoid", "log_probability").value(y) == pytest.approx(-1e4)


def test_rows_beyond_the_batch_belong_to_the_images_again() -> None:
    objective = ClassObjective("each", ((1.0, (0, 2)),))
    y = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(objective.value(y), [0, 5, 6, 11])
    np.testing.assert_array_equal(objective.take(np.array([1, 2])).value(y[1:3]), [5, 6])
    mixed = MixedObjective((asked("cat"), asked(contrast("dog", "bird"))))
    np.testing.assert_array_equal(mixed.value(y), [0, -1, 6, -1])
    np.testing.assert_array_equal(mixed(y)[2:], mixed(y)[:2])


def test_a_rank_is_turned_into_each_rows_class() -> None:
    y = np.array([[0.0, 2.0, 1.0], [3.0, 1.0, 2.0]])
    assert TopKObjective(0).resolve(y).terms == ((1.0, (1, 0)),)
    assert TopKObjective(1).resolve(y).terms == ((1.0, (2, 2)),)
    np.testing.assert_array_equal(TopKObjective(1).value(y), [1, 2])
    with pytest.raises(InputError, match="between 0 and 2"):
        TopKObjective(3).resolve(y)


def test_a_class_rather_than_those_whose_logits_are_nearest() -> None:
    y = np.array([[0.0, 2.0, 1.5, 5.0], [3.0, 1.0, 2.0, 2.5]])
    nearest = asked(contrast_similar(2, 0.6, target="dog"))  # class 1: then 2 and 0; 2 and 3
    assert nearest.resolve(y).terms == ((1.0, (1,)), (-0.3, (2, 2)), (-0.3, (0, 3)))
    np.testing.assert_allclose(nearest.value(y), [2.0 - 0.3 * 1.5, 1.0 - 0.3 * 4.5])
    top_class = asked(contrast_similar(1, 1.0))
    np.testing.assert_allclose(top_class.value(y), [3.0, 0.5])
    np.testing.assert_array_equal(top_class(y), [[0, -1, 0, 1], [1, 0, 0, -1]])
    both = MixedObjective((asked("dog"), top_class)).resolve(y)
    np.testing.assert_allclose(both.value(y), [2.0, 0.5])
    assert nearest.name == "dog rather than the 2 most similar classes"
    with pytest.raises(InputError, match="k must lie between 1 and 3"):
        asked(contrast_similar(4)).value(y)
    with pytest.raises(InputError, match="one class"):
        asked(contrast_similar(1, target=contrast(0, 1)))


def test_what_people_ask_for_gets_a_name() -> None:
    assert asked("dog").name == "dog"
    assert asked(contrast("cat", 1)).name == "cat rather than dog"
    assert asked(negative("bird")).name == "against bird"
    assert asked(7).name == "class 7"
    assert asked(None).name == "top class"


def test_a_cotangent_has_the_shape_it_was_given_and_a_score_of_its_own() -> None:
    y = np.array([[1.0, 2.0, 3.0]])
    assert CotangentObjective(lambda v: np.ones_like(v) * 2).value(y) == pytest.approx(
        12
    )  # linear: Σ cotangent · value
    squares = asked(cotangent(lambda v: 2 * v, value=lambda v: (v**2).sum(-1)))
    assert squares.value(y) == pytest.approx(14)
    np.testing.assert_array_equal(squares(y), 2 * y)
    with pytest.raises(InputError, match=r"\(1, 3\)"):
        CotangentObjective(lambda v: v[0])(y)
    with pytest.raises(TypeError, match="value"):
        cotangent(lambda v: v)  # a cotangent alone has no score


def test_one_number_of_the_output() -> None:
    y = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(output(4).value(y), [4, 10])
    np.testing.assert_array_equal(output(-1)(y), [[[0, 0, 0], [0, 0, 1]]] * 2)
    assert asked(output(1)).name == "output 1"
    with pytest.raises(InputError, match="between 0 and 5"):
        output(6)(y)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([2, 0]), [2, 0]),
        (np.array([1.0, 2.0]), [1, 2]),
        (np.array(["cat", "dog"]), ["cat", "dog"]),
        ((1, "dog"), [1, "dog"]),
        (np.array(1), None),
        (3, None),
        (None, None),
    ],
)
def test_labels_as_arrays_are_one_target_per_image(given: Any, expected: Any) -> None:
    assert per_image(given) == expected


def test_labels_that_are_no_indices_are_refused() -> None:
    with pytest.raises(InputError, match=r"argmax\(-1\)"):
        per_image(np.eye(3))
    with pytest.raises(InputError, match="class indices"):
        per_image(np.array([0.5, 1.0]))
    assert asked(np.array(1)).terms == asked(np.int64(1)).terms == ((1.0, (1,)),)


def test_nonsense_is_answered_with_what_is_possible() -> None:
    with pytest.raises(InputError, match="contrast"):
        asked(object())
    with pytest.raises(InputError, match="logit, probability"):
        ClassObjective("x", ((1.0, (0,)),), "certainty")
    with pytest.raises(InputError, match="between 0 and 2"):
        ClassObjective("x", ((1.0, (5,)),))(np.zeros((1, 3)))


def test_layer_objectives_by_hand() -> None:
    y = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(channel(2).value(y), y[..., 2].mean((1, 2)))
    np.testing.assert_allclose(neuron(1, 2, 3).value(y), y[:, 2, 3, 1])
    np.testing.assert_allclose(direction([0, 1, 0, -2, 0]).value(y), (y[..., 1] - 2 * y[..., 3]).mean((1, 2)))
    np.testing.assert_allclose(LayerObjective().value(y), y.mean((1, 2)).sum(-1))
    np.testing.assert_allclose(channel(2)(y), gradient(channel(2), y), atol=1e-8)
    with pytest.raises(InputError, match="between 0 and 4"):
        channel(5)(y)
