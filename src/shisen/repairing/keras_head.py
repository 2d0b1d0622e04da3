"""The last dense layer of a Keras network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from .._core.io import write_file
from ..errors import ModelError, explain_error
from ..training.keras import last_dense, quiet_keras
from .head import Layer

if TYPE_CHECKING:
    from ..models.model import Model


class KerasHead:
    """A Keras network cut in front of its last dense layer; see `head.Head`.

    Args:
        model: the network.
    """

    file = "model.keras"

    def __init__(self, model: Model) -> None:
        if model.preprocess is None:
            advice = "Give wrap(…, preprocess=shisen.Preprocess(…))."
            raise ModelError(explain_error("A repair needs the model's preprocessing.", model.name, advice))
        self.net, self.scaling = model.network.net, model.preprocess.scaling()
        self.dense = last_dense(self.net)
        self.upstream = keras.Model(self.net.input, self.dense.input)
        kernel, *bias = (np.asarray(w, np.float64) for w in self.dense.get_weights())
        self.layer = Layer(kernel.T.copy(), bias[0] if bias else np.zeros(kernel.shape[1]))

    def features(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what the last dense layer is given."""
        return np.asarray(self.upstream.predict_on_batch(self.scaling.applied(images)), np.float32)

    def save(self, folder: Path, layer: Layer) -> None:
        """Write the whole network."""
        with quiet_keras():
            write_file(folder / self.file, self.replaced(layer).save)

    def replaced(self, layer: Layer) -> Any:
        """Return a copy of the network with another last layer."""
        if not self.dense.use_bias:
            advice = "Give the last layer a bias, of zeros for the same network."
            raise ModelError(explain_error("The last dense layer must have a bias.", self.dense.name, advice))
        net = keras.models.clone_model(self.net)
        net.set_weights(self.net.get_weights())
        net.get_layer(self.dense.name).set_weights([layer.weight.T.astype(np.float32), layer.bias.astype(np.float32)])
        return net


def cut(model: Model) -> KerasHead:
    """Return a Keras network cut in front of its last dense layer."""
    return KerasHead(model)
