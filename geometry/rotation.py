"""Rotation matrices of the three angles of a head, as a graph and as arrays."""

import numpy as np

from utils.tf_compat import tf


def rotation_matrix(angles):
    """Return R = (Rz Ry Rx)^T, [B, 3, 3], to be applied to row vectors: ``world = shape @ R``.

    Args:
        angles: [B, 3] rotations about x, y and z, radians.
    """
    sin, cos = tf.unstack(tf.sin(angles), axis=1), tf.unstack(tf.cos(angles), axis=1)
    (sx, sy, sz), (cx, cy, cz) = sin, cos
    rows = [
        [cz * cy, sz * cy, -sy],
        [cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx],
        [cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)


def rotation_matrices(angles):
    """Return R = (Rz Ry Rx)^T for row vectors and its derivatives by the three angles, [4, 3, 3].

    Args:
        angles: [3] radians about x, y, z.
    """
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
    (rx, ry, rz), (dx, dy, dz) = factors, derivatives
    return np.stack([(rz @ ry @ rx).T, (rz @ ry @ dx).T, (rz @ dy @ rx).T, (dz @ ry @ rx).T])
