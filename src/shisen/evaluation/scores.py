"""The result of an evaluation: a figure for every image, setting and metric, and what they say together."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import require, unknown
from ..types import Score
from .agreement import agreement
from .cache import write_whole
from .metrics import METRICS
from .statistics import Difference, bootstrap, difference


@dataclass(frozen=True)
class Row:
    """One figure: what a metric says about one setting's map of one image."""

    image: str
    source: str
    method: str
    metric: str
    value: float
    curve: tuple[float, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Example:
    """What is kept for looking at: a small image, its class, and a small map of every setting."""

    source: str
    label: str
    chance: float
    pixels: npt.NDArray[np.uint8]
    heats: Mapping[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures with 95 % intervals over the images.

    Attributes:
        rows: every single figure.
        methods: names of the settings, floors last.
        floors: names of those that know nothing about the network.
        metrics: names.
        reference: the setting that the others are compared with.
        facts: model, number of images, options, seed.
        failures: images that could not be used, and why.
        exhibits: images with maps, by image digest.
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
        """Return image digest → row."""
        if method not in self.methods:
            raise unknown("evaluated method", method, self.methods)
        if metric not in self.metrics:
            raise unknown("evaluated metric", metric, self.metrics)
        return self._index.get((method, metric), {})

    def score(self, method: str, metric: str) -> Score:
        """Return the mean over images with its interval."""
        found = bootstrap(np.asarray([r.value for r in self.of(method, metric).values()]))
        better = METRICS[metric].higher_is_better
        return Score(method, metric, found.value, found.low, found.high, found.n, bool(better))

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """Every mean with its interval."""
        return tuple(self.score(m, k) for m in self.methods for k in self.metrics)

    def difference(self, method: str, reference: str, metric: str) -> Difference:
        """Return the paired comparison of two settings on the images they share."""
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
        """Return the mean curve of a metric that has one, else an empty array."""
        curves = [r.curve for r in self.of(method, metric).values() if r.curve]
        return np.mean(np.asarray(curves, dtype=np.float64), axis=0) if curves else np.zeros(0)

    @cached_property
    def agreement(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Two settings → mean rank correlation and structural similarity of their small maps."""
        whole = [e for e in self.examples.values() if all(m in e.heats for m in self.methods)]
        return agreement({m: [e.heats[m].astype(np.float64) / 255.0 for e in whole] for m in self.methods})

    def _repr_html_(self) -> str:
        from .report import html_table

        return html_table(self)

    def table(self) -> str:
        """Return the figures as text, a line a setting; * is clearly different from the reference."""
        marks = {(d.method, d.metric): d.verdict for d in self.differences}
        head = ["method", *(f"{k} {arrow(k)}" for k in self.metrics)]
        lines = [head]
        for m in self.methods:
            cells = []
            for k in self.metrics:
                mark = "*" if marks.get((m, k), "no clear difference") != "no clear difference" else " "
                cells.append(f"{figure(self.score(m, k))}{mark}")
            lines.append([m + (" (control map)" if m in self.control_maps else ""), *cells])
        widths = [max(len(row[i]) for row in lines) for i in range(len(head))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines)

    def records(self) -> list[dict[str, Any]]:
        """Return the means as plain rows."""
        found = []
        for s in self.scores:
            spec = METRICS[s.metric]
            row = {"method": s.method, "floor": s.method in self.control_maps, "metric": s.metric, "unit": spec.unit}
            row |= {"value": s.value, "low": s.low, "high": s.high, "n": s.n, "direction": spec.direction}
            if s.method != self.reference:
                d = self.difference(s.method, self.reference, s.metric)
                row |= {"against": self.reference, "difference": d.interval.value, "difference_low": d.interval.low}
                row |= {"difference_high": d.interval.high, "p": d.p, "verdict": d.verdict}
            found.append(row)
        return found

    def to_csv(self, path: str | Path) -> Path:
        """Write the means with intervals and comparisons, one line a setting and metric."""
        rows = self.records()
        names = list(dict.fromkeys(k for row in rows for k in row))
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(Path(path), stream.getvalue().encode("utf-8"))
        return Path(path)

    def to_json(self, path: str | Path) -> Path:
        """Write everything: facts, means, comparisons, every single figure, failures."""
        content = {
            "facts": dict(self.facts),
            "reference": self.reference,
            "scores": self.records(),
            "rows": [{**vars(r), "parts": dict(r.parts)} for r in self.rows],
            "failures": [{"image": s, "error": e} for s, e in self.failures],
        }
        text = json.dumps(_plain(content), ensure_ascii=False, indent=1, default=str)
        write_whole(Path(path), text.encode("utf-8"))
        return Path(path)

    def to_parquet(self, path: str | Path) -> Path:
        """Write every single figure as a table; needs pyarrow."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as problem:
            raise require("pyarrow", "audit", "A Parquet file") from problem
        rows = [{"image": r.source, "method": r.method, "metric": r.metric, "value": r.value} for r in self.rows]
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
        write_whole(Path(path), buffer.getvalue())
        return Path(path)

    def save(self, folder: str | Path, *, lang: str = "en") -> Path:
        """Write scores.csv, scores.json and report.html into a folder.

        Args:
            folder: made if it is not there.
            lang: "en" or "ja", of the report.

        Returns:
            The path of the report.
        """
        from .report import write_report

        place = Path(folder)
        self.to_csv(place / "scores.csv")
        self.to_json(place / "scores.json")
        return write_report(self, place / "report.html", lang=lang)

    def __repr__(self) -> str:
        n = self.facts.get("n_images")
        return f"<shisen.Scores {len(self.methods)} methods × {len(self.metrics)} metrics, {n} images>"


def _plain(value: Any) -> Any:
    """Return the value with figures that JSON does not know (NaN, infinities) as None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


def arrow(metric: str) -> str:
    """Return ↑ where higher is better, ↓ where lower is, nothing elsewhere."""
    return {True: "↑", False: "↓", None: ""}[METRICS[metric].higher_is_better]


def figure(score: Score) -> str:
    """Return a mean with its interval, such as "0.41 [0.38, 0.44]"."""
    digits = 1 if METRICS[score.metric].unit == "%" else 3
    if np.isnan(score.value):
        return "–"
    if np.isnan(score.low):
        return f"{score.value:.{digits}f}"
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"
