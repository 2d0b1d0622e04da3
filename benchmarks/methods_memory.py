"""Peak memory of Score-CAM and RISE at a layer of ResNet-50's size: it grows with the chunk, with nothing else.

    python -m benchmarks.methods_memory

Every figure is the peak of a fresh process, less that of one that explains nothing: first what is held at one time (an
allocator that gives freed memory back at once), then with what glibc's allocator keeps for later by default.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

CASES = (
    ("score_cam", 256, 8),
    ("score_cam", 1024, 8),
    ("score_cam", 2048, 8),
    ("score_cam", 2048, 32),
    ("rise", 250, 8),
    ("rise", 1000, 8),
    ("rise", 4000, 8),
    ("rise", 4000, 32),
)
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}  # freed memory leaves the process
KEPT: dict[str, str] = {}


def one(method: str, count: int, batch_size: int) -> None:
    """Run a method once and print the peak of this process in MiB."""
    import numpy as np
    import torch

    from shisen.adapters.torch.adapter import TorchClassifier
    from shisen.adapters.wrappers import Batched
    from shisen.registry import METHODS
    from shisen.targets import ClassObjective

    body = [torch.nn.Conv2d(3, 2048, 32, 32), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    model = Batched(TorchClassifier(torch.nn.Sequential(*body, torch.nn.Linear(2048, 10))), batch_size)
    x = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    options = {"layer": "1", "max_channels": count} if method == "score_cam" else {"n_samples": count}
    objective = ClassObjective("class 0", ((1.0, (0,)),))
    if method == "nothing":
        model.activations(x)
    else:
        METHODS[method](model, x, objective, **options)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measured(method: str, count: int, batch_size: int, allocator: dict[str, str]) -> float:
    """Return the peak of a fresh process in MiB."""
    command = [sys.executable, "-m", "benchmarks.methods_memory", method, str(count), str(batch_size)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **allocator})
    return float(json.loads(ran.stdout))


def main() -> None:
    nothing = [measured("nothing", 0, 8, a) for a in (GIVEN_BACK, KEPT)]
    for method, count, batch_size in CASES:
        held, kept = (
            measured(method, count, batch_size, a) - least for a, least in zip((GIVEN_BACK, KEPT), nothing, strict=True)
        )
        of = "channels" if method == "score_cam" else "masks"
        print(
            f"{method:10s} {count:5d} {of}, batch_size {batch_size:2d}: {held:4.0f} MiB held, {kept:4.0f} MiB kept",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
