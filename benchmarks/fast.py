"""What `--fast` (half precision) changes: answers and maps beside float32, and the time of both, in turns.

    python -m benchmarks.fast FOLDER [--n 24] [--only grad_cam rise] [--out benchmarks/results/fast.json]

EfficientNet-Lite0 on photos of the folder, drawn with a fixed seed; the class explained is float32's answer. r is
Pearson's between the two maps at their own resolution, the difference is the largest as a fraction of the map's largest
value. Times are of the processor. The ResNet-50 and ViT-B/16 shaped networks have random
weights: their time alone counts.
"""

from __future__ import annotations

import argparse
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.shapes import resnet50, vit_b_16
from benchmarks.timing import in_turns, ratio
from shisen.models.sources import find_images
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

OPTIONS: dict[str, dict[str, Any]] = {
    "grad_cam": {},
    "grad_cam_pp": {},
    "layer_cam": {},
    "eigen_cam": {},
    "ablation_cam": {},
    "recipro_cam": {},
    "score_cam": {"max_evals": 64},
    "rise": {"n_samples": 250},
    "occlusion": {},
    "lime": {"n_samples": 250},
    "gradient": {},
    "smooth_grad": {"n_samples": 10},
    "integrated_gradients": {"n_steps": 10},
    "guided_grad_cam": {},
}


def answers(model: Any, fast: Any, photos: list[str]) -> dict[str, float]:
    """Return how often both give the same class, and how far the logits are apart."""
    images = [model.prepare(model.read(photo))[0] for photo in photos]
    pairs = [[to_numpy(m.activations(image[None]))[0] for m in (model, fast)] for image in images]
    plain, quick = np.asarray(pairs).swapaxes(0, 1)
    return {
        "photos": len(photos),
        "same answer": float((plain.argmax(1) == quick.argmax(1)).mean()),
        "r of the logits": float(np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(plain, quick, strict=True)])),
        "largest difference of a logit": float(np.abs(plain - quick).max()),
        "spread of the logits": float(plain.std(1).mean()),
    }


def maps(model: Any, fast: Any, photos: list[str], name: str) -> dict[str, float]:
    """Return how alike the maps of a method are over the photos, and the ratio of their times."""
    likeness, off, times = [], [], []
    for photo in photos:
        image = model.prepare(model.read(photo))[0][None]
        objective = ClassObjective("top", ((1.0, (int(to_numpy(model.activations(image))[0].argmax()),)),))
        layer = model.default_layer if METHODS[name].layered else None
        ask = partial(METHODS[name], images=image, objective=objective, layer=layer, **OPTIONS[name])
        times.append(ratio(in_turns({"plain": partial(ask, model), "fast": partial(ask, fast)}, 1), "fast", "plain", 1))
        plain, quick = (to_numpy(ask(which).values)[0].astype(np.float64) for which in (model, fast))
        likeness.append(float(np.corrcoef(plain.ravel(), quick.ravel())[0, 1]))
        off.append(float(np.abs(plain - quick).max() / np.abs(plain).max()))
    return {
        "r": float(np.median(likeness)),
        "least r": min(likeness),
        "difference": float(np.median(off)),
        "largest difference": max(off),
        "time": float(np.median(times)),
    }


def forwards(rounds: int, batches: list[int]) -> dict[str, float]:
    """Return the time of a forward in half precision by that in float32, for each network and batch."""
    nets = {
        "lite0": shisen.load("efficientnet_lite0", device="cpu"),
        "ResNet-50": shisen.wrap(resnet50().eval()),
        "ViT-B/16": shisen.wrap(vit_b_16().eval()),
    }
    found = {}
    for name, model in nets.items():
        fast = model.fast()
        for n in batches:
            images = np.random.default_rng(0).random((n, 224, 224, 3), dtype=np.float32)
            things = {"plain": partial(model.activations, images), "fast": partial(fast.activations, images)}
            found[f"{name}, batch {n}"] = ratio(in_turns(things, rounds), "fast", "plain", 1)
            print(f"{name}, batch {n}: {found[f'{name}, batch {n}']:.2f}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=24, help="photos whose maps are compared; answers of all are")
    parser.add_argument("--only", nargs="*", choices=list(OPTIONS), default=list(OPTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    model = shisen.load("efficientnet_lite0", device="cpu")
    fast = model.fast()
    if fast.precision == "float32":
        print("This machine computes half precision no faster than float32; nothing to compare.")
        return
    photos = find_images([given.folder])
    photos = [photos[i] for i in np.random.default_rng(0).permutation(len(photos))]
    found: dict[str, Any] = {"precision": fast.precision, "answers": answers(model, fast, photos)}
    print(found, flush=True)
    found["forwards"] = forwards(given.rounds, [1, 8])
    found["maps"] = {}
    print(f"\n{given.n} photos\n{'':22s} median r  least r  median diff  largest  time")
    for name in given.only:
        row = found["maps"][name] = maps(model, fast, photos[: given.n], name)
        print(
            f"{name:22s} {row['r']:8.4f} {row['least r']:8.4f} {row['difference']:12.3f} "
            f"{row['largest difference']:8.3f} {row['time']:5.2f}",
            flush=True,
        )
        if given.out:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
