"""What the attention of every framework has in common: names, and the blocks around attentions."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Unsuited, explain_error
from .layout import Layout
from .points import Call

SUFFIX = ".attention"


def attention_names(modules: Sequence[str]) -> list[str]:
    """Return a name for every attention by the modules they happened in; several in one module are numbered."""
    used: dict[str, int] = {}
    names = []
    for module in modules:
        used[module] = used.get(module, 0) + 1
        number = f"#{used[module]}" if modules.count(module) > 1 else ""
        names.append(f"{module}{SUFFIX}{number}" if module else f"attention{number or '#1'}")
    return names


def token_grid(calls: Sequence[Call], keys: int) -> Layout | None:
    """Return the layout of the last tokens of this number, if there are any with a grid.

    Args:
        calls: calls of the traced forward pass, in order.
        keys: number of keys, all tokens.
    """
    return next((c.layout for c in reversed(calls) if c.layout.kind == "tokens" and c.shape[1] == keys), None)


def block_around(own: str, modules: Sequence[str], calls: Sequence[Call], separator: str) -> Call | None:
    """Return the call of the largest module around an attention that holds no other and returns a map or tokens.

    Args:
        own: path of the module in which the attention happens; it may be the block itself.
        modules: those of all attentions.
        calls: of the trace.
        separator: between the parts of a path.
    """
    if modules.count(own) > 1:
        return None
    parts = own.split(separator)
    around = [separator.join(parts[:k]) for k in range(1, len(parts) + 1)]
    others = [m for m in modules if m != own]
    alone = [p for p in around if not any(o == p or o.startswith(p + separator) for o in others)]
    return next((c for p in alone for c in calls if c.path == p and c.layout.map), None)


def no_block(own: str) -> Unsuited:
    """Return the error for an attention without a block around it."""
    return Unsuited(
        explain_error(
            "This method reads the answer from the map after every block; the maps must have one shape.",
            f"the attention {own!r} without such a block around it",
            "Use grad_cam, hires_cam or layer_cam; they work at a layer of any network.",
        )
    )
