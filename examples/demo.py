"""Explain a real photo with the embedded network and print the output paths.

python examples/demo.py [folder]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from skimage import data

import shisen


def main(folder: str = "demo") -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    photo = out / "cat.png"
    Image.fromarray(data.cat()).save(photo)

    model = shisen.load("efficientnet_lite0")
    print(f"{model!r} sees in {photo}:")
    for p in model.predict(photo, top=5):
        print(f"  {p.probability:6.1%}  {p.label} ({p.wordnet_id})")

    written = [
        shisen.explain(model, photo).save(out / "cat_grad_cam.png", color_bar=True),
        shisen.explain(model, photo, "gradient").save(out / "cat_gradient.png", style="heatmap", colormap="inferno"),
        shisen.explain(model, photo, target=shisen.contrast("tiger cat", "Egyptian cat")).save(
            out / "cat_tiger_rather_than_egyptian.png", style="mask"
        ),
    ]
    print("The images are in:")
    for path in (photo, *written):
        print(f"  {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
