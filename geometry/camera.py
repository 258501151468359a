"""The camera of the aligned crops, and the conventions of their pixels.

Lengths are in decimeters; world axes are x right, y up, z towards the camera, which is at
(0, 0, 10) and looks at the origin. Landmarks are pixels of the 224x224 crop with **y up**; images
store their top row first (Deng et al., CVPRW 2019, section 3).
"""

from typing import Any

import numpy as np

IMAGE_SIZE = 224  # width and height of a crop, pixels
OVERLAY_SIZE = 2 * IMAGE_SIZE  # of faces drawn over the photo, which is sharper than the crop
FOCAL_LENGTH = 1015.0  # pixels of the crop
PRINCIPAL_POINT = IMAGE_SIZE / 2.0
CAMERA_DISTANCE = 10.0  # dm, from the world's origin
NEAR_PLANE, FAR_PLANE = 0.01, 50.0  # dm
MILLIMETERS_PER_DM = 100.0


def project(points: Any) -> Any:
    """Project world points into the 224x224 crop.

    Args:
        points: [..., 3] dm, a tensor or an array.

    Returns:
        [..., 2] pixels, x right, **y up**.
    """
    depth = CAMERA_DISTANCE - points[..., 2:]
    return FOCAL_LENGTH * points[..., :2] / depth + PRINCIPAL_POINT


def project_derivatives(points: np.ndarray) -> np.ndarray:
    """Return the derivatives of :func:`project` by the points, [..., 2, 3] pixels per dm.

    Args:
        points: [..., 3] dm.
    """
    depth = CAMERA_DISTANCE - points[..., 2]
    derivatives = np.zeros(points.shape[:-1] + (2, 3))
    derivatives[..., 0, 0] = derivatives[..., 1, 1] = FOCAL_LENGTH / depth
    derivatives[..., :, 2] = FOCAL_LENGTH * points[..., :2] / depth[..., np.newaxis] ** 2
    return derivatives


def project_to_image(points: np.ndarray, size: int = IMAGE_SIZE) -> np.ndarray:
    """Project world points into an image of the crop.

    Args:
        points: [..., 3] dm.
        size: width and height of the image in pixels.

    Returns:
        [..., 2] pixels of the image, x right, **y down**, corners of pixels at integers.
    """
    scale = FOCAL_LENGTH / (CAMERA_DISTANCE - points[..., 2:])
    corners = PRINCIPAL_POINT + points[..., :2] * scale * [1, -1]
    return corners * (size / IMAGE_SIZE)


def row_from_y_up(y: Any, height: int = IMAGE_SIZE) -> Any:
    """Convert a y-up pixel coordinate to an image row, or back: height - 1 - y."""
    return height - 1 - y


def flip_y(points: Any, height: int = IMAGE_SIZE) -> np.ndarray:
    """Convert points [..., 2] from y down to y up, or back, as float64."""
    flipped = np.array(points, dtype=np.float64)
    flipped[..., 1] = row_from_y_up(flipped[..., 1], height)
    return flipped
