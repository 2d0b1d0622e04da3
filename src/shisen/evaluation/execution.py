"""State of one evaluation: maps, metrics and stores for groups of images."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .. import registry
from .._core.i18n import N_
from .._core.prefetch import prefetched
from .._core.progress import Progress
from ..adapters.wrappers import network_zero
from ..errors import InputError, ShisenError, explain_error
from ..models.model import Model
from ..naming import label, per_image
from ..targets import ClassObjective, to_numpy
from . import collages as grid
from . import metrics as names
from .annotations import region_of
from .attribution_cache import AttributionCache, EvaluatedImage, seed_of
from .batching import RequestBatcher, Task
from .cache import MapStore, RowStore, digest
from .examples import small_image, small_map
from .requests import Outcome
from .sample import Sample, normalized
from .scores import Example, Row, Scores
from .settings import Setting, setting_of

KEPT_FOR_COLLAGES = 64


@dataclass(frozen=True, eq=False)
class Examined:
    """One map that metrics measure.

    Attributes:
        image: the image.
        sample: the image and its map, as metrics see them.
        setting: what made the map.
        member: digest of the image that the score belongs to.
        source: where that image comes from.
    """

    image: EvaluatedImage
    sample: Sample
    setting: Setting
    member: str
    source: str

    def row(self, metric: str, record: Mapping[str, Any]) -> Row:
        """Return a metric's score from its record in the store.

        Args:
            metric: name of the metric.
            record: the record in the store.
        """
        value = float("nan") if record["value"] is None else float(record["value"])
        curve, parts = tuple(record["curve"]), dict(record["parts"])
        return Row(self.member, self.source, self.setting.name, metric, value, curve, parts)


class EvaluationRun:
    """State of one evaluation."""

    def __init__(
        self,
        model: Model,
        methods: Sequence[Any],
        metrics: Sequence[str],
        *,
        layer: Any,
        options: Mapping[str, Mapping[str, Any]] | None,
        baseline: str | float | None,
        control_maps: Sequence[str],
        regions: Mapping[str, Any] | None,
        seed: int,
        out: str | Path | None,
    ) -> None:
        self.model = model
        self.options = {_known(k): dict(v) for k, v in (options or {}).items()}
        if baseline is not None:
            for spec in (*registry.METHODS.values(), *names.METRICS.values()):
                if "baseline" in spec.options:
                    self.options[spec.name] = {"baseline": baseline, **self.options.get(spec.name, {})}
        items = [methods] if isinstance(methods, (str, Setting)) else list(methods)
        wanted = [setting_of(m, layer, self.options) for m in items]
        wanted += [Setting(f) for f in control_maps if f not in [s.method for s in wanted]]
        self.settings = sorted(_distinct(wanted), key=lambda s: s.is_control)
        self.metrics = [names.get(m) for m in dict.fromkeys([metrics] if isinstance(metrics, str) else metrics)]
        if not self.settings or not self.metrics:
            raise InputError(explain_error("Name a method and a metric.", (methods, metrics), "See `shisen metrics`."))
        used = [*(s.options for s in self.settings), *(self.options.get(m.name, {}) for m in self.metrics)]
        if baseline is not None and not any("baseline" in own for own in used):
            raise InputError(explain_error("A method or metric must have a baseline.", repr(baseline), "Add deletion."))
        for spec in self.metrics:
            spec.check(self.options.get(spec.name, {}))
            if spec.needs == "region" and regions is None:
                raise InputError(
                    explain_error(f"{spec.name} compares maps with regions.", "none", "Pass regions= or use grid_game.")
                )
        self.regions = regions
        self.seed = seed
        folder = None if out is None else Path(out)
        self.store = RowStore(None if folder is None else folder / "rows.jsonl")
        self.cache = AttributionCache(model, MapStore(None if folder is None else folder / "maps"), seed)
        self.for_collages: list[tuple[EvaluatedImage, float]] = []

    @property
    def collage_metrics(self) -> list[names.Metric]:
        """The metrics that need collages."""
        return [m for m in self.metrics if m.needs == "collage"]

    @property
    def default_layer(self) -> str | None:
        """The model's default layer, if it has one."""
        try:
            return self.model.default_layer
        except ShisenError:
            return None

    def result(
        self,
        rows: tuple[Row, ...],
        failures: tuple[tuple[str, str], ...],
        examples: Mapping[str, Example],
        reference: str | None,
    ) -> Scores:
        """Return everything that was measured, compared with a reference setting; the first one if None."""
        names = tuple(s.name for s in self.settings)
        first = names[0] if reference is None else reference
        if first not in names:
            raise InputError(
                explain_error("The reference must be one of the evaluated settings.", repr(first), "Add it to methods.")
            )
        return Scores(
            rows=rows,
            methods=names,
            control_maps=tuple(s.name for s in self.settings if s.is_control),
            metrics=tuple(m.name for m in self.metrics),
            reference=first,
            facts={
                "model": self.model.name,
                "n_images": len(examples),
                "seed": self.seed,
                "settings": [s.to_dict() for s in self.settings],
                "metric_options": {m.name: dict(self.options.get(m.name, {})) for m in self.metrics},
                "default_layer": self.default_layer,
            },
            failures=failures,
            examples=examples,
        )

    # ---- images

    def groups(
        self, sources: Sequence[Any], target: Any, failures: list[tuple[str, str]]
    ) -> Iterator[tuple[int, list[EvaluatedImage]]]:
        """Yield (number of images read so far, images of one shape with their logits).

        Args:
            sources: the images.
            target: what is explained, as in `explain`.
            failures: image name → reason; added to.
        """
        model = self.model
        targets = per_image(target) or [target] * len(sources)

        def ready(item: tuple[int, Any]) -> Any:
            number, source = item
            try:
                image = model.read(source)
                return (number, image, *model.prepare(image))
            except (ShisenError, OSError, MemoryError) as problem:
                return str(source)[:200] if not hasattr(source, "shape") else "array", str(problem)

        items = prefetched(ready, enumerate(sources), depth=2 * model.batch_size)
        done = 0
        while batch := list(islice(items, model.batch_size)):
            done += len(batch)
            failures += [b for b in batch if len(b) == 2]
            usable = [b for b in batch if len(b) > 2]
            for shape in dict.fromkeys(b[2].shape for b in usable):
                same = [b for b in usable if b[2].shape == shape]
                logits = to_numpy(model.activations(np.stack([b[2] for b in same])))
                yield (
                    done,
                    [
                        self._evaluated_image(image, x, frame, own, targets[number])
                        for (number, image, x, frame), own in zip(same, logits, strict=True)
                    ],
                )

    def _evaluated_image(self, image: Any, x: Any, frame: Any, logits: Any, target: Any) -> EvaluatedImage:
        model = self.model
        objective = model.objective(target)
        if hasattr(objective, "resolve"):
            objective = objective.resolve(logits[None])
        if not isinstance(objective, ClassObjective) or len(objective.terms) != 1 or objective.terms[0][0] != 1.0:
            raise InputError(
                explain_error("Metrics follow one class.", objective.name, "Leave target out, or give a class.")
            )
        name = digest(np.asarray(x, dtype=np.float32))
        return EvaluatedImage(name, image.source, x, frame, objective.terms[0][1][0], logits, seed_of(name, self.seed))

    # ---- scores

    def rows(self, group: Sequence[EvaluatedImage], examples: dict[str, Example]) -> list[Row]:
        """Return the scores of images of one shape, and keep small copies of images and maps as examples.

        Args:
            group: images of one shape.
            examples: image name → example; added to.
        """
        maps = self.cache.maps(group, self.settings)
        for one in group:
            sample = self._sample(one, next(iter(maps.values())), self.settings[0])
            if self.collage_metrics and len(self.for_collages) < KEPT_FOR_COLLAGES:
                self.for_collages.append((one, sample.probability))
            examples[one.name] = Example(
                one.source,
                label(one.index, self.model.labels),
                sample.probability,
                small_image(one.image),
                {
                    s.name: small_map(normalized(self._sample(one, maps[one.name, s.name], s).heat))
                    for s in self.settings
                },
            )
        plain = [m for m in self.metrics if m.needs != "collage"]
        examined = [
            Examined(one, self._sample(one, maps[one.name, s.name], s), s, one.name, one.source)
            for one in group
            for s in self.settings
        ]
        return self._measured(examined, plain)

    def _sample(self, one: EvaluatedImage, values: Any, setting: Setting) -> Sample:
        region = None
        if self.regions is not None:
            own = self.regions.get(Path(one.source).name, self.regions.get(one.source))
            if own is not None:
                region = region_of(own, one.frame, [label(one.index, self.model.labels)])
        zero = network_zero(self.model, one.image.shape[-1])
        return Sample(one.image, values, one.index, one.logits, self.model.head, setting.shows, zero, region, one.seed)

    def _measured(self, examined: Sequence[Examined], metrics: Sequence[names.Metric]) -> list[Row]:
        """Return the scores of these maps: from the store where they are, else computed in full batches."""
        by_image = {one.image.key: one.image for one in examined}
        settings = {s.name: s for s in self.settings}
        found: dict[Hashable, Row] = {}
        open_tasks: dict[Hashable, tuple[Examined, str, str]] = {}

        def tasks() -> Iterator[Task]:
            for one in examined:
                for spec in metrics:
                    if spec.needs == "region" and one.sample.region is None:
                        continue
                    own = self.options.get(spec.name, {})
                    key = digest(self.cache.key(one.image, one.setting), spec.name, sorted(own.items()), self.seed)
                    if spec.needs in ("region", "collage"):
                        key = digest(key, one.sample.region)
                    ident = (one.setting.name, spec.name, one.image.key)
                    if ident in open_tasks or ident in found:  # the same image under two names
                        continue
                    kept = self.store.get(key)
                    if kept is not None:
                        found[ident] = one.row(spec.name, kept)
                        continue
                    open_tasks[ident] = one, spec.name, key
                    result: Any = spec.function(one.sample, **own)
                    if isinstance(result, Outcome):
                        finish(ident, result)
                    else:
                        yield Task(ident, one.image.key, one.setting.name, result)

        def finish(ident: Hashable, outcome: Outcome) -> None:
            one, metric, key = open_tasks.pop(ident)
            record = {"value": outcome.value, "curve": list(outcome.curve), "parts": dict(outcome.parts)}
            self.store.put(key, record)
            found[ident] = one.row(metric, record)

        def explain(setting: Hashable, fraction: float, names: Sequence[Hashable], images: Any) -> Any:
            return self.cache.again(settings[str(setting)], fraction, [by_image[str(n)] for n in names], images)

        def scores(images: Any) -> Any:
            return to_numpy(self.model.activations(images))

        for ident, outcome in RequestBatcher(scores, explain, self.model.batch_size).run(tasks()):
            finish(ident, outcome)
        return list(found.values())

    # ---- the grid game

    def collage_rows(self, progress: Progress) -> list[Row]:
        """Return scores on collages of the images that were recognized with confidence."""
        rows: list[Row] = []
        shape = next((one.image.shape for one, _ in self.for_collages), None)
        pool = [(one, probability) for one, probability in self.for_collages if one.image.shape == shape]
        made = grid.collages(
            [one.image for one, _ in pool],
            [one.index for one, _ in pool],
            [probability for _, probability in pool],
            seed=self.seed,
        )
        for done, collage in enumerate(made):
            rows += self._collage(collage, [pool[i][0] for i in collage.members])
            progress(done + 1, len(made), N_("Playing the grid game"))
        return rows

    def _collage(self, collage: grid.Collage, members: Sequence[EvaluatedImage]) -> list[Row]:
        image = collage.image
        try:
            logits = to_numpy(self.model.activations(image[None]))[0]
        except (ShisenError, RuntimeError, ValueError, AssertionError):  # a network of one size
            image = grid.halved(image)
            logits = to_numpy(self.model.activations(image[None]))[0]
        name = digest(image)
        h, w = image.shape[:2]
        frame = type(members[0].frame)((h, w), (h, w), (0.0, 0.0, float(w), float(h)))
        faces = [
            EvaluatedImage(digest(name, position), m.source, image, frame, m.index, logits, seed_of(name, self.seed))
            for position, m in enumerate(members)
        ]
        maps = self.cache.maps(faces, self.settings)
        examined = []
        for position, (face, member) in enumerate(zip(faces, members, strict=True)):
            for s in self.settings:
                plain = self._sample(face, maps[face.name, s.name], s)
                sample = replace(plain, region=grid.cell(position, (h, w)))
                examined.append(Examined(face, sample, s, member.name, member.source))
        return self._measured(examined, self.collage_metrics)


def _distinct(settings: Sequence[Setting]) -> list[Setting]:
    return list({s.name: s for s in settings}.values())


def _known(name: str) -> str:
    """Return the registered spelling of a method's or metric's name."""
    try:
        return names.get(name).name
    except ShisenError:
        return registry.get(name).name
