"""One harness: images × methods × metrics."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .. import attribution as _fill_methods  # noqa: F401
from .. import registry
from .._core.baselines import network_zero
from .._core.i18n import N_
from .._core.prefetch import prefetched
from .._core.progress import Progress, silent
from ..errors import InputError, ShisenError, explain_error
from ..models.model import Model
from ..naming import label, per_image, resolve
from ..targets import ClassObjective, TopKObjective, to_numpy
from . import collages as grid
from . import fill_registry
from . import metrics as names
from .annotations import region_of
from .attribution_cache import Mapper, Shown, seed_of
from .batching import Schedule, Task
from .cache import MapStore, RowStore, digest
from .control_maps import CONTROL_MAPS
from .examples import small_image, small_map
from .sample import Outcome, Sample, normalized
from .scores import Example, Row, Scores
from .settings import Setting, setting_of

KEPT_FOR_COLLAGES = 64


def evaluate(
    model: Model,
    images: Any,
    methods: Sequence[Any] = ("grad_cam",),
    metrics: Sequence[str] = ("deletion", "insertion", "adcc"),
    *,
    layer: Any = None,
    target: Any = None,
    n_images: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    regions: Mapping[str, Any] | None = None,
    reference: str | None = None,
    control_maps: Sequence[str] = tuple(CONTROL_MAPS),
    progress: Progress = silent,
) -> Scores:
    """Measure explanations of a person's own model on their own images, with intervals and control maps.

    Args:
        model: from `load` or `wrap`.
        images: paths, arrays or what else `explain` takes; a folder or pattern is searched.
        methods: names from `methods()`, "name@layer", "name@one+other" for layers that the method fuses, or `Setting`s.
        metrics: names from `metrics()`.
        layer: for methods named without one; None for the model's default.
        target: the class explained; None for each image's top class.
        n_images: number of images, drawn at random if there are more.
        seed: of every draw.
        out: a folder; maps and figures are kept there and a stopped run goes on.
        options: method or metric name → its options.
        regions: file name → boxes or mask (see `annotations.read_regions`); for metrics that compare with a region.
        reference: name of the setting that the others are compared with; the first if None.
        control_maps: names of control maps, evaluated like the methods.
        progress: called as `progress(done, total, words)` after every group of images.

    Returns:
        `Scores`. Images that cannot be read are listed in `failures` and lose nothing else.

    Raises:
        UnknownName: for an unknown method, metric, option or layer.
        InputError: if there is nothing to evaluate, or a metric lacks its regions.
    """
    run = _Run(model, methods, metrics, layer, options, control_maps, regions, seed, out)
    sources = sampled(images, n_images, seed)
    rows: list[Row] = []
    failures: list[tuple[str, str]] = []
    examples: dict[str, Example] = {}
    total = len(sources)
    for done, group in run.groups(sources, target, failures):
        rows += run.rows(group, examples)
        progress(done, total, N_("Evaluating"))
    if run.collage_metrics:
        rows += run.collage_rows(progress)
    if not examples:
        raise InputError(
            explain_error("At least one image must be usable.", f"{len(failures)} failures", "See the first error.")
        )
    settings = run.settings
    first = settings[0].name if reference is None else reference
    if first not in [s.name for s in settings]:
        raise InputError(
            explain_error("The reference must be one of the evaluated settings.", repr(first), "Add it to methods.")
        )
    return Scores(
        rows=tuple(rows),
        methods=tuple(s.name for s in settings),
        control_maps=tuple(s.name for s in settings if s.floor),
        metrics=tuple(m.name for m in run.metrics),
        reference=first,
        facts={
            "model": model.name,
            "n_images": len(examples),
            "seed": seed,
            "settings": [s.to_dict() for s in settings],
            "metric_options": {m.name: dict(run.options.get(m.name, {})) for m in run.metrics},
            "default_layer": run.default_layer,
        },
        failures=tuple(failures),
        examples=examples,
    )


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
        raise InputError(explain_error("There must be an image to evaluate on.", repr(images), "Check the path."))
    if n_images is None or n_images >= len(sources):
        return sources
    if n_images < 1:
        raise InputError(explain_error("n_images must be at least 1.", n_images, "Leave it out for all images."))
    chosen = np.random.default_rng(seed).permutation(len(sources))[:n_images]
    return [sources[i] for i in sorted(chosen)]


class _Run:
    """What stays the same during one evaluation."""

    def __init__(
        self,
        model: Model,
        methods: Sequence[Any],
        metrics: Sequence[str],
        layer: Any,
        options: Mapping[str, Mapping[str, Any]] | None,
        control_maps: Sequence[str],
        regions: Mapping[str, Any] | None,
        seed: int,
        out: str | Path | None,
    ) -> None:
        fill_registry()
        self.model = model
        self.options = {_known(k): dict(v) for k, v in (options or {}).items()}
        items = [methods] if isinstance(methods, (str, Setting)) else list(methods)
        wanted = [setting_of(m, layer, self.options) for m in items]
        wanted += [Setting(f) for f in control_maps if f not in [s.method for s in wanted]]
        self.settings = sorted(_distinct(wanted), key=lambda s: s.floor)
        self.metrics = [names.get(m) for m in dict.fromkeys([metrics] if isinstance(metrics, str) else metrics)]
        if not self.settings or not self.metrics:
            raise InputError(explain_error("Name a method and a metric.", (methods, metrics), "See `shisen metrics`."))
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
        self.mapper = Mapper(model, MapStore(None if folder is None else folder / "maps"), seed)
        self.for_collages: list[tuple[Shown, float]] = []

    @property
    def collage_metrics(self) -> list[names.Metric]:
        """The metrics that are played on collages."""
        return [m for m in self.metrics if m.needs == "collage"]

    @property
    def default_layer(self) -> str | None:
        """The model's default layer, if it has one."""
        try:
            return self.model.default_layer
        except ShisenError:
            return None

    # ---- images

    def groups(
        self, sources: Sequence[Any], target: Any, failures: list[tuple[str, str]]
    ) -> Iterator[tuple[int, list[Shown]]]:
        """Yield (images seen so far, images of one shape with the network's answers)."""
        model = self.model
        targets = per_image(target) or [target] * len(sources)

        def ready(item: tuple[int, Any]) -> Any:
            place, source = item
            try:
                image = model.read(source)
                return (place, image, *model.prepare(image))
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
                        self._shown(image, x, frame, own, targets[place])
                        for (place, image, x, frame), own in zip(same, logits, strict=True)
                    ],
                )

    def _shown(self, image: Any, x: Any, frame: Any, logits: Any, target: Any) -> Shown:
        model = self.model
        objective = resolve(target, find=model.find, names=model.labels, head=model.head, framework=model.framework)
        if isinstance(objective, TopKObjective):
            objective = objective.resolve(logits[None])
        if not isinstance(objective, ClassObjective) or len(objective.terms) != 1 or objective.terms[0][0] != 1.0:
            raise InputError(
                explain_error("Metrics follow one class.", objective.name, "Leave target out, or give a class.")
            )
        name = digest(np.asarray(x, dtype=np.float32))
        return Shown(name, image.source, x, frame, objective.terms[0][1][0], logits, seed_of(name, self.seed))

    # ---- figures

    def rows(self, group: Sequence[Shown], examples: dict[str, Example]) -> list[Row]:
        """Return the figures of some images of one shape, and note them for show."""
        maps = self.mapper.maps(group, self.settings)
        for one in group:
            case = self._case(one, next(iter(maps.values())), self.settings[0])
            if self.collage_metrics and len(self.for_collages) < KEPT_FOR_COLLAGES:
                self.for_collages.append((one, case.chance))
            examples[one.name] = Example(
                one.source,
                label(one.index, self.model.labels),
                case.chance,
                small_image(one.image),
                {s.name: small_map(normalized(self._case(one, maps[one.name, s.name], s).heat)) for s in self.settings},
            )
        plain = [m for m in self.metrics if m.needs != "collage"]
        cases = [
            (one, self._case(one, maps[one.name, s.name], s), s, one.name, one.source)
            for one in group
            for s in self.settings
        ]
        return self._measured(cases, plain)

    def _case(self, one: Shown, values: Any, setting: Setting) -> Sample:
        region = None
        if self.regions is not None:
            own = self.regions.get(Path(one.source).name, self.regions.get(one.source))
            if own is not None:
                region = region_of(own, one.frame, [label(one.index, self.model.labels)])
        zero = network_zero(self.model, one.image.shape[-1])
        return Sample(one.image, values, one.index, one.logits, self.model.head, setting.shows, zero, region, one.seed)

    def _measured(self, cases: Sequence[tuple[Shown, Sample, Setting, str, str]], metrics: Sequence[Any]) -> list[Row]:
        """Return the figures of these cases, from the store where they are, else asking in full batches."""
        shown = {one.name + str(one.index): one for one, *_ in cases}
        settings = {s.name: s for s in self.settings}
        found: dict[Hashable, Row] = {}
        idents: dict[Hashable, tuple[str, str, str, str, str]] = {}

        def tasks() -> Iterator[Task]:
            for one, case, setting, image, source in cases:
                for spec in metrics:
                    if spec.needs == "region" and case.region is None:
                        continue
                    own = self.options.get(spec.name, {})
                    key = digest(self.mapper.key(one, setting), spec.name, sorted(own.items()), self.seed)
                    if spec.needs in ("region", "collage"):
                        key = digest(key, case.region)
                    ident = (setting.name, spec.name, one.name, one.index)
                    idents[ident] = (key, setting.name, spec.name, image, source)
                    kept = self.store.get(key)
                    if kept is not None:
                        found[ident] = _row(idents[ident], kept)
                        continue
                    result: Any = spec.function(case, **own)
                    if isinstance(result, Outcome):
                        note(ident, result)
                    else:
                        yield Task(ident, one.name + str(one.index), setting.name, result)

        def note(ident: Hashable, outcome: Outcome) -> None:
            record = {"value": outcome.value, "curve": list(outcome.curve), "parts": dict(outcome.parts)}
            self.store.put(idents[ident][0], record)
            found[ident] = _row(idents[ident], record)

        def explain(setting: Hashable, fraction: float, names: Sequence[Hashable], images: Any) -> Any:
            return self.mapper.again(settings[str(setting)], fraction, [shown[str(p)] for p in names], images)

        schedule = Schedule(lambda images: to_numpy(self.model.activations(images)), explain, self.model.batch_size)
        for ident, outcome in schedule.run(tasks()):
            note(ident, outcome)
        return list(found.values())

    # ---- the grid game

    def collage_rows(self, progress: Progress) -> list[Row]:
        """Play on collages of the images that were recognized with confidence."""
        rows: list[Row] = []
        shape = next((one.image.shape for one, _ in self.for_collages), None)
        pool = [(one, chance) for one, chance in self.for_collages if one.image.shape == shape]
        made = grid.collages(
            [one.image for one, _ in pool],
            [one.index for one, _ in pool],
            [chance for _, chance in pool],
            seed=self.seed,
        )
        for done, collage in enumerate(made):
            rows += self._collage(collage, [pool[i][0] for i in collage.members])
            progress(done + 1, len(made), N_("Playing the grid game"))
        return rows

    def _collage(self, collage: grid.Collage, members: Sequence[Shown]) -> list[Row]:
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
            Shown(digest(name, place), m.source, image, frame, m.index, logits, seed_of(name, self.seed))
            for place, m in enumerate(members)
        ]
        maps = self.mapper.maps(faces, self.settings)
        cases = []
        for place, (face, member) in enumerate(zip(faces, members, strict=True)):
            for s in self.settings:
                plain = self._case(face, maps[face.name, s.name], s)
                case = Sample(**{**_fields(plain), "region": grid.cell(place, (h, w))})
                cases.append((face, case, s, member.name, member.source))
        return self._measured(cases, self.collage_metrics)


def _fields(case: Sample) -> dict[str, Any]:
    return {f: getattr(case, f) for f in Sample.__dataclass_fields__}


def _distinct(settings: Sequence[Setting]) -> list[Setting]:
    return list({s.name: s for s in settings}.values())


def _known(name: str) -> str:
    """Return the registered spelling of a method's or metric's name."""
    try:
        return names.get(name).name
    except ShisenError:
        return registry.get(name).name


def _row(ident: tuple[str, str, str, str, str], record: Mapping[str, Any]) -> Row:
    _, method, metric, image, source = ident
    value = float("nan") if record["value"] is None else float(record["value"])
    return Row(image, source, method, metric, value, tuple(record["curve"]), dict(record["parts"]))
