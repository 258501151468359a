"""The camera of the aligned crops, and the conventions of their pixels.

Lengths in decimetres; world axes x right, y up, z towards the camera, which stands at (0, 0, 10)
and looks at the origin. Landmarks are pixels of the 224x224 crop with **y up**; images store
their top row first (Deng et al., CVPRW 2019, section 3).
"""

import numpy as np

IMAGE_SIZE = 224
FOCAL_LENGTH = 1015.0  # pixels
PRINCIPAL_POINT = IMAGE_SIZE / 2.0
CAMERA_DISTANCE = 10.0  # dm, from the world's origin
NEAR_PLANE, FAR_PLANE = 0.01, 50.0  # dm


def project(points):
    """Project world points into the 224x224 crop.

    Args:
        points: [..., 3] dm.

    Returns:
        [..., 2] pixels, x right, **y up**.
    """
    depth = CAMERA_DISTANCE - points[..., 2:]
    return FOCAL_LENGTH * points[..., :2] / depth + PRINCIPAL_POINT


def row_from_y_up(y, image_size=IMAGE_SIZE):
    """Turn a y-up pixel coordinate into an image row, or back: the map is its own inverse."""
    return image_size - 1 - y


def flip_y(points, height=IMAGE_SIZE):
    """Turn points [..., 2] from y down to y up, or back: y' = height - 1 - y."""
    flipped = np.array(points, dtype=np.float64)
    flipped[..., 1] = height - 1 - flipped[..., 1]
    return flipped
