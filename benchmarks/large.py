"""Large photos: what reading them costs beside a forward, whole and decoded at a part of their size (`--quick`).

    python -m benchmarks.large FOLDER [--n 14] [--side 4000]

The photos of the folder are enlarged, given some grain, and coded as JPEG of quality 90. Reading is decoding and
resizing to what EfficientNet-Lite0 sees. Milliseconds of one processor core, medians; differences of the logits are
the largest of all classes, photo by photo.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from PIL import Image

import shisen
from shisen.models.sources import find_images


def enlarged(file: Path, side: int) -> bytes:
    """Return a photo at so many pixels on its longer side, as JPEG."""
    image = Image.open(file).convert("RGB")
    fraction = side / max(image.size)
    image = image.resize((round(image.width * fraction), round(image.height * fraction)), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, 6, (image.height, image.width, 1))
    coded = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)).save(coded, "JPEG", quality=90)
    return coded.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=14)
    parser.add_argument("--side", type=int, default=4000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = shisen.load("efficientnet_lite0", device="cpu")
    files = find_images([given.folder])
    times: dict[str, list[float]] = {"whole": [], "quick": [], "forward": []}
    answers: dict[str, list[Any]] = {"whole": [], "quick": []}
    for i in np.random.default_rng(0).permutation(len(files))[: given.n]:
        data = enlarged(Path(files[i]), given.side)
        for name in ("whole", "quick"):
            start = process_time()
            image, _ = model.prepare(model.read(data, quick=name == "quick"))
            times[name].append(process_time() - start)
            start = process_time()
            answers[name].append(np.asarray(model.activations(image[None]))[0])
            times["forward"].append(process_time() - start)
    whole, quick = (np.stack(answers[name]) for name in ("whole", "quick"))
    off = np.abs(whole - quick).max(1)
    for name, seconds in times.items():
        print(f"{name}: {1e3 * np.median(seconds):.1f} ms")
    print(f"reading: {np.median(np.divide(times['whole'], times['quick'])):.2f} times as quick")
    print(f"same answer: {(whole.argmax(1) == quick.argmax(1)).sum()} of {len(off)}")
    print(f"logits: off by {np.median(off):.2f} (median), {off.max():.2f} (most); the spread over classes:", end=" ")
    print(f"{whole.std(1).mean():.2f}")


if __name__ == "__main__":
    main()
