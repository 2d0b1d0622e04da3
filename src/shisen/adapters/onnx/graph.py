"""Surgery on ONNX graphs in memory: what their tensors are, more outputs, and the part downstream of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError, ModelError, explain_error, unknown
from ..answers import preferred
from ..layout import Layout, Size, is_map, token_layout
from ..points import Call

OUTPUT_ACTIVATIONS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
CHANNELS_FIRST = (
    *("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"),
    *("BatchNormalization", "InstanceNormalization", "Resize", "LRN"),
)
PASSING_OPERATIONS = (
    "Pool",
    "Flatten",
    "Identity",
    "Transpose",
    "Reshape",
    "Dropout",
    "Cast",
    "Shape",
    "Constant",
    "Squeeze",
    "QuantizeLinear",
    "DequantizeLinear",
)


@dataclass(frozen=True)
class InputSpec:
    """The input of a graph: its name, type, fixed batch (0 for any), whether the channels come last, and its size."""

    name: str
    type: str
    batch: int
    channels_last: bool
    size: tuple[int, ...]
    fixed: bool = True


@dataclass(frozen=True)
class OutputSpec:
    """Where a graph answers: the output, the tensor with the logits before any final softmax, and its kind."""

    output: str
    logits: str
    output_activation: str


def input_spec(model: Any) -> InputSpec:
    """Return what the graph takes: one tensor of images, of signals or of volumes."""
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) not in (3, 4, 5):
        raise ModelError(
            explain_error(
                "An ONNX classifier must take one tensor: images with 4 axes, signals with 3, volumes with 5.",
                ", ".join(f"{i.name} with {len(i.type.tensor_type.shape.dim)} axes" for i in inputs) or "no input",
                "Export the classifier alone, without further inputs.",
            )
        )
    types = {1: "float32", 10: "float16", 11: "float64", 2: "uint8"}
    kind = types.get(inputs[0].type.tensor_type.elem_type)
    if kind is None:
        raise ModelError(explain_error("Images must go in as floats or bytes.", "another type", "Export again."))
    dims = [int(d.dim_value) for d in inputs[0].type.tensor_type.shape.dim]
    last = _channels_last(model, inputs[0].name, dims)
    *sides, c = dims[1:] if last else (*dims[2:], dims[1])
    guess = {1: 1024, 2: 224, 3: 64}[len(sides)]
    size = (*(side or guess for side in sides), c or 3)
    return InputSpec(inputs[0].name, kind, dims[0], last, size, all(sides) and bool(c))


def _channels_last(model: Any, name: str, dims: Sequence[int]) -> bool:
    few, rank = (1, 3, 4), len(dims) - 2
    if rank == 2 and (dims[1] in few) != (dims[3] in few):
        return dims[3] in few
    # both or neither could be channels: a transposition right after the input decides
    first = next((n for n in model.graph.node if name in n.input), None)
    if first is None or first.op_type != "Transpose":
        return False
    return [int(i) for a in first.attribute for i in a.ints] == [0, rank + 1, *range(1, rank + 1)]


def output_spec(model: Any, output: str | int | None) -> OutputSpec:
    """Return where the graph answers; a softmax or sigmoid at the very end is taken off.

    Args:
        model: the ONNX model.
        output: index or name of the output; None for the one found.

    Raises:
        InputError: if there is no such output.
    """
    names = [o.name for o in model.graph.output]
    if isinstance(output, str) and output not in names:
        raise unknown("output", output, names)
    if isinstance(output, int) and not -len(names) <= output < len(names):
        raise InputError(explain_error(f"There are {len(names)} outputs.", output, "Give another index or a name."))
    if output is None:
        output = preferred([(o.name, len(o.type.tensor_type.shape.dim)) for o in model.graph.output])
    name = output if isinstance(output, str) else names[output]
    makers = {o: n for n in model.graph.node for o in n.output}
    node = makers.get(name)
    while node is not None and node.op_type in ("Identity", "Cast"):
        node = makers.get(node.input[0])
    if node is not None and node.op_type in OUTPUT_ACTIVATIONS:
        return OutputSpec(name, node.input[0], OUTPUT_ACTIVATIONS[node.op_type])
    return OutputSpec(name, name, "")


def inner_tensors(model: Any) -> list[tuple[str, str, int]]:
    """Return `(tensor, operation, number of weights)` of every node's first output, in order."""
    sizes = {w.name: _count(w.dims) for w in model.graph.initializer}
    return [
        (n.output[0], n.op_type, sum(sizes.get(i, 0) for i in n.input))
        for n in model.graph.node
        if n.output and n.op_type not in ("Constant", "Shape", "ConstantOfShape")
    ]


def _count(dims: Sequence[int]) -> int:
    total = 1
    for d in dims:
        total *= int(d)
    return total


def layouts(model: Any, shapes: dict[str, tuple[int, ...]], size: Size) -> dict[str, Layout]:
    """Return how the axes of every tensor are arranged; ONNX convolutions always have the channels second.

    Args:
        model: the ONNX model.
        shapes: shape of every tensor for one image.
        size: positions of the input, such as `(height, width)`.
    """
    found: dict[str, Layout] = {}
    maps: list[Size] = []
    rank = len(size)
    for node in model.graph.node:
        name = node.output[0] if node.output else ""
        shape = shapes.get(name)
        if shape is None:
            continue
        source = next((found[i] for i in node.input if i in found and len(shapes[i]) == len(shape)), None)
        layout = Layout("plain")
        if len(shape) == rank + 2 or (rank != 2 and len(shape) > 3):
            if node.op_type in CHANNELS_FIRST or "Pool" in node.op_type:
                layout = Layout("channels_first")
            elif node.op_type == "Transpose":
                order = tuple(int(i) for a in node.attribute for i in a.ints)
                before = source.kind if source else "channels_last"
                turns = {
                    (0, *range(2, rank + 2), 1): "channels_last",
                    (0, rank + 1, *range(1, rank + 1)): "channels_first",
                }
                layout = Layout("plain" if before == "plain" else turns.get(order, "plain"))
            elif source is not None and source.kind in ("channels_first", "channels_last"):
                layout = source if node.op_type != "Reshape" else Layout("plain")
        elif len(shape) == 3 and rank > 1 and shape[1] > 1 and shape[0] == 1:
            layout = token_layout(shape[1], maps, size)
        if layout.map:
            cells = layout.shape(shape)[:-1]
            if is_map(cells, maps, size) or layout.kind == "channels_first":
                maps.append(cells)
        found[name] = layout
    return found


def candidates(calls: Sequence[Call]) -> list[Call]:
    """Return the calls that could be the default layer, in order: maps that no pooling has made."""
    found = []
    for call in calls:
        if not call.layout.map or any(word in call.kind for word in PASSING_OPERATIONS):
            continue
        *cells, c = call.layout.shape(call.shape)
        if math.prod(cells) > 1 and c > 1 and not (call.layout.kind == "tokens" and call.kind in ("MatMul", "Gemm")):
            found.append(call)
    if found and found[-1].layout.kind == "tokens":  # as wide as the last: no queries, keys or hidden layers
        found = [c for c in found if c.shape[-1] == found[-1].shape[-1]]
    return found


def with_outputs(model: Any, names: Sequence[str]) -> bytes:
    """Return the graph, serialized, with exactly these tensors as its outputs.

    Args:
        model: the ONNX model.
        names: names of the tensors.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    known = {o.name: o for o in changed.graph.output}
    del changed.graph.output[:]
    for name in names:
        changed.graph.output.append(known.get(name) or onnx.helper.make_empty_tensor_value_info(name))
    result: bytes = changed.SerializeToString()
    return result


def downstream_graph(model: Any, at: str, output: str, kind: Any = np.float32) -> tuple[bytes, bool]:
    """Return the part of the graph from the tensor `at` to `output`, serialized, and whether it needs the image too.

    Paths around the tensor, such as skip connections, stay: then the image is still an input.

    Args:
        model: the ONNX model.
        at: path of the point.
        output: name of the logits' tensor.
        kind: dtype of the tensor.

    Raises:
        ModelError: if the output does not depend on the point.
    """
    import onnx

    makers = {o: n for n in model.graph.node for o in n.output}
    needed: set[str] = set()
    kept: set[int] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        node = makers.get(name)
        if name == at or node is None:
            continue
        kept.add(id(node))
        waiting += [i for i in node.input if i]
    if at not in needed:
        raise ModelError(
            explain_error("The answer must depend on the layer.", repr(at), "Choose another; see `shisen layers`.")
        )
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[:], cut.graph.output[:], cut.graph.initializer[:], cut.graph.input[:], cut.graph.value_info[:]
    cut.graph.node.extend(n for n in model.graph.node if id(n) in kept)
    cut.graph.initializer.extend(w for w in model.graph.initializer if w.name in needed and w.name != at)
    weights = {w.name for w in cut.graph.initializer}
    inputs = [i for i in model.graph.input if i.name in needed and i.name not in weights and i.name != at]
    cut.graph.input.extend(inputs)
    cut.graph.input.append(
        onnx.helper.make_tensor_value_info(at, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)), None)
    )
    cut.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
    result: bytes = cut.SerializeToString()
    return result, bool(inputs)


def in_older_operators(model: Any) -> Any:
    """Return the graph in the operators of version 17, as far as it differs in ways that converters stumble over.

    Constant nodes become weights, and reductions take their axes as an attribute. Whatever else changed since stays:
    whoever uses the result compares its answers.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes = list(changed.graph.node)
    del changed.graph.node[:]
    weights = {w.name: w for w in changed.graph.initializer}
    for node in nodes:
        values = [a for a in node.attribute if a.name == "value"]
        if node.op_type == "Constant" and values:
            weight = changed.graph.initializer.add()
            weight.CopyFrom(values[0].t)
            weight.name = node.output[0]
            weights[weight.name] = weight
            continue
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) == 2:
            axes = onnx.numpy_helper.to_array(weights[node.input[1]]).tolist()
            del node.input[1:]
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
        sizes = weights.get(node.input[1]) if node.op_type == "Reshape" else None
        if sizes is not None and 0 not in onnx.numpy_helper.to_array(sizes):  # allowzero then changes nothing
            kept = [a for a in node.attribute if a.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
        changed.graph.node.append(node)
    for operators in changed.opset_import:
        if operators.domain == "":
            operators.version = min(operators.version, 17)
    return changed
