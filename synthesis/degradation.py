"""What a camera and its owner do to a picture: uneven light, colour cast, blur, noise, JPEG."""

import io

import numpy as np
from PIL import Image

# Probabilities at strength 1.
_SHADOW, _BLUR, _LOW_RESOLUTION, _GREY, _JPEG, _SHARPENING = 0.22, 0.35, 0.3, 0.04, 0.6, 0.25
_CAST, _CONTRAST, _GAMMA, _NOISE = 0.09, 0.12, 0.16, 7.0  # standard deviations; noise: the most, in grey levels
_JPEG_QUALITY = (35, 95)
_NO_SHADOW = (0.0, 0.0, 0.0, 0.0)
_MAX_NOISE_START = 1 << 30


def photograph(random, canvas, strength):
    """Spoil a picture as cameras do.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``, painted over.
        strength: 0 leaves it as it is; 1 is a mixture of good and bad cameras.
    """
    if not strength:
        return
    chances = random.uniform(0, 1, 6) / strength
    shadow = _shadow(random, canvas.size) if chances[0] < _SHADOW else _NO_SHADOW
    canvas.tone(_tone_curves(random, strength), shadow, chances[1] < _GREY)
    if chances[2] < _BLUR:
        canvas.blur(random.uniform(0.3, 1.3) * strength)
    if chances[3] < _LOW_RESOLUTION:
        canvas.picture[:] = _low_resolution(random, Image.fromarray(canvas.picture))
    canvas.grain(random.randint(_MAX_NOISE_START), random.uniform(0, 1) ** 2 * _NOISE * strength)
    if chances[5] < _SHARPENING:
        canvas.blur(random.uniform(0.6, 2.5), amount=random.uniform(0.3, 1.6))
    if chances[4] < _JPEG:
        canvas.picture[:] = _jpeg(random, Image.fromarray(canvas.picture))


def _shadow(random, size):
    """Return what darkens one side of a soft edge, as something near the face does, for ``Canvas.tone``."""
    angle, offset, softness = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.25), random.uniform(0.02, 0.3)
    x, y = np.cos(angle) / softness, np.sin(angle) / softness
    return x / size, y / size, 0.5 - offset / softness - 0.5 * (x + y), random.uniform(0.2, 0.65)


def _tone_curves(random, strength):
    """Return the tables [3, 256] of white balance, exposure, contrast and gamma."""
    gains = np.exp(strength * (_CAST * random.standard_normal(3) + 0.12 * random.standard_normal()))
    contrast, gamma = np.exp(strength * np.array([_CONTRAST, _GAMMA]) * random.standard_normal(2))
    levels = (np.arange(256) / 255.0) ** gamma
    curves = ((levels[np.newaxis] * gains[:, np.newaxis] - 0.45) * contrast + 0.45) * 255
    return np.clip(np.rint(curves), 0, 255).astype(np.uint8)


def _low_resolution(random, image):
    side = int(image.size[0] * random.uniform(0.25, 0.8))
    kind = (Image.BILINEAR, Image.BICUBIC)[random.randint(2)]
    return image.resize((side, side), Image.BILINEAR).resize(image.size, kind)


def _jpeg(random, image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=random.randint(*_JPEG_QUALITY), subsampling=2 * random.randint(2))
    return Image.open(buffer)
