"""Where the object is: boxes and outlines from COCO, VOC and CSV files, and their position in a network's input."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error, requiring
from ..types import Frame


@dataclass(frozen=True)
class Box:
    """One object: left, top, right, bottom in image pixels, its label, and its outlines if there are any."""

    left: float
    top: float
    right: float
    bottom: float
    label: str = ""
    outlines: tuple[tuple[float, ...], ...] = ()


Regions = Mapping[str, Any]
"""File name → boxes, or a boolean mask `(H, W)` of the image."""


def region_of(region: Any, frame: Frame, labels: Iterable[str] = ()) -> npt.NDArray[np.bool_]:
    """Return `(h, w)`: which pixels of the network's input show the object.

    Args:
        region: boxes, or a boolean mask `(H, W)` of the image.
        frame: where the input lies in the image.
        labels: names of the class; boxes that bear one of them are taken, all boxes if none does.
    """
    h, w = frame.size
    left, top, right, bottom = frame.box
    x = left + (np.arange(w) + 0.5) * (right - left) / w
    y = top + (np.arange(h) + 0.5) * (bottom - top) / h
    if isinstance(region, np.ndarray):
        rows, columns = np.floor(y).astype(int), np.floor(x).astype(int)
        inside_y, inside_x = (rows >= 0) & (rows < region.shape[0]), (columns >= 0) & (columns < region.shape[1])
        found = region.astype(bool)[np.clip(rows, 0, region.shape[0] - 1)]
        found = found[:, np.clip(columns, 0, region.shape[1] - 1)]
        return np.asarray(found & inside_y[:, None] & inside_x[None, :])
    wanted = {name.lower() for name in labels if name}
    named = [b for b in region if b.label.lower() in wanted]
    result = np.zeros((h, w), dtype=bool)
    for box in named or region:
        if box.outlines:
            result |= _filled(box, x, y)
        else:
            result |= ((y >= box.top) & (y < box.bottom))[:, None] & ((x >= box.left) & (x < box.right))[None, :]
    return result


def _filled(box: Box, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which of the points (y, x) lie inside an odd number of outlines."""
    inside = np.zeros((len(y), len(x)), dtype=bool)
    for outline in box.outlines:
        points = np.asarray(outline, dtype=np.float64).reshape(-1, 2)
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y1 == y2:
                continue
            crosses = (y1 <= y) != (y2 <= y)
            at = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
            inside ^= crosses[:, None] & (x[None, :] < at[:, None])
    return inside


def read_regions(path: str | Path) -> dict[str, tuple[Box, ...]]:
    """Read annotations: a COCO `.json`, a `.csv`, a VOC `.xml` or a folder of such.

    Returns:
        File name, without its folder → boxes.

    Raises:
        InputError: if the file cannot be understood.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        found: dict[str, tuple[Box, ...]] = {}
        for one in sorted(file.glob("*.xml")):
            found.update(_voc(one))
        if not found:
            raise InputError(
                explain_error("A folder of annotations holds VOC .xml files.", f"none in {file}", "Give that folder.")
            )
        return found
    readers = {".json": _coco, ".xml": _voc, ".csv": _csv}
    if file.suffix.lower() not in readers or not file.is_file():
        raise InputError(
            explain_error(
                "Annotations are a .json (COCO), .xml (VOC) or .csv file.",
                str(path) if file.exists() else f"{path}, which does not exist",
                "Give such a file, or a folder of VOC files.",
            )
        )
    try:
        return readers[file.suffix.lower()](file)
    except (KeyError, ValueError, TypeError, IndexError, UnicodeDecodeError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(
            explain_error(f"{file.name} must be a complete annotation file.", repr(problem), "See the docs.")
        ) from problem


def _coco(file: Path) -> dict[str, tuple[Box, ...]]:
    content = json.loads(file.read_text(encoding="utf-8"))
    names = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
    files = {i["id"]: Path(str(i["file_name"])).name for i in content["images"]}
    found: dict[str, list[Box]] = {}
    for a in content["annotations"]:
        left, top, width, height = (float(v) for v in a["bbox"])
        outlines = a.get("segmentation")
        own = tuple(tuple(float(v) for v in o) for o in outlines) if isinstance(outlines, list) else ()
        box = Box(left, top, left + width, top + height, names.get(a.get("category_id"), ""), own)
        found.setdefault(files[a["image_id"]], []).append(box)
    return {name: tuple(boxes) for name, boxes in found.items()}


CORNERS = (("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))


def _csv(file: Path) -> dict[str, tuple[Box, ...]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [{str(k).strip().lower(): v for k, v in row.items()} for row in csv.DictReader(stream)]
    found: dict[str, list[Box]] = {}
    for row in rows:
        corners = next((c for c in CORNERS if c[0] in row), None)
        name = row.get("file") or row.get("filename") or row.get("image")
        if corners is None or not name:
            raise InputError(
                explain_error(
                    "A CSV file of boxes has the columns file, left, top, right, bottom and perhaps label.",
                    ", ".join(row),
                    "Rename the columns.",
                )
            )
        left, top, right, bottom = (float(row[c]) for c in corners)
        label = row.get("label") or row.get("class") or ""
        found.setdefault(Path(name).name, []).append(Box(left, top, right, bottom, label))
    return {name: tuple(boxes) for name, boxes in found.items()}


def _voc(file: Path) -> dict[str, tuple[Box, ...]]:
    """Read one VOC file. Its corners count pixels from 1 and are inclusive."""
    root = _parsed(file)
    name = Path(root.findtext("filename") or file.with_suffix(".jpg").name).name
    boxes = []
    for thing in root.findall("object"):
        corners = thing.find("bndbox")
        if corners is not None:
            left, top, right, bottom = (float(corners.findtext(k, "")) for k in CORNERS[1])
            boxes.append(Box(left - 1.0, top - 1.0, right, bottom, thing.findtext("name", "").strip()))
    return {name: tuple(boxes)}


def _parsed(file: Path) -> Any:
    """Parse XML that comes from anywhere: a document type, and so every entity, is refused."""
    with requiring("defusedxml", "evaluate", "Reading VOC annotations"):
        from defusedxml import DefusedXmlException, ElementTree
    try:
        return ElementTree.fromstring(file.read_bytes(), forbid_dtd=True)
    except DefusedXmlException:
        raise InputError(
            explain_error(
                "An annotation file must hold data only, no document type and no entities.",
                file.name,
                "Remove <!DOCTYPE …>.",
            )
        ) from None
    except ElementTree.ParseError as problem:
        raise InputError(
            explain_error("An annotation file must be well-formed XML.", f"{file.name}: {problem}", "Export it again.")
        ) from None
