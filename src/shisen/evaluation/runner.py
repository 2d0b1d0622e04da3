"""Evaluate methods by metrics on images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._core.i18n import N_
from .._core.progress import Progress, silent
from ..errors import InputError, explain_error
from ..models.model import Model
from .control_maps import CONTROL_MAPS
from .execution import EvaluationRun
from .scores import Example, Row, Scores


def evaluate(
    model: Model,
    images: Any,
    methods: Sequence[Any] = ("grad_cam",),
    metrics: Sequence[str] = ("deletion", "insertion", "adcc"),
    *,
    layer: Any = None,
    target: Any = None,
    baseline: str | float | None = None,
    n_images: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    regions: Mapping[str, Any] | None = None,
    reference: str | None = None,
    control_maps: Sequence[str] = tuple(CONTROL_MAPS),
    progress: Progress = silent,
) -> Scores:
    """Evaluate explanations of a model on images, with confidence intervals and control maps.

    Args:
        model: from `load` or `wrap`.
        images: paths, arrays or what else `explain` takes; a folder or pattern is searched.
        methods: names from `methods()`, "name@layer", "name@one+other" for layers that the method fuses, or `Setting`s.
        metrics: names from `metrics()`.
        layer: for methods named without one; None for the model's default.
        target: the class explained; None for each image's top class.
        baseline: what removed pixels become in every method and metric that removes some: a name such
            as "blur", or a pixel value in [0, 1]; None for the default of each. `options` take precedence.
        n_images: number of images, drawn at random if there are more.
        seed: random seed.
        out: a folder; maps and scores are kept there, and an interrupted run continues.
        options: method or metric name → its options.
        regions: file name → boxes or mask (see `annotations.read_regions`); for metrics that compare with a region.
        reference: name of the setting that the others are compared with; the first if None.
        control_maps: names of maps that do not depend on the network, evaluated beside the methods.
        progress: called as `progress(done, total, words)` after every group of images.

    Returns:
        `Scores`. Images that cannot be read are listed in `failures`.

    Raises:
        UnknownName: for an unknown method, metric, option or layer.
        InputError: if there is nothing to evaluate, a metric lacks its regions, or nothing has a baseline.
    """
    model.check_rank("evaluate()")
    sources = sampled(images, n_images, seed)
    model.expect(sources[0])
    run = EvaluationRun(
        model,
        methods,
        metrics,
        layer=layer,
        options=options,
        baseline=baseline,
        control_maps=control_maps,
        regions=regions,
        seed=seed,
        out=out,
    )
    rows: list[Row] = []
    failures: list[tuple[str, str]] = []
    examples: dict[str, Example] = {}
    for done, group in run.groups(sources, target, failures):
        rows += run.rows(group, examples)
        progress(done, len(sources), N_("Evaluating"))
    if run.collage_metrics:
        rows += run.collage_rows(progress)
    if not examples:
        first = failures[0][1] if failures else "no image"
        raise InputError(explain_error("At least one image must be usable.", f"{len(failures)} failures", first))
    return run.result(tuple(rows), tuple(failures), examples, reference)


def sampled(images: Any, n_images: int | None, seed: int) -> list[Any]:
    """Return the images that a folder, a pattern or a list stands for; `n_images` of them, in their order, if given.

    Args:
        images: paths, arrays or what else `explain` accepts; a folder or pattern is searched.
        n_images: number of images, None for all.
        seed: random seed.

    Raises:
        InputError: if there is no image, or n_images is below 1.
    """
    if isinstance(images, (str, Path)):
        from ..models.sources import find_images

        sources: list[Any] = list(find_images([str(images)]))
    else:
        sources = list(images)
    if not sources:
        raise InputError(explain_error("There must be an image to evaluate on.", repr(images), "Give paths."))
    if n_images is None or n_images >= len(sources):
        return sources
    if n_images < 1:
        raise InputError(explain_error("n_images must be at least 1.", n_images, "Leave it out for all images."))
    chosen = np.random.default_rng(seed).permutation(len(sources))[:n_images]
    return [sources[i] for i in sorted(chosen)]
