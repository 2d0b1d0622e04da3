"""Every method against every metric on real photographs, with control maps, written to docs/trust.md.

    python -m benchmarks.trust PHOTOS --choose 40 --confirm 76 --n 24 --slow 8 --masked 4

The work is kept in runs/trust, so that a stopped run goes on, and a larger one builds on a smaller one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import shisen
from shisen._core.malloc import keep_freed_memory
from shisen._core.stats import bootstrap
from shisen.evaluation.checks import WORDS, verdict
from shisen.evaluation.runner import evaluate
from shisen.evaluation.scores import Scores, arrow
from shisen.evaluation.settings import Setting

CONTROL_MAPS = ("random", "random_patches", "center", "constant", "edges")
FUSED = ("head", "blocks.4.2")
THREE = ("head", "blocks.4.2", "blocks.2.1")
STAGES = ("head", "blocks.6.0", "blocks.5.3", "blocks.4.2", "blocks.3.2", "blocks.2.1")
COPIES = {"flip": True, "scales": (1.0, 1.5)}
RATHER = {"flip": False, "score": "log_probability"}
BOTH = {**COPIES, "score": "log_probability"}
LAYERS = (
    Setting("grad_cam"),
    Setting("grad_cam", "blocks.6.0"),
    Setting("hires_cam", "blocks.6.0"),
    Setting("layer_cam"),
    Setting("grad_cam", augment=RATHER),
    Setting("hires_cam", FUSED),
    *(
        Setting("hires_cam", points, augment=augment)
        for points in (THREE, STAGES)
        for augment in ({}, RATHER, COPIES, BOTH, {**BOTH, "power": 0.85}, {**BOTH, "keep": 0.9})
    ),
    Setting("hires_cam", STAGES, augment={**RATHER, "keep": 0.9}),
)
ONE_PASS = Setting("hires_cam", STAGES, augment=RATHER)
FAST = (
    "grad_cam",
    "cam",
    "xgrad_cam",
    "hires_cam",
    "grad_cam_pp",
    "layer_cam",
    "recipro_cam",
    "ablation_cam",
    "eigen_cam",
    "eigen_grad_cam",
    "grad_cam@head.norm",
    "grad_cam_pp@head.norm",
    "layer_cam@head.norm",
    "grad_cam@blocks.6.0",
    "hires_cam@blocks.6.0",
    "hires_cam@head+blocks.4.2",
    "full_grad",
    "gradient",
    "input_x_gradient",
    "guided_backprop",
    "deconvnet",
    "guided_grad_cam",
)
SLOW = ("smooth_grad", "integrated_gradients", "smooth_grad_cam_pp", "occlusion", "score_cam")
MASKED = ("rise", "lime", "kernel_shap")
"""They ask about a thousand and more altered images, so they are measured in half precision."""
ORDERED = ("insertion_deletion", "adcc", "average_drop", "increase", "complexity", "sparseness")
MARK = "<!-- what follows is written by benchmarks/trust.py -->"
HALVED = {"insertion_deletion": {"n_steps": 8}}


def markdown(scores: Scores) -> list[str]:
    """Return the figures as a table; the best of the methods is bold."""
    from shisen.evaluation.report import table

    heads = " | ".join(f"{k} {arrow(k)}" for k in scores.metrics)
    lines = [f"| method | {heads} |", "|---" * (len(scores.metrics) + 1) + "|"]
    for name, floor, cells in table(scores):
        drawn = " | ".join(f"**{c}**" if best else c for c, best in cells)
        lines.append(f"| {f'*{name}* (control map)' if floor else name} | {drawn} |")
    return lines


def chosen(scores: Scores) -> str:
    """Return the setting with the largest insertion − deletion + ADCC / 100."""
    from shisen.evaluation.recommend import merit

    def of(name: str) -> float:
        return merit(scores.score(name, "insertion_deletion").value, scores.score(name, "adcc").value)

    return max((m for m in scores.methods if m not in scores.control_maps), key=of)


def surest(scores: Scores) -> str:
    """Return the setting that keeps the largest distance to the aims, in units of its interval's half width.

    The aims: ADCC of 82 and more with an average drop of 15 and less.
    """

    def margin(name: str) -> float:
        cover, drop = scores.score(name, "adcc"), scores.score(name, "average_drop")
        return min((cover.value - 82.0) / (cover.value - cover.low), (15.0 - drop.value) / (drop.high - drop.value))

    return max((m for m in scores.methods if m not in scores.control_maps), key=margin)


def layers(measure: Any, given: Any, choosing: Sequence[str], confirming: Sequence[str]) -> list[str]:
    """Choose a setting on one half of the images and confirm it on the other."""
    first = measure(choosing[: given.choose], LAYERS, ORDERED[:3], control_maps=("random",), options=HALVED)
    names = list(dict.fromkeys((chosen(first), surest(first), ONE_PASS.name)))
    finalists = [next(s for s in LAYERS if s.name == name) for name in names]
    second = measure(confirming[: given.confirm], [LAYERS[0], *finalists], ORDERED, control_maps=("random", "center"))
    return [
        "## Which layer, which variant",
        "",
        f"EfficientNet-Lite0, {first.facts['n_images']} photos (the selection half), curves of 8 steps.",
        "",
        *markdown(first),
        "",
        "## The recommended setting, confirmed",
        "",
        f"From the selection half: `{chosen(first)}` has the largest insertion − deletion + ADCC / 100; "
        f"`{surest(first)}` has the largest distance to the targets (ADCC 82, average drop 15) in units of its "
        "interval; "
        f"`{ONE_PASS.name}` needs one pass. On {second.facts['n_images']} other photos, which were not used for "
        "the selection, with curves of 16 steps:",
        "",
        *markdown(second),
        "",
        *(f"* {d.sentence}" for d in second.differences if d.method in names and d.metric in ORDERED[:3]),
        "",
    ]


def sanity(measure: Any, given: Any, choosing: Sequence[str]) -> list[str]:
    """Compare maps with those of networks whose weights are shuffled, every method."""
    fast = [m for m in FAST if "+" not in m]
    wanted = ((given.sane, fast, ("edges",)), (given.sane_slow, SLOW, ()), (given.sane_masked, MASKED, ()))
    parts = [
        measure(choosing[:n], names, ["weight_randomization"], control_maps=control_maps)
        for n, names, control_maps in wanted
        if n
    ]
    lines = [
        "## Sanity: do the maps depend on the weights?",
        "",
        "Rank correlation of |map| with that of weight-randomized models, shuffled from the classifier downwards. A "
        "map depends on the weights if the upper end of the interval lies below 0.5, and does not if the lower end is "
        "0.5 or more.",
        "",
        "| method | photos | a tenth of the layers | four tenths | all | mean | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for scores in parts:
        for name in scores.methods:
            found = bootstrap(np.asarray([r.value for r in scores.of(name, "weight_randomization").values()]))
            stages = " | ".join(f"{v:.2f}" for v in scores.curve(name, "weight_randomization"))
            shown = f"*{name}* (control map)" if name in scores.control_maps else name
            words = WORDS[verdict(found)]
            words = words if words == "depends on the weights" else f"**{words}**"
            lines.append(
                f"| {shown} | {found.n} | {stages} | {found.value:.2f} [{found.low:.2f}, {found.high:.2f}] | {words} |"
            )
    return [*lines, ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--n", type=int, default=24, help="images of the table of methods")
    parser.add_argument("--slow", type=int, default=8, help="images of the methods that need many passes")
    parser.add_argument("--masked", type=int, default=4, help="images of those that ask about a thousand images")
    parser.add_argument("--choose", type=int, default=16, help="images on which the setting is chosen")
    parser.add_argument("--confirm", type=int, default=60, help="other images on which it is confirmed")
    parser.add_argument("--sane", type=int, default=24, help="images of the sanity check")
    parser.add_argument("--sane-slow", type=int, default=6, help="the same for methods of many passes; 0 for none")
    parser.add_argument("--sane-masked", type=int, default=3, help="the same for those of a thousand images")
    parser.add_argument(
        "--stages", default="choose,table,slow,masked,sanity", help="those not named are left as they are"
    )
    parser.add_argument("--metrics", default=",".join(ORDERED), help="of the tables of methods")
    parser.add_argument("--out", type=Path, default=Path("runs/trust"))
    parser.add_argument("--page", type=Path, default=Path("docs/trust.md"))
    given = parser.parse_args(arguments)
    keep_freed_memory()  # as the command line does
    model = shisen.load("efficientnet_lite0").batched(8)
    half = model.fast()
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(photos))
    choosing, confirming = ([photos[i] for i in order[k::2]] for k in (0, 1))
    start = perf_counter()

    def measure(images: Sequence[str], methods: Sequence[Any], metrics: Sequence[str], **more: Any) -> Scores:
        asked = half if any(m in MASKED for m in methods) else model
        found = evaluate(asked, images, methods, metrics, out=given.out, **more)
        print(found.table(), f"\n{perf_counter() - start:.0f} s", flush=True)
        return found

    def table(title: str, methods: Sequence[str], n: int, control_maps: Sequence[str]) -> list[str]:
        metrics = given.metrics.split(",")
        found = measure(choosing[:n], methods, metrics, control_maps=control_maps)
        words = " In half precision (`--fast`)." if any(m in MASKED for m in methods) else ""
        return [
            f"## {title}",
            "",
            f"{found.facts['n_images']} photos, curves of 16 steps.{words}",
            "",
            *markdown(found),
            "",
        ]

    work = {
        "choose": partial(layers, measure, given, choosing, confirming),
        "table": partial(table, "Methods with few forward passes", FAST, given.n, CONTROL_MAPS),
        "slow": partial(table, "Methods with many forward passes", ("grad_cam", *SLOW), given.slow, ("random",)),
        "masked": partial(
            table, "Methods with a thousand perturbed images", ("grad_cam", *MASKED), given.masked, ("random",)
        ),
        "sanity": partial(sanity, measure, given, choosing),
    }
    for stage in given.stages.split(","):
        lines = work[stage]()
        given.page.write_text(replaced(given.page.read_text(encoding="utf-8"), lines), encoding="utf-8")


def replaced(page: str, lines: Sequence[str]) -> str:
    """Return the page with its sections of the same titles replaced by these; new ones go to the end."""
    words, _, rest = page.partition(MARK)
    old = {part.split("\n")[0]: part for part in rest.strip().split("\n## ")} if rest.strip() else {}
    old = {title.removeprefix("## "): text.removeprefix("## ") for title, text in old.items()}
    new = {part.split("\n")[0]: part for part in "\n".join(lines).removeprefix("## ").strip().split("\n## ")}
    whole = {**old, **new}
    return words + MARK + "\n\n" + "\n\n".join(f"## {text.strip()}" for text in whole.values()) + "\n"


if __name__ == "__main__":
    main()
