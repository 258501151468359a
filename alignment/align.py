"""The published 224x224 crop of a photo, and exact maps between the crop and the photo.

Following "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (Deng et al., CVPRW
2019, arXiv 1903.08527): an affine camera is fitted to five points, the photo is resized so that
the face gets a standard size, and a square is cut out around it, without rotation. A face that
leans far is cut out upright all the same: the photo is first turned about its center.

Coordinates count pixel centers as integers, from the left and from the top (y down). The
network's landmark labels are the exception: they are y up, see ``geometry.camera.flip_y``.
"""

from typing import NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image

from alignment.square import cut_affine, resize_box
from geometry.camera import IMAGE_SIZE, flip_y
from geometry.landmark_layout import STANDARD_POINTS_3D
from geometry.rotation import picture_rotation
from utils.errors import InputError

FACE_SCALE = 102.0  # pixels of the crop per unit (1 dm) of the standard 3-D points
_LARGEST_LEAN = 35.0  # degrees; the networks' training faces lean by up to 40


class Alignment(NamedTuple):
    """A face, cut out in standard size."""

    crop: np.ndarray  # [224, 224, 3] uint8 RGB, black outside of the photo
    five_points: np.ndarray  # [5, 2] float64, in the crop, y down, by the published formula
    trans_params: np.ndarray  # [5] float64: photo width, height, scale, t_x, t_y (y up)
    degrees: float = 0.0  # by which the photo is turned before, counter-clockwise

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Map points [..., 2] from the crop to the photo, see :func:`crop_to_photo`."""
        return crop_to_photo(points, self.trans_params, self.degrees)

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Map points [..., 2] from the photo to the crop, see :func:`photo_to_crop`."""
        return photo_to_crop(points, self.trans_params, self.degrees)


class CropBox(NamedTuple):
    """The place of a crop in whole pixels: the photo is resized, then cut."""

    photo_size: Tuple[int, int]  # width and height of the photo
    resized_size: Tuple[int, int]  # width and height of the resized photo
    corner: Tuple[int, int]  # left and top of the crop in the resized photo; may be negative


def align(photo: np.ndarray, five_points: np.ndarray, degrees: float = 0.0) -> Alignment:
    """Cut the face with the given five points out of a photo.

    Args:
        photo: [H, W, 3] uint8 RGB.
        five_points: [5, 2] in the photo, y down: left eye, right eye, nose tip, left and right
            mouth corner, as seen in the image.
        degrees: angle by which to turn the photo counter-clockwise about its center before; see
            :func:`upright_angle`. ``trans_params`` are those of the turned photo.

    Returns:
        An :class:`Alignment`. Only the part of the photo in the crop is resized; the result agrees
        with bicubic resizing of the whole photo to within one gray level.

    Raises:
        InputError: the five points coincide or put the face outside of the photo.
    """
    alignment = locate_crop(photo.shape, five_points, degrees)
    if degrees:
        size = (IMAGE_SIZE, IMAGE_SIZE)
        matrix = crop_to_photo_matrix(alignment.trans_params, degrees)
        return alignment._replace(crop=cut_affine(photo, matrix, size))
    return alignment._replace(crop=_cut(photo, crop_box(alignment.trans_params)))


def locate_crop(shape: Sequence[int], five_points: np.ndarray, degrees: float = 0.0) -> Alignment:
    """Return what :func:`align` returns, with an empty crop [0, 0, 3].

    Args:
        shape: height and width of the photo, and whatever follows.
        five_points: see :func:`align`.
        degrees: see :func:`align`.

    Raises:
        InputError: the five points coincide.
    """
    height, width = shape[:2]
    turned = _turn(five_points, (width, height), degrees)
    trans_params = fit_crop(turned, width, height)
    empty = np.zeros((0, 0, 3), np.uint8)
    return Alignment(empty, _published_five_points(turned, trans_params), trans_params, degrees)


def upright_angle(five_points: np.ndarray) -> float:
    """Return the angle by which a photo is turned before a face is cut out, degrees.

    It is 0 for a face that leans by up to 35 degrees, as in the published system, and otherwise
    the angle that makes the line from the mouth to the eyes upright.

    Args:
        five_points: [5, 2] in the photo, y down.
    """
    lean = lean_angle(five_points)
    return lean if abs(lean) > _LARGEST_LEAN else 0.0


def lean_angle(five_points: np.ndarray) -> float:
    """Return the angle of the line from the mouth to the eyes, degrees clockwise from upright.

    Args:
        five_points: [5, 2], y down.
    """
    right, down = five_points[3:].mean(axis=0) - five_points[:2].mean(axis=0)
    return float(np.degrees(np.arctan2(-right, down)))


def fit_crop(five_points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return ``trans_params`` [5] (width, height, scale, t_x, t_y) of a photo of that size.

    The affine camera (r_x, r_y, t) is the least-squares solution of
    x_i = r_x . X_i + t_x, y_i = r_y . X_i + t_y over the five points (y up); the scale is
    102 / ((|r_x| + |r_y|) / 2).

    Args:
        five_points: [5, 2] in the photo, y down.
        width: width of the photo, pixels.
        height: height of the photo, pixels.

    Raises:
        InputError: the five points coincide.
    """
    points_y_up = flip_y(five_points, height)
    design = np.hstack([STANDARD_POINTS_3D, np.ones((len(STANDARD_POINTS_3D), 1))])
    camera = np.linalg.lstsq(design, points_y_up, rcond=None)[0]  # [4, 2]: r_x, r_y over t
    size = np.linalg.norm(camera[:3], axis=0).mean()
    if not size > 1e-3:  # a face of less than a thousandth of a pixel
        raise InputError(
            "the five points lie on one spot; they must mark two eyes, the nose tip and two mouth "
            "corners"
        )
    return np.array([width, height, FACE_SCALE / size, camera[3, 0], camera[3, 1]])


def crop_box(trans_params: np.ndarray) -> CropBox:
    """Return the :class:`CropBox` of ``trans_params``, rounded as published."""
    width, height, scale, t_x, t_y = (float(value) for value in np.ravel(trans_params))
    resized_width, resized_height = int(width * scale), int(height * scale)
    left = int(resized_width / 2 - IMAGE_SIZE / 2 + (t_x - width / 2) * scale)
    top = int(resized_height / 2 - IMAGE_SIZE / 2 + (height / 2 - t_y) * scale)
    return CropBox((int(width), int(height)), (resized_width, resized_height), (left, top))


def crop_to_photo_matrix(trans_params: np.ndarray, degrees: float = 0.0) -> np.ndarray:
    """Return the [2, 3] affine matrix that takes crop coordinates (x, y, 1) to the photo.

    Arguments are fields of an :class:`Alignment`. Both are y down with integers at pixel centers.
    For coordinates that count pixel corners as integers, as rasterizers do, the scale is the same
    and the offset is ``corner * scale``.
    """
    box = crop_box(trans_params)
    scale = np.divide(box.photo_size, box.resized_size)
    offset = (np.array(box.corner) + 0.5) * scale - 0.5
    matrix = np.array([[scale[0], 0.0, offset[0]], [0.0, scale[1], offset[1]]])
    if degrees:
        matrix[:, 2] = _turn(matrix[:, 2], box.photo_size, -degrees)
        matrix[:, :2] = picture_rotation(degrees).dot(matrix[:, :2])
    return matrix


def crop_to_photo(points: np.ndarray, trans_params: np.ndarray, degrees: float = 0.0) -> np.ndarray:
    """Map points [..., 2] from the crop to the photo, both y down.

    ``trans_params`` and ``degrees`` are fields of an :class:`Alignment`.
    """
    matrix = crop_to_photo_matrix(trans_params, degrees)
    if degrees:
        return np.asarray(points).dot(matrix[:, :2].T) + matrix[:, 2]
    return np.asarray(points) * matrix[[0, 1], [0, 1]] + matrix[:, 2]


def photo_to_crop(points: np.ndarray, trans_params: np.ndarray, degrees: float = 0.0) -> np.ndarray:
    """Map points [..., 2] from the photo to the crop, both y down; inverts :func:`crop_to_photo`.

    This is the map of the pixels. The published formula for the five points, kept in
    :attr:`Alignment.five_points`, omits the rounding and differs by up to a pixel or so.
    """
    matrix = crop_to_photo_matrix(trans_params, degrees)
    if degrees:
        return (np.asarray(points) - matrix[:, 2]).dot(np.linalg.inv(matrix[:, :2]).T)
    return (np.asarray(points) - matrix[:, 2]) / matrix[[0, 1], [0, 1]]


def paste_crop(photo: np.ndarray, overlay: np.ndarray, alignment: Alignment) -> np.ndarray:
    """Lay a picture of the crop over the photo it was cut from, at the photo's resolution.

    Args:
        photo: [H, W, 3] uint8 RGB.
        overlay: [h, w, 4] uint8 RGBA with straight alpha, covering the crop; any size (a multiple
            of 224 gives a sharper overlay if the photo is larger than the crop).
        alignment: the :class:`Alignment` of the crop.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    if alignment.degrees:
        matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
        return _paste_turned(photo, overlay, matrix)

    # 1. whole photo pixels that lie inside both the crop and the photo
    box = crop_box(alignment.trans_params)
    scale = np.divide(box.photo_size, box.resized_size)
    corner = np.array(box.corner) * scale
    first = np.maximum(np.ceil(corner), 0).astype(int)
    last = np.minimum(np.floor(corner + IMAGE_SIZE * scale), box.photo_size).astype(int)
    result = photo.copy()
    if np.any(last <= first):
        return result

    # 2. the overlay at their resolution
    zoom = np.array(overlay.shape[1::-1]) / IMAGE_SIZE / scale  # overlay pixels per photo pixel
    low, high = (first - corner) * zoom, (last - corner) * zoom
    patch = resize_box(overlay, low, high, last - first, Image.BICUBIC)

    _lay_over(result[first[1] : last[1], first[0] : last[0]], patch)
    return result


def _paste_turned(photo: np.ndarray, overlay: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Lay a picture of a turned crop over the photo; ``matrix`` [2, 3] takes the crop to it."""
    # 1. pixels of the photo around the crop
    corners = np.array([[x, y, 1] for x in (0, IMAGE_SIZE) for y in (0, IMAGE_SIZE)])
    seen = corners.dot(matrix.T)
    limits = photo.shape[1::-1]
    first = np.clip(np.floor(seen.min(axis=0)), 0, limits).astype(int)
    last = np.clip(np.ceil(seen.max(axis=0)), first, limits).astype(int)
    result = photo.copy()
    if np.any(last <= first):
        return result

    # 2. the overlay at these pixels: from the photo to the crop, and to the overlay
    zoom = np.array(overlay.shape[1::-1]) / IMAGE_SIZE
    inverse = np.linalg.inv(matrix[:, :2])
    to_overlay = inverse * zoom[:, np.newaxis]
    offset = (inverse.dot(first - matrix[:, 2]) + 0.5) * zoom - 0.5
    patch = cut_affine(overlay, np.hstack([to_overlay, offset[:, np.newaxis]]), last - first)

    _lay_over(result[first[1] : last[1], first[0] : last[0]], patch)
    return result


def _lay_over(picture: np.ndarray, patch: np.ndarray) -> None:
    """Lay a patch [h, w, 4] uint8 RGBA over a picture [h, w, 3] uint8 RGB, which is changed."""
    below = Image.fromarray(np.ascontiguousarray(picture)).convert("RGBA")
    picture[...] = np.asarray(Image.alpha_composite(below, Image.fromarray(patch)))[..., :3]


def _turn(points: np.ndarray, size: Sequence[int], degrees: float) -> np.ndarray:
    """Return points [..., 2] of a photo, y down, turned counter-clockwise about its center."""
    if not degrees:
        return points
    center = (np.asarray(size) - 1) / 2.0
    return (np.asarray(points) - center).dot(picture_rotation(-degrees).T) + center


def _cut(photo: np.ndarray, box: CropBox) -> np.ndarray:
    """Return the crop [224, 224, 3]; only the part of the photo inside of it is resized."""
    # 1. the box, clipped to the resized photo
    corner = np.array(box.corner)
    resized = np.array(box.resized_size)
    first = np.maximum(corner, 0)
    last = np.minimum(corner + IMAGE_SIZE, resized)
    if np.any(last <= first):
        raise InputError(
            "the five points put the face outside of the photo; they must be pixels of this photo, "
            "x to the right and y down from the top left"
        )

    # 2. that part, on black
    scale = np.divide(box.photo_size, box.resized_size)
    part = resize_box(photo, first * scale, last * scale, last - first, Image.BICUBIC)
    crop = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    (left, top), (right, bottom) = first - corner, last - corner
    crop[top:bottom, left:right] = part
    return crop


def _published_five_points(five_points: np.ndarray, trans_params: np.ndarray) -> np.ndarray:
    """Return the five points in the crop, [5, 2], y down, by the published formula."""
    width, height, scale, t_x, t_y = trans_params
    resized = np.array(crop_box(trans_params).resized_size)
    y_up = (flip_y(five_points, height) - [t_x - width / 2, t_y - height / 2]) * scale
    return flip_y(y_up - (resized / 2 - IMAGE_SIZE / 2))
