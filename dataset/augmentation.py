"""Random flips, small moves and colour jitter of aligned crops; landmarks and mask come along.

Parameters are drawn from a seed and the position of a face in the training order, nothing else.
So a resumed run sees what an uninterrupted one would have seen, whatever threads do.
"""

from typing import NamedTuple, Tuple

import numpy as np
from PIL import Image

from dataset.processed_faces import Sample
from geometry.camera import IMAGE_SIZE, row_from_y_up

MAX_SHIFT = 10.0  # pixels; alignment by detected points is off by about as much
MAX_SCALE = 0.08  # fraction of the size
MAX_CONTRAST, MAX_BRIGHTNESS, MAX_TINT = 0.15, 0.15, 0.05  # fractions, the last per channel

_CENTRE = (IMAGE_SIZE - 1) / 2.0  # of pixel indices
_GREY = 127.5


class Augmentation(NamedTuple):
    """One draw of parameters."""

    flip: bool  # left-right, before the move
    scale: float
    shift: Tuple[float, float]  # pixels right and down
    contrast: float  # about middle grey
    gain: Tuple[float, float, float]  # of red, green and blue


def draw_augmentation(random):
    """Draw parameters.

    Args:
        random: a ``numpy.random.RandomState``.
    """
    flip = bool(random.randint(2))
    scale, contrast = (1.0 + random.uniform(-limit, limit) for limit in (MAX_SCALE, MAX_CONTRAST))
    shift = tuple(random.uniform(-MAX_SHIFT, MAX_SHIFT, 2))
    brightness = 1.0 + random.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS)
    gain = tuple(brightness * (1.0 + random.uniform(-MAX_TINT, MAX_TINT, 3)))
    return Augmentation(flip, scale, shift, contrast, gain)


def augment(sample, augmentation):
    """Return ``sample`` changed by ``augmentation``; what comes from outside the crop is black."""
    if augmentation.flip:
        sample = flip(sample)
    return jitter_colours(move(sample, augmentation.scale, augmentation.shift),
                          augmentation.contrast, augmentation.gain)


def flip(sample):
    """Mirror a sample left to right; landmarks trade places so that each keeps its meaning."""
    landmarks = sample.landmarks[mirrored_landmarks()].copy()
    landmarks[:, 0] = IMAGE_SIZE - 1 - landmarks[:, 0]
    return Sample(sample.image[:, ::-1], sample.attention[:, ::-1], landmarks)


def mirrored_landmarks():
    """Return, for each of the 68 iBUG landmarks, which one takes its place in a mirror, [68] int."""
    order = np.arange(68)
    for first, last in ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64)):  # jaw, brows, nostrils, upper lips
        order[first:last + 1] = np.arange(last, first - 1, -1)
    order[55:60] = np.arange(59, 54, -1)  # lower lip, outside
    order[65:68] = np.arange(67, 64, -1)  # lower lip, inside
    order[36:42], order[42:48] = [45, 44, 43, 42, 47, 46], [39, 38, 37, 36, 41, 40]  # eyes, both from the left
    return order


def move(sample, scale, shift):
    """Scale a sample about the centre of the crop and shift it.

    Args:
        sample: a :class:`Sample`.
        scale: factor.
        shift: pixels right and down.
    """
    offset = _CENTRE * (1.0 - scale) + np.asarray(shift)  # in pixel indices: new = scale * old + offset
    inverse = _inverse_for_pillow(scale, offset)
    image, attention = (
        np.asarray(Image.fromarray(pixels).transform((IMAGE_SIZE, IMAGE_SIZE), Image.AFFINE, inverse, Image.BILINEAR))
        for pixels in (np.ascontiguousarray(sample.image), np.ascontiguousarray(sample.attention)))
    columns = scale * sample.landmarks[:, 0] + offset[0]
    rows = scale * row_from_y_up(sample.landmarks[:, 1]) + offset[1]
    return Sample(image, attention, np.stack([columns, row_from_y_up(rows)], axis=1).astype(np.float32))


def jitter_colours(sample, contrast, gain):
    """Change contrast about middle grey, then multiply each channel by its gain."""
    levels = np.arange(256.0)
    curves = ((levels - _GREY) * contrast + _GREY)[:, np.newaxis] * gain
    table = np.rint(np.clip(curves, 0, 255)).astype(np.uint8)  # [256, 3]
    image = np.stack([table[sample.image[..., channel], channel] for channel in range(3)], axis=-1)
    return sample._replace(image=image)


def _inverse_for_pillow(scale, offset):
    """Return Pillow's affine coefficients, from new to old, which count pixel centres as index + 0.5."""
    back = [0.5 - (0.5 + value) / scale for value in offset]
    return (1.0 / scale, 0.0, back[0], 0.0, 1.0 / scale, back[1])
