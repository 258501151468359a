"""Photometric degradation: shadow, color cast, tone, blur, low resolution, noise, JPEG."""

import io
from typing import Tuple

import numpy as np
from PIL import Image

from synthesis.canvas import NO_SHADOW, Canvas

# Probabilities at strength 1.
_SHADOW, _BLUR, _LOW_RESOLUTION = 0.22, 0.35, 0.3
_GRAY, _JPEG, _SHARPENING = 0.04, 0.6, 0.25
# Standard deviations at strength 1, of logarithms.
_CAST, _EXPOSURE, _CONTRAST, _GAMMA = 0.09, 0.12, 0.12, 0.16
_MIDDLE_GRAY = 0.45  # unchanged by contrast
_MOST_NOISE = 7.0  # gray levels
_JPEG_QUALITY = (35, 95)
_MAX_NOISE_START = 1 << 30


def degrade(random: np.random.RandomState, canvas: Canvas, strength: float) -> None:
    """Degrade a picture in place, as cameras and photo services do.

    Args:
        random: random number generator.
        canvas: canvas with the picture.
        strength: 0 leaves the picture unchanged; 1 is a mixture of good and bad cameras.
    """
    if not strength:
        return
    chances = random.uniform(0, 1, 6) / strength

    # 1. Light and color.
    shadow = _sample_shadow(random, canvas.size) if chances[0] < _SHADOW else NO_SHADOW
    canvas.adjust_tone(_sample_tone_tables(random, strength), shadow, chances[1] < _GRAY)

    # 2. Sharpness and noise.
    if chances[2] < _BLUR:
        canvas.blur(random.uniform(0.3, 1.3) * strength)
    if chances[3] < _LOW_RESOLUTION:
        canvas.picture[:] = _reduce_resolution(random, Image.fromarray(canvas.picture))
    start = random.randint(_MAX_NOISE_START)
    canvas.add_noise(start, random.uniform(0, 1) ** 2 * _MOST_NOISE * strength)

    # 3. Processing inside the camera.
    if chances[5] < _SHARPENING:
        radius = random.uniform(0.6, 2.5)
        canvas.blur(radius, amount=random.uniform(0.3, 1.6))
    if chances[4] < _JPEG:
        canvas.picture[:] = _compress(random, Image.fromarray(canvas.picture))


def _sample_shadow(random: np.random.RandomState, size: int) -> Tuple[float, float, float, float]:
    """Sample a shadow with a soft straight edge, for ``Canvas.adjust_tone``."""
    angle = random.uniform(0, 2 * np.pi)
    offset = random.uniform(-0.25, 0.25)
    softness = random.uniform(0.02, 0.3)
    x = np.cos(angle) / softness
    y = np.sin(angle) / softness
    constant = 0.5 - offset / softness - 0.5 * (x + y)
    return x / size, y / size, constant, random.uniform(0.2, 0.65)


def _sample_tone_tables(random: np.random.RandomState, strength: float) -> np.ndarray:
    """Sample tables [3, 256] uint8 of white balance, exposure, contrast and gamma."""
    cast = _CAST * random.standard_normal(3)
    gains = np.exp(strength * (cast + _EXPOSURE * random.standard_normal()))
    spread = strength * np.array([_CONTRAST, _GAMMA])
    contrast, gamma = np.exp(spread * random.standard_normal(2))

    levels = (np.arange(256) / 255.0) ** gamma
    exposed = levels[np.newaxis] * gains[:, np.newaxis]
    curves = ((exposed - _MIDDLE_GRAY) * contrast + _MIDDLE_GRAY) * 255
    return np.clip(np.rint(curves), 0, 255).astype(np.uint8)


def _reduce_resolution(random: np.random.RandomState, image: Image.Image) -> Image.Image:
    """Shrink a picture and enlarge it again."""
    side = int(image.size[0] * random.uniform(0.25, 0.8))
    kind = (Image.BILINEAR, Image.BICUBIC)[random.randint(2)]
    return image.resize((side, side), Image.BILINEAR).resize(image.size, kind)


def _compress(random: np.random.RandomState, image: Image.Image) -> Image.Image:
    """Encode a picture as JPEG of random quality, and decode it again."""
    buffer = io.BytesIO()
    quality = random.randint(*_JPEG_QUALITY)
    image.save(buffer, "JPEG", quality=quality, subsampling=2 * random.randint(2))
    return Image.open(buffer)
