"""Single deletion: does a map give most to the part without which most of the answer is lost?

A body fine-tuned on drawn creatures is asked about test images that it gets right. The truth of a part is the drop of
the class's logit when the same image is drawn without it. Three figures for a map: rank agreement with its sums over
the parts (0.5 for a map that knows nothing), with its means over the parts (density), and the rank correlation of
sums and drops over all parts when the part's area and its distance from the center are taken out of both (0 for a map
that knows only these).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import shisen
from benchmarks.truth.competitors import Question, competitors
from benchmarks.truth.creatures import Creature, draw_image, sample
from benchmarks.truth.parts import classes
from benchmarks.truth.scores import agreement, partial_agreement
from shisen.targets import to_numpy

SIDE, CLASSES, TRAIN, TEST, VISIBLE = 112, 20, 80, 12, 25


@dataclass(frozen=True)
class Case:
    """One test image with the worth of its parts.

    Attributes:
        image: `(h, w, 3)` float32 in [0, 1].
        label: its class.
        masks: visible part → `(h, w)`.
        drops: visible part → drop of the logit without it.
    """

    image: npt.NDArray[np.float32]
    label: int
    masks: dict[str, npt.NDArray[np.bool_]]
    drops: dict[str, float]

    @property
    def controls(self) -> list[list[float]]:
        """For each part its area and the distance of its middle from the image's, in pixels."""
        found = []
        for mask in self.masks.values():
            middle = np.argwhere(mask).mean(axis=0) - (np.array(mask.shape) - 1) / 2
            found.append([float(mask.sum()), float(np.hypot(*middle))])
        return found


def _creatures(part: str, seed: int) -> Iterator[tuple[int, int, Creature]]:
    for label, parts in enumerate(classes(CLASSES)):
        for number in range(TRAIN if part == "train" else TEST):
            draw = np.random.default_rng([seed, part == "train", label, number])
            yield label, number, sample(parts, draw)


def network(cache: Path, seed: int) -> Any:
    """Return the fine-tuned network, trained once and kept.

    Args:
        cache: folder for images and the run.
        seed: random seed of creatures and training.
    """
    home = cache / f"creatures-{seed}"
    for part in ("train", "test"):
        if not (home / part / "done").is_file():
            for label, number, creature in _creatures(part, seed):
                file = home / part / f"{label:02d}" / f"{number:03d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw_image(creature, SIDE)[0]).save(file, compress_level=1)
            (home / part / "done").touch()
    if not (home / "run" / "shisen.json").is_file():
        shisen.finetune(home / "train", home / "test", epochs=8, size=SIDE, out=home / "run", seed=seed)
    return shisen.load(str(home / "run"))


def cases(model: Any, seed: int, most: int) -> list[Case]:
    """Return test images that the network gets right, with the drop of the logit for every part that can be seen.

    Args:
        model: the network.
        seed: random seed of the creatures.
        most: how many, at most; taken from all classes in turn.
    """
    found = []
    some = sorted(_creatures("test", seed), key=lambda item: (item[1], item[0]))
    for label, _, creature in some:
        image, masks = draw_image(creature, SIDE)
        seen = {slot: mask for slot, mask in masks.items() if mask.sum() >= VISIBLE}
        less = [draw_image(creature.without(slot), SIDE)[0] for slot in seen]
        pixels = np.stack([image, *less]).astype(np.float32) / 255.0
        logits = to_numpy(model.activations(pixels)).astype(np.float64)
        if logits[0].argmax() != label or len(seen) < 4:
            continue
        drops = {slot: float(logits[0, label] - row[label]) for slot, row in zip(seen, logits[1:], strict=True)}
        found.append(Case(pixels[0], label, seen, drops))
        if len(found) == most:
            break
    return found


def rows(choice: Any, attempt: Callable[..., dict[str, Any]], tensor: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    """Yield what every competitor gets.

    Args:
        choice: `cache`, `seed` and `quick` of the command line.
        attempt: makes a row of a measurement, or of the reason why there is none.
        tensor: from images to a torch tensor.
    """
    model = network(choice.cache, choice.seed)
    some = cases(model, choice.seed, 24 if choice.quick else 160)
    truth = [list(case.drops.values()) for case in some]
    controls = [case.controls for case in some]
    images, labels = np.stack([c.image for c in some]), tuple(c.label for c in some)
    layer = model.default_layer
    net = model.network.net
    asked = Question(model, net, lambda x: scaled(model, tensor, x), net.get_submodule(layer), images, labels, layer)
    for library, name, run in competitors(model, quick=choice.quick):
        kept: dict[str, Any] = {}

        def maps(run: Any = run, kept: dict[str, Any] = kept) -> Any:
            if "maps" not in kept:
                kept["maps"] = run(asked)
            return kept["maps"]

        def summed(mean: bool, maps: Any = maps) -> list[list[float]]:
            over = np.mean if mean else np.sum
            return [
                [float(over(m[mask])) for mask in case.masks.values()] for m, case in zip(maps(), some, strict=True)
            ]

        for bench, mean in (("deletion: sums", False), ("deletion: density", True)):
            yield attempt(
                bench,
                (library, name),
                lambda mean=mean, summed=summed: [agreement(a, b) for a, b in zip(summed(mean), truth, strict=True)],
            )
        yield attempt(
            "deletion: partial", (library, name), lambda summed=summed: _partial(summed(False), truth, controls)
        )


def _partial(sums: list[list[float]], truth: list[list[float]], controls: Any, groups: int = 16) -> list[float]:
    """Return the partial rank correlation of groups of images, whose mean is shown with an interval."""
    order = np.arange(len(sums)) % min(groups, len(sums) // 4)
    found = []
    for group in range(int(order.max()) + 1):
        mine = np.flatnonzero(order == group)
        found.append(partial_agreement(*([rows[i] for i in mine] for rows in (sums, truth, controls))))
    return found


def scaled(model: Any, tensor: Callable[[Any], Any], images: Any) -> Any:
    """Return what the torch network behind a model takes for these images in [0, 1]."""
    scaling = model.network.scaling
    x = np.asarray(images, np.float32) * np.float32(scaling.scale) + np.float32(scaling.shift)
    return tensor(x[..., ::-1] if scaling.reverse else x)
