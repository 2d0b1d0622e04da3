"""Many images: Grad-CAM with images written, beside decoding and plain inference alone, on the same photos.

    python -m benchmarks.folder FOLDER [--n 500] [--format png]
    python -m benchmarks.folder FOLDER --stages [--n 100]      # where the time goes, one thing after the other

The photos of the folder are repeated up to `n`. Plain: every photo is decoded and resized in two threads ahead of the
network, which answers in batches in `torch.inference_mode`; nothing is drawn. Ours: `shisen explain`'s way from file to
file. Both are taken in turns in portions of 50; shares are medians over the portions, by the clock and by the
processor's time of all threads. Memory is looked at after every portion.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import warnings
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from PIL import Image

import shisen
from shisen import registry
from shisen._core.io import write_file
from shisen._core.prefetch import prefetched
from shisen.api import explain_each, saved_each
from shisen.explaining import Ready, explain_batch
from shisen.models.sources import find_images
from shisen.viz.files import save_image, to_json

PORTION = 50


def resident() -> float:
    """Return the memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def plain(model: Any, photos: list[str]) -> None:
    """Decode, resize and classify with Pillow and torch only; the network is the one that shisen loads, as it is."""
    net, scaling = model.network.net, model.network.scaling
    size = model.preprocess.sides

    def decoded(photo: str) -> Any:
        image = Image.open(photo).convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)
        return np.asarray(image, np.float32) / np.float32(255)

    scale, shift = (torch.tensor(v, dtype=torch.float32) for v in (scaling.scale, scaling.shift))
    images = prefetched(decoded, photos, depth=2 * model.batch_size)
    with torch.inference_mode():
        while some := list(islice(images, model.batch_size)):
            batch = torch.from_numpy(np.stack(some)) * scale + shift
            net(batch.permute(0, 3, 1, 2).contiguous()).softmax(-1).topk(5)


def ours(model: Any, photos: list[str], out: Path, suffix: str) -> None:
    """Explain every photo with Grad-CAM and write the image and its manifest."""
    places = [out / f"{i}{suffix}" for i in range(len(photos))]
    for result, file in saved_each(explain_each(model, photos), places, depth=2 * model.batch_size):
        if not result or file is None:
            raise SystemExit(f"Not explained: {result}")


def stages(model: Any, photos: list[str], out: Path, suffix: str) -> dict[str, float]:
    """Return the milliseconds of the processor that each step takes for a photo, one after the other in one thread."""
    spent: dict[str, float] = {}

    def timed(name: str, step: Callable[..., Any], *given: Any) -> Any:
        start = process_time()
        found = step(*given)
        spent[name] = spent.get(name, 0.0) + (process_time() - start) * 1e3 / len(photos)
        return found

    spec, objective, layer = registry.get("grad_cam"), model.objective(None), model.default_layer

    def explained(ready: list[Ready]) -> list[Any]:
        return list(explain_batch(model, spec, ready, objective, layer, {}))

    for first in range(0, len(photos), model.batch_size):
        some = photos[first : first + model.batch_size]
        timed("plain: decoded, resized, answered", plain, model, some)
        ready = []
        for place, photo in enumerate(some):
            image = timed("decoded", model.read, photo)
            ready.append(Ready(place, image, *timed("resized", model.prepare, image)))
        for i, one in enumerate(timed("network and map", explained, ready)):
            timed("map placed", getattr, one, "heatmap")  # made when it is first asked for
            drawn, file = timed("colored and blended", one.overlay), out / f"{i}{suffix}"
            timed("coded and written", save_image, drawn, file)
            words = timed("JSON", lambda one=one: to_json(one.manifest({})).encode())
            timed("JSON written", write_file, file.with_suffix(".json"), words)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--format", choices=["png", "jpg", "webp"], default="png")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stages", action="store_true", help="where the time goes, in one thread")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file")
    given = parser.parse_args()
    torch.set_num_threads(1 if given.stages else given.threads)
    warnings.simplefilter("ignore")
    model = shisen.load("efficientnet_lite0", device="cpu")
    photos = list(islice(cycle(find_images([given.folder])), given.n))
    portions = [photos[i : i + PORTION] for i in range(0, len(photos), PORTION)]
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    memory, work = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        if given.stages:
            stages(model, photos[:8], out, f".{given.format}")
            for name, ms in stages(model, photos, out, f".{given.format}").items():
                print(f"{name:36s} {ms:6.2f} ms")
            return
        plain(model, portions[0][:8])
        ours(model, portions[0][:8], out, f".{given.format}")
        for portion in portions:
            start, worked = perf_counter(), process_time()
            plain(model, portion)
            middle, between = perf_counter(), process_time()
            ours(model, portion, out, f".{given.format}")
            times["plain"].append((middle - start) / len(portion))
            times["ours"].append((perf_counter() - middle) / len(portion))
            work.append((between - worked) / (process_time() - between))
            memory.append(resident())
    found = {
        "images": len(photos),
        "format": given.format,
        "plain, images a second": 1 / median(times["plain"]),
        "ours, images a second": 1 / median(times["ours"]),
        "fraction of the throughput": median(p / o for p, o in zip(times["plain"], times["ours"], strict=True)),
        "share by processor time": median(work),
        "memory after each portion, MiB": [round(m) for m in memory],
    }
    for name, value in found.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
