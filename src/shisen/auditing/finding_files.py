"""Findings in a file, with all that it takes to put them on images again: plain values and arrays, no code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._core.io import write_file
from ..errors import InputError, explain_error
from .artefacts import kinds
from .artefacts.base import Candidate
from .artefacts.compound import Compound
from .findings import Finding
from .interventions import Effect
from .shifts import Shift

FILE = "findings.npz"


def write_findings(path: Path, found: Sequence[Finding]) -> None:
    """Write findings.

    A finding of a kind that is no dataclass, as one of another package may be, is kept as None.

    Args:
        path: path of the file.
        found: the findings, in their order.
    """
    arrays: list[Any] = []
    record = json.dumps([_kept(one, arrays) for one in found])
    content = {"record": np.asarray(record), **{str(i): a for i, a in enumerate(arrays)}}
    write_file(path, partial(np.savez_compressed, **content))


def read_findings(path: Path) -> list[Finding | None]:
    """Return the findings of a file, in their order; None for what could not be kept.

    Raises:
        InputError: for a file that is missing, or not of this version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return [_decoded(one, arrays) for one in json.loads(str(arrays["record"]))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InputError(
            explain_error(
                "An audit must have kept its findings.",
                f"{str(path)!r} ({problem})",
                "Run `shisen audit` again with the same folder and output.",
            )
        ) from problem


def _kept(finding: Finding, arrays: list[Any]) -> Any:
    before = len(arrays)
    try:
        return _encoded(finding, arrays)
    except TypeError:
        del arrays[before:]
        return None


def _encoded(value: Any, arrays: list[Any]) -> Any:
    """Return a value as JSON takes it; arrays are appended, and named by their number."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Mapping):
        return {"map": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if is_dataclass(value):
        parts = {f.name: _encoded(getattr(value, f.name), arrays) for f in fields(value) if f.init}
        return {"record": _name(type(value)), "fields": parts}
    if isinstance(value, Shift):
        return {"record": _name(Shift), "fields": {k: _encoded(v, arrays) for k, v in value._asdict().items()}}
    if isinstance(value, (tuple, list)):
        return [_encoded(one, arrays) for one in value]
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _decoded(value: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(one, arrays) for one in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[str(value["array"])]
    if "map" in value:
        return {_decoded(k, arrays): _decoded(v, arrays) for k, v in value["map"]}
    known = {_name(one): one for one in (Finding, Candidate, Effect, Shift, Compound, *kinds())}
    return known[value["record"]](**{k: _decoded(v, arrays) for k, v in value["fields"].items()})


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
