"""From images to explanations, in batches, in order, losing none."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from . import registry
from ._core.prefetch import prefetched
from .adapters.wrappers import Recorded
from .errors import InputError, ShisenError, ShisenWarning, UnknownName, explain_error
from .models.loading import with_geometry
from .models.model import Model
from .naming import per_image
from .registry import Method
from .results import Explanation, Failure
from .targets import MixedObjective, to_numpy
from .types import Array, Attribution, Frame, InputImage, Target

LARGE_GAP = 0.05
"""Fraction of the difference of the scores from which on what a complete method misses of it is worth a warning."""
UNITS = {"logit": "logit", "probability": "probability", "log_probability": "log-probability"}


@dataclass(frozen=True)
class Ready:
    """One image, decoded and as the network is shown it."""

    index: int
    image: InputImage
    pixels: Any
    frame: Frame


def explain_each(
    model: Model,
    images: Iterable[Any],
    method: str | Method = "grad_cam",
    *,
    target: Any = None,
    layer: Any = None,
    score: str = "logit",
    size: int | tuple[int, int] | None = None,
    fit: str | None = None,
    raise_errors: bool = False,
    **options: Any,
) -> Iterator[Explanation | Failure]:
    """Yield one `Explanation` or `Failure` per image, in order, with memory bounded by the model's batch size.

    Images are decoded in threads while the network works, and sent through it in batches of one shape.
    Arguments as in `explain`; `raise_errors` raises instead of yielding a `Failure`.

    Args:
        model: from `load` or `wrap`.
        images: as in `explain`.
        method: name of the method.
        target: what is explained, as in `explain`.
        layer: as in `explain`.
        score: "logit", "probability" or "log_probability".
        size: as in `explain`.
        fit: as in `explain`.
        raise_errors: raise an error instead of yielding a `Failure`.
        **options: options of the method.

    Raises:
        ShisenError: with `raise_errors`, for the first image that fails.
        UnknownName: for an unknown method, option, layer or class.
    """
    if method == "auto":
        from .evaluation.recommend import recommended

        method, layer, options = recommended(model, layer, options)
    spec = registry.get(method)
    spec.check(options)
    shown = with_geometry(model, size, fit)
    images = iter(images)
    first = next(images, None)
    if first is not None:
        shown.expect(first)
    images = chain([] if first is None else [first], images)
    layer = shown.layer_path(layer) if layer is not None else shown.default_layer if spec.layered else None
    targets = per_image(target)
    objectives = None if targets is None else [shown.objective(t, score) for t in targets]
    common = None if targets is not None else shown.objective(target, score)

    def ready(item: tuple[int, Any]) -> Ready | Failure | Exception:
        index, source = item
        if objectives is not None and index >= len(objectives):  # a matter of the call: no failure of an image
            return too_few_targets(len(objectives))
        try:
            image = shown.read(source)
            x, frame = shown.prepare(image)
            return Ready(index, image, x, frame)
        except (ShisenError, OSError, MemoryError) as problem:
            return problem if raise_errors else Failure(_name_of(source), str(problem))

    for batch in _batches(prefetched(ready, enumerate(images), depth=2 * shown.batch_size), shown.batch_size):
        if not isinstance(batch, list):
            if isinstance(batch, Exception):
                raise batch
            yield batch
            continue
        objective = common if objectives is None else MixedObjective(tuple(objectives[r.index] for r in batch))
        try:
            yield from explain_batch(shown, spec, batch, objective, layer, options)
        except (ShisenError, RuntimeError, ValueError) as problem:
            if raise_errors or isinstance(problem, UnknownName):  # a wrong name is wrong for every image
                raise
            for r in batch:  # one image must not lose its neighbors
                yield from _alone(
                    shown, spec, r, common if objectives is None else objectives[r.index], layer, options, problem
                )


def saved_each(
    results: Iterable[Explanation | Failure], paths: Iterable[Path], *, depth: int = 8, **drawing: Any
) -> Iterator[tuple[Explanation | Failure, Path | None]]:
    """Draw and write explanations in threads, while the network makes the next ones; order is kept.

    Args:
        results: from `explain_each`.
        paths: where each is written, as many as results.
        depth: how many may wait, which bounds memory.
        **drawing: style, colormap, alpha, color_bar, as in `Explanation.save`.

    Yields:
        each result with the file written, None for a failure.
    """

    def save(item: tuple[Explanation | Failure, Path]) -> tuple[Explanation | Failure, Path | None]:
        result, path = item
        return result, None if isinstance(result, Failure) else result.save(path, **drawing)

    yield from prefetched(save, zip(results, paths, strict=True), depth=depth)


def _alone(
    model: Model, spec: Method, ready: Ready, objective: Any, layer: Any, options: Any, problem: Exception
) -> Iterator[Explanation | Failure]:
    try:
        yield from explain_batch(model, spec, [ready], objective, layer, options)
    except (ShisenError, RuntimeError, ValueError) as own:
        yield Failure(ready.image.source, str(own) or str(problem))


def too_few_targets(count: int) -> InputError:
    """Return the error for more images than targets."""
    return InputError(
        explain_error(
            "A list of targets gives one target per image.",
            f"{count} targets, and more images",
            "Give one target for all, or as many as images.",
        )
    )


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Ready] | Failure | Exception]:
    """Gather neighbors of one shape into batches; failures come through on their own, in order."""
    for shape, run in groupby(items, key=lambda r: r.pixels.shape if isinstance(r, Ready) else None):
        if shape is None:
            yield from run
            continue
        batch: list[Ready] = []
        for item in run:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch


def explain_batch(
    model: Model,
    spec: Method,
    batch: Sequence[Ready],
    objective: Any,
    layer: Any,
    options: dict[str, Any],
    *,
    images: Any = None,
) -> Iterator[Explanation]:
    """Yield the explanations of images of one shape, made in one go.

    Where the method's only pass sees the unaltered images, the answer and the top class come from that pass.

    Args:
        model: from `load` or `wrap`.
        spec: the method.
        batch: images of one shape, prepared.
        objective: what is explained.
        layer: path of the layer, None for methods without one.
        options: options of the method.
        images: the batch itself, if the model is a `Shared` one that has it in hand.
    """
    in_hand = images is not None
    images = images if in_hand else np.stack([r.pixels for r in batch])
    start = perf_counter()
    logits = None
    if not spec.single:
        logits = model.activations(images)
        if hasattr(objective, "resolve"):
            objective = objective.resolve(logits)
    recorded = Recorded(objective) if spec.single and not in_hand else objective
    maps = spec(model, images, recorded, layer=layer, **options)
    values = to_numpy(maps.values).astype(np.float32, copy=False)
    if spec.complete and "gap" in maps.notes:
        warn_of_gap(spec, maps.notes)
    warn_of_nan(spec, values)
    seconds = (perf_counter() - start) / len(batch)
    if isinstance(recorded, Recorded) and recorded.values:
        logits = recorded.whole[: len(batch)]
    elif in_hand:
        logits = model.activations(images)  # remembered from the method's own pass
    scores, predictions, picked = _answers(model, objective, logits, len(batch))
    ran = {name: options.get(name, p.default) for name, p in spec.options.items()}
    for i, r in enumerate(batch):
        yield Explanation(
            Attribution(
                values=np.array(values[i], copy=True),
                method=spec.name,
                unit=spec.unit.format(score=UNITS.get(getattr(objective, "score", ""), "score")),
                signed=spec.signed,
                shows=spec.shows,
                target=_target(model, picked, i, scores),
                layer=layer if layer is None or isinstance(layer, str) else " + ".join(layer),
                options=ran,
                notes={k: _of_image(v, i, len(batch)) for k, v in maps.notes.items()},
                rank=images.ndim - 2 if values.shape == tuple(images.shape) else values.ndim - 1,
            ),
            r.image,
            r.frame,
            tuple(predictions[i]),
            model.name,
            seconds,
            {"framework": model.framework, "source": model.source, "precision": model.precision},
        )


def warn_of_nan(spec: Method, values: Array) -> None:
    """Warn where maps hold values that are not finite: nothing else shows that they say nothing there.

    Args:
        spec: the method.
        values: `(n, *positions)` or `(n, *positions, c)`.
    """
    bad = ~np.isfinite(values.reshape(len(values), -1))
    if bad.any():
        where = f" in {int(bad.any(axis=1).sum())} of {len(values)} maps" if len(values) > 1 else ""
        text = f"{bad.mean():.0%} of the values of {spec.name} are not finite (NaN or infinity){where}"
        advice = "The network, or its gradient, returns such numbers for the images that the method gives it."
        warnings.warn(f"{text}. {advice}", ShisenWarning, stacklevel=2)


def warn_of_gap(spec: Method, notes: Mapping[str, Any]) -> None:
    """Warn where the values of a complete method miss much of the difference of the scores that they sum to.

    Args:
        spec: the method.
        notes: of its maps, with `gap` and `difference`, one entry an image.
    """
    gap, difference = (np.abs([float(value) for value in notes[name]]) for name in ("gap", "difference"))
    missed = gap / np.maximum(difference, 1e-12)
    if (missed > LARGE_GAP).any():
        advice = "Give n_steps= more steps" if "n_steps" in spec.options else "Read its map with care"
        advice += ", or max_gap=0.05." if "max_gap" in spec.options else "."
        text = f"The values of {spec.name} sum to the difference of two scores, but miss {missed.max():.0%} of it"
        where = f" ({int((missed > LARGE_GAP).sum())} of {len(missed)} images)" if len(missed) > 1 else ""
        warnings.warn(f"{text}{where}. {advice}", ShisenWarning, stacklevel=2)


def _answers(model: Model, objective: Any, logits: Array | None, n: int) -> tuple[Any, list[Any], Any]:
    if logits is None:
        return [float("nan")] * n, [()] * n, objective
    picked = objective.resolve(logits) if hasattr(objective, "resolve") else objective
    try:
        scores = to_numpy(picked.value(logits))
    except (TypeError, ValueError, RuntimeError):
        scores = np.full(n, np.nan)  # an objective on something other than the logits
    return scores, model.predictions(logits), picked


def _target(model: Model, objective: Any, row: int, scores: Any) -> Target:
    own = objective.take(np.asarray([row]))
    indices = tuple(getattr(own, "indices", ()))
    name = own.name
    if len(indices) == 1 and own.terms[0][0] == 1.0:
        from .naming import label

        name = label(indices[0], model.labels)
    return Target(name, indices, getattr(own, "score", "own"), float(scores[row]))


def _of_image(value: Any, row: int, n: int) -> Any:
    """Return an image's own part of a note that has one entry an image."""
    if isinstance(value, (list, tuple)) and len(value) == n:
        return value[row]
    if hasattr(value, "shape") and tuple(value.shape[:1]) == (n,):
        return to_numpy(value)[row].tolist()
    return value


def _name_of(source: Any) -> str:
    return source if isinstance(source, str) else str(source)[:200] if not hasattr(source, "shape") else "array"
