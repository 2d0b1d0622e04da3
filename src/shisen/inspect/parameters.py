"""What is optimized when an image is made: pixels, a spectrum, or the phases of one; each with its adjoint.

Planes are `(n, 3, h, w)` here. A parametrization does not change which images activate a channel, but which of these
is found: with a spectrum divided by frequency, large structures move as easily as small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from ..errors import unknown

Map = npt.NDArray[np.float32]
KINDS = ("pixel", "fourier", "maco")

COLORS: Map = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLORS /= np.linalg.norm(COLORS, axis=0).max()
"""Square root of the covariance of red, green and blue in ImageNet images, scaled so that its longest column has
length 1: light, red–blue and green–purple vary independently. Figures: Olah, Mordvintsev and Schubert 2017,
Feature Visualization, and the code published with it."""

DECAY = 1.25
"""Steps in the spectrum are scaled by 1 / f^DECAY. With 1 every octave moves as much; natural light falls with 1.4 (see
`natural_table`). Between them images reach the same objective with less fine hatching than with 1."""

MEASURED = 128  # side of the crops whose spectrum is stored


def frequencies(side: int) -> Map:
    """Return the frequency of every coefficient of a half spectrum, `(side, side // 2 + 1)`, in cycles an image."""
    rows = np.fft.fftfreq(side)[:, None] * side
    return np.asarray(np.hypot(rows, np.fft.rfftfreq(side)[None, :] * side), np.float32)


def twice(side: int) -> Map:
    """Return how often each column of a half spectrum counts in the image: once at the ends, else twice."""
    count = np.full(side // 2 + 1, 2.0, np.float32)
    count[0] = 1.0
    if side % 2 == 0:
        count[-1] = 1.0
    return count


def synthesis(spectrum: npt.NDArray[np.complex64], side: int) -> Map:
    """Return the planes of half spectra, with x = Σ_k S_k exp(2πi k·r / side): no division, so size does not matter.

    Args:
        spectrum: `(..., side, side // 2 + 1)` half spectra.
        side: height and width in pixels.
    """
    return np.asarray(np.fft.irfft2(spectrum, s=(side, side), axes=(-2, -1), norm="forward"), np.float32)


def analysis(planes: Map) -> npt.NDArray[np.complex64]:
    """Return the adjoint of `synthesis` by the real and the imaginary part: count · Σ_r g exp(−2πi k·r / side)."""
    spectrum = np.fft.rfft2(planes, axes=(-2, -1)) * twice(planes.shape[-1])
    return np.asarray(spectrum, np.complex64)


def low(spectrum: npt.NDArray[np.complex64], side: int) -> npt.NDArray[np.complex64]:
    """Return the low frequencies that a smaller image of this side can hold.

    Args:
        spectrum: `(..., side, side // 2 + 1)` half spectra.
        side: height and width in pixels.
    """
    half = side // 2
    part = np.concatenate([spectrum[..., : side - half, : half + 1], spectrum[..., -half:, : half + 1]], axis=-2)
    return part if half else spectrum[..., :1, :1]


def high(part: npt.NDArray[np.complex64], side: int) -> npt.NDArray[np.complex64]:
    """Return the adjoint of `low`: zeros for the frequencies that were left out.

    Args:
        part: half spectra of the smaller image.
        side: height and width in pixels.
    """
    half = part.shape[-2] // 2
    out = np.zeros((*part.shape[:-2], side, side // 2 + 1), part.dtype)
    out[..., : part.shape[-2] - half, : half + 1] = part[..., : part.shape[-2] - half, :]
    if half:
        out[..., -half:, : half + 1] += part[..., -half:, :]
    return out


def recolored(planes: Map) -> Map:
    """Return red, green, blue of decorrelated planes: C · x at every position."""
    return np.asarray(np.einsum("ij,njhw->nihw", COLORS, planes, optimize=True), np.float32)


def decolored(planes: Map) -> Map:
    """Return the adjoint of `recolored`: Cᵀ · g."""
    return np.asarray(np.einsum("ij,nihw->njhw", COLORS, planes, optimize=True), np.float32)


def output_activation(x: Map) -> Map:
    """Return pixels in [0, 1]: 1 / (1 + exp(−x)). Its derivative is p · (1 − p)."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float32)


@lru_cache(maxsize=1)
def natural_table() -> Map:
    """Return mean magnitudes of natural images by frequency, `(frequencies, 3)`, for cycles an image 0, 1, 2, …

    Measured on windowed 128-pixel crops of free sample photographs, decorrelated color, in units of `synthesis`.
    """
    text = files("shisen.inspect").joinpath("natural_spectrum.csv").read_text(encoding="utf-8")
    return np.loadtxt(text.splitlines(), delimiter=",", dtype=np.float32, comments="#")


def natural(side: int) -> Map:
    """Return the natural magnitude of every coefficient, `(3, side, side // 2 + 1)`; past the table 1/f."""
    table = natural_table()
    f, last = frequencies(side), len(table) - 1
    beyond = np.maximum(f / last, 1.0)
    curves = [np.interp(np.minimum(f, last), np.arange(last + 1), table[:, c]) / beyond for c in range(3)]
    magnitude = np.stack(curves).astype(np.float32)
    magnitude[:, 0, 0] = 0.0  # mid-gray on average: a phase cannot choose the light
    return magnitude


@dataclass(frozen=True)
class Parameters:
    """A parametrization of images of one side.

    Attributes:
        kind: "pixel" (a number for each color of each pixel), "fourier" (a half spectrum, scaled by frequency) or
            "maco" (the phases of a spectrum whose magnitudes are those of natural images).
        side: of the finished image, in pixels.

    References: Olah 2017 for the spectrum; Fel 2023, Unlocking Feature Visualization with MAgnitude Constrained
    Optimization, for the phases.
    """

    kind: str
    side: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("parametrization", self.kind, KINDS)

    def start(self, rng: np.random.Generator) -> Map:
        """Return the parameters of one image near mid-gray (for "maco": random phases), `(1, ...)` float32."""
        half = (1, 3, self.side, self.side // 2 + 1)
        if self.kind == "pixel":
            return rng.normal(0, 0.01, (1, 3, self.side, self.side)).astype(np.float32)
        if self.kind == "fourier":
            return rng.normal(0, 0.01, (*half, 2)).astype(np.float32)
        return rng.uniform(-np.pi, np.pi, half).astype(np.float32)

    def planes(self, p: Map, side: int) -> Map:
        """Return the images `(n, 3, side, side)` in [0, 1]; a smaller side holds the low frequencies alone.

        Args:
            p: the parameters, as `start` gives them.
            side: height and width in pixels.
        """
        if self.kind == "pixel":
            return output_activation(recolored(p))
        return output_activation(recolored(synthesis(low(self._spectrum(p), side), side)))

    def pull(self, p: Map, planes: Map, cotangent: Map) -> Map:
        """Return the gradient by the parameters, given that by the images: the adjoint of `planes` at `p`.

        Args:
            p: the parameters.
            planes: `planes(p, side)`.
            cotangent: gradient by these, same shape.
        """
        g = decolored(cotangent * planes * (1 - planes))
        if self.kind == "pixel":
            return g
        spectrum = high(analysis(g), self.side)
        if self.kind == "fourier":
            scaled = spectrum * self._filter
            return np.asarray(np.stack([scaled.real, scaled.imag], axis=-1), np.float32)
        # d S / d phase = i S
        return np.asarray(-(np.conj(spectrum) * self._spectrum(p)).imag, np.float32)

    def _spectrum(self, p: Map) -> npt.NDArray[np.complex64]:
        if self.kind == "fourier":
            return np.asarray((p[..., 0] + 1j * p[..., 1]) * self._filter, np.complex64)
        return np.asarray(natural(self.side) * np.exp(1j * p), np.complex64)

    @property
    def _filter(self) -> Map:
        """Magnitude by frequency, 1 / f^DECAY; the mean counts as one cycle."""
        return np.asarray(np.maximum(frequencies(self.side), 1.0) ** -DECAY, np.float32)
