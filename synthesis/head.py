"""Hair, caps and skulls as ellipsoids around a head.

Face models end at the forehead and the ears. What photos show beyond is drawn here in 3-D, so
that it turns with the head.
"""

from typing import NamedTuple, Sequence

import numpy as np

from synthesis.canvas import TEXTURE_SHAPE


class HeadGeometry(NamedTuple):
    """Measures of a head in model space, dm."""

    centre: np.ndarray  # [3] of the skull
    radii: np.ndarray  # [3] of the skull
    chin_height: float  # y


class Surface(NamedTuple):
    """How an ellipsoid is painted; positions on it are in units of its radii, z = 1 at the front.

    Nothing is painted below a line, whose heights stand over the depths.
    """

    colour: np.ndarray  # [3]
    texture: np.ndarray = np.full(TEXTURE_SHAPE, 0.5, np.float32)  # [32, 512] 0..1, over height and turn
    contrast: float = 0.0  # of the texture in the colour
    depths: Sequence[float] = (-1.0, 1.0)
    heights: Sequence[float] = (-2.0, -2.0)
    raggedness: float = 0.0  # how far the texture moves the line
    softness: float = 60.0  # 1 / the distance within which the opacity rises to 1


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
    return HeadGeometry(centre, radii, chin)
