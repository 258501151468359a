"""Backgrounds: gradients, noise, blurred shapes, or pieces of photos."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_KINDS = ("plain", "gradient", "noise", "texture", "shapes")
_KIND_PROBABILITIES = (0.15, 0.25, 0.15, 0.15, 0.3)
_PHOTO_PROBABILITY = 0.7  # where photos are given
_SMALLEST_PIECE = 0.4  # of a photo's shorter side


def draw_background(random, size, photos=()):
    """Draw a background.

    Args:
        random: a ``RandomState``.
        size: width and height in pixels.
        photos: [H, W, 3] uint8 arrays to cut pieces from, or none.

    Returns:
        A Pillow RGB image.
    """
    if len(photos) and random.uniform() < _PHOTO_PROBABILITY:
        return _piece(random, size, photos[random.randint(len(photos))])
    kind = random.choice(_KINDS, p=_KIND_PROBABILITIES)
    return {"plain": _gradient, "gradient": _gradient, "noise": _noise, "texture": _texture,
            "shapes": _shapes}[kind](random, size)


def draw_colour(random):
    """Return a colour, three ints: greys and muted colours more often than bright ones."""
    grey, chroma = random.uniform(5, 250), random.uniform(0, 1) ** 2 * 110
    return tuple(int(value) for value in np.clip(grey + chroma * random.standard_normal(3), 0, 255))


def _gradient(random, size):
    corners = np.array([draw_colour(random) for _ in range(4)], np.float64).reshape(2, 2, 3)
    corners += (corners[:1, :1] - corners) * random.uniform(0, 1)  # from plain to four colours
    return _enlarged(corners, size)


def _noise(random, size):
    """Smooth blotches, as of foliage or a crowd far out of focus."""
    cells = random.randint(3, 24)
    first, second = np.array(draw_colour(random)), np.array(draw_colour(random))
    mixture = random.uniform(0, 1, (cells, cells, 1)) + 0.15 * random.standard_normal((cells, cells, 3))
    return _enlarged(first + (second - first) * mixture, size)


def _texture(random, size):
    """Two scales of blotches, as of walls and cloth."""
    coarse = np.asarray(_noise(random, size), np.int16)
    cells = random.randint(size // 8, size // 2)
    fine = random.standard_normal((cells, cells, 1)) * random.uniform(4, 40) + 128
    fine = np.asarray(_enlarged(np.repeat(fine, 3, axis=2), size), np.int16)
    return Image.fromarray(np.clip(coarse + fine - 128, 0, 255).astype(np.uint8))


def _shapes(random, size):
    """Rectangles, ellipses and lines, more or less out of focus."""
    image = _gradient(random, size)
    draw = ImageDraw.Draw(image)
    for _ in range(random.randint(3, 14)):
        (x, y), (w, h) = random.uniform(-0.2, 1.0, 2) * size, random.uniform(0.05, 0.6, 2) * size
        colour = draw_colour(random)
        kind = random.randint(3)
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif kind == 1:
            draw.ellipse((x, y, x + w, y + h), fill=colour)
        else:
            draw.line((x, y, x + random.uniform(-1, 1) * size, y + h), fill=colour, width=random.randint(1, 16))
    return image.filter(ImageFilter.BoxBlur(random.uniform(0, 0.03) * size))


def _piece(random, size, photo):
    side = int(min(photo.shape[:2]) * random.uniform(_SMALLEST_PIECE, 1))
    top, left = (random.randint(extent - side + 1) for extent in photo.shape[:2])
    piece = Image.fromarray(photo[top:top + side, left:left + side]).resize((size, size), Image.BILINEAR)
    return piece.transpose(Image.FLIP_LEFT_RIGHT) if random.uniform() < 0.5 else piece


def _enlarged(colours, size):
    small = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    return small.resize((size, size), Image.BICUBIC)
