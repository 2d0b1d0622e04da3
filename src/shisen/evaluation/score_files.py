"""Scores as files: tables, everything as JSON, and a folder with the report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.io import write_file
from .._core.writers import FOLDER, writer
from ..errors import require
from .report import write_report

if TYPE_CHECKING:
    from .scores import Scores


@writer("Scores", ".csv")
def write_csv(scores: Scores, path: Path) -> Path:
    """Write the means with intervals and comparisons, one line per setting and metric.

    Args:
        scores: the scores.
        path: path of the file to write.

    Returns:
        The path.
    """
    rows = scores.records()
    stream = io.StringIO(newline="")
    table = csv.DictWriter(stream, list(dict.fromkeys(k for row in rows for k in row)), restval="")
    table.writeheader()
    table.writerows(rows)
    write_file(path, stream.getvalue())
    return path


@writer("Scores", ".json")
def write_json(scores: Scores, path: Path) -> Path:
    """Write everything: facts, means, comparisons, every single score, failures.

    Args:
        scores: the scores.
        path: path of the file to write.

    Returns:
        The path.
    """
    content = {
        "facts": dict(scores.facts),
        "reference": scores.reference,
        "scores": scores.records(),
        "rows": [{**vars(r), "parts": dict(r.parts)} for r in scores.rows],
        "failures": [{"image": s, "error": e} for s, e in scores.failures],
    }
    text = json.dumps(_plain(content), ensure_ascii=False, indent=1, default=str)
    write_file(path, text)
    return path


@writer("Scores", ".parquet")
def write_parquet(scores: Scores, path: Path) -> Path:
    """Write every single score as a table.

    Args:
        scores: the scores.
        path: path of the file to write.

    Returns:
        The path.

    Raises:
        MissingDependency: without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as problem:
        raise require("pyarrow", "audit", "A Parquet file") from problem
    rows = [{"image": r.source, "method": r.method, "metric": r.metric, "value": r.value} for r in scores.rows]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    write_file(path, buffer.getvalue())
    return path


@writer("Scores", FOLDER)
def write_folder(scores: Scores, folder: Path, *, lang: str = "en") -> Path:
    """Write scores.csv, scores.json and report.html.

    Args:
        scores: the result of an evaluation.
        folder: made if it is not there.
        lang: code of the report's language.

    Returns:
        The path of the report.
    """
    write_csv(scores, folder / "scores.csv")
    write_json(scores, folder / "scores.json")
    return write_report(scores, folder / "report.html", lang=lang)


def _plain(value: Any) -> Any:
    """Return the value with figures that JSON does not know (NaN, infinities) as None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
