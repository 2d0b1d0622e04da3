"""Other backward rules for ReLUs, and what to say where a network has none."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from ..errors import N_, Message, ShisenWarning, Unsuited, explain_error

RULES = ("guided", "deconvnet")
"""guided: relu(g) · [0 < A (< 6)], Springenberg 2015. deconvnet: relu(g), Zeiler 2014."""


def check_rule(rule: str, fired: int, others: Mapping[str, int], stacklevel: int = 5) -> None:
    """Raise if no ReLU was met; warn if other activations passed the plain gradient.

    Args:
        rule: the name of the rule.
        fired: how many ReLUs it was applied to.
        others: numbers of other activations by name.
        stacklevel: of the warning.

    Raises:
        Unsuited: if the map would be the plain gradient under another name.
    """
    found = ", ".join(f"{count} × {name}" for name, count in others.items())
    if not fired:
        raise Unsuited(
            explain_error(
                Message("The {rule} rule needs ReLU or ReLU6 activations between the target and the input.", rule=rule),
                Message("a network with {found}", found=found or Message("no ReLU on the way")),
                N_("Use gradient, smooth_grad, integrated_gradients or grad_cam instead; they suit any activation."),
            )
        )
    if found:
        warnings.warn(
            f"The {rule} rule met {fired} ReLUs, but {found} keep the plain gradient: "
            "the map is only in part what its name promises.",
            ShisenWarning,
            stacklevel=stacklevel,
        )
