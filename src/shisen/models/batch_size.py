"""How many images a network takes at a time, as measured on this machine.

Results do not depend on it; time and memory do. By default, the rule of the adapter applies. Commands on many
images measure once, a second or two, and keep what they found in the user's cache folder, by machine and network.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import numpy as np

from .._core.io import write_file
from ..adapters.capabilities import AnyBatchSize
from ..adapters.wrappers import capability
from ..targets import to_numpy
from ..types import Classifier
from .model import Model

MANY = 100
"""From so many images on, a measurement is worth its time."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SECONDS = 2.0
"""After this no larger size is begun."""
NEAR = 1.05
"""The smallest size within so much of the best time an image is taken: less memory for the same time."""


def tuned(model: Model) -> Model:
    """Return the model with the batch size that is fastest on this machine: known already, or measured now.

    Only where nothing is compiled for a batch size (PyTorch); Keras and ONNX keep theirs.

    Args:
        model: with preprocessing, so that the size of its images is known; without, it stays as it is.
    """
    network = capability(model, AnyBatchSize)
    if network is None or model.preprocess is None:
        return model
    name, known = _key(model, network.hardware()), _known()
    if name not in known:
        known[name] = fastest(measured(model))
        _keep(known)
    return model if known[name] == model.batch_size else model.batched(known[name])


def measured(model: Model, now: Callable[[], float] = perf_counter) -> dict[int, float]:
    """Return the seconds an image takes by batch size, the better of two runs each.

    Args:
        model: the network.
        now: returns the time in seconds.
    """
    assert model.preprocess is not None
    shape = (*model.preprocess.sides, len(model.preprocess.scaling().scale))
    network: Classifier = model.network
    found: dict[int, float] = {}
    began = now()
    for size in SIZES:
        images = np.zeros((size, *shape), np.float32) + np.float32(0.5)
        times = []
        for _ in range(2 if found else 4):  # the first passes of all also trace and warm up
            start = now()
            to_numpy(network.activations(images))  # waits for a GPU
            times.append((now() - start) / size)
        found[size] = min(times)
        if now() - began > SECONDS or found[size] > 1.5 * min(found.values()):
            break
    return found


def fastest(times: dict[int, float]) -> int:
    """Return the smallest size that is near the best."""
    best = min(times.values())
    return min(size for size, seconds in times.items() if seconds <= NEAR * best)


def _file() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "shisen" / "batch_sizes.json"


def _key(model: Model, hardware: tuple[str, ...]) -> str:
    """Return a name for this network on this machine."""
    network = [(p.path, p.kind, p.shape, p.parameters) for p in model.layers]
    machine = (platform.machine(), os.cpu_count(), *hardware)
    return hashlib.sha256(repr((network, machine, model.precision)).encode()).hexdigest()[:24]


def _known() -> dict[str, int]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        return {str(k): int(v) for k, v in content.items() if 1 <= int(v) <= max(SIZES)}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep(known: dict[str, int]) -> None:
    """Write what is known; a folder that cannot be written to only costs the next measurement."""
    file = _file()
    with suppress(OSError):
        write_file(file, json.dumps(known, indent=1))
