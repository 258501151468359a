"""Hair, caps and skulls: ellipsoids around a head, intersected with the ray of each pixel.

Face models end at the forehead and the ears. What photos show beyond is drawn here in 3-D, so
that it turns with the head.
"""

from typing import NamedTuple

import numpy as np

from alignment.align import CROP_SIZE
from face_decoder import CAMERA_DISTANCE, FOCAL_LENGTH, PRINCIPAL_POINT


class HeadGeometry(NamedTuple):
    """Measures of a head in model space, dm."""

    centre: np.ndarray  # [3] of the skull
    radii: np.ndarray  # [3] of the skull
    eye_height: float  # y
    chin_height: float  # y


class Surface(NamedTuple):
    """Where the rays of a picture meet an ellipsoid, [H, W] each."""

    hit: np.ndarray  # bool
    points: np.ndarray  # [H, W, 3] float32, in units of the radii from the centre
    normals: np.ndarray  # [H, W, 3] float32, unit, in model space


def head_geometry(landmarks):
    """Return the :class:`HeadGeometry` that belongs to landmarks [68, 3] in model space.

    The proportions are those of drawing books: eyes at half height, a skull a third deeper than
    the face is wide.
    """
    half_width = abs(landmarks[16, 0] - landmarks[0, 0]) / 2
    eye, chin = landmarks[36:48, 1].mean(), landmarks[8, 1]
    ear_depth, brow_depth = landmarks[[0, 16], 2].mean(), landmarks[17:27, 2].max()
    height = eye - chin
    radii = np.array([1.0 * half_width, 0.93 * height, 0.5 * (brow_depth - ear_depth) + 0.62 * half_width])
    centre = np.array([0.0, eye + 0.08 * height, brow_depth - radii[2] - 0.02])
    return HeadGeometry(centre, radii, eye, chin)


def intersect(pose, centre, radii, size):
    """Intersect the rays of a picture with an ellipsoid that is aligned with the head.

    Args:
        pose: a ``synthesis.sampling.HeadPose``.
        centre, radii: [3] dm, in model space.
        size: width and height of the picture.

    Returns:
        A :class:`Surface`.
    """
    to_head = pose.rotation.T
    camera = (np.array([0, 0, CAMERA_DISTANCE]) - pose.translation).dot(to_head)
    origin = ((camera - centre) / radii).astype(np.float32)
    offsets = (((np.arange(size) + 0.5) * (CROP_SIZE / size) - PRINCIPAL_POINT) / FOCAL_LENGTH).astype(np.float32)
    right, up, backward = (to_head / radii).astype(np.float32)
    # Rows count downwards. A sum of two broadcast arrays: a product with 3x3 takes longer.
    rays = offsets[np.newaxis, :, np.newaxis] * right - backward - (offsets[:, np.newaxis] * up)[:, np.newaxis]
    # |origin + s ray|^2 = 1
    a = np.einsum("hwc,hwc->hw", rays, rays)
    b = rays.dot(origin)
    discriminant = b * b - a * (origin.dot(origin) - 1)
    hit = discriminant > 0
    distance = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
    points = origin + distance[..., np.newaxis] * rays
    normals = points / radii.astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Surface(hit, points, normals)
