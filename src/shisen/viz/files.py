"""Images on disk, each with a manifest beside it that says how it came about."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import io
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from .._core.io import write_file
from ..errors import InputError, explain_error
from ..types import Attribution, InputImage, Prediction
from . import png

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
LARGEST = {"JPEG": 65_500, "WEBP": 16_383}  # pixels a side that the format can hold
FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "onnxruntime")
INLINE = 64  # numbers; a longer array is named by shape, type and digest


def plain(value: Any) -> Any:
    """Return what strict JSON can hold: records as objects, arrays as lists, NaN and infinity as null."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (int, np.integer, np.bool_)):
        return value.item() if isinstance(value, np.generic) else int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Set):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    if hasattr(value, "detach"):  # a torch tensor, wherever it lives
        return plain(value.detach().cpu().numpy())
    named = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"  # never the repr, which may hold an address


def _array(value: npt.NDArray[Any]) -> Any:
    if value.ndim == 0:
        return plain(value.item())
    if value.size <= INLINE:
        return [plain(item) for item in value.tolist()]
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": digest}


def to_json(value: Any) -> str:
    """Return strict JSON with sorted keys: equal content gives equal text."""
    return json.dumps(plain(value), allow_nan=False, sort_keys=True, ensure_ascii=False, indent=2) + "\n"


def versions() -> dict[str, str]:
    """Return the versions of Python, shisen, NumPy, Pillow and of the frameworks that are loaded."""
    own = _own_version()
    found = {"python": platform.python_version(), "shisen": own, "numpy": np.__version__, "pillow": PIL.__version__}
    for name in FRAMEWORKS:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found[name] = str(version)
    return found


@lru_cache(maxsize=1)
def _own_version() -> str:
    try:
        return metadata.version("shisen")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def manifest(
    attribution: Attribution,
    *,
    image: InputImage | None = None,
    model: Mapping[str, Any] | None = None,
    scores: Iterable[Prediction] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compose the record of how an image came about, ready for JSON.

    Args:
        attribution: the map that was drawn; its values enter as shape and digest.
        image: the image explained; enters as source, size and digest.
        model: what identifies the network, such as its name and the digest of its weights.
        scores: the network's answer, best first.
        more: further entries, such as the frame and how the map was drawn; they go before the ones above.

    Returns:
        a dictionary with method, options, target, layer, unit, values, notes, image, model, scores and versions.
    """
    values = np.ascontiguousarray(attribution.values)
    record: dict[str, Any] = {
        "method": attribution.method,
        "options": attribution.options,
        "target": attribution.target,
        "layer": attribution.layer,
        "unit": attribution.unit,
        "signed": attribution.signed,
        "shows": attribution.shows,
        "notes": attribution.notes,
        "values": {
            "shape": values.shape,
            "dtype": str(values.dtype),
            "low": float(values.min()) if values.size else None,
            "high": float(values.max()) if values.size else None,
            "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        },
        "image": image and {"source": image.source, "sha256": image.sha256, "size": image.size},
        "model": model,
        "scores": list(scores),
        "versions": versions(),
    }
    composed: dict[str, Any] = plain({**record, **(more or {})})
    return composed


def save_image(
    image: Image.Image | npt.NDArray[Any], path: str | os.PathLike[str], record: Mapping[str, Any] | None = None
) -> Path:
    """Write an image and its manifest, both whole or not at all.

    Args:
        image: what to write; an array is stored as it is under `.npy` and must be uint8 otherwise.
        path: ends in .png, .jpg, .jpeg, .webp or .npy.
        record: the manifest, written as `<stem>.json`; None to write none.

    Returns:
        the path of the image.

    Raises:
        InputError: if the suffix is another one, or the format cannot hold the image.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix == ".npy":
        content = _npy(image)
    elif suffix in FORMATS:
        content = _encoded(image, FORMATS[suffix])
    else:
        raise InputError(
            explain_error(
                f"An image's file name must end in {', '.join(FORMATS)} or .npy.",
                repr(target.name),
                f"Try {target.stem + '.png'!r}.",
            )
        )
    write_file(target, content)
    if record is not None:
        write_file(target.with_suffix(".json"), to_json(record))
    return target


def _npy(values: Any) -> bytes:
    if not isinstance(values, np.ndarray):
        raise InputError(
            explain_error("Only raw values can be written as .npy.", type(values).__name__, "Use .png for an image.")
        )
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _encoded(image: Image.Image | npt.NDArray[Any], kind: str) -> bytes:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8:
            raise InputError(
                explain_error(
                    "An array must be uint8 to be written as an image.", image.dtype, "Use .npy for raw values."
                )
            )
        image = Image.fromarray(image)
    limit = LARGEST.get(kind)
    if limit is not None and max(image.size) > limit:
        raise InputError(
            explain_error(
                f"{kind} holds at most {limit} pixels a side.", f"{image.width} × {image.height}", "Use .png."
            )
        )
    if image.mode not in ("RGB", "L") and not (kind != "JPEG" and image.mode == "RGBA"):
        image = image.convert("RGB")
    if kind == "PNG":
        return png.encode(np.asarray(image))
    buffer = io.BytesIO()
    image.save(buffer, kind, **QUALITY[kind])
    return buffer.getvalue()
