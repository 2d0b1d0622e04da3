"""Both ends of a Keras model: pixels in, the logits' tensor out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ModelError, explain_error
from ...types import Scaling
from ..answers import Output, select_output
from .points import is_channels_first, operations


class ModelIO:
    """One forward of a live model, from `(n, *positions, c)` pixels to the selected output.

    Args:
        net: a Keras model with one input.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which of several outputs holds the logits: a key, an index or a function.

    Raises:
        ModelError: for a model with several inputs.
    """

    def __init__(self, net: Any, scaling: Scaling | None, output: Output) -> None:
        self.net = net
        self.scaling = scaling
        self.output = output
        inputs = getattr(net, "inputs", None) or ()
        if len(inputs) > 1:
            raise ModelError(
                explain_error(
                    "A network must take one image.",
                    f"{len(inputs)} inputs: {', '.join(i.name for i in inputs)}",
                    "Wrap a keras.Model that fills in the other inputs itself.",
                )
            )
        takes = inspect.signature(net.call).parameters.values()
        named = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in takes)
        self._first: bool | None = None
        declared = str(getattr(inputs[0], "dtype", "")) if inputs else ""
        self._integers = declared if "int" in declared else ""
        self._options = {"training": False} if named else {}

    @property
    def channels_first(self) -> bool:
        """Whether the model takes its channels first, such as `(n, c, h, w)`."""
        if self._first is None or not self.net.built:  # a subclassed model may make its layers when it is built
            self._first = is_channels_first(operations(self.net))
        return self._first

    @property
    def declared(self) -> tuple[int | None, ...]:
        """`(*positions, c)` of an input as the model declares it; None where it leaves one open."""
        inputs = getattr(self.net, "inputs", None)
        if not inputs or len(inputs[0].shape) not in (3, 4, 5):
            return (None, None, None)
        shape = tuple(inputs[0].shape[1:])
        return (*shape[1:], shape[0]) if self.channels_first else shape

    def __call__(self, x: Any, *, announce: bool = False) -> Any:
        """Scale pixels, move the channels to where the model expects them, run the model for inference.

        Args:
            x: pixels.
            announce: warn which of several tensors was selected.

        Returns:
            The selected output, as the model returned it.
        """
        from keras import ops

        if self.scaling is not None:
            x = x * ops.convert_to_tensor(np.asarray(self.scaling.scale, np.float32))
            x = x + ops.convert_to_tensor(np.asarray(self.scaling.shift, np.float32))
            if self.scaling.reverse:
                x = ops.flip(x, axis=-1)
        rank = len(x.shape) - 2
        if rank in (1, 2, 3) and self.channels_first:
            x = ops.transpose(x, (0, rank + 1, *range(1, rank + 1)))
        if self._integers:
            x = ops.cast(ops.clip(ops.round(x), 0, 255), self._integers)
        names = list(getattr(self.net, "output_names", ()))
        found = self.net(self._packed(x), **self._options)
        return select_output(found, self.output, ops.is_tensor, names, announce=announce)

    def _packed(self, x: Any) -> Any:
        """Return the input in the structure the model was declared with: alone, in a list or under a name."""
        try:
            declared = self.net.input
        except (AttributeError, ValueError):  # only functional models declare a structure
            return x
        if isinstance(declared, Mapping):
            return dict.fromkeys(declared, x)
        return [x] if isinstance(declared, list) else x
