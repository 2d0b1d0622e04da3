"""Every registered metric equals its reference implementation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluation.samples import SIDE, logits, probability, sample
from reference.metrics import REFERENCES
from shisen.evaluation.metrics import METRICS, Metric
from shisen.evaluation.requests import Outcome, run_metric

REGION = np.zeros((SIDE, SIDE), dtype=bool)
REGION[1:5, 2:6] = True


def explain(images: Any, fraction: float) -> Any:
    """A method whose maps are known: brightness, and something else the more of the network is randomized."""
    x = np.asarray(images, dtype=np.float64).mean(axis=3)
    return (1 - fraction) * x + fraction * x[:, ::-1, ::-1] ** 3


def samples() -> list[Any]:
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(SIDE, SIDE)), rng.integers(-1, 4, (SIDE, SIDE)), rng.random((SIDE, SIDE)) + 0.2]
    maps.append(np.where(np.arange(SIDE) < 5, 3.0, 1.0) * np.ones((SIDE, SIDE)))
    found = [sample(m, seed, region=REGION) for seed, m in enumerate(maps)]
    return [*found, replace(found[0], index=0)]  # the other class gains probability when the image is masked


def chance_of(one: Any) -> Any:
    """The probability of the sample's class: the second one, or the other."""
    return probability if one.index == 1 else lambda image: 1.0 - probability(image)


def agrees(spec: Metric) -> None:
    """Raise unless a metric equals its reference on every sample."""
    reference = REFERENCES.get(spec.name)
    assert reference, f"{spec.name} has no reference implementation: write one in tests/reference/metrics.py"
    for one in samples():
        if one.index == 0 and spec.name in ("infidelity", "mufidelity", "completeness", "sensitivity_n"):
            continue  # the logit of the other class is always zero
        found = run_metric(spec.function(one), logits, explain).value
        assert found == pytest.approx(reference(one, chance_of(one), explain), rel=1e-4, abs=1e-6), spec.name


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_equals_its_reference(name: str) -> None:
    agrees(METRICS[name])


def test_every_reference_is_of_a_metric() -> None:
    assert set(REFERENCES) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_a_wrong_formula_does_not_equal_the_reference(name: str) -> None:
    true = METRICS[name].function
    for wrong in (lambda v: v * 1.01 + 0.001, lambda v: -v - 0.1, lambda v: v + 1):

        def function(one: Any, wrong: Callable[[float], float] = wrong) -> Outcome:
            return Outcome(wrong(run_metric(true(one), logits, explain).value))

        with pytest.raises(AssertionError):
            agrees(replace(METRICS[name], function=function))


def test_a_metric_without_a_reference_fails() -> None:
    with pytest.raises(AssertionError, match="no reference implementation"):
        agrees(replace(METRICS["deletion"], name="another"))


@pytest.mark.parametrize("name", METRICS)
def test_claims_hold(name: str) -> None:
    """Values lie in their range, and metrics that use the order of a map only ignore a rescaling that keeps it."""
    spec = METRICS[name]
    for one in samples():
        value = run_metric(spec.function(one), logits, explain).value
        if spec.unit == "%":
            assert 0 <= value <= 100
        elif "correlation" in spec.unit:
            assert -1 <= value <= 1
    same = []
    for one in samples():
        other = replace(one, values=np.exp(one.values).astype(np.float32))
        pair = [run_metric(spec.function(s), logits, explain).value for s in (one, other)]
        same.append(pair[0] == pytest.approx(pair[1], abs=1e-9))
    if spec.monotone:
        assert all(same)
    elif spec.family in ("masking", "shape") and name != "increase":
        assert not all(same), "depends on the order only, but does not claim it"


@pytest.mark.parametrize("name", METRICS)
def test_every_argument_is_described(name: str) -> None:
    function = METRICS[name].function
    lines = (function.__doc__ or "").partition("\nArgs:\n")[2].partition("\n\n")[0].splitlines()
    described = [line.split(":")[0].strip() for line in lines if line[4:5] != " "]
    assert described == list(inspect.signature(function).parameters)
