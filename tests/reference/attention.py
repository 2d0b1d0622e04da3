"""References of the attention family: the forward pass of `nets.Transformer` written out, one image at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from .capture import Values, nchw


def explicit(net: Any, image: Any) -> tuple[list[Any], list[Any], int]:
    """Return attention `(heads, queries, keys)` and the tokens after every block, and the count of class tokens."""
    patches = net.patch(nchw(image)).flatten(2).transpose(1, 2)
    tokens = patches if net.mean else torch.cat([net.cls, patches], 1)
    attention, after = [], []
    for block in net.blocks:
        own = block.self_attn
        x = block.norm1(tokens)[0]
        q, k, v = (x @ own.in_proj_weight.T + own.in_proj_bias).chunk(3, dim=-1)
        size = q.shape[-1] // own.num_heads
        mixed = []
        heads = [slice(h * size, (h + 1) * size) for h in range(own.num_heads)]
        weights = torch.stack([(q[:, h] @ k[:, h].T / math.sqrt(size)).softmax(-1) for h in heads])
        weights.retain_grad()
        mixed = torch.cat([weights[i] @ v[:, h] for i, h in enumerate(heads)], dim=-1)
        tokens = tokens + mixed @ own.out_proj.weight.T + own.out_proj.bias
        tokens = tokens + block.linear2(torch.relu(block.linear1(block.norm2(tokens))))
        attention.append(weights)
        after.append(tokens)
    return attention, after, 0 if net.mean else 1


def logit_of(net: Any, tokens: Any, k: int) -> Any:
    """Read class k from tokens: the first one, or their mean."""
    last = net.norm(tokens)
    return net.fc(last.mean(1) if net.mean else last[:, 0])[0, k]


def with_gradients(net: Any, image: Any, k: int) -> tuple[list[Values], list[Values], int]:
    attention, after, prefix = explicit(net, image)
    logit_of(net, after[-1], k).backward()
    values, gradients = (
        [np.asarray(t.detach(), np.float64) for t in some] for some in (attention, [a.grad for a in attention])
    )
    return values, gradients, prefix


def readout(rows: Values, image: Any, prefix: int) -> Values:
    """The class token's row, or the mean of all rows, on the grid of patches of 4 × 4 pixels."""
    row = rows[0, prefix:] if prefix else rows.mean(axis=0)
    return np.asarray(row.reshape(image.shape[0] // 4, image.shape[1] // 4))


def attention_rollout(net: Any, image: Any, k: int) -> Values:
    """Product of (A + I) / 2 over the layers, A the mean of the heads; rows of A sum to one."""
    values, _, prefix = with_gradients(net, image, k)
    total = np.eye(values[0].shape[-1])
    for a in values:
        total = ((a.mean(axis=0) + np.eye(len(total))) / 2) @ total
    return readout(total, image, prefix)


def chefer(net: Any, image: Any, k: int) -> Values:
    """R ← R + mean over heads of relu(∂y/∂A · A) · R; the identity is left out at the end."""
    values, gradients, prefix = with_gradients(net, image, k)
    total = start = np.eye(values[0].shape[-1])
    for a, g in zip(values, gradients, strict=True):
        total = total + np.mean([np.maximum(a[h] * g[h], 0) for h in range(len(a))], axis=0) @ total
    return readout(total - start, image, prefix)


def legrad(net: Any, image: Any, k: int, reads: str = "network") -> Values:
    """Each layer's own score, read from the tokens after it: relu(∂y_l/∂A_l), mean over layers, heads, queries."""
    maps = []
    for layer in range(len(net.blocks)):
        attention, after, prefix = explicit(net, image)
        tokens = after[layer]
        logit = net.fc(net.norm(tokens.mean(1)))[0, k] if reads == "mean" else logit_of(net, tokens, k)
        logit.backward()
        g = np.maximum(np.asarray(attention[layer].grad, np.float64), 0)
        maps.append(g.mean(axis=(0, 1))[prefix:])
    return np.asarray(np.mean(maps, axis=0).reshape(image.shape[0] // 4, image.shape[1] // 4))


def attention_x_gradient(net: Any, image: Any, k: int) -> Values:
    """Σ over heads and queries of A · ∂y/∂A, mean over layers."""
    values, gradients, prefix = with_gradients(net, image, k)
    found = np.mean([(a * g).sum(axis=(0, 1))[prefix:] for a, g in zip(values, gradients, strict=True)], axis=0)
    return np.asarray(found.reshape(image.shape[0] // 4, image.shape[1] // 4))
