"""Parts of a photo: turned squares, the inputs of detectors and landmark networks, and boxes."""

from typing import NamedTuple, Sequence

import numpy as np
from PIL import Image

from geometry.rotation import picture_rotation

# Pillow averages blocks of pixels first where a picture shrinks to half or less: gray levels change
# by half a level, in a third of the time.
BLOCK_GAP = 1.0
_REACHES = {Image.BICUBIC: 2, Image.LANCZOS: 3}  # of filters, pixels of the smaller picture


class Square(NamedTuple):
    """A square of a photo. Pixels count their centers as integers, y down."""

    center: np.ndarray  # [2]
    side: float  # pixels
    degrees: float  # of the upright direction, clockwise in the photo

    def to_photo(self, points: np.ndarray, size: int) -> np.ndarray:
        """Map points [..., 2] of the square, cut with ``size`` pixels a side, to the photo."""
        return (np.asarray(points) - (size - 1) / 2).dot(self._axes(size).T) + self.center

    def from_photo(self, points: np.ndarray, size: int) -> np.ndarray:
        """Map points [..., 2] of the photo to the square; inverts :meth:`to_photo`."""
        inverse = np.linalg.inv(self._axes(size))
        return (np.asarray(points) - self.center).dot(inverse.T) + (size - 1) / 2

    def cut(self, photo: np.ndarray, size: int) -> np.ndarray:
        """Return the pixels, [size, size, 3] uint8 RGB, black outside of the photo.

        Args:
            photo: [H, W, 3] uint8 RGB.
            size: width and height of the result.
        """
        axes = self._axes(size)
        offset = self.center - axes.dot(np.full(2, (size - 1) / 2))
        return cut_affine(photo, np.hstack([axes, offset[:, np.newaxis]]), (size, size))

    def _axes(self, size: int) -> np.ndarray:
        """Return the matrix [2, 2] from pixels of the cut square to those of the photo."""
        return picture_rotation(self.degrees) * (self.side / size)


def cut_affine(picture: np.ndarray, matrix: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return pixels of a picture at affine positions, smoothed where they are far apart.

    Args:
        picture: [H, W, C] uint8.
        matrix: [2, 3], takes pixels (x, y, 1) of the result to pixels of the picture; both count
            their centers as integers, y down.
        size: width and height of the result.

    Returns:
        [height, width, C] uint8, zeros outside of the picture.
    """
    # 1. the part of the picture that is needed, shrunk to the scale of the result
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    seen = corners.dot(matrix.T)
    limits = np.array(picture.shape[1::-1])
    first = np.clip(np.floor(seen.min(axis=0)) - 2, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(seen.max(axis=0)) + 2, first + 1, limits).astype(int)
    # numpy copies a part of an array quicker than its bytes are read one row after the other
    seen_part = np.ascontiguousarray(picture[first[1] : last[1], first[0] : last[0]])
    part = Image.fromarray(seen_part)
    ratio = min(1.0, 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    shrunk = np.maximum(1, np.rint((last - first) * ratio)).astype(int)
    if ratio < 1:
        wanted = tuple(int(n) for n in shrunk)
        part = part.resize(wanted, Image.BICUBIC, reducing_gap=BLOCK_GAP)

    # 2. its pixels, in coordinates that count pixel corners as integers
    scale = (shrunk if ratio < 1 else last - first) / (last - first)
    axes = matrix[:, :2] * scale[:, np.newaxis]
    offset = (matrix[:, 2] + 0.5 - first) * scale - axes.dot([0.5, 0.5])
    values = tuple(np.hstack([axes, offset[:, np.newaxis]]).ravel())
    return np.asarray(part.transform((width, height), Image.AFFINE, values, Image.BILINEAR))


def resize_box(
    photo: np.ndarray, first: np.ndarray, last: np.ndarray, size: np.ndarray, resample: int
) -> np.ndarray:
    """Return a box of a photo, resized, [height, width, C] uint8.

    Pillow gets only the pixels that its filter reads, because it copies all that it is given.

    Args:
        photo: [H, W, C] uint8.
        first, last: [2] corners of the box (x, y), pixels whose corners are integers.
        size: [2] width and height of the result.
        resample: ``Image.BICUBIC`` or ``Image.LANCZOS``.
    """
    limits = np.array(photo.shape[1::-1])
    first, last = np.clip(first, 0, limits), np.clip(last, 0, limits)  # not outside by an ulp
    reach = _REACHES[resample] * np.maximum((last - first) / size, 1) + 1
    begin = np.maximum(np.floor(first - reach), 0).astype(int)
    end = np.minimum(np.ceil(last + reach), limits).astype(int)
    part = Image.fromarray(np.ascontiguousarray(photo[begin[1] : end[1], begin[0] : end[0]]))
    box = tuple(first - begin) + tuple(last - begin)
    return np.asarray(part.resize(tuple(int(n) for n in size), resample, box=box))
