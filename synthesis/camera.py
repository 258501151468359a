"""What a camera and its owner do to a picture: uneven light, colour cast, blur, noise, JPEG."""

import io

import numpy as np
from PIL import Image, ImageFilter

# Probabilities at strength 1.
_SHADOW, _BLUR, _LOW_RESOLUTION, _GREY, _JPEG, _SHARPENING = 0.22, 0.35, 0.3, 0.04, 0.6, 0.25
_CAST, _CONTRAST, _GAMMA, _NOISE = 0.09, 0.12, 0.16, 7.0  # standard deviations; noise: the most, in grey levels
_JPEG_QUALITY = (35, 95)


def photograph(random, image, strength):
    """Spoil a picture as cameras do.

    Args:
        random: a ``RandomState``.
        image: Pillow RGB image.
        strength: 0 leaves it as it is; 1 is a mixture of good and bad cameras.

    Returns:
        A Pillow RGB image of the same size.
    """
    if not strength:
        return image
    chances = random.uniform(0, 1, 6) / strength
    if chances[0] < _SHADOW:
        image = _shadow(random, image)
    image = image.point(_tone_curves(random, strength))
    if chances[1] < _GREY:
        image = image.convert("L").convert("RGB")
    if chances[2] < _BLUR:
        image = image.filter(ImageFilter.BoxBlur(random.uniform(0.3, 1.3) * strength))
    if chances[3] < _LOW_RESOLUTION:
        image = _low_resolution(random, image)
    image = _noise(random, image, strength)
    if chances[5] < _SHARPENING:
        image = image.filter(ImageFilter.UnsharpMask(random.uniform(0.6, 2.5), random.randint(30, 160), 0))
    return _jpeg(random, image) if chances[4] < _JPEG else image


def _shadow(random, image):
    """Darken one side of a soft edge, as something near the face does."""
    size = image.size[0]
    angle, offset, softness = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.25), random.uniform(0.02, 0.3)
    axis = np.linspace(-0.5, 0.5, 56, dtype=np.float32)
    distance = np.cos(angle) * axis[np.newaxis] + np.sin(angle) * axis[:, np.newaxis] - offset
    lit = np.clip(distance / softness + 0.5, 0, 1)
    mask = Image.fromarray((255 * lit).astype(np.uint8)).resize((size, size), Image.BILINEAR)
    darkness = random.uniform(0.35, 0.8)
    return Image.composite(image, image.point([int(i * darkness) for i in range(256)] * 3), mask)


def _tone_curves(random, strength):
    """Return the lookup tables of white balance, exposure, contrast and gamma, for ``Image.point``."""
    gains = np.exp(strength * (_CAST * random.standard_normal(3) + 0.12 * random.standard_normal()))
    contrast, gamma = np.exp(strength * np.array([_CONTRAST, _GAMMA]) * random.standard_normal(2))
    levels = (np.arange(256) / 255.0) ** gamma
    curves = ((levels[np.newaxis] * gains[:, np.newaxis] - 0.45) * contrast + 0.45) * 255
    return np.clip(np.rint(curves), 0, 255).astype(int).reshape(-1).tolist()


def _low_resolution(random, image):
    side = int(image.size[0] * random.uniform(0.25, 0.8))
    kind = (Image.BILINEAR, Image.BICUBIC)[random.randint(2)]
    return image.resize((side, side), Image.BILINEAR).resize(image.size, kind)


def _noise(random, image, strength):
    """Add grain: the sum of two even distributions, which is quicker to draw than a normal one."""
    level = random.uniform(0, 1) ** 2 * _NOISE * strength
    pixels = np.asarray(image, np.int16)
    raw = np.frombuffer(random.bytes(2 * pixels.size), np.uint8).reshape((2,) + pixels.shape).astype(np.int16)
    raw[0] += raw[1]
    raw[0] -= 255
    scale = int(round(level / 104.5 * 4096))  # 104.5 is the standard deviation of the sum
    grain = (raw[0].astype(np.int32) * scale >> 12).astype(np.int16)
    grain += pixels
    return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))


def _jpeg(random, image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=random.randint(*_JPEG_QUALITY), subsampling=2 * random.randint(2))
    return Image.open(buffer).convert("RGB")
