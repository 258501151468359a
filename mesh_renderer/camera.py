"""Cameras as 4x4 matrices for column vectors: ``clip = perspective @ look_at @ world``.

World and camera space are right-handed; the camera looks along its own -z, with x right and y up.
Lengths are in world units, which may be any. Clip space is OpenGL's, with z / w from -1 at the near
plane to 1 at the far plane (Shreiner et al., "OpenGL Programming Guide", appendix on homogeneous
coordinates). The matrices are numpy arrays: cameras are constants of the graph.
"""

from typing import Sequence

import numpy as np

from utils.tf_compat import Tensor, tf


def perspective(
    focal_length: float, image_width: int, image_height: int, near: float, far: float
) -> np.ndarray:
    """Return the projection [4, 4] of a pinhole camera with the principal point in the middle.

    Args:
        focal_length: pixels.
        image_width: pixels.
        image_height: pixels.
        near: distance of the near plane, world units, > 0.
        far: distance of the far plane, > near.

    Raises:
        ValueError: planes or sizes out of range.
    """
    if not (0 < near < far and focal_length > 0 and image_width > 0 and image_height > 0):
        raise ValueError("need 0 < near < far and positive focal_length, image_width, image_height")
    return np.array(
        [
            [2.0 * focal_length / image_width, 0, 0, 0],
            [0, 2.0 * focal_length / image_height, 0, 0],
            [0, 0, (near + far) / (near - far), 2.0 * near * far / (near - far)],
            [0, 0, -1, 0],
        ]
    )


def look_at(eye: Sequence[float], target: Sequence[float], up: Sequence[float]) -> np.ndarray:
    """Return the view matrix [4, 4], from world to camera space.

    Args:
        eye: (x, y, z), position of the camera.
        target: (x, y, z), a point on the camera's axis.
        up: direction that appears upward in the image; need not be perpendicular to the axis.

    Raises:
        ValueError: ``eye`` is ``target``, or ``up`` is parallel to the axis.
    """
    position = np.asarray(eye, np.float64)
    backward = position - np.asarray(target, np.float64)
    right = np.cross(up, backward)
    if not np.linalg.norm(right) > 1e-12 * np.linalg.norm(up) * np.linalg.norm(backward):
        raise ValueError("the camera's axis needs a length and must not be parallel to up")

    axes = np.stack([right, np.cross(backward, right), backward])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    view = np.eye(4)
    view[:3, :3] = axes
    view[:3, 3] = -axes.dot(position)
    return view


def to_clip_space(world_vertices: Tensor, clip_from_world: np.ndarray) -> Tensor:
    """Transform vertices by a camera.

    Args:
        world_vertices: [B, N, 3] float32 tensor; B may be unknown.
        clip_from_world: [4, 4] array, ``perspective(...) @ look_at(...)``.

    Returns:
        [B, N, 4] float32 tensor, clip-space x, y, z, w.
    """
    matrix = np.asarray(clip_from_world, np.float32)
    with tf.name_scope("to_clip_space"):
        world_vertices = tf.convert_to_tensor(world_vertices, tf.float32)
        shape = tf.shape(world_vertices)
        # One product over all vertices of all images: [B * N, 3] x [3, 4].
        flat = tf.matmul(tf.reshape(world_vertices, [-1, 3]), matrix[:, :3].T) + matrix[:, 3]
        clip = tf.reshape(flat, tf.stack([shape[0], shape[1], 4]))
        clip.set_shape(world_vertices.shape[:2].concatenate([4]))
        return clip
