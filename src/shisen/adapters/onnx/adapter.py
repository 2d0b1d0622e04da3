"""The adapter for ONNX files: any tensor of the graph is a point; gradients through a torch twin where there is one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, MissingDependency, ModelError, explain_error, require, unknown
from ...types import Layer, Scaling
from ..points import Layout
from .graph import behind, candidates, exit_of, inner_tensors, input_spec, layouts, with_outputs

Values = npt.NDArray[Any]
ONLY_FORWARD = "occlusion, rise, score_cam, eigen_cam, ablation_cam or recipro_cam"


class OnnxClassifier:
    """An ONNX graph as a classifier with named points; see `shisen.types.Classifier`. All arrays are NumPy.

    Args:
        file: path of a `.onnx` file, or its bytes.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: name or index of the output that holds the logits.
        head: "softmax", "sigmoid" or "none"; found by itself if None.
        device: "cpu", "cuda"; "" for a GPU if onnxruntime has one.
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
        self.exit = exit_of(self.proto, output)
        self.scaling = scaling
        self.batch_size = 32
        self.rule: str | None = None
        self._head = head
        known = onnxruntime.get_available_providers()
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") or not device else []
        self._providers = [p for p in wanted if p in known] + ["CPUExecutionProvider"]
        self._sessions: dict[Any, tuple[Any, bool]] = {}
        self._downstream: dict[str, bool] = {}
        self._found: tuple[dict[str, tuple[int, ...]], dict[str, Layout]] | None = None
        self._default = ""
        self._twin: Any = None
        self._lock = threading.RLock()

    # ---- structure

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every tensor that a node makes from the image, in the graph's order."""
        shapes, found = self._points()
        default = self._find_default()
        reason = "last feature map before pooling that the answer depends on"
        return tuple(
            Layer(name, kind, found[name].shape(shapes[name]), count, name == default, reason * (name == default))
            for name, kind, count in inner_tensors(self.proto)
            if name in shapes
        )

    @property
    def default_layer(self) -> str:
        """The last feature map before pooling."""
        name = self._find_default()
        if not name:
            raise ModelError(
                explain_error(
                    "This method works at a layer that keeps places apart.",
                    "an ONNX graph without feature maps",
                    "Use a method without a layer, such as occlusion or rise.",
                )
            )
        return name

    @property
    def head(self) -> str:
        """ "softmax", "sigmoid" or "none"."""
        if self._head is None:
            shape = self._points()[0][self.exit.logits]
            single = len(shape) == 1 or shape[-1] == 1
            self._head = (
                "none" if len(shape) > 2 else self.exit.output_activation or ("sigmoid" if single else "softmax")
            )
        return self._head

    def rewired(self, relu: str) -> OnnxClassifier:
        """Return the same graph with another rule for ReLUs in the backward pass, run by its torch twin."""
        twin = OnnxClassifier.__new__(OnnxClassifier)
        twin.__dict__.update(self.__dict__)
        twin.rule = relu
        return twin

    # ---- the three calls

    def activations(self, images: Any, at: str | Sequence[str] = "logits") -> Any:
        """Return the value at one point, or a tuple of values at several, from one forward."""
        points = [at] if isinstance(at, str) else list(at)
        x = np.asarray(images, dtype=np.float32)
        names = list(dict.fromkeys(self._tensor(p) for p in points if p != "input"))
        raw = self._run(tuple(names), x) if names else {}
        values = tuple(x if p == "input" else self._last(p, raw[self._tensor(p)]) for p in points)
        return values[0] if isinstance(at, str) else values

    def gradients(
        self, images: Any, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        """Return the value at `wrt` and the gradient there, both from the torch twin of the graph."""
        twin = self._torch_twin(np.asarray(images, dtype=np.float32))
        model = twin.classifier if self.rule is None else twin.classifier.rewired(self.rule)
        places = twin.place(wrt) if isinstance(wrt, str) else [twin.place(p) for p in wrt]
        objectives = (
            [twin.objective(s) for s in objective]
            if isinstance(objective, (list, tuple))
            else twin.objective(objective)
        )
        value, gradient = model.gradients(twin.images(images), objectives, twin.place(at), places)
        if isinstance(wrt, str):
            return value.cpu().numpy(), gradient.cpu().numpy()
        return tuple(v.cpu().numpy() for v in value), tuple(s.cpu().numpy() for s in gradient)

    def replaced(self, images: Any, values: Any, at: str) -> Any:
        """Return the logits if the value at this point were `values`; only the graph behind the point runs."""
        x, v = np.asarray(images, dtype=np.float32), np.asarray(values, dtype=np.float32)
        if at == "input":
            return self.activations(v)
        if len(x) not in (1, len(v)):
            raise InputError(
                explain_error(
                    "replaced() needs one image, or as many images as values.",
                    f"{len(x)} images, {len(v)} values",
                    "Repeat the images or pass one.",
                )
            )
        name = self._tensor(at)
        raw = self._raw(name, v, x)
        x = np.repeat(x, len(v), axis=0) if len(x) != len(v) else x
        if self._tail_takes_many(name, x[:1]):
            return self._logits(self._run_tail(name, raw, x))
        return np.concatenate([self._logits(self._run_tail(name, raw[i : i + 1], x[i : i + 1])) for i in range(len(v))])

    def runs_downstream_only(self, images: Any, at: str) -> bool:
        """Tell whether `replaced` runs only what lies behind the point: not where paths lead around it."""
        return not self._tail(self._tensor(at))[1]

    # ---- inside

    def _tensor(self, point: str) -> str:
        if point == "logits":
            return self.exit.logits
        names = [name for name, _, _ in inner_tensors(self.proto)]
        if point not in names:
            raise unknown("layer", point, names, "See `shisen layers` or model.layers.")
        return point

    def _last(self, point: str, raw: Values) -> Values:
        if point == "logits":
            return self._logits(raw)
        layout = self._points()[1].get(point, Layout("plain"))
        if layout.kind == "nchw":
            return np.ascontiguousarray(raw.transpose(0, 2, 3, 1)).astype(np.float32, copy=False)
        return np.asarray(layout.last(raw), dtype=np.float32)

    def _raw(self, name: str, values: Values, images: Values) -> Values:
        layout = self._points()[1].get(name, Layout("plain"))
        if layout.kind == "nchw":
            return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        if layout.kind != "tokens":
            return values
        own = self._run((name,), images)[name]  # tokens without a place keep their value
        own = np.repeat(own, len(values), axis=0) if len(own) != len(values) else own.copy()
        own[:, layout.prefix : layout.prefix + values.shape[1] * values.shape[2]] = values.reshape(
            len(values), -1, values.shape[-1]
        )
        return own

    @staticmethod
    def _logits(raw: Values) -> Values:
        raw = np.asarray(raw, dtype=np.float32)
        return raw[:, None] if raw.ndim == 1 else raw

    def _network_input(self, x: Values) -> Values:
        if self.scaling is not None:
            scale, shift = np.asarray((self.scaling.scale, self.scaling.shift), dtype=np.float32)
            x = x * scale + shift
            x = x[..., ::-1] if self.scaling.reverse else x
        if self.input_spec.type == "uint8":
            x = x.round().clip(0, 255)
        x = x if self.input_spec.channels_last else x.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(x, dtype=self.input_spec.type)

    def _session(self, key: Any, model: bytes, alone: bool = True) -> tuple[Any, bool]:
        import onnxruntime

        with self._lock:
            if key not in self._sessions:
                while len(self._sessions) >= 8:
                    self._sessions.pop(next(iter(self._sessions)))
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3
                session = onnxruntime.InferenceSession(model, options, providers=self._providers)
                self._sessions[key] = (session, alone)
            return self._sessions[key]

    def _run(self, names: tuple[str, ...], x: Values) -> dict[str, Values]:
        key = ("whole", names)
        if key not in self._sessions:
            self._session(key, with_outputs(self.proto, names))
        session, _ = self._sessions[key]
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

    def _tail(self, name: str) -> tuple[Any, bool]:
        key = ("tail", name)
        if key not in self._sessions:
            return self._session(key, *behind(self.proto, name, self.exit.logits))
        return self._sessions[key]

    def _run_tail(self, name: str, raw: Values, x: Values) -> Values:
        session, with_image = self._tail(name)
        fed = {name: np.ascontiguousarray(raw, dtype=np.float32)}
        if with_image:
            fed[self.input_spec.name] = self._network_input(x)
        result: Values = session.run([self.exit.logits], fed)[0]
        return result

    def _tail_takes_many(self, name: str, x: Values) -> bool:
        """Check on unaltered copies that the tail does not depend on how many there are."""
        if name not in self._downstream:
            raw = self._run((name, self.exit.logits), x)
            try:
                many = self._run_tail(name, np.repeat(raw[name], 3, axis=0), np.repeat(x, 3, axis=0))
                want = raw[self.exit.logits]
                scale = float(np.abs(want).max()) or 1.0
                same = len(many) == 3 and float(np.abs(many - want).max()) <= 1e-3 * scale
            except Exception:  # onnxruntime's own errors have no common base: shapes do not fit
                same = False
            self._downstream[name] = same
        return self._downstream[name]

    def _points(self) -> tuple[dict[str, tuple[int, ...]], dict[str, Layout]]:
        """Return the shapes and layouts of all tensors of one image, from one forward."""
        with self._lock:
            if self._found is None:
                names = tuple(dict.fromkeys([n for n, _, _ in inner_tensors(self.proto)] + [self.exit.logits]))
                x = np.zeros((1, *self.input_spec.size), dtype=np.float32)
                raw = {n: v for n, v in self._run(names, x).items() if v.dtype.kind == "f" and v.ndim > 0}
                self._sessions.clear()  # a session that keeps every tensor is not worth its memory
                shapes = {n: tuple(int(s) for s in v.shape) for n, v in raw.items()}
                self._found = (shapes, layouts(self.proto, shapes, self.input_spec.size[:2]))
                for name in shapes:
                    self._found[1].setdefault(name, Layout("plain"))
            return self._found

    def _find_default(self) -> str:
        if not self._default:
            shapes, found = self._points()
            names = candidates([t for t in inner_tensors(self.proto) if t[0] in shapes], shapes, found)
            x = np.full((1, *self.input_spec.size), 0.5, dtype=np.float32)
            for name in list(reversed(names))[:40]:
                if self._matters(name, x):
                    self._default = name
                    break
        return self._default

    def _matters(self, name: str, x: Values) -> bool:
        """Check that the answer changes with the map; behind a class token's last attention it does not."""
        try:
            value = self.activations(x, name)
            changed = self.replaced(x, value + np.float32(1) + np.abs(value), name)
        except ModelError:
            return False
        return bool(np.abs(changed - self.activations(x)).max() > 0)

    def _torch_twin(self, x: Values) -> Any:
        with self._lock:
            if self._twin is None:
                try:
                    from .torch_equivalent import Twin

                    self._twin = Twin(self)
                except ImportError as problem:
                    raise MissingDependency(
                        f"Gradients of an ONNX graph need the packages torch and onnx2torch. Use {ONLY_FORWARD}, "
                        "which need no gradients, or install them with: pip install 'shisen[onnx]' onnx2torch torch"
                    ) from problem
            self._twin.check(x)
            return self._twin
