"""Parametrizations: every linear map against its adjoint, every gradient against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from shisen.errors import UnknownName
from shisen.inspect import parameters as P

RNG = np.random.default_rng(1)


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """The real inner product of complex arrays: real and imaginary parts are parameters of their own."""
    return float((a.real * b.real + a.imag * b.imag).sum())


def spectrum(side: int) -> np.ndarray:
    shape = (2, 3, side, side // 2 + 1)
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


@pytest.mark.parametrize("side", [7, 8])
def test_adjoint_of_the_synthesis(side: int) -> None:
    s, g = spectrum(side), RNG.normal(size=(2, 3, side, side)).astype(np.float32)
    assert inner(P.synthesis(s, side), g) == pytest.approx(inner(s, P.analysis(g)), rel=1e-4)


@pytest.mark.parametrize(("side", "small"), [(8, 4), (8, 8), (9, 5), (12, 6), (9, 9)])
def test_adjoint_of_leaving_out_frequencies(side: int, small: int) -> None:
    s, g = spectrum(side), spectrum(small)
    assert inner(P.low(s, small), g) == pytest.approx(inner(s, P.high(g, side)), rel=1e-4)


def test_low_frequencies_alone_are_the_image_made_small() -> None:
    side, wave = 16, np.zeros((1, 1, 16, 9), np.complex64)
    wave[0, 0, 2, 1] = 0.5
    np.testing.assert_allclose(P.synthesis(P.low(wave, 8), 8)[0, 0], P.synthesis(wave, side)[0, 0, ::2, ::2], atol=1e-6)


def test_adjoint_of_the_colors() -> None:
    x, g = (RNG.normal(size=(2, 3, 4, 5)).astype(np.float32) for _ in range(2))
    assert inner(P.recolored(x), g) == pytest.approx(inner(x, P.decolored(g)), rel=1e-4)
    gray = np.zeros((1, 3, 1, 1), np.float32)
    gray[0, 0] = 1.0
    assert np.ptp(P.recolored(gray)) < 0.03  # the first color is light


@pytest.mark.parametrize(("kind", "side"), [("pixel", 12), ("fourier", 12), ("fourier", 6), ("maco", 12), ("maco", 6)])
def test_the_gradient_of_every_parametrization(kind: str, side: int) -> None:
    made = P.Parameters(kind, 12)
    p = made.start(np.random.default_rng(2))
    p = p + RNG.normal(size=p.shape).astype(np.float32)
    planes = made.planes(p, side)
    g, way = RNG.normal(size=planes.shape).astype(np.float32), RNG.normal(size=p.shape).astype(np.float32)
    step = np.float32(1e-2)
    slow = inner(made.planes(p + step * way, side) - made.planes(p - step * way, side), g) / (2 * step)
    assert inner(made.pull(p, planes, g), way) == pytest.approx(slow, rel=2e-2)


@pytest.mark.parametrize("kind", P.KINDS)
def test_images_are_pixels_and_begin_near_gray(kind: str) -> None:
    made = P.Parameters(kind, 32)
    planes = made.planes(made.start(np.random.default_rng(0)), 32)
    assert planes.shape == (1, 3, 32, 32)
    assert planes.min() >= 0
    assert planes.max() <= 1
    assert abs(float(planes.mean()) - 0.5) < 0.05


def test_phases_leave_the_magnitudes_natural() -> None:
    made = P.Parameters("maco", 16)
    p = made.start(np.random.default_rng(0))
    x = np.log(made.planes(p, 16) / (1 - made.planes(p, 16)))
    plain = np.einsum("ij,njhw->nihw", np.linalg.inv(P.COLORS), x)
    found = np.abs(np.fft.rfft2(plain, norm="forward"))[0, :, 1:8, 1:8]  # where phases are free
    np.testing.assert_allclose(found, P.natural(16)[:, 1:8, 1:8], rtol=2e-3, atol=1e-5)


def test_the_table_is_what_the_photographs_measure() -> None:
    data = pytest.importorskip("skimage.data")
    side = P.MEASURED
    window = np.outer(np.hanning(side), np.hanning(side))
    window /= np.sqrt((window**2).mean())
    ring = np.rint(P.frequencies(side)).astype(int).ravel()
    total = np.zeros((3, side, side // 2 + 1))
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        photo = getattr(data, name)()
        crops = [
            photo[t : t + side, s : s + side, :3]
            for t in range(0, photo.shape[0] - side + 1, side // 2)
            for s in range(0, photo.shape[1] - side + 1, side // 2)
        ]
        # the logistic function has gradient 1/4 at mid-gray
        plain = np.stack(crops) / 255.0 * 4 @ np.linalg.inv(P.COLORS.astype(np.float64)).T
        plain -= plain.mean(axis=(1, 2), keepdims=True)
        waves = np.fft.rfft2(plain * window[:, :, None], axes=(1, 2), norm="forward")
        total += np.abs(waves).mean(axis=0).transpose(2, 0, 1) / 4
    rings = [np.bincount(ring, total[c].ravel()) / np.bincount(ring) for c in range(3)]
    np.testing.assert_allclose(P.natural_table(), np.stack(rings, axis=1), rtol=2e-3)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownName, match="fourier"):
        P.Parameters("furier", 8)
