"""What a network returns: the part that is explained, and where its rows, one per image, are."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError, ShisenWarning, explain_error

Shape = tuple[int, ...]
Output = str | int | Callable[[Any], Any] | None
"""Which part of a network's output holds the logits: a key, an index or a function; None for the one found."""
FLOATS = ("float", "bfloat", "half", "double")


@dataclass(frozen=True)
class Rows:
    """Where the rows of an output are.

    Attributes:
        axis: of the images; 1 for outputs that begin with time.
        lost: whether one image gives an output without this axis, or the axis is merged with the next one.
    """

    axis: int = 0
    lost: bool = False

    def apply(self, output: Any, shape: Sequence[int], xp: Any) -> Any:
        """Return the output with one row per image.

        Args:
            output: what the network returned.
            shape: of one row; not used where the rows are in front already.
            xp: where `reshape`, `expand_dims` and `moveaxis` are looked up.
        """
        if self.axis:
            output = xp.expand_dims(output, axis=self.axis) if len(output.shape) == len(shape) else output
            return xp.moveaxis(output, self.axis, 0)
        return xp.reshape(output, (-1, *shape)) if self.lost else output


IN_FRONT = Rows()
"""The usual output: one row per image."""


def rows_of(one: Sequence[int], two: Callable[[], Sequence[int] | None]) -> tuple[Rows, Shape]:
    """Find the rows of an output.

    Args:
        one: shape of the output for one image.
        two: returns the shape for two images, None where the network takes one image only; not called for the usual
            output, which has one row.

    Returns:
        The rows, and the shape of one.

    Raises:
        ModelError: for an output that does not have one row per image, or no numbers.
    """
    one = tuple(one)
    if 0 in one:
        raise ModelError(
            explain_error(
                "The network's output must hold at least one number per image.",
                f"shape {one} for one image",
                "Select another part with output=, or build the network with at least one class.",
            )
        )
    if one and one[0] == 1:
        return IN_FRONT, one[1:] or (1,)
    found = two()
    if found is None:
        return (Rows(1), (one[0], *one[2:])) if len(one) > 2 and one[1] == 1 else (Rows(lost=True), one or (1,))
    pair = tuple(found)
    for axis in (0, 1):
        if pair == (*one[:axis], 2, *one[axis:]):
            return Rows(axis, lost=True), one or (1,)
    if len(one) > 1 and one[1] == 1 and pair == (one[0], 2, *one[2:]):
        return Rows(1), (one[0], *one[2:])
    if one and pair == (2 * one[0], *one[1:]):
        return Rows(lost=True), one
    raise ModelError(
        explain_error(
            "The network's output must have one row per image.",
            f"shape {one} for one image and {pair} for two",
            "Pass output=, a function from the network's output to (n, classes).",
        )
    )


def named_tensors(output: Any, is_tensor: Callable[[Any], bool], name: str = "") -> list[tuple[str, Any]]:
    """Return every tensor in a structure of mappings, sequences, named tuples and dataclasses with its path.

    Args:
        output: the structure.
        is_tensor: tells a tensor of the framework.
        name: of the structure itself.
    """
    if is_tensor(output):
        return [(name, output)]
    found = []
    for key, part in parts_of(output):
        found += named_tensors(part, is_tensor, f"{name}.{key}" if name else str(key))
    return found


def parts_of(output: Any) -> list[tuple[Any, Any]]:
    """Return `(key, part)` of a mapping, sequence, named tuple or dataclass; nothing of any other object."""
    if isinstance(output, Mapping):
        return list(output.items())
    if isinstance(output, (list, tuple)):
        return list(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return [(f.name, getattr(output, f.name)) for f in dataclasses.fields(output)]
    return []


def first_tensor(output: Any, is_tensor: Callable[[Any], bool]) -> Any:
    """Return the first tensor in a structure, or None.

    Args:
        output: the structure.
        is_tensor: tells a tensor of the framework.
    """
    if is_tensor(output):
        return output
    return next((t for _, part in parts_of(output) if (t := first_tensor(part, is_tensor)) is not None), None)


def with_first(output: Any, tensor: Any, is_tensor: Callable[[Any], bool]) -> Any:
    """Return a structure with its first tensor replaced; the structure itself is left as it is.

    Args:
        output: the structure.
        tensor: the new tensor.
        is_tensor: tells a tensor of the framework.
    """
    if is_tensor(output):
        return tensor
    key, part = next((key, part) for key, part in parts_of(output) if first_tensor(part, is_tensor) is not None)
    part = with_first(part, tensor, is_tensor)
    if isinstance(output, Mapping):
        changed: Any = copy.copy(output)
        changed[key] = part
        return changed
    if hasattr(output, "_fields"):
        return output._replace(**{key: part})
    if isinstance(output, (list, tuple)):
        return type(output)([*output[:key], part, *output[key + 1 :]])
    changed = copy.copy(output)
    object.__setattr__(changed, key, part)
    return changed


def select_output(
    output: Any,
    wanted: Output,
    is_tensor: Callable[[Any], bool],
    names: Sequence[str] = (),
    *,
    announce: bool = False,
) -> Any:
    """Return the part of a network's output that holds the logits.

    Args:
        output: what the network returned.
        wanted: a key, an index or a function; None for "logits", or the first tensor with one row of numbers per image.
        is_tensor: tells a tensor of the framework.
        names: of the entries of an output that is a list.
        announce: warn which of several tensors was taken.

    Raises:
        ModelError: where there is no such part.
    """
    if callable(wanted):
        output = wanted(output)
    elif wanted is not None:
        output = _part(output, wanted, names)
    if is_tensor(output):
        return output
    parts = named_tensors(output, is_tensor)
    if not parts:
        raise ModelError(
            explain_error(
                "The network must return a tensor.",
                type(output).__name__,
                "Pass output=, a key, an index or a function that selects one.",
            )
        )
    if any(key.rpartition(".")[2] == "boxes" for key, _ in parts):
        raise ModelError(
            explain_error(
                "The network must return one row of numbers per image.",
                f"detections: {', '.join(dict.fromkeys(key.rpartition('.')[2] for key, _ in parts))}",
                "Pass output=, a function from them to (n, numbers), such as the scores of the boxes of interest.",
            )
        )
    if isinstance(output, (list, tuple)) and len(names) == len(parts):
        parts = [(key, part) for key, (_, part) in zip(names, parts, strict=True)]
    i = preferred([(key, len(part.shape)) for key, part in parts])
    if announce:
        announce_part([(key, tuple(part.shape)) for key, part in parts], i)
    return parts[i][1]


def preferred(parts: Sequence[tuple[str, int]]) -> int:
    """Return which of several outputs is explained: one called logits, else the first of two axes, else the first.

    Args:
        parts: names and numbers of axes.
    """
    logits = (i for i, (name, _) in enumerate(parts) if "logits" in name)
    rows = (i for i, (_, axes) in enumerate(parts) if axes == 2)
    return next(logits, next(rows, 0))


def announce_part(parts: Sequence[tuple[str, Any]], taken: int) -> None:
    """Warn which of several outputs is explained; not for one called logits, which is meant to be.

    Args:
        parts: names and shapes.
        taken: number of the one that is explained.
    """
    name = parts[taken][0]
    if len(parts) > 1 and "logits" not in name:
        shapes = ", ".join(f"{k} {shape}" for k, shape in parts[:6]) + (", …" if len(parts) > 6 else "")
        warnings.warn(
            f"The network returns {len(parts)} tensors ({shapes}); {name!r} is explained. Pass output= for another.",
            ShisenWarning,
            stacklevel=3,
        )


def _part(output: Any, wanted: str | int, names: Sequence[str]) -> Any:
    listed = isinstance(output, (list, tuple)) and wanted in names
    keyed = dict(parts_of(output))
    try:
        if isinstance(wanted, str) and wanted in keyed:
            return keyed[wanted]
        if isinstance(wanted, str) and "." in wanted and not listed:  # "main.age", as announced for nested parts
            first, _, rest = wanted.partition(".")
            return _part(keyed[int(first) if first.isdigit() else first], rest, ())
        if isinstance(wanted, str) and wanted.isdigit() and not listed:
            return keyed[int(wanted)]
        return output[list(names).index(str(wanted)) if listed else wanted]
    except (KeyError, IndexError, TypeError) as problem:
        known = list(names) or list(keyed) or type(output).__name__
        raise ModelError(
            explain_error(f"The network's output must have a part {wanted!r}.", known, "Pass another output=.")
        ) from problem


def check_floats(dtype: Any) -> None:
    """Raise for an output of whole numbers, such as the index of a class.

    Args:
        dtype: of the output.

    Raises:
        ModelError: for whole numbers.
    """
    if not any(word in str(dtype) for word in FLOATS):
        raise ModelError(
            explain_error(
                "The network must return a score for each class.",
                f"{str(dtype).rpartition('.')[2]} numbers, such as an argmax returns",
                "Return the values before it, or select another part with output=.",
            )
        )
