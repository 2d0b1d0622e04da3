"""What a `Model` does with signals, volumes and video: read them for its preprocessing, and say what was assumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from ..types import InputImage
from .preprocess import Preprocess
from .volume_io import open_volume
from .volume_pixels import with_intensities

AXES = {1: "length", 2: "height and width", 3: "depth, height and width"}


def read_volume(source: Any, preprocess: Preprocess | None, rank: int, channels: int) -> InputImage:
    """Return a signal, a volume or a video, with the channels and in the units that a preprocessing says.

    Args:
        source: see `volume_io.open_volume`.
        preprocess: what the network expects; None takes everything as it is stored.
        rank: number of axes of positions.
        channels: of the network's input; 0 if they are not known.
    """
    if preprocess is None:
        return open_volume(source, rank, channels=channels)
    bands = preprocess.bands is not None
    image = open_volume(
        source,
        rank,
        frames=preprocess.sides[0] if rank == 3 else 0,
        orientation=preprocess.orientation,
        channels=0 if bands else preprocess.channels,
    )
    return with_intensities(image, preprocess)


def check_declared(image: InputImage, declared: tuple[int, ...] | None) -> None:
    """Raise if a signal or volume without preprocessing is not of the size that the network declares.

    Args:
        image: the input.
        declared: `(*positions, c)`; None for a network that takes any size.

    Raises:
        InputError: with the option that resamples.
    """
    if declared is not None and declared[:-1] != image.size:
        sides, rank = ", ".join(map(str, declared[:-1])), len(declared) - 1
        raise InputError(
            explain_error(
                f"The network takes inputs of the size ({sides}): {AXES[rank]}.",
                f"{image.source!r} of the size {image.size}",
                f"Pass preprocess={{'size': ({sides},)}} (--size {sides.replace(', ', 'x')}), which resamples.",
            )
        )


def assumed_volume(values: npt.NDArray[Any]) -> str:
    """Return the warning that says how a signal or volume went in, and how to name another way."""
    low, high = (f"{float(f(values)):.4g}" for f in (np.min, np.max))
    return (
        "the preprocessing is not known; inputs go in at their own size, with their values as stored, "
        f"{low} to {high}, and their axes as stored. If the network was trained otherwise, pass "
        "preprocess=shisen.Preprocess(size=…) with window=, zscore=, data_range=, mean=, std= or orientation= (--size, "
        "--window, --zscore, --data-range, --mean, --std, --orientation)."
    )
