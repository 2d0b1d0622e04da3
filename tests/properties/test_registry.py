"""What every method must do, and what each one claims about itself; driven by the registry."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

import nets
from properties import claims
from properties.claims import LIGHT, NEED_AFFINE, one_hot
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Shared, Watched
from shisen.errors import InputError, ModelError, UnknownName
from shisen.registry import METHODS, Method, method
from shisen.targets import ClassObjective, MixedObjective, TopKObjective, to_numpy

NAMES = [name for name, m in METHODS.items() if m.needs != "attention"]  # those: tests/attribution/test_attention.py
LAYERS = [name for name in NAMES if METHODS[name].layered]


def run(name: str, model: Any, x: Any, objective: Any = None, **options: Any) -> Any:
    return METHODS[name](model, x, one_hot() if objective is None else objective, **{**LIGHT.get(name, {}), **options})


def maps(name: str, model: Any, x: Any, objective: Any = None, **options: Any) -> Any:
    return to_numpy(run(name, model, x, objective, **options).values)


def near(a: Any, b: Any, fraction: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=fraction * max(float(np.abs(b).max()), 1e-12))


@pytest.fixture(scope="module")
def model() -> TorchClassifier:
    return TorchClassifier(nets.Toy(), size=(12, 16, 3))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_images_however_it_is_cut(name: str, model: TorchClassifier) -> None:
    x = nets.images(3)
    objective = one_hot(0, 3, 4)  # a class each
    whole = maps(name, model, x, objective)
    for i in range(3):
        near(maps(name, model, x[i : i + 1], one_hot((0, 3, 4)[i]))[0], whole[i], 1e-4)
    near(maps(name, Batched(model, 2), x, objective), whole, 1e-4)
    near(maps(name, Batched(model, 1), x, MixedObjective((one_hot(0), one_hot(3), one_hot(4)))), whole, 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_maps_lie_on_the_image_even_if_it_is_not_square(name: str, model: TorchClassifier) -> None:
    tall, wide = maps(name, model, nets.images(1, 20, 8)), maps(name, model, nets.images(1, 8, 20))
    places = (20, 8) if tall.shape[1] == 20 else (10, 4)
    assert tall.shape[1:3] == places
    assert wide.shape[1:3] == places[::-1]
    assert np.isfinite(tall).all()
    assert np.ptp(tall) > 0 or np.ptp(wide) > 0 or not METHODS[name].signed


@pytest.mark.parametrize("claim", [*claims.CLAIMS, "complete"])
@pytest.mark.parametrize("name", METHODS)
def test_claims_hold(name: str, claim: str) -> None:
    claims.checks(METHODS[name])[claim](METHODS[name])


def false_claims(spec: Method) -> Iterator[tuple[str, Method]]:
    """Every claim that can be shown to be false, and the method with that claim turned into a false one."""
    if spec.class_specific:  # a map that ignores the class may have no negative values, although it is signed
        yield "signed", replace(spec, signed=not spec.signed)
    yield "class_specific", replace(spec, class_specific=not spec.class_specific)
    yield "linear", replace(spec, linear=not spec.linear)
    yield "complete", replace(spec, complete=not spec.complete)
    yield "passes", replace(spec, passes=f"{spec.passes.partition(' if ')[0]} + 1")
    yield "unit", replace(spec, unit="activation" if spec.unit.startswith(("{score}", "probability")) else "{score}")
    if not spec.single and spec.class_specific:
        yield "single", replace(spec, single=True)


@pytest.mark.parametrize("name", METHODS)
def test_false_claims_are_noticed(name: str) -> None:
    for claim, spec in false_claims(METHODS[name]):
        with pytest.raises(AssertionError):
            claims.checks(spec)[claim](spec)


@pytest.mark.parametrize("name", METHODS)
def test_every_argument_is_described(name: str) -> None:
    function = METHODS[name].function
    text = function.__doc__ or ""
    lines = text.partition("\nArgs:\n")[2].partition("\n\n")[0].splitlines()
    described = [line.split(":")[0].strip() for line in lines if line[4:5] != " "]
    assert described == list(inspect.signature(function).parameters)
    assert "Options:" not in text
    for section in ("Returns", "Reference"):
        assert f"\n\n{section}:\n" in text, section


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        (name, option, value)
        for name, spec in METHODS.items()
        for option, known in spec.choices.items()
        for value in [*known, "nonsense"]
    ],
)
def test_options_of_few_choices_are_checked(name: str, option: str, value: str) -> None:
    spec = METHODS[name]
    if value == "nonsense":
        with pytest.raises(InputError, match=f"{option} must be one of"):
            spec.check({option: value})
    else:
        spec.check({option: value})


def test_methods_of_others_are_registered_by_the_decorator() -> None:
    @method(family="cam", paper="none", unit="activation", passes="1", class_specific=False)
    def own_cam(model: Any, images: Any, objective: Any, *, layer: str, kind: Literal["a", "b"] = "a") -> Any:
        """The first channel.

        Options:
            kind: of nothing.

        Returns:
            a map.
        """
        return model.activations(images, layer)[..., 0]

    try:
        spec = METHODS["own_cam"]
        assert spec.family == "cam"
        assert not spec.signed
        assert spec.single
        assert "    layer: the point A is taken from" in str(own_cam.__doc__)
        assert "    kind: of nothing.\n\nReturns:" in str(own_cam.__doc__)
        with pytest.raises(InputError, match="kind must be one of 'a', 'b'"):
            spec(TorchClassifier(nets.Toy()), nets.images(), one_hot(), kind="c")
        with pytest.raises(AssertionError):
            claims.check(spec)  # the map has no gradient, and its unit is no score's: claims of the family are false
    finally:
        del METHODS["own_cam"]
    with pytest.raises(UnknownName, match="family"):
        method(family="camm", paper="none")


def test_the_gap_of_integrated_gradients_is_the_real_one(model: TorchClassifier) -> None:
    x = nets.images()
    logits = [to_numpy(model.activations(p))[:, 2] for p in (x, np.zeros_like(x))]
    for n in (1, 64):
        result = run("integrated_gradients", model, x, n_steps=n)
        sums = to_numpy(result.values).reshape(2, -1).sum(axis=1)
        np.testing.assert_allclose(to_numpy(result.notes["gap"]), logits[0] - logits[1] - sums, atol=1e-5)
    assert np.abs(to_numpy(run("integrated_gradients", model, x, n_steps=1).notes["gap"])).max() > 0.01


def test_integrated_gradients_takes_more_steps_until_the_gap_is_small(model: TorchClassifier) -> None:
    x = nets.images(3)
    coarse = run("integrated_gradients", model, x, n_steps=1)
    fine = run("integrated_gradients", model, x, n_steps=1, max_gap=0.03)
    difference, gaps = to_numpy(fine.notes["difference"]), np.asarray(fine.notes["gap"])
    reached = np.abs(gaps) <= 0.03 * np.abs(difference)
    assert (reached | (np.asarray(fine.notes["n_steps"]) == 16)).all()
    assert reached.any()
    assert np.abs(to_numpy(coarse.notes["gap"])).max() > np.abs(gaps).max()
    for i, count in enumerate(fine.notes["n_steps"]):
        assert count in (1, 2, 4, 8, 16)
        alone = maps("integrated_gradients", model, x[i : i + 1], n_steps=count)[0]
        near(to_numpy(fine.values)[i], alone)
        if count > 1:  # half as many were not enough
            half = run("integrated_gradients", model, x[i : i + 1], n_steps=count // 2)
            assert abs(float(half.notes["gap"][0])) > 0.03 * abs(difference[i])
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(InputError, match="max_gap"):
            run("integrated_gradients", model, x, max_gap=wrong)


def dead() -> nn.Module:
    """A network whose last map is zero everywhere, whatever it is shown."""
    net = nets.Toy()
    with torch.no_grad():
        net.conv2.weight.zero_()
        net.conv2.bias.fill_(-1.0)
    return net


@pytest.mark.parametrize("name", NAMES)
def test_a_zero_map_stays_zero_and_is_never_nan(name: str) -> None:
    options = {"cam": "layer_cam"} if name == "guided_grad_cam" else {}
    values = maps(name, TorchClassifier(dead()), nets.images(), **options)
    np.testing.assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_image_gives_no_nan(name: str, model: TorchClassifier) -> None:
    assert np.isfinite(maps(name, model, np.full((1, 12, 16, 3), 0.5, np.float32))).all()


def everything_of(net: nn.Module) -> dict[str, Any]:
    """What a user would notice if it changed."""
    return {
        "weights": {k: v.clone() for k, v in net.state_dict().items()},
        "grads": [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        "frozen": [p.requires_grad for p in net.parameters()],
        "training": [m.training for m in net.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), m.forward.__func__)
            for m in net.modules()
        ],
    }


def unchanged(before: dict[str, Any], net: nn.Module) -> None:
    after = everything_of(net)
    for key in ("frozen", "training", "hooks"):
        assert before[key] == after[key], key
    for k, v in before["weights"].items():
        assert torch.equal(v, after["weights"][k]), k
    for old, new in zip(before["grads"], after["grads"], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)


class Breaks(ClassObjective):
    """An objective that fails when it is asked."""

    def value(self, y: Any) -> Any:
        raise ZeroDivisionError

    def __call__(self, y: Any) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize("name", NAMES)
def test_the_users_model_is_left_as_it_was_also_after_an_exception(name: str) -> None:
    net = nets.Toy()
    net(torch.rand(1, 3, 12, 16)).sum().backward()
    net.conv2.weight.requires_grad_(False)
    net.train()
    net.norm.eval()
    before = everything_of(net)
    model = TorchClassifier(net)
    run(name, model, nets.images())
    unchanged(before, net)
    if METHODS[name].class_specific:
        with pytest.raises(ZeroDivisionError):
            run(name, model, nets.images(), Breaks("broken", ((1.0, (0,)),)))
        unchanged(before, net)


def frozen(net: nn.Module) -> Any:
    return net.requires_grad_(False)


def training(net: nn.Module) -> Any:
    return net.train()


@pytest.mark.parametrize("name", NAMES)
def test_it_works_under_no_grad_on_frozen_models_and_in_training_mode(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    want = maps(name, model, x)
    with torch.no_grad():
        near(maps(name, model, x), want)
    with torch.inference_mode():
        near(maps(name, model, x), want)
    changes: list[Callable[[nn.Module], Any]] = [frozen, training]
    for change in changes:
        near(maps(name, TorchClassifier(change(nets.Toy())), x), want)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("style", ["inplace", "functional", "shared"])
def test_the_way_relus_are_written_makes_no_difference(name: str, style: str, model: TorchClassifier) -> None:
    x = nets.images()
    layer = {"layer": "conv2"} if name in LAYERS else {}
    if name in NEED_AFFINE:
        layer = {"layer": "pool"}  # CAM needs a layer behind which nothing bends
    near(maps(name, TorchClassifier(nets.Toy(style)), x, **layer), maps(name, model, x, **layer), 1e-4)


@pytest.mark.parametrize("name", [n for n in NAMES if METHODS[n].needs == "relu"])
@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU])
def test_networks_without_relus_get_an_error_that_names_what_was_found(name: str, activation: type[nn.Module]) -> None:
    with pytest.raises(ModelError, match=rf"2 × {activation.__name__}.*grad_cam"):
        run(name, TorchClassifier(nets.smooth_net(activation)), nets.images())


@pytest.mark.parametrize("name", [n for n in NAMES if METHODS[n].needs != "relu"])
@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU])
def test_other_methods_suit_any_activation(name: str, activation: type[nn.Module]) -> None:
    assert np.isfinite(maps(name, TorchClassifier(nets.smooth_net(activation)), nets.images())).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_top_class_is_that_of_the_unaltered_image(name: str, model: TorchClassifier) -> None:
    x = nets.images(3)
    best = tuple(int(k) for k in to_numpy(model.activations(x)).argmax(axis=1))
    near(maps(name, model, x, TopKObjective()), maps(name, model, x, one_hot(*best)))


@pytest.mark.parametrize("name", NAMES)
def test_shared_passes_change_nothing(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    objectives = [one_hot(1), one_hot(3)]
    shared = Shared(model, x, objectives)
    for objective in (*objectives, objectives[0]):
        near(maps(name, shared, x, objective), maps(name, model, x, objective))


def test_nine_maps_of_one_image_share_one_pass(model: TorchClassifier) -> None:
    x = nets.images(1)
    passes = Passes()
    shared = Shared(Watched(model, passes), x, [one_hot(1), one_hot(3)])
    names = "eigen_cam grad_cam grad_cam_pp xgrad_cam hires_cam layer_cam eigen_grad_cam ablation_cam recipro_cam cam"
    for name in names.split():
        for objective in (one_hot(1), one_hot(3)):
            run(name, shared, x, objective)
    assert passes.rows == {"gradients": 1}


@pytest.mark.parametrize("name", NAMES)
def test_results_repeat_exactly(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    np.testing.assert_array_equal(maps(name, model, x), maps(name, model, x))


@pytest.mark.parametrize("name", NAMES)
def test_images_given_are_not_written_to(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    kept = copy.deepcopy(x)
    tensor = torch.tensor(x)
    maps(name, model, x)
    maps(name, model, tensor)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(tensor.numpy(), kept)
