"""Random backgrounds: gradients, noise, blurred shapes, or crops of photos."""

from typing import Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_REDUCTION = 2  # backgrounds are out of focus: painted at half size, then enlarged
_PHOTO_PROBABILITY = 0.7  # if photos are given
_SMALLEST_CROP = 0.4  # side of a crop, as a fraction of the photo's shorter side


def sample_background(
    random: np.random.RandomState, size: int, photos: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Sample a background.

    Args:
        random: random number generator.
        size: width and height in pixels.
        photos: [H, W, 3] uint8 arrays to take crops from; may be empty.

    Returns:
        [size, size, 3] uint8.
    """
    if len(photos) and random.uniform() < _PHOTO_PROBABILITY:
        image = _crop_photo(random, size, photos[random.randint(len(photos))])
    else:
        paint = _PAINTERS[random.choice(len(_PAINTERS), p=_PAINTER_PROBABILITIES)]
        image = paint(random, size // _REDUCTION)
    if image.size[0] != size:
        image = image.resize((size, size), Image.BILINEAR)
    return np.asarray(image)


def sample_color(random: np.random.RandomState) -> Tuple[int, ...]:
    """Sample a color, three ints 0..255: grays and muted colors more often than bright ones."""
    gray = random.uniform(5, 250)
    chroma = random.uniform(0, 1) ** 3 * 100
    values = random.standard_normal(3)
    return tuple(int(min(max(gray + chroma * value, 0), 255)) for value in values)


def _paint_gradient(random: np.random.RandomState, size: int) -> Image.Image:
    """Paint a gradient between four corner colors; they may be nearly equal."""
    corners = np.array([sample_color(random) for _ in range(4)], np.float64).reshape(2, 2, 3)
    corners += (corners[:1, :1] - corners) * random.uniform(0, 1)
    return _enlarge(corners, size)


def _paint_noise(random: np.random.RandomState, size: int) -> Image.Image:
    """Paint smooth blotches, like foliage or a crowd far out of focus."""
    cells = int(np.exp(random.uniform(np.log(2.5), np.log(24))))
    first = np.array(sample_color(random))
    second = np.array(sample_color(random))
    mixture = random.uniform(0.1, 0.9, (cells, cells, 1))
    mixture = mixture + 0.05 * random.standard_normal((cells, cells, 3))
    return _enlarge(first + (second - first) * mixture, size)


def _paint_texture(random: np.random.RandomState, size: int) -> Image.Image:
    """Paint blotches at two scales, like walls and cloth."""
    coarse = np.asarray(_paint_noise(random, size), np.int16)

    # Fine gray noise about 128, enlarged to the full size.
    cells = random.randint(size // 4, size)
    noise = random.standard_normal((cells, cells)) * random.uniform(4, 40) + 128
    image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    fine = np.asarray(image.resize((size, size), Image.BICUBIC)).astype(np.int16) - 128

    return Image.fromarray(np.clip(coarse + fine[..., np.newaxis], 0, 255).astype(np.uint8))


def _paint_shapes(random: np.random.RandomState, size: int) -> Image.Image:
    """Paint rectangles, ellipses and lines, blurred by a random amount."""
    image = _paint_gradient(random, size)
    draw = ImageDraw.Draw(image)
    for _ in range(random.randint(3, 14)):
        x, y = random.uniform(-0.2, 1.0, 2) * size
        w, h = random.uniform(0.05, 0.6, 2) * size
        color = sample_color(random)
        kind = random.randint(3)
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=color)
        elif kind == 1:
            draw.ellipse((x, y, x + w, y + h), fill=color)
        else:
            end = (x + random.uniform(-1, 1) * size, y + h)
            draw.line((x, y) + end, fill=color, width=random.randint(1, 16))
    return image.filter(ImageFilter.BoxBlur(random.uniform(0, 0.03) * size))


def _crop_photo(random: np.random.RandomState, size: int, photo: np.ndarray) -> Image.Image:
    """Take a random square crop of a photo, mirrored half of the time."""
    side = int(min(photo.shape[:2]) * random.uniform(_SMALLEST_CROP, 1))
    top, left = (random.randint(extent - side + 1) for extent in photo.shape[:2])
    crop = Image.fromarray(photo[top : top + side, left : left + side])
    crop = crop.resize((size, size), Image.BILINEAR)
    return crop.transpose(Image.FLIP_LEFT_RIGHT) if random.uniform() < 0.5 else crop


def _enlarge(colors: np.ndarray, size: int) -> Image.Image:
    """Enlarge colors [h, w, 3], 0..255, to a picture of the given size."""
    small = Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8))
    return small.resize((size, size), Image.BICUBIC)


_PAINTERS = (_paint_gradient, _paint_noise, _paint_texture, _paint_shapes)
_PAINTER_PROBABILITIES = (0.4, 0.15, 0.15, 0.3)
