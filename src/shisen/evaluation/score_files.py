"""Scores as files: tables, everything as JSON, and a folder with the report."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from .._core.io import write_file
from .._core.writers import FOLDER, writer
from ..errors import requiring
from ..viz.files import to_json
from .report import write_report

if TYPE_CHECKING:
    from .scores import Scores


@writer("Scores", ".csv")
def write_csv(scores: Scores, path: Path) -> Path:
    """Write the means with intervals and comparisons, one line per setting and metric."""
    rows = scores.records()
    stream = io.StringIO(newline="")
    table = csv.DictWriter(stream, list(dict.fromkeys(k for row in rows for k in row)), restval="")
    table.writeheader()
    table.writerows(rows)
    write_file(path, stream.getvalue())
    return path


@writer("Scores", ".json")
def write_json(scores: Scores, path: Path) -> Path:
    """Write everything: facts, means, comparisons, every single score, failures."""
    content = {
        "facts": dict(scores.facts),
        "reference": scores.reference,
        "scores": scores.records(),
        "rows": [{**vars(r), "parts": dict(r.parts)} for r in scores.rows],
        "failures": [{"image": s, "error": e} for s, e in scores.failures],
    }
    write_file(path, to_json(content))
    return path


@writer("Scores", ".parquet")
def write_parquet(scores: Scores, path: Path) -> Path:
    """Write every single score as a table.

    Raises:
        MissingDependency: without pyarrow.
    """
    with requiring("pyarrow", "audit", "A Parquet file"):
        import pyarrow
        import pyarrow.parquet
    rows = [{"image": r.source, "method": r.method, "metric": r.metric, "value": r.value} for r in scores.rows]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    write_file(path, buffer.getvalue())
    return path


@writer("Scores", FOLDER)
def write_folder(scores: Scores, folder: Path, *, lang: str = "en") -> Path:
    """Write scores.csv, scores.json and report.html."""
    write_csv(scores, folder / "scores.csv")
    write_json(scores, folder / "scores.json")
    return write_report(scores, folder / "report.html", lang=lang)
