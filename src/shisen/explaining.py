"""From pictures to explanations, in batches, in order, losing none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from . import attribution as _fill_registry  # noqa: F401
from . import registry
from .backends.wrappers import Recorded
from .errors import ShisenError
from .explanation import Explanation, Failure
from .models.loading import with_geometry
from .models.model import Model
from .naming import resolve
from .registry import Method
from .run.ahead import ahead
from .targets import MixedSeed, TopSeed, to_numpy
from .types import Array, Attribution, Frame, Picture, Target

UNITS = {"logit": "logit", "probability": "probability", "log_probability": "log-probability"}


@dataclass(frozen=True)
class Ready:
    """One picture, decoded and as the network is shown it."""

    place: int
    picture: Picture
    image: Any
    frame: Frame


def explain_each(
    model: Model,
    pictures: Iterable[Any],
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
    """Yield one `Explanation` or `Failure` per picture, in order, with memory bounded by the model's chunk.

    Pictures are decoded in threads while the network works, and sent through it in batches of one shape.
    Arguments as in `explain`; `raise_errors` raises instead of yielding a `Failure`.
    """
    if method == "auto":
        from .evaluate.recommend import recommended

        method, layer, options = recommended(model, layer, options)
    spec = registry.get(method)
    spec.check(options)
    shown = with_geometry(model, size, fit)
    if spec.layered and layer is None:
        layer = shown.default_layer
    targets = list(target) if isinstance(target, (list, tuple)) else None
    seeds = None if targets is None else [seed_for(shown, t, score) for t in targets]
    common = None if targets is not None else seed_for(shown, target, score)

    def ready(item: tuple[int, Any]) -> Ready | Failure | Exception:
        place, source = item
        try:
            picture = shown.read(source)
            image, frame = shown.prepare(picture)
            return Ready(place, picture, image, frame)
        except (ShisenError, OSError, MemoryError) as problem:
            return problem if raise_errors else Failure(_name_of(source), str(problem))

    for batch in _batches(ahead(ready, enumerate(pictures), depth=2 * shown.chunk), shown.chunk):
        if not isinstance(batch, list):
            if isinstance(batch, Exception):
                raise batch
            yield batch
            continue
        seed = common if seeds is None else MixedSeed(tuple(seeds[r.place] for r in batch))
        try:
            yield from explain_batch(shown, spec, batch, seed, layer, options)
        except (ShisenError, RuntimeError, ValueError) as problem:
            if raise_errors:
                raise
            for r in batch:  # one picture must not lose its neighbours
                yield from _alone(shown, spec, r, common if seeds is None else seeds[r.place], layer, options, problem)


def saved_each(
    results: Iterable[Explanation | Failure], places: Iterable[Path], *, depth: int = 8, **drawing: Any
) -> Iterator[tuple[Explanation | Failure, Path | None]]:
    """Draw and write explanations in threads, while the network makes the next ones; order is kept.

    Args:
        results: from `explain_each`.
        places: where each goes, as many as results.
        depth: how many may wait, which bounds memory.
        **drawing: style, colormap, alpha, colour_bar, as in `Explanation.save`.

    Yields:
        each result with the file written, None for a failure.
    """

    def save(item: tuple[Explanation | Failure, Path]) -> tuple[Explanation | Failure, Path | None]:
        result, place = item
        return result, None if isinstance(result, Failure) else result.save(place, **drawing)

    yield from ahead(save, zip(results, places, strict=True), depth=depth)


def _alone(
    model: Model, spec: Method, ready: Ready, seed: Any, layer: Any, options: Any, problem: Exception
) -> Iterator[Explanation | Failure]:
    try:
        yield from explain_batch(model, spec, [ready], seed, layer, options)
    except (ShisenError, RuntimeError, ValueError) as own:
        yield Failure(ready.picture.source, str(own) or str(problem))


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Ready] | Failure | Exception]:
    """Gather neighbours of one shape into batches; failures come through on their own, in order."""
    for shape, run in groupby(items, key=lambda r: r.image.shape if isinstance(r, Ready) else None):
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


def seed_for(model: Model, target: Any, score: str) -> Any:
    """Turn what a person asks for into a seed, with the model's own labels."""
    return resolve(target, find=model.find, names=model.labels, head=model.head, score=score)


def explain_batch(
    model: Model,
    spec: Method,
    batch: Sequence[Ready],
    seed: Any,
    layer: Any,
    options: dict[str, Any],
    *,
    images: Any = None,
) -> Iterator[Explanation]:
    """Yield the explanations of pictures of one shape, made in one go.

    Where the method's only pass sees the unaltered pictures, the answer and the top class come from that pass.

    Args:
        images: the batch itself, if the model is a `Shared` one that has it in hand.
    """
    in_hand = images is not None
    images = images if in_hand else np.stack([r.image for r in batch])
    start = perf_counter()
    logits = None
    if not spec.single:
        logits = model.activations(images)
        if isinstance(seed, (TopSeed, MixedSeed)):
            seed = seed.resolve(logits)
    asked = Recorded(seed) if spec.single and not in_hand else seed
    maps = spec(model, images, asked, layer=layer, **options)
    values = to_numpy(maps.values).astype(np.float32, copy=False)
    seconds = (perf_counter() - start) / len(batch)
    if isinstance(asked, Recorded) and asked.values:
        logits = asked.whole[: len(batch)]
    elif in_hand:
        logits = model.activations(images)  # remembered from the method's own pass
    scores, predictions, picked = _answers(model, seed, logits, len(batch))
    ran = {name: options.get(name, p.default) for name, p in spec.options.items()}
    for i, r in enumerate(batch):
        yield Explanation(
            Attribution(
                values=np.array(values[i], copy=True),
                method=spec.name,
                unit=spec.unit.format(score=UNITS.get(getattr(seed, "score", ""), "score")),
                signed=spec.signed,
                shows=spec.shows,
                target=_target(model, picked, i, scores),
                layer=layer if layer is None or isinstance(layer, str) else " + ".join(layer),
                options=ran,
                notes={k: _of_picture(v, i, len(batch)) for k, v in maps.notes.items()},
            ),
            r.picture,
            r.frame,
            tuple(predictions[i]),
            model.name,
            seconds,
            {"framework": model.framework, "source": model.source, "precision": model.precision},
        )


def _answers(model: Model, seed: Any, logits: Array | None, n: int) -> tuple[Any, list[Any], Any]:
    if logits is None:
        return [float("nan")] * n, [()] * n, seed
    picked = seed.resolve(logits) if isinstance(seed, (TopSeed, MixedSeed)) else seed
    try:
        scores = to_numpy(picked.value(logits))
    except (TypeError, ValueError, RuntimeError):
        scores = np.full(n, np.nan)  # an objective on something other than the logits
    return scores, model.predictions(logits), picked


def _target(model: Model, seed: Any, row: int, scores: Any) -> Target:
    own = seed.take(np.asarray([row]))
    indices = tuple(getattr(own, "indices", ()))
    name = own.name
    if len(indices) == 1 and own.terms[0][0] == 1.0:
        from .naming import label

        name = label(indices[0], model.labels)
    return Target(name, indices, getattr(own, "score", "own"), float(scores[row]))


def _of_picture(value: Any, row: int, n: int) -> Any:
    """Return a picture's own part of a note that has one entry a picture."""
    if isinstance(value, (list, tuple)) and len(value) == n:
        return value[row]
    if hasattr(value, "shape") and tuple(value.shape[:1]) == (n,):
        return to_numpy(value)[row].tolist()
    return value


def _name_of(source: Any) -> str:
    return source if isinstance(source, str) else str(source)[:200] if not hasattr(source, "shape") else "array"
