"""What a live network declares about its input and its classes, without running it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ..adapters.frameworks import framework_of

Shape = tuple[int | None, ...]


def declared_input(net: Any) -> Shape:
    """Return `(h, w, c)` of the image a network takes, or `(*positions, c)`; None for what it leaves open.

    Keras models declare their input. For torch modules it is the configuration that timm and transformers
    store on them, or else the channels of the first convolution.

    Args:
        net: a live network of any framework.
    """
    shape = _keras_shape(net)
    if shape is not None:
        return shape
    program = net.__dict__.get("shape") if hasattr(net, "__dict__") else None
    if isinstance(program, tuple) and len(program) in (3, 4, 5):  # an exported program, see torch_programs
        return (*program[2:], program[1])
    config = getattr(net, "pretrained_cfg", None)
    if isinstance(config, dict) and len(config.get("input_size", ())) == 3:
        c, h, w = config["input_size"]
        return int(h), int(w), int(c)
    config = getattr(net, "config", None)
    side, channels = getattr(config, "image_size", None), getattr(config, "num_channels", None)
    if side is not None and channels is not None:
        h, w = (side, side) if isinstance(side, int) else (side[0], side[-1])
        return int(h), int(w), int(channels)
    return _of_first_layer(net)


def _keras_shape(net: Any) -> Shape | None:
    """Return `(h, w, c)` of a Keras model's first input with an image's axes, else of a signal's or volume's."""
    try:
        shapes = [tuple(i.shape) for i in getattr(net, "inputs", None) or ()]
    except TypeError:
        return None
    single = getattr(net, "input_shape", None)
    if not shapes and isinstance(single, tuple):
        shapes = [single]
    image = next((s for s in shapes if len(s) == 4), None)
    if image is None:
        volume = next((s[1:] for s in shapes if len(s) in (3, 5)), None)
        turned = any(getattr(layer, "data_format", "") == "channels_first" for layer in getattr(net, "layers", ()))
        return (*volume[1:], volume[0]) if volume is not None and turned else volume
    first = image[1] is not None and image[-1] not in (1, 3, 4) and image[1] in (1, 3, 4)
    c, h, w = image[1:] if first else (image[3], image[1], image[2])
    return h, w, c


def takes_integers(net: Any) -> bool:
    """Tell whether a network declares that its pixels are whole numbers, 0 to 255, as Keras and ONNX inputs can.

    Args:
        net: a live network of any framework, or an ONNX model.
    """
    graph: Any = getattr(net, "graph", None)
    if hasattr(graph, "initializer"):
        weights = {w.name for w in graph.initializer}
        return any(i.type.tensor_type.elem_type == 2 for i in graph.input if i.name not in weights)
    try:
        inputs = list(getattr(net, "inputs", None) or ())
    except TypeError:
        return False
    return bool(inputs) and "int" in str(getattr(inputs[0], "dtype", ""))


def _of_first_layer(net: Any) -> Shape:
    """Return as many open sides as the first convolution has, and its channels; a recurrent layer takes signals."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(net, torch.nn.Module):
        return None, None, None
    for module in net.modules():
        if isinstance(module, torch.nn.modules.conv._ConvNd) and not module.transposed:
            return (*(None for _ in module.kernel_size), int(module.in_channels))
        if str(getattr(module, "original_name", "")).startswith("Conv"):  # a compiled part
            return (*(None for _ in module.weight.shape[2:]), int(module.weight.shape[1]))
        if isinstance(module, torch.nn.RNNBase):
            return None, int(module.input_size)
    return None, None, None


def declared_classes(net: Any) -> int | None:
    """Return the number of classes of a network that states it, None for others.

    Args:
        net: a live network of any framework.
    """
    shape = getattr(net, "output_shape", None)
    if isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[-1], int):
        return int(shape[-1])
    known = getattr(getattr(net, "config", None), "num_labels", None) or getattr(net, "num_classes", None)
    return int(known) if isinstance(known, int) and known > 0 else None


def own_layers(net: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(path, layer object)` of every module of a torch network, or layer of a Keras model, nested ones too.

    Args:
        net: the network.
        prefix: path of the enclosing model.
    """
    if hasattr(net, "named_modules") and framework_of(net) != "keras":  # Keras models on torch are modules as well
        yield from net.named_modules()
        return
    for layer in getattr(net, "layers", ()):
        yield prefix + layer.name, layer
        if getattr(layer, "layers", None):
            yield from own_layers(layer, f"{prefix}{layer.name}/")
