"""Weights of a torch network, permuted from the answer upward in a copy."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def permuted_copy(net: Any, called: Sequence[str], up_to: float, rng: np.random.Generator) -> Any:
    """Return a copy of a module whose topmost layers have their weights permuted.

    Args:
        net: the module.
        called: paths of its calls, in forward order.
        up_to: fraction of the layers with weights, counted from the answer.
        rng: source of the permutations.
    """
    net = copy.deepcopy(net)
    owners = {name: m for name, m in net.named_modules() if next(m.parameters(recurse=False), None) is not None}
    called = [path.split("#")[0] for path in called]
    first = {name: called.index(name) if name in called else -1 for name in owners}  # never seen: lowest
    upward = sorted(owners, key=lambda name: first[name])
    done: set[int] = set()
    for name in upward[len(upward) - math.ceil(up_to * len(upward)) :]:
        for parameter in owners[name].parameters(recurse=False):
            if id(parameter) not in done:  # weights may be shared
                done.add(id(parameter))
                values = parameter.detach().cpu().float().numpy()
                shuffled = torch.as_tensor(rng.permutation(values.reshape(-1)).reshape(values.shape))
                with torch.no_grad():
                    parameter.copy_(shuffled.to(parameter.device, parameter.dtype))
    return net
