"""Which method, layer and variant for this model? Searched on one half of the images, confirmed on the other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from .._core.i18n import N_, Message
from .._core.io import write_file
from .._core.progress import Progress, silent
from ..errors import InputError, explain_error
from ..models.model import Model
from ..registry import Method
from .attribution_cache import probe
from .cache import digest
from .candidates import candidates
from .runner import evaluate, sampled
from .scores import Row, Scores
from .settings import Setting
from .statistics import Difference

METRICS = ("insertion_deletion", "adcc")
STEPS = 8
BLOCK = 2
FOR_CHOOSING = 0.6


class Trial(NamedTuple):
    """One setting on the choosing half: its name, on how many images, and the means of the two metrics."""

    setting: str
    n_images: int
    insertion_deletion: float
    adcc: float


@dataclass(frozen=True, eq=False)
class Recommendation:
    """A setting for one model, with the evidence.

    Attributes:
        setting: what to use.
        default: what it was compared with.
        explanation: three sentences.
        tried: every setting on the choosing half, best first.
        confirmed: metric → comparison with the default on the confirming half; empty if the default was chosen.
        scores: of the confirming half.
        facts: model, budget, numbers of images.
    """

    setting: Setting
    default: Setting
    explanation: tuple[str, str, str]
    tried: tuple[Trial, ...]
    confirmed: Mapping[str, Difference]
    scores: Scores
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(self.explanation)


def quality(insertion_deletion: float, adcc: float) -> float:
    """Return what is maximized: insertion − deletion + ADCC / 100, which weigh order and extent of the map equally.

    Args:
        insertion_deletion: a difference of probabilities, −1 to 1.
        adcc: per cent, 0 to 100.
    """
    return insertion_deletion + adcc / 100.0


def recommend(
    model: Model,
    images: Any,
    *,
    budget: float = 60.0,
    settings: Sequence[Setting] | None = None,
    n_images: int | None = None,
    seed: int = 0,
    save: bool = True,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> Recommendation:
    """Find the method, layer and variant whose maps are the most faithful for this model.

    All settings are tried on a few images of the choosing half; after every round the worse ones drop out. The
    winner and the default then meet on the confirming half, which played no part in the choice, so its scores
    are unbiased. A winner that is not confirmed is not recommended.

    Args:
        model: from `load` or `wrap`.
        images: as in `evaluate`; at least four.
        budget: seconds; more time means more images. The smallest round is always finished.
        settings: what to try, the default first; `candidates(model)` if None.
        n_images: number of images, drawn at random if there are more.
        seed: random seed.
        save: keep the recommendation for `explain(..., method="auto")`.
        out: also write it to this file.
        progress: called as `progress(done, total, words)` after every round.

    Returns:
        A `Recommendation`.

    Raises:
        InputError: for fewer than four images.
    """
    model.check_rank("recommend()")
    sources = sampled(images, n_images, seed)
    model.expect(sources[0])
    if len(sources) < 4:
        raise InputError(
            explain_error("A recommendation needs at least four images.", len(sources), "Give more images.")
        )
    order = np.random.default_rng(seed).permutation(len(sources))
    choosing, confirming = [sources[i] for i in order[::2]], [sources[i] for i in order[1::2]]
    tried = list(candidates(model) if settings is None else settings)
    start = monotonic()
    search = _Search(model, seed)
    alive = list(tried)
    for first in range(0, len(choosing), BLOCK):
        search.look(alive, choosing[first : first + BLOCK])
        spent = monotonic() - start
        words = Message("Choosing among {n} settings", n=len(alive))
        progress(min(len(choosing), first + BLOCK), len(choosing), words)
        if spent > budget * FOR_CHOOSING:
            break
        if len(alive) > 2:  # the default stays, so that differences are paired on as many images as possible
            ranking = sorted(alive[1:], key=lambda s: -search.quality(s))
            alive = [alive[0], *ranking[: max(1, int(len(ranking) * 0.7))]]
    winner = max(alive, key=search.quality)
    ranking = sorted(tried, key=lambda s: (-search.count(s), -search.quality(s)))
    finalists = [tried[0]] if winner == tried[0] else [winner, tried[0]]
    confirmed: list[Scores] = []
    for first in range(0, len(confirming), BLOCK):
        confirmed.append(_evaluated(model, confirming[first : first + BLOCK], finalists, seed))
        progress(min(len(confirming), first + BLOCK), len(confirming), N_("Confirming"))
        if monotonic() - start > budget and first + BLOCK >= min(len(confirming), 2 * BLOCK):
            break
    scores = joined(confirmed, tried[0].name)
    trials = tuple(Trial(s.name, search.count(s), *search.means(s)) for s in ranking)
    facts = {"budget": budget, "seed": seed, "choosing": search.count(winner)}
    return _keep(_finished(model, scores, trials, facts, default=tried[0], winner=winner), model, save, out)


class _Search:
    """Scores of the choosing half."""

    def __init__(self, model: Model, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._found: dict[str, list[tuple[float, float]]] = {}

    def look(self, settings: Sequence[Setting], images: Sequence[Any]) -> None:
        """Try settings on a few images more."""
        scores = _evaluated(self._model, images, settings, self._seed)
        for setting in settings:
            one, other = (scores.of(setting.name, k) for k in METRICS)
            self._found.setdefault(setting.name, []).extend((one[p].value, other[p].value) for p in one)

    def count(self, setting: Setting) -> int:
        """Return the number of images a setting was tried on."""
        return len(self._found.get(setting.name, []))

    def means(self, setting: Setting) -> tuple[float, float]:
        """Return mean insertion − deletion and mean ADCC."""
        a, b = np.mean(self._found[setting.name], axis=0)
        return float(a), float(b)

    def quality(self, setting: Setting) -> float:
        """Return what is maximized; see `quality`."""
        return quality(*self.means(setting))


def _evaluated(model: Model, images: Sequence[Any], settings: Sequence[Setting], seed: int) -> Scores:
    return evaluate(
        model,
        images,
        settings,
        METRICS,
        seed=seed,
        options={"insertion_deletion": {"n_steps": STEPS}},
        control_maps=(),
    )


def joined(parts: Sequence[Scores], reference: str) -> Scores:
    """Return the scores of disjoint images as one.


    Args:
        parts: scores of disjoint images.
        reference: name of the setting that the others are compared with.
    """
    first = parts[0]
    rows: tuple[Row, ...] = tuple(r for part in parts for r in part.rows)
    examples = {k: e for part in parts for k, e in part.examples.items()}
    failures = tuple(f for part in parts for f in part.failures)
    facts = {**first.facts, "n_images": len(examples)}
    return Scores(rows, first.methods, first.control_maps, first.metrics, reference, facts, failures, examples)


def combined_gain(compared: Mapping[str, Difference]) -> float:
    """Return the gain in `quality` from the differences by each of `METRICS`; 0 if there are none."""
    gains = {metric: difference.interval.value for metric, difference in compared.items()}
    return quality(gains["insertion_deletion"], gains["adcc"]) if gains else 0.0


def explanation(
    chosen: str, winner: str, compared: Mapping[str, Difference], scores: Scores, facts: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return a recommendation in three sentences.

    Args:
        chosen: the setting recommended.
        winner: the best one of the choosing half.
        compared: metric → comparison of the winner with the default; empty if it is the default.
        scores: of the confirming half.
        facts: "model", "tried" (number of settings), and "choosing" and "confirming" (numbers of images).
    """
    model, choosing, confirming = facts["model"], facts["choosing"], facts["confirming"]
    one = (
        f"Use {chosen} for {model}: it was the best of {facts['tried']} settings tried on {choosing} images."
        if chosen == winner
        else f"Stay with {chosen} for {model}: {winner} was better on {choosing} images, not on {confirming} others."
    )
    means = [scores.score(chosen, metric).value for metric in METRICS]
    two = f"On {confirming} other images its insertion − deletion is {means[0]:.3f} and its ADCC {means[1]:.1f} %."
    three = "No other method, layer or variant did better than the default, so nothing needs to be set."
    if compared:
        three = "Against the default, " + "; ".join(
            f"{k} {d.interval.value:+.3g} (95 % interval {d.interval.low:+.3g} to {d.interval.high:+.3g}: {d.verdict})"
            for k, d in compared.items()
        )
        three += "."
    return one, two, three


def _finished(
    model: Model,
    scores: Scores,
    tried: tuple[Trial, ...],
    facts: Mapping[str, Any],
    *,
    default: Setting,
    winner: Setting,
) -> Recommendation:
    compared = {} if winner == default else {k: scores.difference(winner.name, default.name, k) for k in METRICS}
    chosen = winner if winner == default or combined_gain(compared) > 0.0 else default
    n = scores.score(chosen.name, "adcc").n
    whole = {**facts, "model": model.name, "confirming": n}
    words = explanation(chosen.name, winner.name, compared, scores, {**whole, "tried": len(tried)})
    return Recommendation(chosen, default, words, tried, compared, scores, whole)


def _keep(found: Recommendation, model: Model, save: bool, out: str | Path | None) -> Recommendation:
    text = json.dumps(to_dict(found, model), ensure_ascii=False, indent=1).encode("utf-8")
    if save:
        write_file(saved_at(model), text)
    if out is not None:
        write_file(Path(out), text)
    return found


# ---- saved recommendations


def to_dict(found: Recommendation, model: Model) -> dict[str, Any]:
    """Return a recommendation as plain data, with a few logits of the model by which it is recognized.


    Args:
        found: the recommendation.
        model: the network.
    """
    return {
        "model": model.name,
        "probe": [round(float(v), 4) for v in probe(model)[:64]],
        "setting": found.setting.to_dict(),
        "explanation": list(found.explanation),
        "tried": [list(t) for t in found.tried],
        "facts": dict(found.facts),
    }


def saved_at(model: Model) -> Path:
    """Return the file in which the recommendation for a model is kept, in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", model.name)[:80]
    structure = digest(repr([(p.path, p.kind, p.parameters) for p in model.layers]))[:16]
    return home / "shisen" / "recommended" / f"{name}-{structure}.json"


def saved(model: Model) -> Setting | None:
    """Return the setting recommended for this model earlier, or None if there is none for these weights."""
    try:
        content = json.loads(saved_at(model).read_text(encoding="utf-8"))
        kept = content["setting"]
        layer = kept["layer"]
        setting = Setting(
            str(kept["method"]), tuple(layer) if isinstance(layer, list) else layer, kept["options"], kept["augment"]
        )
        known = np.asarray(content["probe"], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    own = probe(model)[: known.size]
    if own.shape != known.shape or not np.allclose(own, known, rtol=1e-2, atol=0.02 * float(np.abs(known).max())):
        return None
    return setting


def recommended(model: Model, layer: Any, options: Mapping[str, Any]) -> tuple[str | Method, Any, dict[str, Any]]:
    """Return method, layer and options for `method="auto"`; what the caller gives takes precedence.

    Raises:
        InputError: if there is no recommendation for this model.


    Args:
        model: the network.
        layer: the layer that the caller gave, None without one.
        options: options of the method.

    Raises:
        InputError: if there is no recommendation for this model.
    """
    setting = saved(model)
    if setting is None:
        raise InputError(
            explain_error(
                "method='auto' uses the recommendation saved for the model.",
                f"none for {model.name} with these weights",
                "Run `shisen recommend IMAGES` once, or name a method such as grad_cam.",
            )
        )
    method = setting.run if setting.augment else setting.method
    return method, setting.layer if layer is None else layer, {**setting.options, **options}
