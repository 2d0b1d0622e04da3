"""The adapter for ONNX files: any tensor of the graph is a point; gradients through an equivalent torch network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._core.i18n import N_
from ...errors import MissingDependency, ModelError, explain_error, require
from ...types import Scaling
from ..answers import announce_part, check_floats, rows_of
from ..base import DOWNSTREAM_TOLERANCE, Adapter
from ..layout import Layout
from ..points import NOT_SPATIAL, Call, PointTable
from ..trace import Trace, head_of
from .affine_gradient import affine_gradients
from .graph import candidates, downstream_graph, inner_tensors, input_spec, layouts, output_spec, with_outputs

Values = npt.NDArray[Any]
ONLY_FORWARD = "occlusion, rise, score_cam, eigen_cam, ablation_cam or recipro_cam"
SESSIONS = 8
"""Sessions of onnxruntime kept for one graph."""
ROUNDING = 1e-5
"""By how much logits may differ, relative to the largest, between two ways to run the same graph."""
TRIED = 40
"""Candidates for the default layer that are tried, from the end."""


class OnnxClassifier(Adapter):
    """An ONNX graph as a classifier with named points; see `shisen.types.Classifier`. All arrays are NumPy.

    Args:
        file: path of a `.onnx` file, or its bytes.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: name or index of the output that holds the logits.
        head: "softmax", "sigmoid" or "none"; found automatically if None.
        device: "cpu", "cuda"; "" for a GPU if onnxruntime has one.

    Attributes:
        proto: the graph.
        input_spec, output_spec: both ends of the graph.
    """

    framework = "onnx"

    def __init__(
        self,
        file: str | Path | bytes,
        scaling: Scaling | None = None,
        output: str | int | None = None,
        head: str | None = None,
        device: str = "",
    ) -> None:
        try:
            import onnx
            import onnxruntime
        except ImportError as problem:
            raise require(problem.name or "onnxruntime", "onnx", "An ONNX file") from problem
        try:
            self.proto: Any = onnx.load_from_string(file) if isinstance(file, bytes) else onnx.load(str(file))
        except Exception as problem:
            raise ModelError(
                explain_error("An ONNX file must be readable.", f"{type(problem).__name__}", "Is the file complete?")
            ) from problem
        self.input_spec = input_spec(self.proto)
        self.output_spec = output_spec(self.proto, output)
        super().__init__(self.proto, scaling, output, self.input_spec.size, head)
        known = onnxruntime.get_available_providers()
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") or not device else []
        self._providers = [p for p in wanted if p in known] + ["CPUExecutionProvider"]
        self._sessions: dict[Any, tuple[Any, bool]] = {}
        self._types: dict[str, Any] = {}
        self._torch: Any = None

    # ---- the contract

    @property
    def declared_size(self) -> tuple[int, ...] | None:
        """`(*positions, c)` of the graph's input; None where it leaves a side open."""
        return self.input_spec.size if self.input_spec.fixed else None

    def to_tensor(self, images: Any) -> Values:
        """Return images as a float32 array."""
        return np.asarray(images, dtype=np.float32)

    def to_array(self, tensor: Any) -> Values:
        """Return a value as a float32 array."""
        return np.asarray(tensor, dtype=np.float32)

    def repeated(self, x: Values, count: int) -> Values:
        """Return one image `count` times."""
        return np.repeat(x, count, axis=0)

    def trace(self, x: Any = None) -> Trace:
        """Return what the graph consists of; the same for images of every size."""
        return super().trace(None)

    def record(self, x: Values) -> Trace:
        """Run one image and take the shape of every tensor that a node makes from it."""
        inner = inner_tensors(self.proto)
        logits = self.output_spec.logits
        names = tuple(dict.fromkeys([n for n, _, _ in inner] + [logits]))
        if self.output is None:
            outputs = [o.name for o in self.proto.graph.output]
            shapes_of = [[d.dim_value or "n" for d in o.type.tensor_type.shape.dim] for o in self.proto.graph.output]
            announce_part(list(zip(outputs, shapes_of, strict=True)), outputs.index(self.output_spec.output))
        found = self._run(names, x)
        check_floats(found[logits].dtype)
        raw = {n: v for n, v in found.items() if v.dtype.kind == "f" and (v.ndim > 0 or n == logits)}
        self._sessions.clear()  # a session that keeps every tensor is not worth its memory
        shapes = {n: tuple(int(s) for s in v.shape) for n, v in raw.items()}
        arranged = layouts(self.proto, {n: tuple(v.shape) for n, v in found.items()}, self.size[:-1])
        self._types.update((n, v.dtype) for n, v in raw.items())
        calls = tuple(
            Call(name, name, 1, kind, shapes[name], arranged.get(name, Layout("plain")), count, i)
            for i, (name, kind, count) in enumerate(inner)
            if name in shapes
        )
        uncaptured = {name: kind for name, kind, _ in inner if name not in shapes}
        activation = self.output_spec.output_activation
        rows, one = rows_of(raw[logits].shape, lambda: self._shape_for_two(x))
        head = activation if activation and len(one) <= 1 else head_of((1, *one), activation)
        points = PointTable(calls, uncaptured)
        return Trace(points, None, NOT_SPATIAL, activation, head, one, tuple(candidates(calls)), rows)

    def refined(self, trace: Trace, x: Values) -> Trace:
        """Take as default the last feature map before pooling that the answer depends on."""
        gray = np.full_like(x, 0.5)
        for call in list(reversed(trace.candidates))[:TRIED]:
            if self._matters(call.path, gray):
                return replace(
                    trace, default=call, reason=N_("last feature map before pooling that the output depends on")
                )
        return trace

    def forward(self, x: Values, points: Sequence[str], values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the values at `points`, channels last; `values` are put in at one point, for the logits."""
        if values:
            ((at, given),) = values.items()
            call = self.trace().points.find(at)
            return {"logits": self._logits(self._run_downstream(call.path, self._raw(call, given, x), x))}
        names = {p: self._tensor(p) for p in points if p != "input"}
        raw = self._run(tuple(dict.fromkeys(names.values())), x)
        return {p: x if p == "input" else self._last(p, raw[names[p]]) for p in points}

    def differentiate(
        self, x: Any, objectives: Sequence[Any], at: str, wrt: Sequence[str]
    ) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Return the values at `wrt` and the gradients there, from the equivalent torch network or an affine end."""
        try:
            equivalent = self._torch_equivalent(x)
        except (MissingDependency, ModelError):
            alone = wrt[0] if len(wrt) == 1 and at == "logits" and self.rule is None else "input"
            found = affine_gradients(self, x, objectives, alone)
            if found is None:
                raise
            return found
        model = equivalent.classifier if self.rule is None else equivalent.classifier.rewired(self.rule)
        modules = {p: equivalent.module_of(p) for p in wrt}
        own = [equivalent.objective(o) for o in objectives]
        inner = tuple(dict.fromkeys(modules.values()))
        values, rows = model.differentiate(model.to_tensor(equivalent.images(x)), own, equivalent.module_of(at), inner)

        def back(found: Mapping[str, Any]) -> dict[str, Values]:
            return {p: found[m].detach().cpu().numpy() for p, m in modules.items()}

        return back(values), [back(row) for row in rows]

    def replaced(self, images: Any, values: Any, at: str) -> Any:
        """Return the logits if the value at this point were `values`; only the graph downstream of it runs."""
        x, v = self.to_tensor(images), self.to_tensor(values)
        if at == "input" or len(x) not in (1, len(v)) or self.takes_copies(x[:1], at):
            return super().replaced(self.repeated(x, len(v)) if len(x) == 1 and at != "input" else x, v, at)
        rows = [(x[i : i + 1] if len(x) > 1 else x, v[i : i + 1]) for i in range(len(v))]
        return np.concatenate([self.forward(one, ("logits",), {at: value})["logits"] for one, value in rows])

    def runs_downstream_only(self, images: Any, at: str) -> bool:
        """Tell whether `replaced` runs only what lies downstream of the point: not where paths lead around it."""
        return not self._downstream(self._tensor(at))[1]

    def takes_copies(self, x: Values, at: str) -> bool:
        """Check once, on unaltered copies, that the graph downstream does not depend on how many there are."""
        name = self._tensor(at)
        key = (name, ())
        known = self._memory.downstream
        if key not in known:
            raw = self._run((name, self.output_spec.logits), x)
            want = raw[self.output_spec.logits]
            try:
                many = self._run_downstream(name, np.repeat(raw[name], 3, axis=0), np.repeat(x, 3, axis=0))
                scale = float(np.abs(want).max()) or 1.0
                known[key] = len(many) == 3 and bool(np.abs(many - want).max() <= DOWNSTREAM_TOLERANCE * scale)
            except Exception:  # onnxruntime's own errors have no common base: shapes do not fit
                known[key] = False
        return known[key]

    # ---- inside

    def _tensor(self, point: str) -> str:
        return self.output_spec.logits if point == "logits" else self.trace().points.find(point).path

    def _last(self, point: str, raw: Values) -> Values:
        if point == "logits":
            return self._logits(raw)
        return np.ascontiguousarray(self.trace().points.find(point).layout.last(raw)).astype(np.float32, copy=False)

    def _raw(self, call: Call, values: Values, images: Values) -> Values:
        # tokens without a spatial position keep their value
        own = self._run((call.path,), images)[call.path] if call.layout.kind == "tokens" else values
        return np.ascontiguousarray(call.layout.back(values, own))

    def _shape_for_two(self, x: Values) -> tuple[int, ...] | None:
        if self.input_spec.batch:
            return None
        try:
            return self._run((self.output_spec.logits,), np.repeat(x, 2, axis=0))[self.output_spec.logits].shape
        except Exception:  # onnxruntime's own errors have no common base
            return None

    def _logits(self, raw: Values) -> Values:
        found = self.trace()
        raw = np.asarray(found.rows.apply(raw, found.logits, np), dtype=np.float32)
        return raw[:, None] if raw.ndim == 1 else raw

    def _network_input(self, x: Values) -> Values:
        if self.scaling is not None:
            scale, shift = np.asarray((self.scaling.scale, self.scaling.shift), dtype=np.float32)
            x = x * scale + shift
            x = x[..., ::-1] if self.scaling.reverse else x
        if self.input_spec.type == "uint8":
            x = x.round().clip(0, 255)
        x = x if self.input_spec.channels_last else np.moveaxis(x, -1, 1)
        return np.ascontiguousarray(x, dtype=self.input_spec.type)

    def _session(self, key: Any, model: bytes, with_image: bool = True) -> tuple[Any, bool]:
        import onnxruntime

        with self.lock:
            if key not in self._sessions:
                while len(self._sessions) >= SESSIONS:
                    self._sessions.pop(next(iter(self._sessions)))
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3
                try:
                    session = onnxruntime.InferenceSession(model, options, providers=self._providers)
                except Exception as problem:  # onnxruntime's own errors have no common base
                    raise ModelError(
                        explain_error(
                            "onnxruntime must be able to run the ONNX file.",
                            f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}",
                            "Check it with onnx.checker, or export it again, in float32 and with a newer opset.",
                        )
                    ) from problem
                self._sessions[key] = (session, with_image)
            return self._sessions[key]

    def _run(self, names: tuple[str, ...], x: Values) -> dict[str, Values]:
        key = ("whole", names)
        session, _ = self._sessions.get(key) or self._session(key, with_outputs(self.proto, names))
        shown, n = self._network_input(x), len(x)
        batch = self.input_spec.batch
        if batch < 1:
            return dict(zip(names, session.run(list(names), {self.input_spec.name: shown}), strict=True))
        parts = []
        for i in range(0, n, batch):  # a graph for a fixed number of images: fill up with the last one
            part = shown[i : i + batch]
            full = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
            parts.append([v[: len(part)] for v in session.run(list(names), {self.input_spec.name: full})])
        return {name: np.concatenate([p[i] for p in parts]) for i, name in enumerate(names)}

    def _downstream(self, name: str) -> tuple[Any, bool]:
        """Return the session of the graph downstream of a tensor, and whether it needs the image too."""
        key = ("downstream", name)
        found = self._sessions.get(key)
        kind = self._types.get(name, np.dtype(np.float32))
        return found or self._session(key, *downstream_graph(self.proto, name, self.output_spec.logits, kind))

    def _run_downstream(self, name: str, raw: Values, x: Values) -> Values:
        session, with_image = self._downstream(name)
        fed = {name: np.ascontiguousarray(raw, dtype=self._types.get(name, np.float32))}
        if with_image:
            fed[self.input_spec.name] = self._network_input(x)
        result: Values = session.run([self.output_spec.logits], fed)[0]
        return result

    def _matters(self, name: str, x: Values) -> bool:
        """Check that the answer changes with the map; after a class token's last attention it does not."""
        try:
            value = self.activations(x, name)
            changed = self.replaced(x, value + np.float32(1) + np.abs(value), name)
        except ModelError:
            return False
        logits = self.activations(x)
        return bool(np.abs(changed - logits).max() > ROUNDING * np.abs(logits).max())

    def _torch_equivalent(self, x: Values) -> Any:
        with self.lock:
            if self._torch is None:
                try:
                    from .torch_equivalent import TorchEquivalent

                    self._torch = TorchEquivalent(self)
                except ImportError as problem:
                    self._torch = MissingDependency(
                        "Gradients of this ONNX graph need the packages torch and onnx2torch. Use "
                        f"{ONLY_FORWARD}, which need no gradients, or install them with: "
                        "pip install 'shisen[onnx-gradients]'"
                    )
                    self._torch.__cause__ = problem
                except ModelError as problem:
                    self._torch = problem
            if isinstance(self._torch, Exception):
                raise self._torch
            self._torch.check(x)
            return self._torch
