"""Drawing that several pictures share: dots, tiles, the colors of a heat map, JPEG files."""

import io
from typing import Any, Callable, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageDraw

from utils.tf_compat import Tensor

_TITLE_HEIGHT = 20  # pixels
_HEAT_THRESHOLDS = np.array([0, 1, 2], np.float32)  # where red, green and blue begin to rise


def draw_points(
    image: Image.Image, points: np.ndarray, color: Tuple[int, int, int], radius: float
) -> None:
    """Draw a filled dot on each point, in place.

    Args:
        image: Pillow RGB image to draw on.
        points: [n, 2] pixels, x right and y down.
        color: RGB, 0..255.
        radius: radius of a dot in pixels.
    """
    draw = ImageDraw.Draw(image)
    for x, y in points:
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)


def tile_pictures(
    pictures: Sequence[Union[np.ndarray, Image.Image]], columns: int, background: int = 0
) -> np.ndarray:
    """Arrange pictures of one size in rows, from the top left.

    Args:
        pictures: at least one; each [H, W, 3] uint8 RGB, or a Pillow RGB image.
        columns: pictures in a row.
        background: gray level of the cells that the last row leaves empty.

    Returns:
        [rows * H, columns * W, 3] uint8 RGB.
    """
    cells = [np.asarray(picture) for picture in pictures]
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * height, columns * width, 3), background, np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = cell
    return sheet


def add_titles(sheet: np.ndarray, titles: Sequence[str]) -> np.ndarray:
    """Write a title above each column of a picture.

    Args:
        sheet: [H, W, 3] uint8 RGB; its columns are equally wide.
        titles: one for each column.

    Returns:
        [H + 20, W, 3] uint8 RGB.
    """
    bar = Image.new("RGB", (sheet.shape[1], _TITLE_HEIGHT))
    draw = ImageDraw.Draw(bar)
    for index, title in enumerate(titles):
        draw.text((index * sheet.shape[1] // len(titles) + 6, 4), title, fill=(255, 255, 255))
    return np.concatenate([np.asarray(bar), sheet])


def heat_colors(levels: Union[np.ndarray, Tensor], clip: Callable[..., Any] = np.clip) -> Any:
    """Map numbers to colors: black at 0, red at 1, yellow at 2, white at 3 and above.

    Args:
        levels: [...] floating-point array or tensor.
        clip: clipping function for ``levels``; ``tf.clip_by_value`` if they are a tensor.

    Returns:
        [..., 3] RGB, 0..255, of the kind of ``levels``.
    """
    return 255.0 * clip(levels[..., np.newaxis] - _HEAT_THRESHOLDS, 0.0, 1.0)


def encode_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """Encode a picture as a JPEG file.

    Args:
        picture: [H, W, 3] uint8 RGB.
        quality: 1..95, as in Pillow.
    """
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream.getvalue()
