"""The result of an evaluation: a score for every image, setting and metric, with means and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.stats import bootstrap
from .._core.writers import FOLDER, write
from ..errors import unknown
from ..types import Score
from .agreement import agreement
from .metrics import METRICS
from .statistics import Difference, difference


@dataclass(frozen=True)
class Row:
    """One score: the value of a metric for one setting's map of one image."""

    image: str
    source: str
    method: str
    metric: str
    value: float
    curve: tuple[float, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Example:
    """A small image, its class and its probability, and a small map of every setting, for the report."""

    source: str
    label: str
    probability: float
    pixels: npt.NDArray[np.uint8]
    heats: Mapping[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores with 95 % intervals over the images.

    Attributes:
        rows: every single score.
        methods: names of the settings, control maps last.
        control_maps: names of the settings that do not depend on the network.
        metrics: names.
        reference: the setting that the others are compared with.
        facts: model, number of images, options, seed.
        failures: images that could not be used, and why.
        examples: images with maps, by image digest.
    """

    rows: tuple[Row, ...]
    methods: tuple[str, ...]
    control_maps: tuple[str, ...]
    metrics: tuple[str, ...]
    reference: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()
    examples: Mapping[str, Example] = field(default_factory=dict)

    @cached_property
    def _index(self) -> dict[tuple[str, str], dict[str, Row]]:
        found: dict[tuple[str, str], dict[str, Row]] = {}
        for row in self.rows:
            found.setdefault((row.method, row.metric), {})[row.image] = row
        return found

    def of(self, method: str, metric: str) -> dict[str, Row]:
        """Return image digest → row.

        Args:
            method: name of the setting.
            metric: name of the metric.

        Raises:
            UnknownName: if the method or the metric was not evaluated.
        """
        if method not in self.methods:
            raise unknown("evaluated method", method, self.methods)
        if metric not in self.metrics:
            raise unknown("evaluated metric", metric, self.metrics)
        return self._index.get((method, metric), {})

    def score(self, method: str, metric: str) -> Score:
        """Return the mean over images with its interval.

        Args:
            method: name of the setting.
            metric: name of the metric.
        """
        found = bootstrap(np.asarray([r.value for r in self.of(method, metric).values()]))
        better = METRICS[metric].higher_is_better
        return Score(method, metric, found.value, found.low, found.high, found.n, bool(better))

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """Every mean with its interval."""
        return tuple(self.score(m, k) for m in self.methods for k in self.metrics)

    def difference(self, method: str, reference: str, metric: str) -> Difference:
        """Return the paired comparison of two settings on their common images.

        Args:
            method: name of the setting.
            reference: name of the setting that the others are compared with.
            metric: name of the metric.
        """
        one, other = self.of(method, metric), self.of(reference, metric)
        pairs = np.asarray([(one[p].value, other[p].value) for p in one if p in other])
        return difference(method, reference, metric, pairs, METRICS[metric].higher_is_better)

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Every setting against the reference."""
        return tuple(
            self.difference(m, self.reference, k) for m in self.methods if m != self.reference for k in self.metrics
        )

    def curve(self, method: str, metric: str) -> npt.NDArray[np.float64]:
        """Return the mean curve of a metric that has one, else an empty array.

        Args:
            method: name of the setting.
            metric: name of the metric.
        """
        curves = [r.curve for r in self.of(method, metric).values() if r.curve]
        return np.mean(np.asarray(curves, dtype=np.float64), axis=0) if curves else np.zeros(0)

    @cached_property
    def agreement(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Two settings → mean rank correlation and structural similarity of their small maps."""
        whole = [e for e in self.examples.values() if all(m in e.heats for m in self.methods)]
        return agreement({m: [e.heats[m].astype(np.float64) / 255.0 for e in whole] for m in self.methods})

    def _repr_html_(self) -> str:
        from .score_text import html_table

        return html_table(self)

    def table(self) -> str:
        """Return the scores as text, one line per setting; * differs significantly from the reference."""
        from .score_text import text_table

        return text_table(self)

    def records(self) -> list[dict[str, Any]]:
        """Return the means as plain rows."""
        found = []
        for s in self.scores:
            spec = METRICS[s.metric]
            row = {
                "method": s.method,
                "control_map": s.method in self.control_maps,
                "metric": s.metric,
                "unit": spec.unit,
            }
            row |= {"value": s.value, "low": s.low, "high": s.high, "n": s.n, "direction": spec.direction}
            if s.method != self.reference:
                d = self.difference(s.method, self.reference, s.metric)
                row |= {"against": self.reference, "difference": d.interval.value, "difference_low": d.interval.low}
                row |= {"difference_high": d.interval.high, "p": d.p, "verdict": d.verdict}
            found.append(row)
        return found

    def to_csv(self, path: str | Path) -> Path:
        """Write the means with intervals and comparisons, one line per setting and metric."""
        return write(self, path, suffix=".csv")

    def to_json(self, path: str | Path) -> Path:
        """Write everything: facts, means, comparisons, every single score, failures."""
        return write(self, path, suffix=".json")

    def to_parquet(self, path: str | Path) -> Path:
        """Write every single score as a table; needs pyarrow."""
        return write(self, path, suffix=".parquet")

    def save(self, folder: str | Path, *, lang: str = "en") -> Path:
        """Write scores.csv, scores.json and report.html into a folder.

        Args:
            folder: made if it is not there.
            lang: code of the report's language.

        Returns:
            The path of the report.
        """
        return write(self, folder, suffix=FOLDER, lang=lang)

    def __repr__(self) -> str:
        n = self.facts.get("n_images")
        return f"<shisen.Scores {len(self.methods)} methods × {len(self.metrics)} metrics, {n} images>"
