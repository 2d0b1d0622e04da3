"""Methods × targets on one image, with time and passes: one figure, one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from . import registry
from ._core.i18n import Message
from ._core.progress import Progress, silent
from ._core.writers import write
from .adapters.wrappers import Passes, Shared, Watched
from .errors import InputError, ModelError, ShisenError, explain_error
from .explaining import Ready, explain_batch
from .models.loading import with_geometry
from .models.model import Model
from .results import Explanation, Failure
from .types import InputImage


@dataclass(frozen=True)
class Timing:
    """What one method cost for all targets together.

    Attributes:
        seconds: wall-clock time.
        passes: images sent through the network or a part of it; 0 if another method's passes could be used.
    """

    seconds: float
    passes: int

    def __str__(self) -> str:
        time = f"{self.seconds * 1e3:.3g} ms" if self.seconds < 1 else f"{self.seconds:.1f} s"
        if not self.passes:
            return f"{time} · shared pass"
        return f"{time} · {self.passes:,} pass{'es' if self.passes > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods and targets on one image.

    Attributes:
        image: the image.
        methods: column by column.
        targets: row by row, in words.
        cells: `cells[target][method]`, an `Explanation`, or a `Failure` for a method that does not suit the network.
        timings: seconds and passes of each method, all targets together.
        model: the model's name.
    """

    image: InputImage
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    cells: tuple[tuple[Explanation | Failure, ...], ...]
    timings: Mapping[str, Timing] = field(default_factory=dict)
    model: str = ""

    def __getitem__(self, key: tuple[int, str]) -> Explanation | Failure:
        """Return the explanation of a target (its row) by a method (its name)."""
        row, method = key
        return self.cells[row][self.methods.index(method)]

    @property
    def failures(self) -> dict[str, str]:
        """Methods that do not suit the network, and why."""
        cells = ((m, c) for row in self.cells for m, c in zip(self.methods, row, strict=True))
        return {m: c.error for m, c in cells if isinstance(c, Failure)}

    def figure(self, style: str = "blend", colormap: str = "jet", alpha: float = 0.4, *, columns: int = 6) -> Any:
        """Draw all maps in one matplotlib figure: image first, targets in rows, cost under each column.

        Args:
            style: as in `Explanation.overlay`.
            colormap: as in `Explanation.overlay`.
            alpha: as in `Explanation.overlay`.
            columns: number of methods side by side before a new band begins.

        Returns:
            A matplotlib `Figure`.
        """
        from .comparison_figure import figure

        return figure(self, style=style, colormap=colormap, alpha=alpha, columns=columns)

    def table(self) -> list[tuple[str, str, str, str, str]]:
        """Return a row per method: name, seconds, passes, unit, and what failed."""
        rows = []
        for i, method in enumerate(self.methods):
            cell = self.cells[0][i]
            timing = self.timings.get(method)
            rows.append(
                (
                    method,
                    f"{timing.seconds:.3f}" if timing else "",
                    str(timing.passes) if timing else "",
                    cell.unit if isinstance(cell, Explanation) else "",
                    cell.error if isinstance(cell, Failure) else "",
                )
            )
        return rows

    def save(self, path: str | Path, **drawing: Any) -> Path:
        """Write the figure as PNG, SVG or PDF, with a JSON record of every panel beside it.

        Args:
            path: the suffix chooses the format.
            **drawing: as in `figure`.
        """
        return write(self, path, **drawing)

    def _repr_png_(self) -> bytes:
        import io

        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png")
        return buffer.getvalue()


def compare(
    model: Model,
    image: Any,
    methods: str | Sequence[str] = ("gradient", "grad_cam"),
    targets: Sequence[Any] = (None,),
    *,
    layer: Any = None,
    score: str = "logit",
    size: int | tuple[int, int] | None = None,
    fit: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    reuse: bool = True,
    progress: Progress = silent,
) -> Comparison:
    """Explain one image by several methods and for several targets, side by side.

    Work that methods have in common is done once: all gradient CAMs of one layer and any number of classes come
    from one forward.

    Args:
        model: from `load` or `wrap`.
        image: as in `explain`.
        methods: names, or "all" that suit the network.
        targets: as in `explain`, one row each; None is the top class.
        layer, score, size, fit: as in `explain`.
        options: method → its options.
        reuse: False runs every method on its own, so that their times are comparable.
        progress: called as `progress(done, total, words)` after every method.

    Returns:
        A `Comparison`. A method that does not suit the network becomes a `Failure` in its cells.

    Raises:
        InputError: if there is no method or no target.
        ModelError: if no method suits the network.
    """
    model.check_rank("compare()")
    model.expect(image)
    names = registry.suiting(model) if methods == "all" else [methods] if isinstance(methods, str) else list(methods)
    specs = [registry.get(name) for name in names]
    own = {registry.get(name).name: dict(given) for name, given in (options or {}).items()}
    if not specs or not targets:
        raise InputError(explain_error("compare() needs a method and a target.", "none", "methods='all' gives all."))
    for spec in specs:
        spec.check(own.get(spec.name, {}))
    shown = with_geometry(model, size, fit)
    opened = shown.read(image)
    x, frame = shown.prepare(opened)
    ready = Ready(0, opened, x, frame)
    watched = shown.around(Watched(shown.model, passes := Passes()))
    layer = shown.layer_path(layer)
    objectives = [shown.objective(target, score) for target in targets]
    if any(hasattr(objective, "resolve") for objective in objectives):
        logits = shown.activations(x[None])
        objectives = [one.resolve(logits) if hasattr(one, "resolve") else one for one in objectives]
    batch = x[None]
    in_hand = shown.around(Shared(watched.model, batch, objectives)) if reuse else watched
    cells: list[list[Explanation | Failure]] = [[] for _ in objectives]
    timings: dict[str, Timing] = {}
    for number, spec in enumerate(specs, 1):
        before, start = passes.total, perf_counter()
        for row, objective in enumerate(objectives):
            at = (layer or in_hand.default_layer) if spec.layered else None
            try:
                (cell,) = explain_batch(in_hand, spec, [ready], objective, at, own.get(spec.name, {}), images=batch)
                cells[row].append(cell)
            except (ShisenError, RuntimeError) as problem:
                cells[row].append(Failure(spec.name, getattr(problem, "message", str(problem))))
        timings[spec.name] = Timing(perf_counter() - start, passes.total - before)
        progress(number, len(specs), Message("Comparing methods: {method}", method=spec.name))
    if not any(cell for row in cells for cell in row):
        why = next(c.error for c in cells[0] if isinstance(c, Failure))
        raise ModelError(f"None of the methods suits this network. {why}")
    words = tuple(
        next((c.target.name for c in row if isinstance(c, Explanation)), objective.name)
        for row, objective in zip(cells, objectives, strict=True)
    )
    return Comparison(opened, tuple(s.name for s in specs), words, tuple(map(tuple, cells)), timings, model.name)
