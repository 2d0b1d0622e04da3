"""Name → function and claims of every measure of an explanation, as `registry.METHODS` is for methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.i18n import N_
from ..errors import unknown


@dataclass(frozen=True)
class Metric:
    """A registered metric: its function and what it claims about itself.

    Attributes:
        name: the name people type.
        function: `function(case, **options)` -> `Outcome`, or a generator that asks the network; see `case`.
        family: "faithfulness", "masking", "stability", "shape", "localization" or "sanity".
        unit: of the value.
        higher_is_better: the direction; None for a description that is neither good nor bad.
        paper: reference.
        needs: "map" (nothing but the map), "scores" (the network's answers), "maps" (further explanations) or
            "region" (an annotation of the object).
        monotone: whether the value depends on the map's order only, and so stays the same under every
            increasing rescaling of the map.
    """

    name: str
    function: Callable[..., Any]
    family: str
    unit: str
    higher_is_better: bool | None
    paper: str
    needs: str
    monotone: bool

    @property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").split("\n")[0]

    @property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """The keyword-only options of the function."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def direction(self) -> str:
        """ "higher is better", "lower is better" or "neither is better"."""
        words = {True: N_("higher is better"), False: N_("lower is better"), None: N_("neither is better")}
        return words[self.higher_is_better]

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise if an option is not one of the metric's."""
        for name in options:
            if name not in self.options:
                raise unknown(f"option of {self.name!r}", name, self.options)


METRICS: dict[str, Metric] = {}


def metric(
    *,
    family: str,
    unit: str,
    higher_is_better: bool | None,
    paper: str,
    needs: str = "scores",
    monotone: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function under its own name with its claims; see `Metric`."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        METRICS[name] = Metric(name, function, family, unit, higher_is_better, paper, needs, monotone)
        return function

    return add


def get(name: str) -> Metric:
    """Return the metric of this name, or raise with the nearest names."""
    key = str(name).lower().replace("-", "_").replace(" ", "_")
    if key not in METRICS:
        raise unknown("metric", name, METRICS, "See `shisen metrics`.")
    return METRICS[key]


def metrics() -> dict[str, str]:
    """Return the names of all metrics of explanations with one line each."""
    from . import fill_registry

    fill_registry()
    return {name: f"{m.summary} ({m.unit}; {m.direction})" for name, m in METRICS.items()}
