"""Name → function and claims of every metric of an explanation, as `registry.METHODS` is for methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .._core import plugins
from .._core.i18n import N_
from ..registry import ARGUMENTS as SHARED
from ..registry import Function, Registered, Registry, complete_docstring, find

ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {"sample": "the image and its map.", "baseline": SHARED["baseline"], "n_steps": "number of equal portions."}
)
"""What the arguments that many metrics have mean; a metric's docstring describes only its own, under `Options:`."""


@dataclass(frozen=True)
class Metric(Registered):
    """A registered metric: its function and what it claims about itself.

    `function(sample, **options)` returns an `Outcome`, or is a generator that requests scores and maps; see `sample`.
    Families are "faithfulness", "masking", "stability", "shape", "localization" and "sanity".

    Attributes:
        higher_is_better: the direction; None for a description that is neither good nor bad.
        needs: "map" (nothing but the map), "scores" (the network's logits), "maps" (further explanations) or
            "region" (an annotation of the object).
        monotone: whether the value depends on the map's order only, and so stays the same under every
            increasing rescaling of the map.
    """

    higher_is_better: bool | None
    needs: str = "scores"
    monotone: bool = False

    @property
    def direction(self) -> str:
        """ "higher is better", "lower is better" or "neither is better"."""
        words = {True: N_("higher is better"), False: N_("lower is better"), None: N_("neither is better")}
        return words[self.higher_is_better]


HOMES = (
    "curves", "masking_metrics", "road", "arcc", "infidelity", "axioms", "shape", "localization", "collages", "sanity",
)  # fmt: skip

METRICS: Registry[Metric] = Registry(plugins.METRICS, *(f"{__package__}.{home}" for home in HOMES))
"""Filled by every module that decorates functions with `metric`."""


def metric(
    *,
    family: str,
    unit: str,
    higher_is_better: bool | None,
    paper: str,
    needs: str = "scores",
    monotone: bool = False,
) -> Callable[[Function], Function]:
    """Register a function under its own name with its claims; see `Metric`.

    The function's docstring describes its own options under `Options:`.

    Args:
        family: group of metrics.
        unit: of the value.
        higher_is_better: the direction, or None.
        paper: reference.
        needs: "map", "scores", "maps" or "region".
        monotone: whether only the map's order matters.

    Returns:
        a decorator that returns the function itself.
    """

    def add(function: Function) -> Function:
        complete_docstring(function, ARGUMENTS)
        name = function.__name__
        METRICS[name] = Metric(name, function, family, unit, paper, higher_is_better, needs, monotone)
        return function

    return add


def get(name: str) -> Metric:
    """Return the metric of this name, or raise with the nearest names."""
    found: Metric = find(name, METRICS, "metric")
    return found


def metrics() -> dict[str, str]:
    """Return the names of all metrics of explanations with one line each."""
    return {name: f"{m.summary} ({m.unit}; {m.direction})" for name, m in METRICS.items()}
