"""Posing and lighting of surfaces in one pass, as one TensorFlow operation with a gradient.

``csrc/decode/posed_surface_op.cc`` holds the full contract.
"""

from typing import NamedTuple, Union

import numpy as np

from mesh_renderer.operations import load_operations
from utils.tf_compat import Tensor


class PosedSurface(NamedTuple):
    """Posed and lit surfaces."""

    world: Tensor  # [B, N, 3] positions
    normals: Tensor  # [B, N, 3] unit normals
    colors: Tensor  # [B, N, 3] albedo times light


def pose_surface(
    vertices: Tensor,
    albedo: Tensor,
    triangles: Union[np.ndarray, Tensor],
    vertex_triangles: Union[np.ndarray, Tensor],
    *,
    rotation: Tensor,
    translation: Tensor,
    light: Tensor,
) -> PosedSurface:
    """Pose and light surfaces.

    Args:
        vertices: [B, N, 3] float32, in model space; B may be unknown.
        albedo: [B, N, 3] float32.
        triangles: [F, 3] int32, counter-clockwise seen from outside, shared by the batch.
        vertex_triangles: [N, 8] int32, triangles around each vertex; F pads.
        rotation: [B, 3, 3], for row vectors: world = vertices @ rotation + translation.
        translation: [B, 3].
        light: [B, 3, 9], for each channel the weights of 1, x, y, z, xy, yz, zx, zz, xx - yy, where
            (x, y, z) is the unit normal in the world.

    Returns:
        A :class:`PosedSurface`, differentiable with respect to all but the triangles.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or indices out of range.
    """
    return PosedSurface(
        *load_operations().mesh_renderer_posed_surface(
            vertices=vertices,
            albedo=albedo,
            rotation=rotation,
            translation=translation,
            light=light,
            triangles=triangles,
            vertex_triangles=vertex_triangles,
        )
    )
