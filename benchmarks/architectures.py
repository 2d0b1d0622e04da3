"""A table of architectures with random weights: default layer, size of its map, which methods run, why others refuse.

python -m benchmarks.architectures [--records benchmarks/architectures.jsonl] [--docs docs/architectures.md]
    [--only timm] [--seconds 600]

Continues where it stopped; architectures of packages that are not installed are left for an environment that has them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import shisen

NAMES = (Path(__file__).parent / "architectures.txt").read_text(encoding="utf-8").split()
PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers", "keras": "tensorflow"}
SIDE = 96
METHODS: dict[str, dict[str, Any]] = {
    "gradient": {},
    "guided_backprop": {},
    "grad_cam": {},
    "eigen_cam": {},
    "recipro_cam": {},
    "full_grad": {},
    "occlusion": {"window": 64, "stride": 64},
    "attention_rollout": {},
    "legrad": {},
}
START, END = "<!-- table: start -->", "<!-- table: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    records_file = Path(__file__).with_suffix(".jsonl")
    parser.add_argument("--records", type=Path, default=records_file, help="One JSON object a line; continued.")
    parser.add_argument("--docs", type=Path, help="Write the table into this page.")
    parser.add_argument("--only", nargs="*", help="Hubs or names.")
    parser.add_argument("--again", action="store_true", help="Run what has raw errors or was changed once more.")
    parser.add_argument("--seconds", type=float, default=1e9, help="Begin no network after this time.")
    asked = parser.parse_args()
    records = read(asked.records)
    start = time.monotonic()
    for name in NAMES:
        hub = name.partition(":")[0]
        known = name in records and not (asked.again and faults(records[name]))
        wanted = not asked.only or hub in asked.only or name in asked.only
        if known or not wanted or importlib.util.find_spec(PACKAGES[hub]) is None:
            continue
        if time.monotonic() - start > asked.seconds:
            break
        records[name] = tried(name)
        with asked.records.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(records[name]) + "\n")
        print(line(records[name]), flush=True)
    ordered = [records[name] for name in NAMES if name in records]
    if asked.docs:
        page = asked.docs.read_text(encoding="utf-8")
        head, tail = page.partition(START)[0], page.partition(END)[2]
        asked.docs.write_text(f"{head}{START}\n{table(ordered)}\n{END}{tail}", encoding="utf-8")
    bad = [r["name"] for r in ordered if faults(r)]
    print(f"{len(ordered)} architectures; with faults: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the records by name; of several the last."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {r["name"]: r for r in map(json.loads, lines)}


def tried(name: str) -> dict[str, Any]:
    """Build a network, run one method of each family, and return what came of it."""
    start = time.monotonic()
    record: dict[str, Any] = {"name": name, "ran": [], "refused": {}, "raw": {}, "changed": []}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, side = built(name)
            record |= {"size": side, "parameters": int(sum(np.prod(w.shape) for w in weights(model).values()))}
            before = state(model)
            run(model, record, side)
            after = state(model)
        record["changed"] = [part for part in before if before[part] != after[part]]
    except shisen.ShisenError as error:
        record["refused"]["load"] = " ".join(str(error).split())
    except Exception as error:
        record["raw"]["load"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return record | {"seconds": round(time.monotonic() - start, 1)}


def built(name: str) -> tuple[Any, int]:
    """Return a network with random weights, on a small input where it takes one, and that size."""
    hub, _, base = name.partition(":")
    if hub == "keras":
        import keras

        return shisen.wrap(getattr(keras.applications, base)(weights=None, input_shape=(SIDE, SIDE, 3))), SIDE
    import torch

    torch.manual_seed(0)
    model = shisen.load(f"{name}@random")
    sizes = [SIDE, *model.preprocess.sides[:1]]
    for side in dict.fromkeys(sizes):
        small = model.with_preprocess(model.preprocess.with_size((side, side)))
        try:
            small.activations(np.zeros((1, side, side, 3), np.float32))
        except Exception:  # whatever a network of one size raises
            if side == sizes[-1]:
                raise
            continue
        break
    return shisen.wrap(model.network.net, preprocess=small.preprocess, output=model.network.output), side


def run(model: Any, record: dict[str, Any], side: int) -> None:
    """Run every method on one image and note whether it gave a finite map."""
    image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    model.activations(image[None])
    default = next((layer for layer in model.layers if layer.default), None)
    if default is not None:
        record |= {"layer": default.path, "shape": list(default.shape), "reason": str(default.reason)}
    for method, options in METHODS.items():
        try:
            found = shisen.explain(model, image, method, target=1, **options)
            if np.isfinite(found.values).all():
                record["ran"].append(method)
            else:
                record["raw"][method] = "not finite"
        except shisen.ShisenError as error:
            record["refused"][method] = " ".join(str(error).split())
        except Exception as error:
            record["raw"][method] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def weights(model: Any) -> dict[str, Any]:
    """Return the weights of a model's network as arrays."""
    return {k: np.asarray(w) for k, w in model.network.weights().items()}


def state(model: Any) -> dict[str, str]:
    """Return what must not change: digests of the weights, hooks and flags of a network."""
    digest = hashlib.sha256()
    for name, values in weights(model).items():
        digest.update(name.encode() + values.tobytes())
    net = model.network.net
    found = {"weights": digest.hexdigest()}
    if hasattr(net, "named_modules"):
        modules = dict(net.named_modules())
        hooks = {
            p: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for p, m in modules.items()
        }
        flags = [(p, m.training) for p, m in modules.items()]
        flags += [(p, w.requires_grad, w.grad is None) for p, w in net.named_parameters()]
        return found | {"hooks": repr(hooks), "flags": repr(flags)}
    patched = [layer.name for layer in net.layers if "call" in vars(layer)]
    return found | {"hooks": repr(patched), "flags": repr([layer.trainable for layer in net.layers])}


def faults(record: dict[str, Any]) -> bool:
    """Tell whether something is to be mended: a raw error, or a changed network."""
    return bool(record["raw"] or record["changed"])


def line(record: dict[str, Any]) -> str:
    """Return a record as one line for the terminal."""
    where = f"{record.get('layer')} {record.get('shape')}"
    return f"{record['name']:42}{record['seconds']:6.1f} s  {where}  raw {record['raw']}  changed {record['changed']}"


def table(records: list[dict[str, Any]]) -> str:
    """Return the table and the sentences of the refusals as Markdown."""
    notes: dict[str, int] = {}
    rows = []
    for r in records:
        cells = []
        for method in METHODS:
            sentence = r["refused"].get(method) or r["refused"].get("load") or r["raw"].get(method)
            number = notes.setdefault(sentence, len(notes) + 1) if sentence else None
            cells.append("✓" if method in r["ran"] else f"[{number}](#reasons)")
        shape = " × ".join(map(str, r["shape"])) if r.get("shape") else "–"
        rows.append(
            [f"`{r['name']}`", str(r.get("size", "–")), f"`{r['layer']}`" if r.get("layer") else "–", shape, *cells]
        )
    head = ["architecture", "input", "default layer", "map", *(f"`{m}`" for m in METHODS)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    reasons = [f"{number}. {sentence}" for sentence, number in notes.items()]
    return "\n".join([f"{len(records)} architectures.", "", *lines, "", "## Reasons", "", *reasons])


if __name__ == "__main__":
    raise SystemExit(main())
