"""ONNX graphs of a few nodes: their ends, their axes, the part downstream of a tensor, and every call's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from shisen.adapters.layout import Layout  # noqa: E402
from shisen.adapters.onnx.adapter import OnnxClassifier  # noqa: E402
from shisen.adapters.onnx.graph import (  # noqa: E402
    candidates,
    downstream_graph,
    in_older_operators,
    inner_tensors,
    input_spec,
    layouts,
    output_spec,
    with_outputs,
)
from shisen.adapters.points import Call  # noqa: E402
from shisen.errors import InputError, ModelError, UnknownName  # noqa: E402
from shisen.types import Scaling  # noqa: E402

DRAW = np.random.default_rng(0)
FIRST = DRAW.normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
SECOND = DRAW.normal(0, 1, (5, 4, 1, 1)).astype(np.float32)
HEAD = DRAW.normal(0, 1, (5, 3)).astype(np.float32)
Dims = Sequence[int | str]


def graph(
    nodes: Sequence[Any], weights: dict[str, Any], image: Dims = ("n", 3, 4, 6), outputs: Sequence[str] = ("y",),
    kind: int = TensorProto.FLOAT, version: int = 17,
) -> Any:  # fmt: skip
    made = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, list(image))],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def classifier(*, skip: bool = False, end: str = "", image: Dims = ("n", 3, 4, 6), turned: bool = False) -> Any:
    """conv, ReLU, conv, mean, linear; with a skip connection around the second convolution if asked for."""
    second = SECOND[:4] if skip else SECOND
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2])] if turned else []
    nodes += [node("Conv", f"{'t' if turned else 'x'} w1", "c1"), node("Relu", "c1", "a"), node("Conv", "a w2", "c2")]
    nodes += [node("Add", "a c2", "m")] if skip else [node("Identity", "c2", "m")]
    nodes += [node("GlobalAveragePool", "m", "p"), node("Flatten", "p", "f"), node("MatMul", "f w3", "z")]
    nodes += [node(end, "z", "e"), node("Identity", "e", "y")] if end else [node("Identity", "z", "y")]
    return graph(nodes, {"w1": FIRST, "w2": second, "w3": HEAD[: len(second)]}, image)


def answers(x: Any, *, skip: bool = False) -> dict[str, Any]:
    """The same in NumPy, channels last."""
    a = np.maximum(x @ FIRST[:, :, 0, 0].T, 0)
    c = a @ (SECOND[:4] if skip else SECOND)[:, :, 0, 0].T
    m = a + c if skip else c
    return {"a": a, "c2": c, "m": m, "logits": m.mean((1, 2)) @ HEAD[: m.shape[-1]]}


def wrapped(model: Any, **options: Any) -> OnnxClassifier:
    return OnnxClassifier(model.SerializeToString(), **options)


X = DRAW.random((3, 4, 6, 3)).astype(np.float32)


# ---- both ends


@pytest.mark.parametrize(
    ("dims", "last", "size"),
    [
        (("n", 3, 4, 6), False, (4, 6, 3)), (("n", 5, 6, 3), True, (5, 6, 3)), (("n", 1, 8, 9), False, (8, 9, 1)),
        (("n", 5, 6, 4), True, (5, 6, 4)), (("n", 3, 4, 3), False, (4, 3, 3)), (("n", 2, 5, 7), False, (5, 7, 2)),
        (("n", "c", "h", "w"), False, (224, 224, 3)), ((2, 3, "h", 9), False, (224, 9, 3)),
    ],
)  # fmt: skip
def test_which_axis_of_the_input_holds_the_channels(dims: Dims, last: bool, size: tuple[int, int, int]) -> None:
    found = input_spec(graph([node("Relu", "x", "y")], {}, dims))
    assert (found.channels_last, found.size) == (last, size)
    assert found.batch == (dims[0] if isinstance(dims[0], int) else 0)
    assert (found.name, found.type) == ("x", "float32")


def test_a_transposition_right_after_the_input_decides() -> None:
    for perm, last in (([0, 3, 1, 2], True), ([0, 2, 3, 1], False)):
        turned = graph([node("Transpose", "x", "t", perm=perm), node("Relu", "t", "y")], {}, ("n", 3, 5, 3))
        assert input_spec(turned).channels_last is last
    assert input_spec(graph([node("Relu", "x", "y")], {}, ("n", 3, 5, 3), kind=TensorProto.FLOAT16)).type == "float16"
    assert input_spec(graph([node("Relu", "x", "y")], {}, ("n", 3, 5, 3), kind=TensorProto.UINT8)).type == "uint8"
    with pytest.raises(ModelError, match="floats or bytes"):
        input_spec(graph([node("Relu", "x", "y")], {}, ("n", 3, 5, 3), kind=TensorProto.INT64))
    with pytest.raises(ModelError, match="x with 2 axes"):
        input_spec(graph([node("Relu", "x", "y")], {}, ("n", 3)))


@pytest.mark.parametrize(
    ("end", "activation"), [("Softmax", "softmax"), ("LogSoftmax", "softmax"), ("Sigmoid", "sigmoid")]
)
def test_what_the_graph_ends_in_is_taken_off(end: str, activation: str) -> None:
    spec = output_spec(classifier(end=end), None)
    assert (spec.output, spec.logits, spec.output_activation) == ("y", "z", activation)
    model = wrapped(classifier(end=end))
    assert model.head == activation
    np.testing.assert_allclose(model.activations(X), answers(X)["logits"], rtol=1e-4, atol=1e-5)


def test_one_of_several_outputs_is_selected() -> None:
    several = graph(
        [node("Relu", "x", "a"), node("Softmax", "a", "b"), node("Neg", "x", "c")], {}, outputs=("a", "b", "c")
    )
    assert output_spec(several, None).output == "a"
    assert output_spec(several, 2).logits == "c"
    assert output_spec(several, -1).output == "c"
    assert output_spec(several, "b").logits == "a"
    for wrong in (3, -4):
        with pytest.raises(InputError, match="3 outputs"):
            output_spec(several, wrong)
    with pytest.raises(UnknownName):
        output_spec(several, "d")
    assert output_spec(classifier(), None).output_activation == ""


def test_tensors_are_listed_with_the_weights_of_their_nodes() -> None:
    found = inner_tensors(classifier())
    assert [name for name, _, _ in found] == ["c1", "a", "c2", "m", "p", "f", "z", "y"]
    assert {name: count for name, _, count in found if count} == {"c1": 12, "c2": 20, "z": 15}
    constant = graph([node("Constant", "", "k", value_float=2.0), node("Shape", "x", "s"), node("Relu", "x", "y")], {})
    assert [name for name, _, _ in inner_tensors(constant)] == ["y"]


# ---- axes


def test_axes_follow_the_operations() -> None:
    nodes = [
        node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Transpose", "r", "last", perm=[0, 2, 3, 1]),
        node("Relu", "last", "still"), node("Transpose", "still", "first", perm=[0, 3, 1, 2]),
        node("Transpose", "first", "odd", perm=[0, 1, 3, 2]), node("Relu", "odd", "lost"),
        node("Transpose", "odd", "none", perm=[0, 2, 3, 1]), node("Reshape", "first s", "shaped"),
        node("MaxPool", "lost", "pooled", kernel_shape=[2, 2]), node("Flatten", "first", "flat"),
        node("Reshape", "first t", "tokens"), node("Sigmoid", "unknown", "y"),
    ]  # fmt: skip
    four = (1, 8, 4, 6)
    shapes = {
        "c": four, "r": four, "last": (1, 4, 6, 8), "still": (1, 4, 6, 8), "first": four, "odd": (1, 8, 6, 4),
        "lost": (1, 8, 6, 4), "none": (1, 6, 4, 8), "shaped": four, "pooled": (1, 8, 3, 2), "flat": (1, 192),
        "tokens": (1, 25, 8),
    }  # fmt: skip
    found = layouts(graph(nodes, {}), shapes, (4, 6))
    first, last = "channels_first", "channels_last"
    assert {k: v.kind for k, v in found.items()} == {
        "c": first, "r": first, "last": last, "still": last, "first": first, "odd": "plain", "lost": "plain",
        "none": "plain", "shaped": "plain", "pooled": first, "flat": "plain", "tokens": "tokens",
    }  # fmt: skip
    assert (found["tokens"].grid, found["tokens"].prefix) == ((4, 6), 1)
    turned = layouts(graph([node("Transpose", "x", "t", perm=[0, 3, 1, 2])], {}), {"t": four}, (4, 6))
    assert turned["t"].kind == "channels_first", "an input is channels last, where it is turned at all"


def call(path: str, kind: str, shape: tuple[int, ...], layout: Layout) -> Call:
    return Call(path, path, 1, kind, shape, layout, 0, 0)


def test_candidates_are_maps_that_no_pooling_made() -> None:
    nchw, tokens = Layout("channels_first"), Layout("tokens", (4, 6), 1)
    maps = [
        call("a", "Conv", (1, 8, 4, 6), nchw), call("b", "MaxPool", (1, 8, 2, 3), nchw),
        call("c", "Conv", (1, 1, 4, 6), nchw), call("d", "Conv", (1, 8, 1, 1), nchw),
        call("e", "Relu", (1, 8), Layout("plain")),
        call("f", "Relu", (1, 8, 2, 1), nchw), call("g", "Reshape", (1, 8, 4, 6), nchw),
    ]  # fmt: skip
    assert [c.path for c in candidates(maps)] == ["a", "f"]
    mixed = [
        call("i", "Add", (1, 25, 8), tokens), call("j", "MatMul", (1, 25, 8), tokens),
        call("k", "Add", (1, 25, 32), tokens),
        call("l", "Gemm", (1, 25, 8), tokens), call("m", "Mul", (1, 25, 8), tokens),
    ]  # fmt: skip
    assert [c.path for c in candidates(mixed)] == ["i", "m"]
    assert candidates([]) == []


# ---- surgery


def ran(serialized: bytes, **fed: Any) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    assert {i.name for i in session.get_inputs()} == set(fed)
    return session.run(None, fed)  # type: ignore[no-any-return]


def test_any_tensors_can_be_the_outputs() -> None:
    pixels = X.transpose(0, 3, 1, 2)
    a, y = ran(with_outputs(classifier(), ["a", "y"]), x=np.ascontiguousarray(pixels))
    np.testing.assert_allclose(a.transpose(0, 2, 3, 1), answers(X)["a"], rtol=1e-5)
    np.testing.assert_allclose(y, answers(X)["logits"], rtol=1e-4, atol=1e-5)


def test_the_part_downstream_needs_the_image_where_a_path_leads_around() -> None:
    want = answers(X)
    cut, with_image = downstream_graph(classifier(), "c2", "y")
    assert not with_image
    inner = np.ascontiguousarray(want["c2"].transpose(0, 3, 1, 2))
    np.testing.assert_allclose(ran(cut, c2=inner)[0], want["logits"], rtol=1e-4, atol=1e-5)
    assert {w.name for w in onnx.load_from_string(cut).graph.initializer} == {"w3"}
    want = answers(X, skip=True)
    cut, with_image = downstream_graph(classifier(skip=True), "c2", "y")
    assert with_image
    inner = np.ascontiguousarray(want["c2"].transpose(0, 3, 1, 2))
    found = ran(cut, c2=inner, x=np.ascontiguousarray(X.transpose(0, 3, 1, 2)))[0]
    np.testing.assert_allclose(found, want["logits"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="must depend"):
        downstream_graph(graph([node("Relu", "x", "a"), node("Neg", "x", "y")], {}), "a", "y")


def test_older_operators_answer_the_same() -> None:
    constant = helper.make_tensor("v", TensorProto.INT64, [2], [2, 3])
    nodes = [node("Constant", "", "axes", value=constant), node("ReduceMean", "x axes", "m", keepdims=0),
             node("ReduceSum", "x axes", "s", keepdims=0), node("Add", "m s", "y")]  # fmt: skip
    new = graph(nodes, {}, version=18)
    old = in_older_operators(new)
    assert [n.op_type for n in old.graph.node] == ["ReduceMean", "ReduceSum", "Add"]
    assert [len(n.input) for n in old.graph.node] == [1, 2, 2]
    assert old.opset_import[0].version == 17
    assert new.opset_import[0].version == 18
    assert len(new.graph.node) == 4
    pixels = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(ran(old.SerializeToString(), x=pixels)[0], ran(new.SerializeToString(), x=pixels)[0])
    assert in_older_operators(graph(nodes[3:], {}, version=13)).opset_import[0].version == 13


# ---- the adapter


@pytest.mark.parametrize("skip", [False, True])
def test_values_at_every_point_and_answers_for_altered_ones(skip: bool) -> None:
    model, want = wrapped(classifier(skip=skip)), answers(X, skip=skip)
    a, logits, pixels = model.activations(X, ("a", "logits", "input"))
    np.testing.assert_allclose(a, want["a"], rtol=1e-5)
    np.testing.assert_allclose(logits, want["logits"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(pixels, X)
    values = want["c2"] * np.float32(-1.5)
    m = (want["a"] if skip else 0) + values
    changed = m.mean((1, 2)) @ HEAD[: m.shape[-1]]
    np.testing.assert_allclose(model.replaced(X, values, "c2"), changed, rtol=1e-4, atol=1e-5)
    one = (want["a"][:1] if skip else 0) + values
    changed = one.mean((1, 2)) @ HEAD[: one.shape[-1]]
    np.testing.assert_allclose(model.replaced(X[:1], values, "c2"), changed, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.replaced(X[:1], X, "input"), want["logits"], rtol=1e-4, atol=1e-5)
    assert model.runs_downstream_only(X, "c2") is not skip
    assert model.default_layer == ("m" if skip else "c2")
    assert model.head == "softmax"
    assert {p.path: p.shape for p in model.layers if p.spatial} == {
        "c1": (4, 6, 4), "a": (4, 6, 4), "c2": (4, 6, 4 if skip else 5), "m": (4, 6, 4 if skip else 5),
    }  # fmt: skip


@pytest.mark.parametrize("fixed", [1, 2, 5])
def test_a_fixed_batch_is_filled_up_and_cut_off(fixed: int) -> None:
    model = wrapped(classifier(image=(fixed, 3, 4, 6)))
    for count in (1, 2, 3):
        np.testing.assert_allclose(model.activations(X[:count]), answers(X[:count])["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_pixels_are_scaled_and_ordered_as_the_graph_takes_them(turned: bool) -> None:
    scaling = Scaling((2.0, 3.0, 4.0), (-1.0, 0.5, 0.0), reverse=True)
    image: Dims = ("n", 4, 6, 3) if turned else ("n", 3, 4, 6)
    model = wrapped(classifier(turned=turned, image=image), scaling=scaling)
    seen = (X * np.float32(scaling.scale) + np.float32(scaling.shift))[..., ::-1]
    np.testing.assert_allclose(model.activations(X), answers(seen)["logits"], rtol=1e-4, atol=1e-5)


def test_bytes_are_rounded_and_held() -> None:
    nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("ReduceMean", "f", "y", axes=[2, 3], keepdims=0)]
    model = wrapped(graph(nodes, {}, kind=TensorProto.UINT8), scaling=Scaling((300.0,) * 3, (-20.0,) * 3))
    want = np.clip(np.rint(X * np.float32(300) - 20), 0, 255).mean((1, 2))
    np.testing.assert_allclose(model.activations(X), want, rtol=1e-5)


def test_tokens_beside_the_grid_keep_their_value() -> None:
    """A class token of one image's mean, then a pixel a token; the answer reads the class token and the tokens."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t s", "flat"),
        node("ReduceMean", "flat", "class", axes=[1], keepdims=1), node("Concat", "class flat", "tokens", axis=1),
        node("Mul", "tokens weights", "weighed"), node("ReduceSum", "weighed axis", "y", keepdims=0),
    ]  # fmt: skip
    weights = DRAW.normal(0, 1, (1, 25, 1)).astype(np.float32)
    made = graph(nodes, {"s": np.int64([0, 24, 3]), "weights": weights, "axis": np.int64([1])})
    model = wrapped(made)
    assert model.activations(X, "tokens").shape == (3, 4, 6, 3)
    grid = X.reshape(3, 24, 3)
    want = grid.mean(1) * weights[0, 0] + (grid * weights[:, 1:]).sum(1)
    np.testing.assert_allclose(model.activations(X), want, rtol=1e-4, atol=1e-5)
    doubled = grid.mean(1) * weights[0, 0] + (2 * grid * weights[:, 1:]).sum(1)
    np.testing.assert_allclose(model.replaced(X, 2 * X, "tokens"), doubled, rtol=1e-4, atol=1e-5)


def test_the_default_layer_is_one_that_the_answer_depends_on() -> None:
    first = [node("Conv", "x w1", "a"), node("Relu", "a", "r"), node("GlobalAveragePool", "r", "p")]
    beside = [node("Mul", "r k", "idle"), node("GlobalAveragePool", "idle", "q"), node("Add", "p q", "s")]
    dead = graph([*first, node("Relu", "r", "aside"), node("Flatten", "p", "y")], {"w1": FIRST})
    assert wrapped(dead).default_layer == "r"
    end = [node("Flatten", "s", "all"), node("MatMul", "all w2", "y")]
    mixed = DRAW.normal(0, 1, (len(FIRST), 2)).astype(np.float32)
    live = graph([*first, *beside, *end], {"w1": FIRST, "k": np.float32(0), "w2": mixed})
    assert wrapped(live).default_layer == "idle"
    flat = graph([node("Flatten", "x", "f"), node("MatMul", "f w", "y")], {"w": np.ones((72, 2), np.float32)})
    with pytest.raises(ModelError, match="spatial"):
        _ = wrapped(flat).default_layer


def test_files_that_are_none_are_answered_in_words() -> None:
    with pytest.raises(ModelError, match="must be readable"):
        OnnxClassifier(b"no graph")
    with pytest.raises(UnknownName, match="c2"):
        wrapped(classifier()).activations(X, "c3")


def test_a_branch_that_only_moves_the_rounding_is_no_default_layer() -> None:
    """A mean over a batch norm's scale of 1e-9 changes the answer, by less than single precision resolves."""
    nodes = [node("Conv", "x w1", "c1"), node("Relu", "c1", "a"), node("Conv", "a w2", "c2"), node("Relu", "c2", "b")]
    nodes += [node("GlobalAveragePool", "a", "p"), node("Flatten", "p", "f"), node("MatMul", "f w3", "z")]
    nodes += [node("GlobalAveragePool", "b", "q"), node("Flatten", "q", "g"), node("MatMul", "g w4", "v")]
    nodes += [node("Mul", "v tiny", "t"), node("Add", "z t", "y")]
    for factor, layer in ((1e-8, "a"), (1.0, "b")):
        weights = {"w1": FIRST, "w2": SECOND, "w3": HEAD[:4], "w4": HEAD, "tiny": np.float32(factor)}
        assert wrapped(graph(nodes, weights)).default_layer == layer
