"""What other tools make of a folder and a model: for every class one statement, with a score and images.

SpRAy and embedding clusters group the images of a class and leave it to a person which group is suspect; here the
group that stands apart most is the statement, and how far it stands apart is its score, by several measures.
"""

from __future__ import annotations

import contextlib
import gc
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

LEAST, MOST_GROUPS, EIGENVALUES, BATCH = 4, 8, 8, 50
Statement = dict[str, Any]
Groups = list[np.ndarray]


def relevance(net: Any, images: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits, the last feature map `(n, c, h, w)`, and layer-wise relevance `(n, h, w)` of given classes.

    Relevance goes by ε at the classifier and by z⁺ in convolutions (zennit's EpsilonPlus), down to the second stage,
    whose map has a quarter of the image's side: as fine as what SpRAy is usually given.

    Args:
        net: an EfficientNet-Lite of torch.
        images: `(n, 3, h, w)`, as the network takes them.
        targets: class numbers.
    """
    import torch
    from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
    from zennit.composites import EpsilonPlus
    from zennit.layer import Sum

    from shisen.models.efficientnet_lite_torch import InvertedResidual

    def forward(self: Any, x: Any) -> Any:
        y = self.project(self.depthwise(self.expand(x) if hasattr(self, "expand") else x))
        return self.joined(torch.stack([x, y], -1)) if self.residual else y

    def sums(name: str, module: Any) -> dict[str, Any]:
        if not isinstance(module, InvertedResidual):
            return {}
        return {"forward": forward.__get__(module), "joined": Sum()}

    logits, seen, maps = [], [], []
    listening = net.head.register_forward_hook(lambda _, __, out: seen.append(out.detach().numpy().copy()))
    composite = EpsilonPlus(canonizers=[CompositeCanonizer([SequentialMergeBatchNorm(), AttributeCanonizer(sums)])])
    first = torch.nn.Sequential(net.stem, *net.blocks[:2])
    rest = torch.nn.Sequential(*net.blocks[2:], net.head, net.pool, torch.nn.Flatten(), net.classifier)
    with torch.no_grad():
        start = torch.cat([first(torch.tensor(images[i : i + BATCH])) for i in range(0, len(images), BATCH)])
    with composite.context(rest) as ready:
        for i in range(0, len(images), BATCH):
            x = start[i : i + BATCH].clone().requires_grad_()
            y = ready(x)
            objective = torch.zeros_like(y)
            objective[torch.arange(len(x)), torch.tensor(targets[i : i + BATCH])] = 1
            (fraction,) = torch.autograd.grad(y, x, objective * y.detach())
            maps.append(fraction.sum(1).numpy())
            logits.append(y.detach().numpy())
            del x, y, fraction
            gc.collect()  # the rules hold their tensors in circles
    listening.remove()
    return np.concatenate(logits), np.concatenate(seen), np.concatenate(maps)


def scaled(values: np.ndarray) -> np.ndarray:
    """Return rows of length one."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def spectral(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, Groups]]:
    """Return eigenvalues, smallest first, the embedding, and for every count the groups: SpRAy as CoRelAy has it."""
    from corelay.pipeline.spectral import SpectralClustering
    from corelay.processor.clustering import KMeans
    from corelay.processor.embedding import EigenDecomposition

    found: dict[int, Groups] = {}
    for count in range(2, MOST_GROUPS + 1):
        start = {"v0": np.ones(len(rows))}
        pipeline = SpectralClustering(
            embedding=EigenDecomposition(n_eigval=EIGENVALUES, which="LA", kwargs=start, is_output=True),
            clustering=KMeans(n_clusters=count, kwargs={"random_state": 0, "n_init": 4}, is_output=True),
        )
        (values, vectors), names = pipeline(rows)
        found[count] = [np.flatnonzero(names == k) for k in range(count)]
    order = np.argsort(values)
    return values[order], vectors[:, order], found


def dense(points: np.ndarray) -> Groups:
    """Return groups by density."""
    from sklearn.cluster import HDBSCAN

    names = HDBSCAN(min_cluster_size=max(LEAST, len(points) // 20), min_samples=3, copy=True).fit_predict(points)
    return [np.flatnonzero(names == k) for k in sorted(set(names.tolist()) - {-1})]


def compact(points: np.ndarray) -> Groups:
    """Return the groups of k-means for every count."""
    from sklearn.cluster import KMeans

    found = []
    for count in range(2, MOST_GROUPS + 1):
        names = KMeans(count, random_state=0, n_init=4).fit_predict(points)
        found += [np.flatnonzero(names == k) for k in range(count)]
    return found


def fisher(points: np.ndarray, members: np.ndarray) -> float:
    """Return the separability of a group from the rest: squared distance of the means in units of the pooled spread."""
    rest = np.setdiff1d(np.arange(len(points)), members)
    a, b = points[members], points[rest]
    spread = ((a - a.mean(0)).T @ (a - a.mean(0)) + (b - b.mean(0)).T @ (b - b.mean(0))) / (len(points) - 2)
    spread += 1e-2 * np.trace(spread) / len(spread) * np.eye(len(spread)) + 1e-12 * np.eye(len(spread))
    way = a.mean(0) - b.mean(0)
    return float(way @ np.linalg.solve(spread, way))


def silhouette(points: np.ndarray, members: np.ndarray) -> float:
    """Return the mean silhouette of a group against the rest."""
    from sklearn.metrics import silhouette_samples

    names = np.isin(np.arange(len(points)), members).astype(int)
    return float(silhouette_samples(points, names)[members].mean())


def stands_out(points: np.ndarray, groups: Groups, score: Callable[[np.ndarray], float]) -> tuple[float, np.ndarray]:
    """Return the score of the group that stands out most, and all images, those nearest to it first."""
    fit = [g for g in groups if LEAST <= len(g) <= len(points) - LEAST]
    if not fit:
        return -np.inf, np.zeros(0, int)
    judged = [(score(g), -len(g), i) for i, g in enumerate(fit)]
    best, _, place = max(judged)
    members = fit[place]
    far = np.linalg.norm(points - points[members].mean(0), axis=1)
    return best, np.r_[members[np.argsort(far[members], kind="stable")]]


def unlike(right: np.ndarray, members: np.ndarray) -> float:
    """Return how far the accuracy in a group is from the rest's, in standard errors."""
    rest = np.setdiff1d(np.arange(len(right)), members)
    fraction = right.mean()
    error = (fraction * (1 - fraction) * (1 / len(members) + 1 / len(rest))) ** 0.5
    return abs(float(right[members].mean() - right[rest].mean())) / max(error, 1e-9) if error > 0 else 0.0


def spray(maps: dict[str, np.ndarray]) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield `(setting, score, members)` for one class, from its maps of several methods."""
    for name, values in maps.items():
        eigen, points, found = spectral(scaled(values))
        every = [g for groups in found.values() for g in groups]
        yield f"{name}, Fisher", *stands_out(points, every, lambda g, p=points: fisher(p, g))
        yield f"{name}, silhouette", *stands_out(points, every, lambda g, p=points: silhouette(p, g))
        gaps = np.diff(eigen)[1:]
        count = int(gaps.argmax()) + 2
        _, members = stands_out(points, found[count], lambda g, p=points: silhouette(p, g))
        yield f"{name}, eigengap", float(gaps.max()), members


def embedded(features: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield `(setting, score, members)` for one class, from the features before the last layer."""
    from sklearn.decomposition import PCA

    points = PCA(10, random_state=0).fit_transform(features)
    for name, groups in (("HDBSCAN", dense(points)), ("k-means", compact(points))):
        yield f"{name}, Fisher", *stands_out(points, groups, lambda g: fisher(points, g))
        yield f"{name}, silhouette", *stands_out(points, groups, lambda g: silhouette(points, g))
        yield f"{name}, accuracy", *stands_out(points, groups, lambda g: unlike(right, g))


def correlated(files: list[str], own: np.ndarray) -> dict[str, Any]:
    """Return cleanlab's scores of image properties: for the whole folder, and for each class against the rest.

    Its check asks how well one property tells all classes apart. It does not name a class, so it is asked again for
    each class with as many images of the others; a low score is a strong correlation.

    Args:
        files: the images.
        own: their class numbers.
    """
    import datasets
    from cleanlab import Datalab
    from cleanlab.datalab.internal.spurious_correlation import SpuriousCorrelations

    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict({"image": files, "label": own.tolist()})
    table = table.cast_column("image", datasets.Image())
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Datalab(data=table, label_name="label", image_key="image", verbosity=0)
        kinds = {
            k: {} for k in ("dark", "light", "low_information", "odd_aspect_ratio", "odd_size", "grayscale", "blurry")
        }
        lab.find_issues(issue_types={"image_issue_types": kinds, "spurious_correlations": {}}, features=None)
    said = lab.get_info("spurious_correlations")["correlations_df"]
    scores = lab.get_issues()
    columns = [c for c in said["property"] if c in scores.columns]
    found: dict[str, Any] = {
        "whole": dict(zip(said["property"], map(float, said["score"]), strict=True)),
        "classes": {},
    }
    for k in np.unique(own):
        mine, others = np.flatnonzero(own == k), np.flatnonzero(own != k)
        rows = np.r_[mine, others[np.linspace(0, len(others) - 1, len(mine)).astype(int)]]
        table = SpuriousCorrelations(scores[columns].iloc[rows], (own[rows] == k).astype(int)).calculate_correlations()
        found["classes"][int(k)] = dict(zip(table["property"], map(float, table["score"]), strict=True))
    return found
