"""Every method against every metric on real photographs, with floors, written to docs/trust.md.

    python -m benchmarks.trust PHOTOS --n 24 --confirm 60

The work is kept in runs/trust, so that a stopped run goes on, and a larger one builds on a smaller one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

import shisen
from shisen.evaluate.checks import check_sanity
from shisen.evaluate.harness import evaluate
from shisen.evaluate.scores import Scores, arrow
from shisen.evaluate.settings import Setting

FLOORS = ("random", "random_patches", "centre", "constant", "edges")
FUSED = ("head", "blocks.4.2")
THREE = ("head", "blocks.4.2", "blocks.2.1")
COPIES = {"flip": True, "scales": (1.0, 1.5)}
LAYERS = (
    Setting("grad_cam"),
    Setting("grad_cam", "blocks.6.0"),
    Setting("hires_cam", "blocks.6.0"),
    Setting("layer_cam"),
    Setting("hires_cam", FUSED),
    Setting("layer_cam", FUSED),
    Setting("layer_cam", THREE),
    Setting("layer_cam", FUSED, augment=COPIES),
    Setting("hires_cam", THREE),
    Setting("hires_cam", FUSED, augment=COPIES),
    Setting("hires_cam", THREE, augment=COPIES),
)
FAST = (
    "grad_cam",
    "grad_cam_pp",
    "xgrad_cam",
    "hires_cam@blocks.6.0",
    "layer_cam",
    "hires_cam@head+blocks.4.2",
    "eigen_cam",
    "gradient",
    "input_x_gradient",
    "guided_backprop",
    "deconvnet",
    "guided_grad_cam",
)
SLOW = (
    "grad_cam",
    "smooth_grad",
    "integrated_gradients",
    "recipro_cam",
    "ablation_cam",
    "occlusion",
    "score_cam",
    "rise",
)
ORDERED = ("insertion_deletion", "adcc", "average_drop", "increase", "complexity", "sparseness")
MARK = "<!-- what follows is written by benchmarks/trust.py -->"
HALVED = {"insertion_deletion": {"steps": 8}}


def markdown(scores: Scores) -> list[str]:
    """Return the figures as a table; the best of the methods is bold."""
    from shisen.evaluate.report import table

    heads = " | ".join(f"{k} {arrow(k)}" for k in scores.metrics)
    lines = [f"| method | {heads} |", "|---" * (len(scores.metrics) + 1) + "|"]
    for name, floor, cells in table(scores):
        drawn = " | ".join(f"**{c}**" if best else c for c, best in cells)
        lines.append(f"| {f'*{name}* (floor)' if floor else name} | {drawn} |")
    return lines


def chosen(scores: Scores) -> str:
    """Return the setting with the largest insertion − deletion + ADCC / 100."""
    from shisen.evaluate.recommend import merit

    def of(name: str) -> float:
        return merit(scores.score(name, "insertion_deletion").value, scores.score(name, "adcc").value)

    return max((m for m in scores.methods if m not in scores.floors), key=of)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--n", type=int, default=24, help="pictures of the table of methods")
    parser.add_argument("--slow", type=int, default=4, help="pictures of the methods that need many passes")
    parser.add_argument("--choose", type=int, default=16, help="pictures on which the setting is chosen")
    parser.add_argument("--confirm", type=int, default=60, help="other pictures on which it is confirmed")
    parser.add_argument("--stages", default="choose,confirm,table,sanity,slow")
    parser.add_argument("--out", type=Path, default=Path("runs/trust"))
    parser.add_argument("--page", type=Path, default=Path("docs/trust.md"))
    given = parser.parse_args(arguments)
    model = shisen.load("efficientnet_lite0").chunked(8)
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(photos))
    choosing, confirming = ([photos[i] for i in order[k::2]] for k in (0, 1))
    stages = given.stages.split(",")
    start = perf_counter()
    parts: list[str] = []

    first = evaluate(
        model, choosing[: given.choose], LAYERS, ORDERED[:2], floors=("random",), options=HALVED, out=given.out
    )
    name = chosen(first)
    winner = next(s for s in LAYERS if s.name == name)
    print(first.table(), f"\nchosen: {name}, {perf_counter() - start:.0f} s", flush=True)
    parts += [
        "## Which layer, which variant",
        "",
        f"{first.facts['n']} photos (the choosing half), 8 steps.",
        "",
        *markdown(first),
        "",
    ]
    if "confirm" in stages:
        second = evaluate(
            model, confirming[: given.confirm], [LAYERS[0], winner], ORDERED, floors=("random", "centre"), out=given.out
        )
        print(second.table(), f"\n{perf_counter() - start:.0f} s", flush=True)
        parts += [
            "## The recommended setting, confirmed",
            "",
            f"`{name}` came out best above. On {second.facts['n']} other photos, which played no part in the choice:",
            "",
            *markdown(second),
            "",
            *(f"* {d.sentence}" for d in second.differences if d.method == name),
            "",
        ]
    if "table" in stages:
        third = evaluate(model, choosing[: given.n], FAST, ORDERED, floors=FLOORS, out=given.out)
        print(third.table(), f"\n{perf_counter() - start:.0f} s", flush=True)
        parts += ["## Methods of a few passes", "", f"{third.facts['n']} photos.", "", *markdown(third), ""]
    if "sanity" in stages:
        found = check_sanity(model, choosing[:6], [m for m in FAST if "+" not in m])
        print(*found, sep="\n", flush=True)
        parts += [
            "## Sanity: do the maps depend on the weights?",
            "",
            "6 photos; rank correlation of |map| with those of copies of the network whose weights are shuffled from "
            "the answer downwards: a tenth, four tenths, all of the layers; mean of the three.",
            "",
            "| method | rank correlation | SSIM | verdict |",
            "|---|---|---|---|",
            *(
                f"| {v.method} | {v.likeness.value:.2f} [{v.likeness.low:.2f}, {v.likeness.high:.2f}] "
                f"| {v.ssim:.2f} | {v.words} |"
                for v in found
            ),
            "",
        ]
    if "slow" in stages:
        slow = evaluate(
            model,
            choosing[: given.slow],
            SLOW,
            ORDERED,
            floors=("random",),
            options={"rise": {"masks": 500}, "smooth_grad": {"n": 25}} if False else None,
            out=given.out,
        )
        print(slow.table(), f"\n{perf_counter() - start:.0f} s", flush=True)
        parts += ["## Methods of many passes", "", f"{slow.facts['n']} photos.", "", *markdown(slow), ""]
    words, _, _ = given.page.read_text(encoding="utf-8").partition(MARK)
    given.page.write_text(words + MARK + "\n\n" + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
