"""A backward pass that skips rows of zeros, with the same result.

Where the logits are computed from one token, the gradients of all other tokens are zero downstream of the last
attention: 0 · W = 0 for finite W, so only the rows of that token are computed, and in the attention only its query. A
dispatch mode sees the operators while `torch.autograd.grad` runs, as in `rewire`; the network is not touched.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ATTENTION = "aten::_scaled_dot_product_flash_attention_for_cpu_backward"
FEWEST = 16  # rows from which looking for zeros can pay
PROBED = 4  # columns checked first: if most rows are nonzero there, the others are not checked


class LiveRows(TorchDispatchMode):
    """Compute matrix products, GELU and attention gradients from the nonzero rows, if at most half are nonzero."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, for a second, to keep it away from here

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, more = func._schema.name, kwargs or {}
        if name == "aten::mm":
            gradients, weights = args
            live = live_rows(gradients)
            if live is not None:
                return gradients.new_zeros(len(gradients), weights.shape[1]).index_copy_(
                    0, live, func(gradients[live], weights)
                )
        elif name == "aten::gelu_backward":
            gradients, at = (a.reshape(-1, a.shape[-1]) for a in args)
            live = live_rows(gradients)
            if live is not None:
                some = func(gradients[live], at[live], **more)
                return torch.zeros_like(gradients).index_copy_(0, live, some).view(args[0].shape)
        elif name == ATTENTION and not args[7] and more.get("attn_mask") is None:
            gradients, query, key, value, answer, sums, *rest = (
                args  # (images, heads, tokens, channels); no causal mask
            )
            live = live_rows(gradients.permute(2, 0, 1, 3).flatten(1))
            if live is not None:
                nonzero = (t.index_select(2, live) for t in (gradients, query))
                forward_values = (t.index_select(2, live) for t in (answer, sums))
                of_query, *others = func(*nonzero, key, value, *forward_values, *rest, **more)
                return torch.zeros_like(query).index_copy_(2, live, of_query), *others
        return func(*args, **more)


def live_rows(gradients: Any) -> Any:
    """Return the positions of the rows with a value other than zero; None if these are more than half, or few in all.

    Args:
        gradients: `(rows, columns)`. NaN is not zero.
    """
    most = len(gradients) // 2
    if len(gradients) < FEWEST or int((gradients[:, :PROBED] != 0).any(dim=1).sum()) > most:
        return None
    live = (gradients != 0).any(dim=1).nonzero()[:, 0]
    return live if len(live) <= most else None
