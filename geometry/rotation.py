"""Rotation matrices of a head's three Euler angles, as a graph and as arrays, and of pictures."""

import numpy as np

from utils.tf_compat import Tensor, tf


def rotation_matrix(angles: Tensor) -> Tensor:
    """Return R = (Rz Ry Rx)^T, [B, 3, 3], for row vectors: ``world = shape @ R``.

    Args:
        angles: [B, 3] rotations about x, y and z, radians.
    """
    sx, sy, sz = tf.unstack(tf.sin(angles), axis=1)
    cx, cy, cz = tf.unstack(tf.cos(angles), axis=1)
    rows = [
        [cz * cy, sz * cy, -sy],
        [cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx],
        [cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)


def picture_rotation(degrees: float) -> np.ndarray:
    """Return the matrix [2, 2] that turns pixels (x right, y down) clockwise about the origin."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def rotation_with_derivatives(angles: np.ndarray) -> np.ndarray:
    """Return R = (Rz Ry Rx)^T for row vectors and its derivatives by the three angles, [4, 3, 3].

    Args:
        angles: [3] rotations about x, y and z, radians.
    """
    # 1. the rotation about each axis, and its derivative
    factors, derivatives = [], []
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        factor, derivative = np.eye(3), np.zeros((3, 3))
        cos, sin = np.cos(angle), np.sin(angle)
        factor[[first, second], [first, second]] = cos
        factor[first, second], factor[second, first] = -sin, sin
        derivative[[first, second], [first, second]] = -sin
        derivative[first, second], derivative[second, first] = -cos, cos
        factors.append(factor)
        derivatives.append(derivative)

    # 2. their products
    (rx, ry, rz), (dx, dy, dz) = factors, derivatives
    return np.stack([(rz @ ry @ rx).T, (rz @ ry @ dx).T, (rz @ dy @ rx).T, (dz @ ry @ rx).T])


def euler_angles(rotation: np.ndarray) -> np.ndarray:
    """Return the angles about x, y and z, radians, of rotations Rz Ry Rx for column vectors.

    Args:
        rotation: [..., 3, 3].

    Returns:
        [..., 3] pitch (positive: looks down), yaw (positive: turned to the right of the picture)
        and roll (positive: leans counter-clockwise in the picture).
    """
    return np.stack(
        [
            np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2]),
            np.arcsin(np.clip(-rotation[..., 2, 0], -1, 1)),
            np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0]),
        ],
        axis=-1,
    )
