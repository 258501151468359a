"""Backgrounds: gradients, noise, blurred shapes, or pieces of photos."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_REDUCTION = 2  # what is out of focus anyway is drawn at half size
_PHOTO_PROBABILITY = 0.7  # where photos are given
_SMALLEST_PIECE = 0.4  # of a photo's shorter side


def draw_background(random, size, photos=()):
    """Draw a background.

    Args:
        random: a ``RandomState``.
        size: width and height in pixels.
        photos: [H, W, 3] uint8 arrays to cut pieces from, or none.

    Returns:
        [size, size, 3] uint8.
    """
    if len(photos) and random.uniform() < _PHOTO_PROBABILITY:
        image = _piece(random, size, photos[random.randint(len(photos))])
    else:
        image = _PAINTERS[random.choice(len(_PAINTERS), p=_PAINTER_PROBABILITIES)](random, size // _REDUCTION)
    return np.asarray(image if image.size[0] == size else image.resize((size, size), Image.BILINEAR))


def draw_colour(random):
    """Return a colour, three ints: greys and muted colours more often than bright ones."""
    grey, chroma = random.uniform(5, 250), random.uniform(0, 1) ** 3 * 100
    return tuple(int(min(max(grey + chroma * value, 0), 255)) for value in random.standard_normal(3))


def _gradient(random, size):
    corners = np.array([draw_colour(random) for _ in range(4)], np.float64).reshape(2, 2, 3)
    corners += (corners[:1, :1] - corners) * random.uniform(0, 1)  # from plain to four colours
    return _enlarged(corners, size)


def _noise(random, size):
    """Smooth blotches, as of foliage or a crowd far out of focus."""
    cells = int(np.exp(random.uniform(np.log(2.5), np.log(24))))
    first, second = np.array(draw_colour(random)), np.array(draw_colour(random))
    mixture = random.uniform(0.1, 0.9, (cells, cells, 1)) + 0.05 * random.standard_normal((cells, cells, 3))
    return _enlarged(first + (second - first) * mixture, size)


def _texture(random, size):
    """Two scales of blotches, as of walls and cloth."""
    coarse = np.asarray(_noise(random, size), np.int16)
    cells = random.randint(size // 4, size)
    fine = random.standard_normal((cells, cells)) * random.uniform(4, 40) + 128
    fine = np.asarray(Image.fromarray(np.clip(fine, 0, 255).astype(np.uint8)).resize((size, size), Image.BICUBIC))
    return Image.fromarray(np.clip(coarse + (fine.astype(np.int16) - 128)[..., np.newaxis], 0, 255).astype(np.uint8))


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


_PAINTERS = (_gradient, _noise, _texture, _shapes)
_PAINTER_PROBABILITIES = (0.4, 0.15, 0.15, 0.3)
