"""Global properties of an image: how each is measured, and how an image is given more or less of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]
STEPS = 8  # of the search for a strength
GRAYSCALE = -4.0  # strength at which no saturation is left
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Property:
    """A global property.

    Attributes:
        name: key into the words of the report.
        measure: from `(h, w, 3)` uint8 pixels to a number.
        alter: from pixels and a strength to pixels that have more of the property (or less, for a negative strength);
            None if it cannot be altered without changing what the image shows. One strength is one process, such as
            one JPEG quality, whatever the image.
        weakest, strongest: least and largest strength.
        opposite: whether the opposite change is one that images which do not have the property can be given, as a
            control. JPEG is not: smoothing edges of blocks that are not there leaves a grid of its own.
        shown: whether what an image shows moves it as much as how the image was made: three photos of deep blue
            water stand out by their color, and nobody has treated them.
    """

    name: str
    measure: Callable[[Pixels8], float]
    alter: Callable[[Pixels8, float], Pixels8] | None = None
    weakest: float = -1.0
    strongest: float = 1.0
    opposite: bool = True
    shown: bool = False

    def strength(
        self, images: Sequence[Pixels8], target: float, finish: Callable[[Pixels8], Pixels8] | None = None
    ) -> float:
        """Return the strength that takes the median of the property over these images nearest to the target.

        Found by bisection between no change and the limit on the side of the target.

        Args:
            images: uint8 pixels `(h, w, 3)` of each.
            target: in the units of `measure`.
            finish: what is done to the images after the change.

        Returns:
            A strength between `weakest` and `strongest`; 0 where the property cannot be altered.
        """
        if self.alter is None:
            return 0.0
        alter = self.alter

        def reached(strength: float) -> float:
            altered = [alter(p, strength) if strength else p for p in images]
            return float(np.median([self.measure(p if finish is None else finish(p)) for p in altered]))

        now = reached(0.0)
        rising = target > now
        low, high = 0.0, self.strongest if rising else self.weakest
        best, gap = 0.0, abs(now - target)
        for step in range(STEPS):
            middle = high if step == 0 else (low + high) / 2  # the limit first: nothing lies beyond it
            found = reached(middle)
            if abs(found - target) < gap:
                best, gap = middle, abs(found - target)
            if (found < target) == rising:
                if step == 0:
                    break
                low = middle
            elif step:
                high = middle
        return best


def _back(values: npt.NDArray[np.float32]) -> Pixels8:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def luma(pixels: Pixels8) -> npt.NDArray[np.float32]:
    """Return the gray value of each pixel, 0.299 R + 0.587 G + 0.114 B."""
    return np.asarray(pixels.astype(np.float32) @ LUMA, dtype=np.float32)


def brightness(pixels: Pixels8) -> float:
    """Return the mean gray value, in levels of 255."""
    return float(luma(pixels).mean())


def _brighten(pixels: Pixels8, by: float) -> Pixels8:
    return _back(pixels.astype(np.float32) + by)


def contrast(pixels: Pixels8) -> float:
    """Return log2 of the standard deviation of the gray values."""
    return float(np.log2(luma(pixels).std() + 1.0))


def _contrasted(pixels: Pixels8, by: float) -> Pixels8:
    values = pixels.astype(np.float32)
    mean = values.mean((0, 1))
    return _back(mean + (values - mean) * 2.0**by)


def warmth(pixels: Pixels8) -> float:
    """Return log2 of mean red over mean blue."""
    mean = pixels.astype(np.float32).mean((0, 1)) + 1.0
    return float(np.log2(mean[0] / mean[2]))


def _warmed(pixels: Pixels8, by: float) -> Pixels8:
    gain = np.array([2.0 ** (by / 2), 1.0, 2.0 ** (-by / 2)], np.float32)
    return _same_brightness(pixels, pixels.astype(np.float32) * gain)


def greenness(pixels: Pixels8) -> float:
    """Return log2 of mean green over the geometric mean of mean red and mean blue."""
    mean = pixels.astype(np.float32).mean((0, 1)) + 1.0
    return float(np.log2(mean[1] / np.sqrt(mean[0] * mean[2])))


def _greened(pixels: Pixels8, by: float) -> Pixels8:
    gain = np.array([2.0 ** (-by / 3), 2.0 ** (2 * by / 3), 2.0 ** (-by / 3)], np.float32)
    return _same_brightness(pixels, pixels.astype(np.float32) * gain)


def _edges(pixels: Pixels8) -> npt.NDArray[np.float32]:
    """Return the mean step between neighbors in each channel, in levels of 255."""
    values = pixels.astype(np.float32)
    steps = [np.abs(np.diff(values, axis=axis)).mean((0, 1)) for axis in (0, 1) if values.shape[axis] > 1]
    return np.asarray(sum(steps, np.zeros(3, np.float32)) + 0.1, dtype=np.float32)


def cast(pixels: Pixels8) -> float:
    """Return log2 of red over blue in the steps between neighbors.

    What things are colored in moves the mean of an image; edges are nearly gray whatever is shown, unless light, a
    filter or processing colors everything alike ("gray edge").

    Reference: van de Weijer et al. 2007, Edge-based color constancy.
    """
    red, _, blue = _edges(pixels)
    return float(np.log2(red / blue))


def green_cast(pixels: Pixels8) -> float:
    """Return log2 of green over the geometric mean of red and blue in the steps between neighbors."""
    red, green, blue = _edges(pixels)
    return float(np.log2(green / np.sqrt(red * blue)))


def _same_brightness(pixels: Pixels8, values: npt.NDArray[np.float32]) -> Pixels8:
    return _back(values * (luma(pixels).mean() + 1e-3) / ((values @ LUMA).mean() + 1e-3))


def saturation(pixels: Pixels8) -> float:
    """Return the mean distance of the strongest from the weakest channel, in levels of 255."""
    return float((pixels.max(-1).astype(np.float32) - pixels.min(-1)).mean())


def _saturated(pixels: Pixels8, by: float) -> Pixels8:
    gray = luma(pixels)[..., None]
    factor = 0.0 if by <= GRAYSCALE else 2.0**by
    return _back(gray + (pixels.astype(np.float32) - gray) * factor)


def sharpness(pixels: Pixels8) -> float:
    """Return log2 of the energy of the finest detail (the Laplacian) over that of steps between neighbors."""
    gray = luma(pixels)
    fine = 4 * gray[1:-1, 1:-1] - gray[:-2, 1:-1] - gray[2:, 1:-1] - gray[1:-1, :-2] - gray[1:-1, 2:]
    steps = np.square(np.diff(gray, axis=0)).mean() + np.square(np.diff(gray, axis=1)).mean()
    return float(np.log2((np.square(fine).mean() + 0.1) / (steps + 0.1)))


def _sharpened(pixels: Pixels8, by: float) -> Pixels8:
    """Blur by a Gaussian of −by per cent of the longer side, or add `by` times what a blur of one pixel takes off."""
    from PIL import Image, ImageFilter

    image = Image.fromarray(pixels)
    if by < 0:
        return np.asarray(image.filter(ImageFilter.GaussianBlur(-by / 100 * max(image.size))))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
    return _back(pixels + by * (pixels - soft))


def compression(pixels: Pixels8) -> float:
    """Return log2 of the mean step across the lines of an 8-pixel grid over the mean step elsewhere, both axes."""
    gray = luma(pixels)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(gray, axis=axis)).mean(1 - axis)
        on = np.arange(len(steps)) % 8 == 7
        if on.any() and not on.all():
            ratios.append(np.log2((steps[on].mean() + 0.25) / (steps[~on].mean() + 0.25)))
    return float(np.mean(ratios)) if ratios else 0.0


def _compressed(pixels: Pixels8, by: float) -> Pixels8:
    """Code as JPEG of quality 100·(1 − by), or take −by of the steps between blocks away."""
    from PIL import Image

    if by < 0:
        return _back(_unblocked(_unblocked(pixels.astype(np.float32), -by).swapaxes(0, 1), -by).swapaxes(0, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=max(1, round(100 * (1 - by))))
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))


def _unblocked(values: npt.NDArray[np.float32], by: float) -> npt.NDArray[np.float32]:
    """Blend the lines on both sides of every edge of blocks with a straight way from one block to the next.

    Only what blocks leave is touched, so that an image without them stays nearly as it is.
    """
    lines = np.arange(8, len(values) - 2, 8)
    smooth = values.copy()
    for k, offset in enumerate((-1, 0), start=1):
        way = values[lines - 2] + (values[lines + 1] - values[lines - 2]) * (k / 3)
        smooth[lines + offset] += by * (way - values[lines + offset])
    return smooth


def noise(pixels: Pixels8) -> float:
    """Return log2 of the standard deviation of noise, in levels of 255, by the median of the diagonal detail.

    Reference: Donoho and Johnstone 1994, from the finest Haar wavelet.
    """
    gray = luma(pixels)
    high, wide = (n // 2 * 2 for n in gray.shape)
    a, b, c, d = (gray[y:high:2, x:wide:2] for y in (0, 1) for x in (0, 1))
    return float(np.log2(np.median(np.abs(a - b - c + d)) / 2 / 0.6745 + 0.5))


def _noised(pixels: Pixels8, by: float) -> Pixels8:
    """Add Gaussian noise of `by` levels, drawn anew for each image, or smooth it away by −by pixels."""
    from scipy import ndimage

    if by < 0:
        return np.asarray(ndimage.gaussian_filter(pixels, (-by / 2, -by / 2, 0)))
    draw = np.random.default_rng(int(pixels[::7, ::7].sum()))
    return _back(pixels.astype(np.float32) + draw.normal(0, by, pixels.shape).astype(np.float32))


def aspect(pixels: Pixels8) -> float:
    """Return log2 of width over height."""
    return float(np.log2(pixels.shape[1] / pixels.shape[0]))


def _stretched(pixels: Pixels8, by: float) -> Pixels8:
    return _scaled(pixels, 2.0 ** (by / 2), 2.0 ** (-by / 2))


def _resized(pixels: Pixels8, by: float) -> Pixels8:
    return _scaled(pixels, 2.0 ** (by / 2), 2.0 ** (by / 2))


def _scaled(pixels: Pixels8, wide: float, high: float) -> Pixels8:
    from PIL import Image

    size = (max(1, round(pixels.shape[1] * wide)), max(1, round(pixels.shape[0] * high)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def resolution(pixels: Pixels8) -> float:
    """Return log2 of the number of pixels."""
    return float(np.log2(pixels.shape[0] * pixels.shape[1]))


def border(pixels: Pixels8) -> float:
    """Return the fraction of the four outermost lines that keep to one color within 8 levels."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    flat = [np.abs(e.astype(np.float32) - np.median(e, axis=0)).max(-1) <= 8 for e in edges]
    return float(np.mean([f.mean() > 0.95 for f in flat]))


def _bordered(pixels: Pixels8, by: float) -> Pixels8:
    """Paint a black border that is wide enough to be seen, or crop a border away; the amount does not matter."""
    width = max(1, round(0.02 * max(pixels.shape[:2])))
    if by < 0:
        return pixels[width:-width, width:-width] if min(pixels.shape[:2]) > 4 * width else pixels
    framed = pixels.copy()
    framed[:width], framed[-width:], framed[:, :width], framed[:, -width:] = 0, 0, 0, 0
    return framed


def _written(pixels: Pixels8, by: float) -> Pixels8:
    """Write a date of this height, as a fraction of the image's, at the bottom."""
    from PIL import Image, ImageDraw, ImageFont

    size = round(by * pixels.shape[0])
    if size < 4:
        return pixels
    image = Image.fromarray(pixels)
    position = (round(0.03 * image.width), round(0.95 * image.height) - size)
    ImageDraw.Draw(image).text(position, "2021-11-21 14:50", font=ImageFont.load_default(size), fill=(255, 255, 255))
    return np.asarray(image)


def text(pixels: Pixels8) -> float:
    """Return how much the densest strip of the image looks like a line of text, in [0, 1].

    Text is thin strokes of one brightness, many to a line: strokes are what a closing or an opening over five pixels
    removes by more than 40 levels, and the measure is how often a strip of 7 × 28 pixels goes in and out of them along
    its lines, against once every four pixels.
    """
    from PIL import Image
    from scipy import ndimage

    image = Image.fromarray(pixels)
    image.thumbnail((640, 640))  # writing that is seen at a glance is still seen
    gray = luma(np.asarray(image))
    best = 0.0
    for sign in (1.0, -1.0):
        values = sign * gray
        strokes = values - ndimage.grey_opening(values, size=(5, 5)) > 40
        changes = np.zeros(gray.shape, np.float32)
        changes[:, 1:] = strokes[:, 1:] != strokes[:, :-1]
        density = ndimage.uniform_filter(changes, (7, min(28, gray.shape[1])), mode="constant")
        best = max(best, float(density.max()) / 0.5)
    return min(1.0, best)


PROPERTIES: Mapping[str, Property] = {
    p.name: p
    for p in (
        Property("brightness", brightness, _brighten, -128.0, 128.0, shown=True),
        Property("contrast", contrast, _contrasted, -3.0, 3.0, shown=True),
        Property("warmth", warmth, _warmed, -3.0, 3.0, shown=True),
        Property("greenness", greenness, _greened, -3.0, 3.0, shown=True),
        Property("cast", cast, _warmed, -3.0, 3.0),
        Property("green_cast", green_cast, _greened, -3.0, 3.0),
        Property("saturation", saturation, _saturated, GRAYSCALE, 3.0, shown=True),
        Property("sharpness", sharpness, _sharpened, -4.0, 4.0),
        Property("compression", compression, _compressed, -1.0, 0.97, opposite=False),
        Property("noise", noise, _noised, -3.0, 48.0, opposite=False),
        Property("border", border, _bordered, -1.0, 1.0),
        Property("text", text, _written, 0.0, 0.2, opposite=False),
        Property("aspect", aspect, _stretched, -2.0, 2.0),
        Property("resolution", resolution, _resized, -6.0, 4.0),
    )
}


def measured(pixels: Pixels8) -> list[float]:
    """Return all properties of an image, in the order of `PROPERTIES`."""
    return [p.measure(pixels) for p in PROPERTIES.values()]
