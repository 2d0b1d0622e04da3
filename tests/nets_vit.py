"""A small vision transformer in NumPy, forward by hand; the twin of the ones in Keras that share its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

F = npt.NDArray[np.float64]
PATCH, WIDTH, HEADS, DEPTH, CLASSES = 4, 8, 2, 2, 5
KEYS = WIDTH // HEADS


def weights() -> dict[str, F]:
    """Return the weights that all styles share, kernels as Keras lays them."""
    rng = np.random.default_rng(5)

    def draw(*shape: int, scale: float = 0.5) -> F:
        return rng.normal(0, scale, shape)

    found = {"patch": draw(PATCH, PATCH, 3, WIDTH), "cls": draw(1, 1, WIDTH), "fc": draw(WIDTH, CLASSES)}
    for k in range(DEPTH):
        for name in ("query", "key", "value"):
            found[f"{name}{k}"] = draw(WIDTH, HEADS, KEYS, scale=0.8)
            found[f"{name}_bias{k}"] = draw(HEADS, KEYS, scale=0.1)
        found[f"out{k}"] = draw(HEADS, KEYS, WIDTH)
        found[f"out_bias{k}"] = draw(WIDTH, scale=0.1)
        found[f"up{k}"], found[f"down{k}"] = draw(WIDTH, 2 * WIDTH), draw(2 * WIDTH, WIDTH)
    return found


@dataclass
class Transformer:
    """patches (+ class token) → (x + attention(norm x), x + MLP(norm x)) twice → norm → token or mean → linear.

    Args:
        mean: whether the answer is read from the mean of all places instead of a class token.
    """

    mean: bool = False
    w: dict[str, F] = field(default_factory=weights)

    def tokens(self, x: npt.NDArray[Any]) -> F:
        """Return the tokens in front of the first block, `(n, t, c)`."""
        n, h, w, c = x.shape
        cut = x.astype(np.float64).reshape(n, h // PATCH, PATCH, w // PATCH, PATCH, c).transpose(0, 1, 3, 2, 4, 5)
        found = cut.reshape(n, -1, PATCH * PATCH * c) @ self.w["patch"].reshape(-1, WIDTH)
        return found if self.mean else np.concatenate([self.w["cls"].repeat(n, 0), found], axis=1)

    def block(self, k: int, t: F, attention: F | None = None) -> tuple[F, F]:
        """Return a block's tokens and its attention `(n, heads, t, t)`, which may be given instead."""
        v = _norm(t)

        def project(name: str) -> F:
            return np.einsum("ntc,chd->nhtd", v, self.w[f"{name}{k}"]) + self.w[f"{name}_bias{k}"][None, :, None]

        if attention is None:
            scores = project("query") @ project("key").swapaxes(-1, -2) / np.sqrt(KEYS)
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            attention = attention / attention.sum(-1, keepdims=True)
        mixed = np.einsum("nhts,nhsd->nthd", attention, project("value"))
        t = t + np.einsum("nthd,hdc->ntc", mixed, self.w[f"out{k}"]) + self.w[f"out_bias{k}"]
        return t + np.maximum(_norm(t) @ self.w[f"up{k}"], 0) @ self.w[f"down{k}"], attention

    def head(self, t: F) -> F:
        """Return the logits read from tokens."""
        v = _norm(t)
        return (v.mean(1) if self.mean else v[:, 0]) @ self.w["fc"]

    def run(self, x: npt.NDArray[Any], given: Mapping[int, F] | None = None) -> tuple[F, list[F], list[F]]:
        """Return the logits, every block's tokens and every attention; some attentions may be given."""
        t, tokens, attentions = self.tokens(x), [], []
        for k in range(DEPTH):
            t, a = self.block(k, t, (given or {}).get(k))
            tokens.append(t)
            attentions.append(a)
        return self.head(t), tokens, attentions

    def gradients(
        self, x: npt.NDArray[Any], classes: list[int], per_block: bool = False, pooled: bool = False
    ) -> list[F]:
        """Return the gradient of a class's logit by every attention, by central differences.

        With `per_block`, the logit is read from the tokens behind the attention's own block; with `pooled`, from their
        mean in the place of each.
        """
        attentions = self.run(x)[2]

        def score(k: int, a: F) -> F:
            logits, tokens, _ = self.run(x, {k: a})
            read = tokens[k].mean(1, keepdims=True) + 0.0 * tokens[k] if pooled else tokens[k]
            return (self.head(read) if per_block else logits)[range(len(x)), classes]

        return [_slope(lambda a, k=k: score(k, a), attentions[k]) for k in range(DEPTH)]


def _norm(t: F) -> F:
    centered = t - t.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-3)


def _slope(score: Callable[[F], F], at: F, step: float = 1e-5) -> F:
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape[1:]):
        moved = []
        for sign in (1, -1):
            a = at.copy()
            a[(slice(None), *place)] += sign * step
            moved.append(score(a))
        found[(slice(None), *place)] = (moved[0] - moved[1]) / (2 * step)
    return found
