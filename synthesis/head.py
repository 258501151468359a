"""Measures of a head, and surfaces of the ellipsoids that paint hair, caps and skulls.

Face models end at the forehead and the ears. The rest of the head is painted as ellipsoids in
3-D, so that it turns with the head.
"""

from typing import NamedTuple, Sequence

import numpy as np

TEXTURE_SHAPE = (32, 512)  # of an ellipsoid's texture: over its height, and around it


class HeadGeometry(NamedTuple):
    """Measures of a head in model space, dm."""

    center: np.ndarray  # [3] of the skull
    radii: np.ndarray  # [3] of the skull
    chin_height: float  # y of the chin


class Surface(NamedTuple):
    """Appearance of an ellipsoid.

    Positions on it are in units of its radii, z = 1 at the front. Nothing is painted below a line
    that is given by its heights (y) at some depths (z), linear in between.
    """

    color: np.ndarray  # [3]
    texture: np.ndarray = np.full(TEXTURE_SHAPE, 0.5, np.float32)  # 0..1, over height and turn
    contrast: float = 0.0  # strength of the texture in the color
    depths: Sequence[float] = (-1.0, 1.0)  # of the line
    heights: Sequence[float] = (-2.0, -2.0)  # of the line
    raggedness: float = 0.0  # displacement of the line by the texture
    softness: float = 60.0  # 1 / distance above the line within which opacity rises to 1


def head_geometry(landmarks: np.ndarray) -> HeadGeometry:
    """Estimate the measures of a head from landmarks [68, 3] in model space, dm.

    The proportions are those of drawing books: eyes at half height, a skull a third deeper than
    the face is wide.
    """
    # 1. Measures of the face.
    half_width = abs(landmarks[16, 0] - landmarks[0, 0]) / 2
    eye_height = landmarks[36:48, 1].mean()
    chin_height = landmarks[8, 1]
    ear_depth = landmarks[[0, 16], 2].mean()
    brow_depth = landmarks[17:27, 2].max()
    height = eye_height - chin_height

    # 2. The skull around it.
    depth_radius = 0.5 * (brow_depth - ear_depth) + 0.62 * half_width
    radii = np.array([1.0 * half_width, 0.93 * height, depth_radius])
    center = np.array([0.0, eye_height + 0.08 * height, brow_depth - radii[2] - 0.02])
    return HeadGeometry(center, radii, chin_height)
