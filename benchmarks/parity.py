"""The same weights, the same photos, every method: how far Keras's maps lie from torch's. Writes docs/parity.md.

    python -m benchmarks.parity [--out docs/parity.md] [--keep FOLDER]

EfficientNet-Lite0 at 224 pixels, flat and as a base nested in a Sequential with its own pooling and softmax. Each
framework runs in a process of its own; maps lie under `--keep`, where a second run takes them from. Figures are
largest differences over all places and photos, relative to the range of torch's map. Methods that differ by more than
the bar are run again in float64 on every framework.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.parity_maps import FEW, PHOTOS
from shisen.registry import METHODS

BAR = 1e-4
KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
NAMES = {"keras-tensorflow": "Keras-TensorFlow", "keras-jax": "Keras-JAX", "keras-torch": "Keras-torch"}
NETWORKS = {"lite0": "EfficientNet-Lite0", "nested": "nested base, as in fine-tuning"}
Maps = dict[str, np.ndarray]


def maps(framework: str, network: str, names: Sequence[str], keep: Path, exact: bool = False) -> Maps:
    """Return the maps of one framework, from a process of its own or from an earlier run."""
    file = keep / f"{framework}_{network}{'_float64' if exact else ''}.npz"
    if not file.is_file():
        command = [sys.executable, "-m", "benchmarks.parity_maps", framework, network, str(file), "--methods", *names]
        print(" ".join(command[2:5]), "float64" if exact else "", flush=True)
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with (keep / f"{file.stem}.log").open("w") as log:
            subprocess.run([*command, *["--exact"] * exact], check=True, env=quiet, stdout=log, stderr=log)
    with np.load(file) as found:
        return {name: found[name] for name in names}


def differences(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Return |difference| by the range of the wanted map, image by image."""
    places = tuple(range(1, want.ndim))
    return np.abs(got.astype(float) - want) / np.ptp(want.astype(float), axis=places, keepdims=True)


def worst(got: Maps, want: Maps, name: str) -> float:
    """Return the largest difference of a method."""
    return float(differences(got[name], want[name]).max())


def fraction(got: Maps, want: Maps, name: str) -> float:
    """Return the fraction of places where a method differs by more than the bar."""
    return float((differences(got[name], want[name]) > BAR).mean())


def figures(keep: Path) -> tuple[list[str], list[str]]:
    """Return the rows of both tables: every method in float32; those that jump at kinks in float64 too."""
    names = [name for name, m in METHODS.items() if m.family != "attention"]
    single = {(f, n): maps(f, n, names, keep) for n in NETWORKS for f in ("torch", *KERAS)}
    rows, beyond = [], []
    for name in names:
        found = [worst(single[f, n], single["torch", n], name) for n in NETWORKS for f in KERAS]
        if max(found) > BAR:
            beyond.append(name)
        marked = [f"**{d:.1e}**" if d > BAR else f"{d:.1e}" for d in found]
        rows.append(f"| `{name}` | " + " | ".join(marked) + " |")
    # the same list whatever exceeded the bar this time, so that kept maps can be taken again
    inputs = [n for n in names if METHODS[n].family == "gradient" or n in beyond]
    double = {(f, n): maps(f, n, inputs, keep, exact=True) for n in NETWORKS for f in ("torch", *KERAS)}
    again = []
    for name in inputs:
        exact = max(worst(double[f, n], double["torch", n], name) for n in NETWORKS for f in KERAS)
        self_ = [(single["torch", n], double["torch", n]) for n in NETWORKS]
        others = [fraction(single[f, n], single["torch", n], name) for n in NETWORKS for f in KERAS]
        most = max(worst(single[f, n], single["torch", n], name) for n in NETWORKS for f in KERAS)
        # in float64 the script computes normalization, so that its biases are missing from FullGrad's sum
        alone = (
            "– | –"
            if name == "full_grad"
            else (f"{max(worst(*s, name) for s in self_):.1e} | {max(fraction(*s, name) for s in self_):.2%}")
        )
        again.append(f"| `{name}` | {most:.1e} | {max(others):.2%} | {exact:.1e} | {alone} |")
    return rows, again


PAGE = """# Agreement between Keras and PyTorch

Every method with the same weights on the same {photos} photos: the largest difference to PyTorch over all spatial
positions, relative to the range of PyTorch's map. Left: EfficientNet-Lite0 at 224 pixels. Right: the same network as a
base nested in a `Sequential` model with pooling and a softmax over five classes, as in fine-tuning, compared with its
counterpart in PyTorch.

    pip install -e '.[dev]' && python -m benchmarks.parity

The tolerance is {bar:.0e}; larger differences are bold.

| | {networks} |
| method | {columns} |
|---|{lines}|
{rows}

Methods with many passes used few ({few}) on one photo.

## Differences above the tolerance

A gradient is discontinuous where an activation crosses a kink: ReLU6 has two, at 0 and at 6. Two frameworks add the
same numbers in a different order and differ in the seventh digit, so that a few activations lie on different sides of a
kink. The map then changes within the receptive field of such an activation. Maps at the default layer have no kink
downstream and are not affected.

Two checks confirm this. In **float64**, where such a coincidence is a billion times rarer, the frameworks must agree.
And **PyTorch in float32 compared with PyTorch in float64**, which does not involve Keras, must differ by as much.

| method | float32, Keras and torch | differ > {bar:.0e} | float64, Keras and torch | torch, both dtypes | differ |
|---|---|---|---|---|---|
{again}

In float64, the script computes batch normalization itself on every backend, because Keras uses float32 for it on JAX
and torch whatever the dtype of the model. FullGrad, which uses its biases, therefore cannot be compared between the two
dtypes.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/parity.md"))
    parser.add_argument("--keep", type=Path, default=None, help="folder for the maps of each framework")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        keep = given.keep or Path(scratch)
        keep.mkdir(parents=True, exist_ok=True)
        rows, again = figures(keep)
    columns = [NAMES[f] for _ in NETWORKS for f in KERAS]
    heads = " | ".join(f"{name} | | " for name in NETWORKS.values()).rstrip(" |")
    few = ", ".join(f"`{name}` {' '.join(f'{k}={v}' for k, v in o.items())}" for name, o in FEW.items())
    given.out.write_text(
        PAGE.format(
            photos=len(PHOTOS),
            bar=BAR,
            networks=f"{heads} | |",
            columns=" | ".join(columns),
            lines="|".join("---" for _ in columns),
            rows="\n".join(rows),
            few=few,
            again="\n".join(again),
        ),
        encoding="utf-8",
    )
    print(f"written: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
